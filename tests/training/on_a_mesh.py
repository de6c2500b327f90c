"""A training on one device and on a mesh of two, in a process of its own."""

import jax
import numpy as np
import optax
from flax import nnx

import jaxcnn as cnn
from jaxcnn.training import Placement


def main():
    rng = np.random.default_rng(0)
    labels = np.arange(24) % 3
    images = (rng.integers(0, 80, (24, 8, 8, 1)) + 80 * labels[:, None, None, None]).astype(
        np.uint8
    )
    data = cnn.Dataset(images, labels)
    network = cnn.serial(cnn.conv(4, 3), cnn.batch_norm(), jax.nn.relu, cnn.max_pool(2))
    network = cnn.serial(network, cnn.flatten(), cnn.dense(3))
    model = network.build((8, 8, 1), rngs=nnx.Rngs(0))
    mesh = jax.make_mesh((2,), ("rows",), axis_types=(jax.sharding.AxisType.Auto,))
    placements = (Placement(), Placement.over(mesh))
    # SGD: Adam divides by the size of a gradient, also of one that is rounding.
    optimizer = optax.sgd(0.1)
    options = {"epochs": 2, "batch_size": 8, "validation": data, "progress": False}
    one, two = (
        cnn.fit(model, data, optimizer=optimizer, placement=placement, **options)
        for placement in placements
    )
    spread = jax.tree.leaves(two.state.params)[0].sharding.device_set
    assert len(spread) == 2, spread
    difference = max(
        float(np.abs(np.asarray(a) - np.asarray(b)).max())
        for a, b in zip(
            jax.tree.leaves(one.state.params), jax.tree.leaves(two.state.params), strict=True
        )
    )
    assert difference < 1e-4, difference
    np.testing.assert_allclose(one.history[-1].loss, two.history[-1].loss, rtol=1e-4)
    evaluations = [cnn.evaluate(one.model, data, batch_size=8, placement=p) for p in placements]
    np.testing.assert_allclose(evaluations[0].loss, evaluations[1].loss, rtol=1e-5)
    predictions = [cnn.predict(one.model, images, batch_size=8, placement=p) for p in placements]
    np.testing.assert_allclose(*predictions, rtol=1e-5, atol=1e-6)
    few = cnn.predict(one.model, images[:3], placement=placements[1])
    np.testing.assert_allclose(few, predictions[0][:3], rtol=1e-5, atol=1e-6)
    for placement in placements:
        cnn.training.find_learning_rate(model, data, batch_size=8, steps=60, placement=placement)
    print("same")


if __name__ == "__main__":
    main()
