"""The loss on a plane through the parameters, beside NumPy and `evaluate` of moved models."""

import jax
import numpy as np
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.insight import loss_plane, loss_surface, plots
from jaxcnn.modules.parameter_tree import params_of

RANDOM = np.random.default_rng(0)


def test_directions_have_the_norms_of_the_filters():
    kernel, dense = RANDOM.normal(size=(3, 3, 2, 5)), RANDOM.normal(size=(7, 4))
    params = {"conv": {"kernel": kernel, "bias": np.ones(5)}, "dense": {"kernel": dense}}
    params = jax.tree.map(np.float32, params)
    first, second = (loss_plane.filter_normalized(jax.random.key(n), params) for n in (0, 1))
    for direction in (first, second):
        for path, axes in (("conv", (0, 1, 2)), ("dense", 0)):
            np.testing.assert_allclose(
                np.square(direction[path]["kernel"]).sum(axes),
                np.square(params[path]["kernel"]).sum(axes),
                rtol=1e-5,
            )
        assert not direction["conv"]["bias"].any()
    cosine = np.vdot(first["conv"]["kernel"], second["conv"]["kernel"]) / np.square(kernel).sum()
    assert abs(cosine) < 0.5


def test_of_a_linear_model_the_surface_is_that_of_numpy():
    """With more images than one batch has."""
    x = RANDOM.normal(size=(300, 2, 1, 1)).astype(np.float32)
    y = RANDOM.normal(size=(300, 1)).astype(np.float32)
    model = cnn.serial(cnn.flatten(), cnn.dense(1)).build((2, 1, 1), rngs=nnx.Rngs(0))
    surface = loss_surface(model, (x, y), reach=2, points=5, seed=3)
    np.testing.assert_allclose(surface.distances, [-2, -1, 0, 1, 2])
    params = params_of(model)
    a, b = (
        np.asarray(loss_plane.filter_normalized(key, params)["dense_1"]["kernel"])
        for key in jax.random.split(jax.random.key(3))
    )
    weights, bias = (np.asarray(params["dense_1"][name]) for name in ("kernel", "bias"))
    for (row, column), found in np.ndenumerate(surface.losses):
        moved = weights + surface.distances[column] * a + surface.distances[row] * b
        expected = np.mean((x.reshape(300, 2) @ moved + bias - y) ** 2)
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_points_are_evaluations_of_moved_models():
    images = RANDOM.integers(0, 256, (20, 6, 6, 1)).astype(np.uint8)
    labels = np.arange(20) % 3
    net = cnn.serial(cnn.conv(4, 3), cnn.batch_norm(), jax.nn.relu, cnn.flatten(), cnn.dense(3))
    model = net.build((6, 6, 1), rngs=nnx.Rngs(0))
    model.batch_norm_1.mean[...] = np.full(4, 0.3, np.float32)
    before = jax.tree.map(np.array, params_of(model))
    surface = loss_surface(model, (images, labels), points=3, reach=0.5)
    again = loss_surface(model, (images, labels), points=3, reach=0.5)
    np.testing.assert_array_equal(surface.losses, again.losses)
    jax.tree.map(np.testing.assert_array_equal, before, params_of(model))
    middle = cnn.evaluate(model, (images, labels)).loss
    np.testing.assert_allclose(surface.losses[1, 1], middle, rtol=1e-5)
    first = loss_plane.filter_normalized(jax.random.split(jax.random.key(0))[0], before)
    model.conv_1.kernel[...] += 0.5 * first["conv_1"]["kernel"]
    model.dense_1.kernel[...] += 0.5 * first["dense_1"]["kernel"]
    moved = cnn.evaluate(model, (images, labels)).loss
    np.testing.assert_allclose(surface.losses[1, 2], moved, rtol=1e-5)


def test_errors():
    model = cnn.serial(cnn.flatten(), cnn.dense(2)).build((2, 2, 1), rngs=nnx.Rngs(0))
    data = np.ones((3, 2, 2, 1), np.float32), np.array([0, 1, 1])
    with pytest.raises(ValueError, match=r"points must be odd\. Received: points=4"):
        loss_surface(model, data, points=4)
    with pytest.raises(ValueError, match="reach must be above 0"):
        loss_surface(model, data, reach=0)
    with pytest.raises(ValueError, match="must map images to"):
        loss_surface(model, (data[0], np.ones((3, 4), np.float32)))


def test_contours_show_the_losses(tmp_path):
    distances = np.linspace(-1, 1, 5)
    losses = distances[:, None] ** 2 + distances**2 + 1
    figure = plots.loss_surface(cnn.insight.LossSurface(distances, losses))
    axes, bar = figure.axes
    (levels,) = (c.levels for c in axes.collections if hasattr(c, "levels") and c.filled)
    assert levels[0] <= 1
    assert levels[-1] >= 3
    assert axes.lines[0].get_xydata().tolist() == [[0, 0]]
    assert axes.get_title(loc="left") == "Loss at the model: 1"
    assert bar.get_ylabel() == "loss"
    figure.savefig(tmp_path / "surface.png")
