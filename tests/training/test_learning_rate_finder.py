"""The range test on linear regression, where the largest stable rate is known."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.training import find_learning_rate, make_optimizer, make_schedule, squared_error

plain_descent = functools.partial(make_optimizer, "sgd", momentum=0)


def one_hot_error(outputs, labels):
    return squared_error(outputs, jax.nn.one_hot(labels, 2))


def regression(eigenvalues, images=64):
    """Return data and a model of which the loss has these curvatures, and no others.

    The loss is the mean over images and two outputs of (x w − y)², and its second derivative by
    the weights of either output is XᵀX / images.
    """
    rng = np.random.default_rng(0)
    orthogonal, _ = np.linalg.qr(rng.standard_normal((images, len(eigenvalues))))
    x = (orthogonal * np.sqrt(images * np.asarray(eigenvalues))).astype(np.float32)
    data = cnn.Dataset(x[:, :, None], rng.integers(0, 2, images))
    layer = cnn.serial(cnn.flatten(), cnn.dense(2, use_bias=False))
    return data, layer.build(data.image_shape, rngs=nnx.Rngs(0))


def search(model, data, **options):
    """Return the range test of plain gradient descent on all images."""
    options = {"optimizer": plain_descent, "loss": one_hot_error, "batch_size": len(data)} | options
    return find_learning_rate(model, data, **options)


def numpy_losses(model, data, rates):
    """Return the loss before the step with each rate, in float64."""
    x, y = np.asarray(data.images[:, :, 0], np.float64), np.eye(2)[data.labels]
    weights = np.asarray(model.dense_1.kernel[...], np.float64)
    losses = []
    for rate in rates:
        losses.append(((x @ weights - y) ** 2).mean())
        weights = weights - rate * x.T @ (x @ weights - y) / len(x)
    return np.array(losses)


def numpy_smoothed(losses):
    """Return the weighted means themselves, which the running average is a short form of."""
    means = []
    for last in range(len(losses)):
        weights = 0.9 ** np.arange(last, -1, -1)
        means.append((weights * losses[: last + 1]).sum() / weights.sum())
    return np.array(means)


def test_losses_are_those_of_gradient_descent_and_end_past_the_largest_stable_rate():
    data, model = regression([4.0, 1.0, 0.2])
    limit = 2 / 4.0
    result = search(model, data, lowest=limit / 1000, highest=limit * 100, steps=1000)
    np.testing.assert_allclose(
        result.rates, limit / 1000 * 10 ** (5 * np.arange(len(result.rates)) / 999), rtol=1e-9
    )
    stable = result.rates < limit
    expected = numpy_losses(model, data, result.rates[stable])
    np.testing.assert_allclose(result.losses[stable], expected, rtol=1e-5)
    np.testing.assert_allclose(result.smoothed, numpy_smoothed(result.losses), rtol=1e-6)
    # From what rounding left, the loss grows by a factor of (1 − 4 rate)² at each step.
    assert limit < result.rates[-1] < 2 * limit
    assert result.smoothed[-1] > 4 * result.smoothed.min()
    assert result.smoothed[-2] <= 4 * result.smoothed.min()


@pytest.mark.parametrize("curvature", [0.1, 30.0])
def test_the_suggestion_is_where_the_loss_falls_most(curvature):
    """With one curvature c, the loss is L∞ + (L₀ − L∞) exp(−2 c Σ rates), as long as c rate ≪ 1.

    Rates that grow by e^g sum up to rate / g. From rate / √10 to rate · √10 the loss falls most
    where exp(−s / √10) − exp(−s √10) is largest, s = 2 c rate / g: at s = log 10 / (√10 − 1/√10).
    The average is 9 steps late.
    """
    data, model = regression([curvature] * 3)
    steps = 700
    result = search(model, data, lowest=1e-4 / curvature, highest=1e2 / curvature, steps=steps)
    growth = math.log(1e6) / (steps - 1)
    most = math.log(10) / (math.sqrt(10) - 1 / math.sqrt(10))
    expected = most * growth / (2 * curvature) * math.exp(9 * growth)
    assert result.suggestion == pytest.approx(expected, rel=0.1)


def test_the_suggestion_trains_better_than_a_hundredth_of_it():
    data = cnn.data.load("digits").take(slice(0, 500))
    model = cnn.serial(cnn.flatten(), cnn.dense(10)).build(data.image_shape, rngs=nnx.Rngs(0))
    rate = find_learning_rate(model, data, highest=100.0).suggestion
    losses = []
    for peak in (rate, rate / 100):
        schedule = make_schedule("cosine", peak=peak, steps=32)
        optimizer = make_optimizer("sgd", learning_rate=schedule)
        result = cnn.fit(model, data, epochs=4, optimizer=optimizer, progress=False)
        losses.append(result.history[-1].loss)
    assert losses[0] < 0.6 < 1.5 < losses[1]


def test_the_same_seed_gives_the_same_search_and_leaves_the_model_as_it_is():
    data, model = regression([2.0, 1.0])
    before = np.array(model.dense_1.kernel[...])
    first, again, other = (search(model, data, batch_size=16, seed=seed) for seed in (0, 0, 1))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (first.losses[:10] != other.losses[:10]).any()
    np.testing.assert_array_equal(model.dense_1.kernel[...], before)


def test_optimizers_by_name_and_of_ones_own():
    data, model = regression([2.0, 1.0])
    nesterov = functools.partial(optax.sgd, momentum=0.9, nesterov=True)
    named, own, plain = (
        search(model, data, optimizer=optimizer) for optimizer in ("sgd", nesterov, plain_descent)
    )
    np.testing.assert_allclose(named.smoothed[:40], own.smoothed[:40], rtol=1e-6)
    assert own.suggestion < plain.suggestion
    assert 0 < search(model, data, optimizer="adam").suggestion < 10


def test_a_loss_that_is_not_finite_ends_the_search_and_is_left_out():
    def bounded(outputs, labels):
        losses = one_hot_error(outputs, labels)
        return jnp.where(losses.mean() > 4, jnp.nan, losses)

    data, model = regression([2.0, 1.0])
    result = search(model, data, loss=bounded)
    assert len(result.rates) == len(result.losses) == len(result.smoothed) < 100
    assert np.isfinite(result.losses).all()
    assert np.isfinite(result.smoothed).all()


def test_augmentation_is_used_and_told_the_epoch():
    def nothing_in_later_epochs(key, images, *, epoch):
        return images * (epoch == 0).astype(jnp.float32)

    data, model = regression([2.0, 1.0])
    plain, changed = (
        search(model, data, batch_size=16, augment=augment)
        for augment in (None, nothing_in_later_epochs)
    )
    np.testing.assert_array_equal(plain.losses[:4], changed.losses[:4])
    assert not np.isclose(plain.losses[4:20], changed.losses[4:20]).any()


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"lowest": 0}, ValueError, "lowest must be above 0. Received: lowest=0"),
        ({"lowest": "1"}, TypeError, "lowest must be a number"),
        ({"highest": math.inf}, ValueError, "highest must be above 0 and finite"),
        (
            {"lowest": 0.1},
            ValueError,
            "highest must be at least 100 times lowest. Received: highest=1.0 for lowest=0.1",
        ),
        ({"steps": 19}, ValueError, "steps must be at least 20. Received: steps=19"),
        ({"steps": 10**12}, ValueError, "steps must be at most 1000000. Received: steps=10"),
        ({"seed": 2**64}, ValueError, "seed must be at most 9223372036854775807"),
        ({"steps": 50.0}, TypeError, "steps must be an integer"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"optimizer": "sdg"}, ValueError, "there is no optimizer 'sdg'. Did you mean 'sgd'?"),
        (
            {"optimizer": optax.sgd(0.1)},
            TypeError,
            "optimizer must be a name, or a function of learning_rate such as optax.adam. Received",
        ),
        (
            {"augment": "digit"},
            ValueError,
            "there is no augmentation policy 'digit'. Did you mean 'digits'?",
        ),
    ],
)
def test_option_errors(options, kind, message):
    data, model = regression([1.0])
    with pytest.raises(kind) as raised:
        search(model, data, **{"lowest": 1e-4, "highest": 1.0} | options)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("options", "received"),
    [
        (
            {"loss": lambda outputs, labels: jnp.full(len(outputs), jnp.nan)},
            "Received: 0 finite losses without such a fall",
        ),
        (
            {"loss": lambda outputs, labels: jnp.ones(len(outputs))},
            "Received: 100 finite losses without such a fall",
        ),
        ({"lowest": 1.0, "highest": 1e6}, "finite losses without such a fall"),
    ],
    ids=["never finite", "never falls", "diverges at once"],
)
def test_a_search_without_a_fall_says_so(options, received):
    data, model = regression([10.0])
    with pytest.raises(ValueError, match="begin with a smaller lowest") as raised:
        search(model, data, **options)
    assert received in str(raised.value)
