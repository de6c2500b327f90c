"""Profiles of the search, and Keras on JAX.

``--hypothesis-profile=peers_long`` searches 2,000 fresh configurations of each family.
"""

import os

import torch
from hypothesis import HealthCheck, Phase, settings

os.environ["KERAS_BACKEND"] = "jax"
# Each configuration is a program of its own: without optimization it compiles in half the time.
os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0"

torch.set_num_threads(1)  # the arrays are small: threads cost more than they bring
torch.backends.mkldnn.enabled = False  # its convolutions crash on one configuration in thousands

shared = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "database": None,
    # Each step of shrinking compiles a program; the failing case is small as it is.
    "phases": [Phase.explicit, Phase.generate],
}
settings.register_profile("peers", max_examples=12, derandomize=True, **shared)
settings.register_profile("peers_long", max_examples=2000, derandomize=False, **shared)
settings.load_profile("peers")
