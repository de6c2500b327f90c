"""Ensembles in one step, and ResNet for series: parameters, losses, predictions, saving."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn import training
from jaxcnn.modules.ensemble import Members

STEPS, CLASSES = 12, 3


@pytest.fixture(scope="module")
def series():
    random = np.random.default_rng(0)
    labels = np.arange(24) % CLASSES
    waves = np.sin(np.arange(STEPS) * (1 + labels[:, None]))
    return (waves + 0.1 * random.normal(size=waves.shape)).astype(np.float32)[..., None], labels


def small(count=2, **options):
    network = cnn.serial(
        cnn.conv(4, 3), cnn.batch_norm(), cnn.global_avg_pool(), cnn.dense(CLASSES)
    )
    return cnn.ensemble(network, count, **options)


def test_parameters_of_resnet1d_are_those_of_the_authors_code():
    """Counted layer by layer of hfawaz/dl-4-tsc, classifiers/resnet.py, for one channel."""
    total, channels = 0, 1
    for width in (64, 128, 128):
        inner = channels
        for size in (8, 5, 3):
            total += size * inner * width + width + 2 * width
            inner = width
        total += (channels * width + width if channels != width else 0) + 2 * width
        channels = width
    total += channels * 2 + 2
    model = cnn.models.create("resnet1d").abstract((150, 1))
    assert sum(a.size for a in jax.tree.leaves(nnx.state(model, nnx.Param))) == total
    assert cnn.models.info("resnet1d").parameters == total


def test_an_ensemble_predicts_the_mean_of_its_members(series):
    images, _ = series
    model = small().build((STEPS, 1), rngs=nnx.Rngs(0))
    each = [cnn.predict(getattr(model, name), images[:4]) for name in ("member_1", "member_2")]
    assert np.abs(each[0] - each[1]).max() > 1e-3  # they start differently
    np.testing.assert_allclose(cnn.predict(model, images[:4]), np.mean(each, axis=0), atol=1e-6)


@pytest.mark.parametrize(
    ("combine", "activation"), [("sigmoid", jax.nn.sigmoid), ("mean", lambda x: x)]
)
def test_other_combinations(combine, activation):
    outputs = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4, 5)), jnp.float32)
    together = activation(Members(outputs, combine).combined())
    np.testing.assert_allclose(together, activation(outputs).mean(axis=0), atol=1e-6)


@pytest.mark.implicit_promotion
def test_each_member_is_trained_as_if_it_were_alone(series):
    """SGD divides the gradient of the mean loss by the number of members: the rate makes up."""
    images, labels = series
    batch = cnn.Batch(jnp.asarray(images), jnp.asarray(labels), jnp.ones(len(images), bool))
    model = small().build((STEPS, 1), rngs=nnx.Rngs(0))
    init, step = training.make_training(model, optax.sgd(0.2))
    state, metrics = step(init(jax.random.key(0)), batch)
    alone_init, alone_step = training.make_training(model.member_2, optax.sgd(0.1))
    alone, _ = alone_step(alone_init(jax.random.key(0)), batch)
    for ours, theirs in ((state.params, alone.params), (state.statistics, alone.statistics)):
        for one, other in zip(
            jax.tree.leaves(ours["member_2"]), jax.tree.leaves(theirs), strict=True
        ):
            np.testing.assert_allclose(one, other, atol=1e-6)
    losses = [
        training.cross_entropy(getattr(model, name)(images, train=True), labels).mean()
        for name in model.names
    ]
    np.testing.assert_allclose(metrics.loss, np.mean(losses), rtol=1e-5)


@pytest.mark.long
@pytest.mark.implicit_promotion
def test_an_ensemble_is_fitted_resumed_saved_and_loaded(series, tmp_path):
    data = cnn.Dataset(*series)
    model = small(3).build((STEPS, 1), rngs=nnx.Rngs(0))
    mix = cnn.augment.mixup
    result = cnn.fit(
        model, data, validation=data, epochs=8, mix=mix, run=tmp_path / "run", progress=False
    )
    again = cnn.load(tmp_path / "run")
    expected = cnn.predict(result.model, data)
    np.testing.assert_array_equal(cnn.predict(again, data), expected)
    assert cnn.evaluate(again, data).accuracy == (expected.argmax(axis=1) == data.labels).mean()
    one = cnn.summarize(small(1), (STEPS, 1)).trainable
    assert cnn.summarize(small(3), (STEPS, 1)).trainable == 3 * one


def test_bad_options_are_errors():
    with pytest.raises(ValueError, match="count must be at least 1"):
        small(0)
    with pytest.raises(ValueError, match="combine must be"):
        small(combine="median")
    assert repr(small(combine="mean")).endswith("2, combine='mean')")
