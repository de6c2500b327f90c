"""The networks of timm and torchvision, with weights that no part of a computation leaves alone."""

import runpy
import warnings
from pathlib import Path

import torch

BENCHMARKS = Path(__file__).parents[2] / "examples" / "benchmarks"
_library = runpy.run_path(str(BENCHMARKS / "torchvision_operations.py"))["declare_operations"]()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import timm
    import torchvision

COUNTER = "num_batches_tracked"


def library_of(name):
    """Returns whether timm or torchvision has a network; None for neither."""
    if timm.is_model(name):
        return "timm"
    known = torchvision.models.list_models()
    return "torchvision" if name in known else None


def create(name, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if library_of(name) == "timm":
            return timm.create_model(name, **options)
        return torchvision.models.get_model(name, weights=None, **options)


def abstract(name):
    with torch.device("meta"):
        return create(name)


def seeded(name, shape, seed=0):
    """Returns a network with random weights and the running statistics of a batch.

    With statistics of other numbers, deep networks would give nearly the same for any image.
    """
    torch.manual_seed(seed)
    network = create(name)
    for key, array in network.state_dict().items():
        if key.endswith("gamma"):  # of ConvNeXt, near 0 at first
            array.uniform_(0.5, 1.5)
    norms = [m for m in network.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.randn(4, shape[-1], *shape[:-1]))
    return network.eval()


def channels_first(x):
    return torch.tensor(x).movedim(-1, 1)
