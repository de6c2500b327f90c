"""Losses against their formulas, written one example and one position at a time in NumPy."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxcnn import training
from jaxcnn.training import binary_cross_entropy, cross_entropy, dice, focal, huber, squared_error

SHAPES = [(4, 2), (3, 5), (2, 4, 3), (2, 2, 3, 4)]
seeds = st.integers(0, 1000)


def log_softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def positions(logits, labels):
    """Yield logits and shares of the classes at each position of an example that counts."""
    classes = logits.shape[-1]
    for row, label in zip(
        logits.reshape(-1, classes),
        labels.reshape(-1, *labels.shape[logits.ndim - 1 :]),
        strict=True,
    ):
        if label.ndim:
            yield row, label.astype(float)
        elif 0 <= label < classes:
            yield row, np.eye(classes)[label]


def mean_over_positions(loss, logits, labels):
    losses = []
    for example, label in zip(np.asarray(logits, float), np.asarray(labels), strict=True):
        each = [loss(row, shares) for row, shares in positions(example, label)]
        losses.append(np.mean(each) if each else 0.0)
    return np.array(losses)


def numpy_cross_entropy(logits, labels, *, label_smoothing=0.0, class_weights=1.0):
    def loss(row, shares):
        each = -log_softmax(row)
        each = (1 - label_smoothing) * each + label_smoothing * each.mean()
        return (shares * class_weights * each).sum()

    return mean_over_positions(loss, logits, labels)


def numpy_focal(logits, labels, *, gamma=2.0, alpha=1.0):
    def loss(row, shares):
        log_p = log_softmax(row)
        return (shares * alpha * -((1 - np.exp(log_p)) ** gamma) * log_p).sum()

    return mean_over_positions(loss, logits, labels)


def numpy_dice(logits, labels):
    losses = []
    for example, label in zip(np.asarray(logits, float), np.asarray(labels), strict=True):
        rows = list(positions(example, label))
        coefficients = []
        for number in range(example.shape[-1]):
            p = np.array([np.exp(log_softmax(row))[number] for row, _ in rows])
            g = np.array([shares[number] for _, shares in rows])
            if (g > 0).any():
                coefficients.append(2 * (p * g).sum() / ((p**2).sum() + (g**2).sum()))
        losses.append(1 - np.mean(coefficients) if coefficients else 0.0)
    return np.array(losses)


def numpy_binary_cross_entropy(logits, labels):
    sigma = 1 / (1 + np.exp(-np.asarray(logits, float)))
    labels = np.asarray(labels, float)
    each = -(labels * np.log(sigma) + (1 - labels) * np.log(1 - sigma))
    return each.reshape(len(each), -1).mean(axis=1)


def numpy_squared_error(predictions, targets):
    each = (np.asarray(predictions, float) - np.asarray(targets, float)) ** 2
    return each.reshape(len(each), -1).mean(axis=1)


def numpy_huber(predictions, targets, *, delta=1.0):
    error = abs(np.asarray(predictions, float) - np.asarray(targets, float))
    each = np.where(error <= delta, error**2 / 2, delta * (error - delta / 2))
    return each.reshape(len(each), -1).mean(axis=1)


def numbers(seed, shape):
    return np.random.default_rng(seed).normal(0, 3, shape).astype(np.float32)


def class_numbers(seed, shape):
    """Labels without the last axis of ``shape``, a fifth of them outside the classes."""
    rng = np.random.default_rng(seed + 1)
    labels = rng.integers(0, shape[-1], shape[:-1])
    return np.where(rng.random(shape[:-1]) < 0.2, rng.choice([-100, -1, 255, shape[-1]]), labels)


def shares(seed, shape):
    return np.random.default_rng(seed + 2).dirichlet(np.ones(shape[-1]), shape[:-1]).astype("f4")


def yes_or_no(seed, shape):
    return np.random.default_rng(seed + 3).random(shape) < 0.5


def weights(shape):
    return tuple(np.arange(shape[-1]) * 0.75)


def cases():
    """Yield a loss, its reference, what makes labels, and options, which may need the shape."""
    for labels in (class_numbers, shares):
        yield cross_entropy, numpy_cross_entropy, labels, {}
        yield cross_entropy, numpy_cross_entropy, labels, {"label_smoothing": 0.1}
        yield cross_entropy, numpy_cross_entropy, labels, {"class_weights": weights}
        both = {"label_smoothing": 0.3, "class_weights": weights}
        yield cross_entropy, numpy_cross_entropy, labels, both
        for gamma in (0, 0.5, 2.0):
            yield focal, numpy_focal, labels, {"gamma": gamma}
        yield focal, numpy_focal, labels, {"alpha": weights}
        yield dice, numpy_dice, labels, {}
    for labels in (yes_or_no, shares):
        yield binary_cross_entropy, numpy_binary_cross_entropy, labels, {}
    yield squared_error, numpy_squared_error, numbers, {}
    for delta in (1.0, 2.5):
        yield huber, numpy_huber, numbers, {"delta": delta}


CASES = [
    pytest.param(*case, id=f"{case[0].__name__}-{case[2].__name__}-{','.join(map(str, case[3]))}")
    for case in cases()
]


def drawn(loss, make_labels, options, seed, shape):
    """Return a compiled loss with its options set, the options, logits and labels."""
    options = {name: v(shape) if callable(v) else v for name, v in options.items()}
    # The options are static and the function is the same, so that each shape compiles once.
    compiled = functools.partial(jax.jit(loss, static_argnames=tuple(options)), **options)
    return compiled, options, numbers(seed, shape), make_labels(seed, shape)


@pytest.mark.parametrize(("loss", "reference", "make_labels", "options"), CASES)
@given(seed=seeds, shape=st.sampled_from(SHAPES))
def test_values_are_those_of_the_formula(loss, reference, make_labels, options, seed, shape):
    if loss is dice and len(shape) < 3:
        shape = (2, 4, 3)
    computed, options, logits, labels = drawn(loss, make_labels, options, seed, shape)
    losses = computed(logits, labels)
    assert (losses.shape, losses.dtype) == (shape[:1], jnp.float32)
    np.testing.assert_allclose(losses, reference(logits, labels, **options), rtol=1e-4, atol=1e-5)
    assert (losses >= 0).all()


@pytest.mark.parametrize(("loss", "reference", "make_labels", "options"), CASES)
def test_gradients_are_those_of_the_formula(loss, reference, make_labels, options):
    """In both modes, against central differences of the reference in float64."""
    shape, step = (2, 4, 3), 1e-5
    computed, options, logits, labels = drawn(loss, make_labels, options, 7, shape)

    def difference(direction):
        moves = (sign * step * direction.astype(float) for sign in (1, -1))
        above, below = (reference(logits + move, labels, **options) for move in moves)
        return (above - below) / (2 * step)

    units = np.eye(logits.size).reshape(-1, *shape)
    expected = np.stack([difference(unit) for unit in units], axis=1).reshape(2, *shape)

    @jax.jit
    def both_modes(logits, direction):
        def at(logits):
            return computed(logits, labels)

        return jax.jacrev(at)(logits), jax.jvp(at, (logits,), (direction,))[1]

    direction = numbers(1, shape)
    backward, forward = both_modes(logits, direction)
    np.testing.assert_allclose(backward, expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(forward, difference(direction), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("loss", "reference", "make_labels", "options"), CASES)
def test_examples_do_not_depend_on_each_other(loss, reference, make_labels, options):
    computed, _, logits, labels = drawn(loss, make_labels, options, 5, (6, 4, 3))
    order = np.array([4, 0, 5])

    @jax.jit
    def three_ways(logits, labels):
        mapped = jax.vmap(lambda x, y: computed(x[None], y[None])[0])(logits, labels)
        return computed(logits, labels), computed(logits[order], labels[order]), mapped

    losses, alone, mapped = map(np.asarray, three_ways(logits, labels))
    np.testing.assert_allclose(alone, losses[order], rtol=1e-6)
    np.testing.assert_allclose(mapped, losses, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(("loss", "reference", "make_labels", "options"), CASES)
def test_half_precision_is_computed_in_float32(loss, reference, make_labels, options, dtype):
    computed, options, logits, labels = drawn(loss, make_labels, options, 2, (2, 4, 3))
    half = logits.astype(jnp.dtype(dtype))
    if labels.dtype == np.float32:
        labels = labels.astype(jnp.dtype(dtype))
    losses = computed(half, labels)
    assert losses.dtype == jnp.float32
    exact = labels if labels.dtype.kind in "ib" else labels.astype(np.float32)
    expected = reference(half.astype(np.float32), exact, **options)
    np.testing.assert_allclose(losses, expected, rtol=1e-4, atol=1e-5)


# Hand-worked numbers.

compiled_cross_entropy, compiled_dice = jax.jit(cross_entropy), jax.jit(dice)


def test_cross_entropy_by_hand():
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]], np.float32))
    labels = np.array([0, 2])
    log2 = np.log(2)

    @jax.jit
    def computed(logits, labels):
        return (
            cross_entropy(logits, labels),
            cross_entropy(logits, labels, class_weights=[2, 1, 0]),
            cross_entropy(logits[:1], labels[:1], label_smoothing=0.3),
        )

    plain, weighted, smoothed = computed(logits, labels)
    np.testing.assert_allclose(plain, [log2, 3 * log2], rtol=1e-6)
    np.testing.assert_allclose(weighted, [2 * log2, 0], rtol=1e-6)
    # With 0.3 spread, ⅘ of the first label stay: 0.8 · 1 + 0.1 · 2 + 0.1 · 2 halvings.
    np.testing.assert_allclose(smoothed, [1.2 * log2], rtol=1e-6)


def test_cross_entropy_at_positions_by_hand():
    logits = np.log(np.array([[[0.5, 0.5], [0.25, 0.75], [0.1, 0.9]]], np.float32))
    losses = compiled_cross_entropy(logits, np.array([[0, 0, 255]]))
    np.testing.assert_allclose(losses, [1.5 * np.log(2)], rtol=1e-6)


@pytest.mark.parametrize("scale", [1, 50])
def test_cross_entropy_of_steep_logits(scale):
    logits, labels = scale * numbers(0, (20, 7)), np.arange(20) % 7
    losses = compiled_cross_entropy(logits, labels)
    np.testing.assert_allclose(losses, numpy_cross_entropy(logits, labels), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("loss", [cross_entropy, focal])
def test_huge_logits_are_finite(loss):
    logits, labels = np.array([[1e4, 0.0], [1e4, 0.0]], np.float32), np.array([0, 1])
    total = jax.jit(jax.value_and_grad(lambda x: loss(x, labels).sum()))
    losses, gradient = total(logits)
    np.testing.assert_allclose(losses, 1e4, rtol=1e-6)
    np.testing.assert_allclose(gradient, [[0, 0], [1, -1]], atol=1e-6)


@pytest.mark.parametrize("gamma", [0.1, 0.5, 1.0, 3.0])
def test_focal_has_a_gradient_where_the_answer_is_sure(gamma):
    """A power below 1 is infinitely steep at 0."""
    logits = np.array([[200.0, 0.0], [20.0, 0.0], [10.0, 0.0]], np.float32)
    total = jax.jit(jax.grad(lambda x: focal(x, np.zeros(3, int), gamma=gamma).sum()))
    gradient = np.asarray(total(logits))
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient[0], 0, atol=1e-6)


def test_binary_cross_entropy_of_huge_logits_is_finite():
    logits = np.array([[1e4, -1e4], [1e4, -1e4]], np.float32)
    losses = jax.jit(binary_cross_entropy)(logits, np.array([[1, 0], [0, 1]]))
    np.testing.assert_allclose(losses, [0, 1e4])


def test_binary_cross_entropy_by_hand():
    """Of σ = ¾ and ½: −log ¾ − log ½, halved."""
    logits = np.log(np.array([[3.0, 1.0]], np.float32))
    losses = jax.jit(binary_cross_entropy)(logits, np.array([[True, False]]))
    np.testing.assert_allclose(losses, [-np.log(0.75 * 0.5) / 2], rtol=1e-6)


def test_dice_by_hand():
    """Two of three pixels are found, one of another class: D = 2·2 / (3 + 2), and 2·1 / (1 + 2)."""
    logits = 100 * np.eye(3, dtype=np.float32)[[[[0, 0], [1, 1]]]]
    for labels, expected in (
        ([[[0, 0], [0, 1]]], 1 - (4 / 5 + 2 / 3) / 2),
        ([[[0, 0], [1, 1]]], 0),
        ([[[2, 2], [2, 2]]], 1),
        ([[[0, 0], [255, 1]]], 0),  # what is void is no mistake
    ):
        losses = compiled_dice(logits, np.array(labels))
        np.testing.assert_allclose(losses, [expected], rtol=1e-5, atol=1e-6)


@given(seed=seeds, shape=st.sampled_from([(3, 4, 2), (2, 3, 3, 4)]))
def test_dice_is_a_share(seed, shape):
    losses = np.asarray(compiled_dice(numbers(seed, shape), class_numbers(seed, shape)))
    assert ((losses >= 0) & (losses <= 1)).all()


def test_regression_by_hand():
    predictions = np.array([[1.0, 2.0], [0.0, 5.0]], np.float32)
    targets = np.array([[1.5, 2.0], [0.0, 1.0]], np.float32)

    @jax.jit
    def computed(*pair):
        return squared_error(*pair), huber(*pair), huber(*pair, delta=3)

    squared, huber_1, huber_3 = computed(predictions, targets)
    np.testing.assert_allclose(squared, [0.125, 8.0])
    np.testing.assert_allclose(huber_1, [0.0625, 1.75])
    np.testing.assert_allclose(huber_3, [0.0625, 3.75])


# Properties.


@pytest.mark.parametrize("shape", SHAPES)
def test_class_numbers_are_shares_of_one(shape):
    logits = numbers(0, shape)
    labels = np.clip(class_numbers(0, shape), 0, shape[-1] - 1)
    options = {"label_smoothing": 0.2, "class_weights": weights(shape)}
    losses = (functools.partial(cross_entropy, **options), focal, dice)[: len(shape)]

    @jax.jit
    def computed(logits, labels):
        return [loss(logits, labels) for loss in losses]

    one_hot = np.eye(shape[-1], dtype=np.float32)[labels]
    both = computed(logits, labels), computed(logits, one_hot)
    for of_numbers, of_shares in zip(*both, strict=True):
        np.testing.assert_allclose(of_numbers, of_shares, rtol=1e-5, atol=1e-6)


def test_options_that_change_nothing():
    logits, labels = numbers(0, (5, 4)), np.arange(5) % 4

    @jax.jit
    def computed(*batch):
        same = (
            cross_entropy(*batch, label_smoothing=0, class_weights=np.ones(4)),
            focal(*batch, gamma=0),
            focal(*batch, gamma=0, alpha=np.ones(4)),
        )
        return cross_entropy(*batch), same, cross_entropy(*batch, label_smoothing=1)

    plain, same, spread = computed(logits, labels)
    for losses in same:
        np.testing.assert_allclose(losses, plain, rtol=1e-5)
    np.testing.assert_allclose(spread, -log_softmax(logits).mean(axis=1), rtol=1e-5)


@jax.jit
def all_of_classes(logits, labels):
    return [loss(logits, labels) for loss in (cross_entropy, focal, dice)]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int32])
def test_class_numbers_of_any_whole_dtype(dtype):
    logits, labels = numbers(0, (2, 4, 3)), np.array([[0, 1, 2, 0], [2, 2, 1, 100]])
    both = all_of_classes(logits, labels.astype(dtype)), all_of_classes(logits, labels)
    for received, expected in zip(*both, strict=True):
        np.testing.assert_array_equal(received, expected)


@pytest.mark.parametrize("loss", [cross_entropy, focal, dice])
def test_what_is_void_does_not_matter(loss):
    """Not the logits there, and not to the gradient; an example of nothing else is 0."""
    labels = np.array([[0, 255, 2], [-1, 255, 3]])
    logits, other = numbers(0, (2, 3, 3)), numbers(1, (2, 3, 3))
    void = (labels < 0) | (labels >= 3)

    @jax.jit
    def losses_and_gradient(logits):
        losses, pull = jax.vjp(lambda x: loss(x, labels), logits)
        return losses, pull(jnp.ones_like(losses))[0]

    first, gradient = map(np.asarray, losses_and_gradient(logits))
    second, _ = losses_and_gradient(np.where(void[..., None], other, logits))
    np.testing.assert_array_equal(first, second)
    assert (first[0] > 0, first[1]) == (True, 0.0)
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[void], 0)
    assert (gradient[0, 0] != 0).all()


def test_an_example_outside_the_classes_has_no_loss():
    logits = numbers(0, (3, 4))
    losses = np.asarray(compiled_cross_entropy(logits, np.array([1, 4, -1])))
    np.testing.assert_allclose(losses[0], compiled_cross_entropy(logits[:1], np.array([1]))[0])
    assert losses[1:].tolist() == [0, 0]


LOGITS, LABELS = jnp.zeros((2, 3)), jnp.array([0, 1])
ERRORS = [
    (cross_entropy, (LOGITS, LABELS[:1]), {}, ValueError,
     r"labels must have the shape of the logits, \(batch, \*spatial, classes\), or the same "
     r"without the classes. Received: labels \(1,\) for logits \(2, 3\)$"),
    (focal, (LOGITS, jnp.zeros((2, 4))), {}, ValueError, r"labels \(2, 4\) for logits \(2, 3\)"),
    (dice, (LOGITS, LOGITS[None]), {}, ValueError, r"labels \(1, 2, 3\) for logits \(2, 3\)"),
    (cross_entropy, (LABELS / 1, LABELS), {}, ValueError, r"labels \(2,\) for logits \(2,\)"),
    (cross_entropy, (LOGITS, LABELS / 1), {}, TypeError,
     "labels must be whole class numbers. Received: dtype float32"),
    (focal, (LOGITS, LABELS > 0), {}, TypeError, "whole class numbers. Received: dtype bool"),
    (cross_entropy, (LOGITS, LOGITS > 0), {}, TypeError,
     "labels must be whole class numbers or shares of the classes; for several classes per example "
     "use binary_cross_entropy. Received: dtype bool"),
    (cross_entropy, (LOGITS[:, :1], LOGITS[:, :1]), {}, ValueError,
     r"shares need at least 2 classes; for numbers to predict use squared_error or huber, for a "
     r"yes or no binary_cross_entropy. Received: logits \(2, 1\)"),
    (dice, (LOGITS, LABELS), {}, ValueError,
     r"at least one spatial axis. Received: shape \(2, 3\)"),
    (binary_cross_entropy, (LOGITS, LABELS), {}, ValueError,
     r"logits and labels must have the same shape. Received: logits \(2, 3\), labels \(2,\)"),
    (squared_error, (LOGITS, LOGITS[:, :1]), {}, ValueError,
     r"predictions and targets must have .* predictions \(2, 3\), targets \(2, 1\)"),
    (huber, (LOGITS, LABELS), {}, ValueError, r"predictions \(2, 3\), targets \(2,\)"),
    (cross_entropy, (LOGITS, LABELS), {"label_smoothing": 1.1}, ValueError,
     r"label_smoothing must be in \[0, 1\]. Received: label_smoothing=1.1"),
    (cross_entropy, (LOGITS, LABELS), {"label_smoothing": "0.1"}, TypeError,
     "label_smoothing must be a number. Received: label_smoothing='0.1'"),
    (cross_entropy, (LOGITS, LABELS), {"class_weights": (1, 2)}, ValueError,
     r"class_weights must be one number per class \(3 here\), each at least 0 and finite. "
     r"Received: class_weights=\(1, 2\)"),
    (cross_entropy, (LOGITS, LABELS), {"class_weights": (1, 2, -1)}, ValueError, r"\(1, 2, -1\)"),
    (focal, (LOGITS, LABELS), {"alpha": (1, 2, np.inf)}, ValueError, r"alpha=\(1, 2, inf\)"),
    (focal, (LOGITS, LABELS), {"alpha": 0.25}, ValueError, "alpha must be one .*alpha=0.25"),
    (focal, (LOGITS, LABELS), {"gamma": -1}, ValueError,
     "gamma must be at least 0. Received: gamma=-1"),
    (focal, (LOGITS, LABELS), {"gamma": None}, TypeError, "gamma must be .* gamma=None"),
    (huber, (LOGITS, LOGITS), {"delta": 0}, ValueError,
     "delta must be above 0. Received: delta=0"),
    (huber, (LOGITS, LOGITS), {"delta": True}, TypeError, "delta must be .* delta=True"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("loss", "arrays", "options", "kind", "message"),
    ERRORS,
    ids=[f"{loss.__name__}-{number}" for number, (loss, *_) in enumerate(ERRORS)],
)
def test_errors(loss, arrays, options, kind, message):
    with pytest.raises(kind, match=message):
        loss(*arrays, **options)


def test_every_loss_is_tested():
    losses = {
        value
        for value in vars(training).values()
        if getattr(value, "__module__", "") == "jaxcnn.training.losses"
    }
    losses.remove(training.cross_entropy_dice)  # test_segmentation_losses.py
    assert losses == {case[0] for case in cases()}
    assert all(
        list(inspect.signature(loss).parameters)[1] in ("labels", "targets") for loss in losses
    )


@pytest.mark.parametrize(
    ("loss", "reference", "options"),
    [
        (cross_entropy, numpy_cross_entropy, {}),
        (cross_entropy, numpy_cross_entropy, {"class_weights": (1.0, 2.0, 0.0, 4.0)}),
        (focal, numpy_focal, {}),
        (focal, numpy_focal, {"alpha": (1.0, 2.0, 0.0, 4.0)}),
        (binary_cross_entropy, numpy_binary_cross_entropy, {}),
    ],
)
def test_impossible_classes_that_have_no_share(loss, reference, options):
    """−∞ masks a class: the loss and its gradient are those of very negative logits."""
    logits = np.array([[1.0, 2.0, -np.inf, 0.5], [-np.inf, 0.0, 1.0, -1.0]], np.float32)
    shares = np.array([[0.25, 0.75, 0, 0], [0, 0, 0, 1]], np.float32)
    masked = np.where(np.isinf(logits), -80, logits)

    @jax.jit
    def computed(logits, masked):
        labels = [shares] if loss is binary_cross_entropy else [shares, np.array([1, 3])]
        total = [lambda x, rows=rows: loss(x, rows, **options).sum() for rows in labels]
        return (
            loss(logits, shares, **options),
            [jax.grad(one)(logits) for one in total],
            [jax.grad(one)(masked) for one in total],
        )

    losses, gradients, expected = computed(logits, masked)
    np.testing.assert_allclose(losses, reference(masked, shares, **options), rtol=1e-5)
    for one, other in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_label_at_infinity_costs_nothing_on_its_side():
    """Logits of ±∞ that agree with the labels: no loss; that do not: infinite."""
    logits, labels = jnp.array([[-jnp.inf, jnp.inf], [jnp.inf, 0.0]]), jnp.array([[0, 1], [0, 1]])
    assert jax.jit(binary_cross_entropy)(logits, labels).tolist() == [0, np.inf]
