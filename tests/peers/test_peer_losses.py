"""Losses against PyTorch and Keras: values, and gradients of the logits."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import torch
import torch.nn.functional as F
from compare import (
    ROUNDED,
    assert_same,
    batches,
    dtypes,
    fewer,
    first,
    per_axis,
    run_ours,
    run_torch,
    seeds,
    whole_numbers,
)
from hypothesis import given
from hypothesis import strategies as st

from jaxcnn.training import binary_cross_entropy, cross_entropy, focal, huber, squared_error

VOID = 255
shares_of = st.sampled_from([0.0, 0.0, 0.1, 0.5, 1.0])


@st.composite
def outputs(draw, *, least=1, dtype=None):
    """Logits of one label, or of one at each position of up to three axes."""
    shape = (draw(batches), *per_axis(draw, draw(st.integers(0, 3)), 1, 4))
    shape += (draw(st.integers(least, 5)),)
    return whole_numbers(draw(seeds), shape, dtype or draw(dtypes))


def class_numbers(draw, logits, *, void=True):
    """Labels of which, where asked for, a third are void."""
    rng = np.random.default_rng(draw(seeds))
    labels = rng.integers(0, logits.shape[-1], logits.shape[:-1])
    return np.where((rng.random(labels.shape) < 0.3) & void, VOID, labels)


def shares(draw, logits):
    rng = np.random.default_rng(draw(seeds))
    return rng.dirichlet(np.ones(logits.shape[-1]), logits.shape[:-1]).astype(np.float32)


def class_weights(draw, logits):
    weights = st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=5, max_size=5)
    return draw(st.none() | weights.map(lambda numbers: numbers[: logits.shape[-1]]))


def tensor_or_none(numbers):
    return None if numbers is None else torch.tensor(numbers)


def mean(losses, counted=None):
    """The mean over all axes but the first, of what counts."""
    axes = tuple(range(1, losses.ndim))
    if not axes:
        return losses
    return losses.mean(axes) if counted is None else losses.sum(axes) / counted.sum(axes).clamp(1)


def same(ours, theirs, logits):
    tolerance = ROUNDED[str(logits.dtype)]
    assert_same(run_ours(ours, logits), run_torch(theirs, logits), tolerance)


@given(st.data())
def test_cross_entropy_with_weights(data):
    logits = data.draw(outputs())
    labels, weights = class_numbers(data.draw, logits), class_weights(data.draw, logits)
    target = torch.tensor(labels)

    def ours(x):
        return cross_entropy(x, jnp.asarray(labels), class_weights=weights)

    def theirs(x):
        losses = F.cross_entropy(
            first(x.float()),
            target,
            weight=tensor_or_none(weights),
            ignore_index=VOID,
            reduction="none",
        )
        return mean(losses, target != VOID)

    same(ours, theirs, logits)


@given(st.data(), shares_of)
def test_cross_entropy_with_smoothing(data, smoothing):
    logits = data.draw(outputs())
    labels = class_numbers(data.draw, logits)
    target = torch.tensor(labels)

    def ours(x):
        return cross_entropy(x, jnp.asarray(labels), label_smoothing=smoothing)

    def theirs(x):
        losses = F.cross_entropy(
            first(x.float()),
            target,
            ignore_index=VOID,
            label_smoothing=smoothing,
            reduction="none",
        )
        return mean(losses, target != VOID)

    same(ours, theirs, logits)


@fewer
@given(st.data())
def test_cross_entropy_of_one_image_is_the_mean_without_what_is_ignored(data):
    logits = data.draw(outputs())
    labels = class_numbers(data.draw, logits)
    losses = cross_entropy(logits, jnp.asarray(labels))
    for loss, x, label in zip(losses, np.asarray(logits, "f4"), labels, strict=True):
        target = torch.tensor(label[None])
        expected = F.cross_entropy(first(torch.tensor(x[None])), target, ignore_index=VOID)
        # Where nothing counts theirs is NaN, which would end a training.
        np.testing.assert_allclose(loss, np.nan_to_num(expected.numpy()), rtol=1e-5, atol=1e-6)


@given(st.data(), shares_of)
def test_cross_entropy_of_shares(data, smoothing):
    """With weights too, but not with both: see `test_differences.py`."""
    logits = data.draw(outputs(least=2))
    targets = shares(data.draw, logits)
    weights = None if smoothing else class_weights(data.draw, logits)

    def ours(x):
        return cross_entropy(
            x, jnp.asarray(targets), label_smoothing=smoothing, class_weights=weights
        )

    def theirs(x):
        losses = F.cross_entropy(
            first(x.float()),
            first(torch.tensor(targets)),
            weight=tensor_or_none(weights),
            label_smoothing=smoothing,
            reduction="none",
        )
        return mean(losses)

    same(ours, theirs, logits)


@given(st.data(), st.booleans())
def test_binary_cross_entropy(data, whole):
    logits = data.draw(outputs())
    targets = np.random.default_rng(data.draw(seeds)).random(logits.shape, np.float32)
    targets = (targets > 0.5) if whole else targets

    def theirs(x):
        target = torch.tensor(targets).float()
        return mean(F.binary_cross_entropy_with_logits(x.float(), target, reduction="none"))

    same(lambda x: binary_cross_entropy(x, jnp.asarray(targets)), theirs, logits)


@given(st.data(), st.sampled_from([0.5, 1.0, 2.5]))
def test_huber(data, delta):
    predictions = data.draw(outputs())
    # Halves, so that no error is where the line begins and its slope jumps.
    targets = np.asarray(whole_numbers(data.draw(seeds), predictions.shape)) + np.float32(0.25)

    def theirs(x):
        target = torch.tensor(targets)
        return mean(F.huber_loss(x.float(), target, delta=delta, reduction="none"))

    same(lambda x: huber(x, jnp.asarray(targets), delta=delta), theirs, predictions)


@given(st.data())
def test_squared_error(data):
    predictions = data.draw(outputs())
    targets = np.asarray(whole_numbers(data.draw(seeds), predictions.shape))

    def theirs(x):
        return mean(F.mse_loss(x.float(), torch.tensor(targets), reduction="none"))

    same(lambda x: squared_error(x, jnp.asarray(targets)), theirs, predictions)


def at_positions(peer, labels, logits):
    """The losses of a peer in Keras, which is given one row per position: it squeezes axes of 1."""
    losses = peer(labels, logits.reshape(-1, logits.shape[-1]))
    return torch.tensor(np.array(losses).reshape(logits.shape[:-1]))


@fewer
@given(st.data(), st.sampled_from([0.0, 0.5, 2.0]))
def test_focal_against_keras(data, gamma):
    """Their α is 0.25 for all classes by default, and ours 1."""
    logits = data.draw(outputs(least=2, dtype="float32"))
    targets, alpha = shares(data.draw, logits), class_weights(data.draw, logits)
    factors = np.ones((1, 1), np.float32) if alpha is None else np.array([alpha], np.float32)
    peer = keras.losses.CategoricalFocalCrossentropy(
        alpha=factors, gamma=gamma, from_logits=True, reduction=None
    )
    received = focal(logits, jnp.asarray(targets), gamma=gamma, alpha=alpha)
    expected = mean(at_positions(peer, targets.reshape(-1, logits.shape[-1]), logits))
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)
    labels = class_numbers(data.draw, logits, void=False)
    one_hot = jax.nn.one_hot(labels, logits.shape[-1])
    np.testing.assert_allclose(
        focal(logits, jnp.asarray(labels), gamma=gamma, alpha=alpha),
        focal(logits, one_hot, gamma=gamma, alpha=alpha),
        rtol=1e-5,
        atol=1e-6,
    )


@fewer
@given(st.data())
def test_cross_entropy_against_keras(data):
    logits = data.draw(outputs(dtype="float32"))
    labels = class_numbers(data.draw, logits)
    peer = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, ignore_class=VOID, reduction=None
    )
    counted = torch.tensor(labels != VOID)
    expected = mean(at_positions(peer, labels.reshape(-1), logits), counted)
    received = cross_entropy(logits, jnp.asarray(labels))
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)
