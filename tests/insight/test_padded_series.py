"""Explanations of a padded series are those of the series alone, and 0 in its padding."""

import jax
import numpy as np
import pytest
from flax import nnx

import jaxcnn as cnn


@pytest.fixture(scope="module")
def network():
    model = cnn.models.create("fcn", features=2, masked=True)
    return model.build((16, 1), rngs=nnx.Rngs(0))


METHODS = {
    "gradients": cnn.insight.gradients,
    "integrated_gradients": lambda model, x, target: cnn.insight.integrated_gradients(
        model, x, target, steps=4
    ),
    "grad_cam": cnn.insight.grad_cam,
    "occlusion": lambda model, x, target: cnn.insight.occlusion(model, x, target, window=2),
    "stage_1": lambda model, x, target: cnn.insight.activations(model, x)["stage_1/relu_1"],
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) for name in METHODS if name != "stage_1"]
    + ["stage_1"],
)  # fmt: skip
def test_padding_explains_nothing(name, network):
    series = np.asarray(jax.random.normal(jax.random.key(0), (1, 10, 1)))
    padded = np.pad(series, ((0, 0), (0, 6), (0, 0)), constant_values=np.nan)
    alone, found = (np.asarray(METHODS[name](network, x, 1)) for x in (series, padded))
    np.testing.assert_allclose(found[:, :10], alone, atol=2e-6)
    assert not found[:, 10:].any()
