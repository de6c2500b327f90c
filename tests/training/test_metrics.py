"""Metrics against their definitions, counted one label at a time in NumPy."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

import jaxcnn as cnn
from jaxcnn.training import (
    Metric,
    accuracy,
    calibration_error,
    confusion,
    f1,
    mean_iou,
    precision,
    recall,
    top_k,
)
from jaxcnn.training.metrics import confusion_matrix

CLASSES = 4
SHAPES = [(7, CLASSES), (3, 5, CLASSES), (2, 3, 2, CLASSES)]
seeds = st.integers(0, 1000)


def numpy_counted(logits, labels, mask):
    """Return predicted and true class of each label that counts, and its logits."""
    logits = np.asarray(logits, float)
    labels = np.argmax(labels, -1) if np.ndim(labels) == logits.ndim else np.asarray(labels)
    found = []
    for row in range(len(logits)):
        for scores, label in zip(
            logits[row].reshape(-1, CLASSES), labels[row].reshape(-1), strict=True
        ):
            if mask[row] and 0 <= label < CLASSES:
                best = None if np.isnan(scores).any() else int(np.argmax(scores))
                found.append((best, int(label), scores))
    return found


def numpy_ratio(numerator, denominator):
    return numerator / denominator if denominator else math.nan


def numpy_accuracy(found):
    return numpy_ratio(sum(best == label for best, label, _ in found), len(found))


def numpy_top_k(found, k):
    right = 0
    for best, label, scores in found:
        if best is None:
            continue
        ranked = sorted(range(CLASSES), key=lambda number: (-scores[number], number))
        right += label in ranked[:k]
    return numpy_ratio(right, len(found))


def numpy_confusion(found):
    matrix = np.zeros((CLASSES, CLASSES), int)
    for best, label, _ in found:
        if best is not None:
            matrix[label, best] += 1
    return matrix


def numpy_per_class(found, of_counts):
    values = []
    for number in range(CLASSES):
        hits = sum(best == label == number for best, label, _ in found)
        predictions = sum(best == number for best, _, _ in found)
        examples = sum(label == number for _, label, _ in found)
        known = predictions + examples > 0
        values.append(of_counts(hits, predictions, examples) if known else math.nan)
    return np.array(values)


def of_precision(hits, predictions, examples):
    return hits / predictions if predictions else 0.0


def of_recall(hits, predictions, examples):
    return hits / examples if examples else 0.0


def of_f1(hits, predictions, examples):
    p, r = (of(hits, predictions, examples) for of in (of_precision, of_recall))
    return 2 * p * r / (p + r) if p + r else 0.0


def of_iou(hits, predictions, examples):
    return hits / (predictions + examples - hits)


def numpy_macro(values):
    known = values[~np.isnan(values)]
    return numpy_ratio(known.sum(), len(known))


def numpy_calibration_error(found, bins):
    error = 0.0
    for number in range(bins):
        inside = []
        for best, label, scores in found:
            probabilities = np.exp(scores - scores.max())
            confidence = np.max(probabilities / probabilities.sum())
            if number / bins < confidence <= (number + 1) / bins:
                inside.append((best == label, confidence))
        if inside:
            error += len(inside) * abs(np.subtract(*np.mean(inside, axis=0)))
    return numpy_ratio(error, len(found))


CASES = {
    "accuracy": (accuracy(), numpy_accuracy),
    **{f"top_{k}": (top_k(k), functools.partial(numpy_top_k, k=k)) for k in (1, 2, CLASSES)},
    "confusion": (confusion(), numpy_confusion),
    "precision": (precision(), lambda found: numpy_per_class(found, of_precision)),
    "recall": (recall(), lambda found: numpy_per_class(found, of_recall)),
    "f1": (f1(), lambda found: numpy_per_class(found, of_f1)),
    "macro precision": (
        precision(macro=True),
        lambda found: numpy_macro(numpy_per_class(found, of_precision)),
    ),
    "macro f1": (f1(macro=True), lambda found: numpy_macro(numpy_per_class(found, of_f1))),
    "mean_iou": (mean_iou(), lambda found: numpy_macro(numpy_per_class(found, of_iou))),
    "calibration_error": (
        calibration_error(bins=5),
        functools.partial(numpy_calibration_error, bins=5),
    ),
}
# Compiled once: the searches below call them with few shapes.
MEASURES = {name: jax.jit(metric.measure) for name, (metric, _) in CASES.items()}


def drawn(seed, shape, *, ties=True):
    """Return logits with many ties, labels of which some are void, and a mask."""
    rng = np.random.default_rng(seed)
    logits = rng.integers(-2, 3, shape) if ties else rng.normal(0, 2, shape)
    labels = rng.choice([0, 1, 2, 3, 3, -1, 255, CLASSES], shape[:-1])
    return logits.astype(np.float32), labels, rng.random(shape[0]) < 0.7


def result(name, *batches):
    """Return what the sums over batches come to, added as ``evaluate`` says it does."""
    metric, _ = CASES[name]
    sums = [MEASURES[name](*batch) for batch in batches]
    wide = jax.tree.map(lambda a: np.asarray(a, "f8" if a.dtype == "f4" else "i8"), sums)
    return metric.result(functools.reduce(lambda a, b: jax.tree.map(np.add, a, b), wide))


@pytest.mark.parametrize("name", CASES)
@given(seed=seeds, shape=st.sampled_from(SHAPES))
def test_values_are_those_of_the_definition(name, seed, shape):
    batch = drawn(seed, shape)
    expected = CASES[name][1](numpy_counted(*batch))
    received = result(name, batch)
    assert type(received) is (np.ndarray if np.ndim(expected) else float)
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
@given(seed=seeds, shape=st.sampled_from(SHAPES))
def test_neither_order_nor_masked_rows_nor_batches_matter(name, seed, shape):
    """Halves of the rows, each filled up to the whole size with others masked out."""
    logits, labels, mask = drawn(seed, shape)
    rng = np.random.default_rng(seed)
    in_first = rng.random(len(mask)) < 0.5
    order = rng.permutation(len(mask))
    whole = result(name, (logits, labels, mask))
    parts = result(
        name,
        (logits[order], labels[order], (mask & in_first)[order]),
        (logits, labels, mask & ~in_first),
    )
    other = np.where(mask.reshape(-1, *(1,) * (logits.ndim - 1)), logits, np.nan)
    masked = result(name, (other.astype(np.float32), labels, mask))
    for each in (parts, masked):
        if name == "calibration_error":  # sums of numbers that are not whole
            np.testing.assert_allclose(each, whole, rtol=1e-5, atol=1e-6)
        else:
            np.testing.assert_array_equal(each, whole)


@pytest.mark.parametrize("name", [name for name in CASES if name != "confusion"])
@given(seed=seeds)
def test_metrics_are_shares(name, seed):
    received = np.asarray(result(name, drawn(seed, SHAPES[1])))
    assert (np.isnan(received) | ((received >= 0) & (received <= 1))).all()


def test_confusion_counts_every_label_once():
    logits, labels, mask = drawn(0, SHAPES[1])
    matrix = result("confusion", (logits, labels, mask))
    counted = mask[:, None] & (labels >= 0) & (labels < CLASSES)
    assert (matrix.dtype, matrix.sum()) == (np.int64, counted.sum())
    share = np.trace(matrix) / matrix.sum()
    assert result("accuracy", (logits, labels, mask)) == pytest.approx(share)


@pytest.mark.parametrize("name", CASES)
def test_nothing_that_counts_is_nan(name):
    logits, labels, _ = drawn(0, SHAPES[0])
    for batch in (
        (logits, labels, np.zeros(7, bool)),
        (logits, np.full(7, 255), np.ones(7, bool)),
    ):
        received = result(name, batch)
        assert (received == 0).all() if name == "confusion" else np.isnan(received).all()


@pytest.mark.parametrize("name", [name for name in CASES if name != "calibration_error"])
@given(seed=seeds)
def test_logits_with_nan_predict_no_class(name, seed):
    """In place of the first class, which NumPy and JAX say has the largest logit."""
    logits, labels, mask = drawn(seed, SHAPES[1])
    rng = np.random.default_rng(seed)
    logits[rng.random(logits.shape) < 0.1] = np.nan
    expected = CASES[name][1](numpy_counted(logits, labels, mask))
    np.testing.assert_allclose(result(name, (logits, labels, mask)), expected, rtol=1e-6)


def test_confidence_that_is_nan_is_not_hidden():
    logits = np.array([[1.0, 0.0, 0.0, np.nan], [1.0, 0.0, 0.0, 0.0]], np.float32)
    labels, both = np.zeros(2, int), np.ones(2, bool)
    assert np.isnan(result("calibration_error", (logits, labels, both)))
    assert not np.isnan(result("calibration_error", (logits, labels, np.array([False, True]))))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", CASES)
def test_half_precision(name, dtype):
    logits, labels, mask = drawn(0, SHAPES[1])  # small whole numbers, the same in each precision
    received = result(name, (logits.astype(jnp.dtype(dtype)), labels, mask))
    np.testing.assert_array_equal(received, result(name, (logits, labels, mask)))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_labels_of_any_whole_dtype(name, dtype):
    logits, labels, mask = drawn(0, SHAPES[1])
    labels = np.where(labels < 0, 255, labels)
    np.testing.assert_array_equal(
        result(name, (logits, labels.astype(dtype), mask)), result(name, (logits, labels, mask))
    )


@pytest.mark.parametrize("name", CASES)
def test_shares_stand_for_the_largest(name):
    logits, _, mask = drawn(0, SHAPES[1])
    shares = np.random.default_rng(0).dirichlet(np.ones(CLASSES), logits.shape[:-1])
    np.testing.assert_array_equal(
        result(name, (logits, shares.astype(np.float32), mask)),
        result(name, (logits, shares.argmax(axis=-1), mask)),
    )


# Hand-worked numbers.


def of(metric, logits, labels):
    measure = jax.jit(metric.measure)
    labels = np.asarray(labels)
    return metric.result(measure(logits.astype(np.float32), labels, np.ones(len(labels), bool)))


def test_by_hand():
    """Of class 0 two of three are found, and one of class 1 is taken for it."""
    predicted, labels = np.array([0, 0, 1, 0, 1]), np.array([0, 0, 0, 1, 1])
    logits = np.eye(3)[predicted]
    assert of(accuracy(), logits, labels) == 0.6
    assert of(confusion(), logits, labels).tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 0]]
    np.testing.assert_allclose(of(precision(), logits, labels), [2 / 3, 1 / 2, np.nan])
    np.testing.assert_allclose(of(recall(), logits, labels), [2 / 3, 1 / 2, np.nan])
    np.testing.assert_allclose(of(f1(), logits, labels), [2 / 3, 1 / 2, np.nan])
    for metric in (precision(macro=True), recall(macro=True), f1(macro=True)):
        assert of(metric, logits, labels) == pytest.approx(7 / 12)
    assert of(mean_iou(), logits, labels) == pytest.approx((2 / 4 + 1 / 3) / 2)


def test_calibration_by_hand():
    """Nine of ten are right, at a confidence of 0.7 and of 0.95: |0.8 − 0.7| and |1 − 0.95|."""
    confidence = np.repeat([0.7, 0.95], 5)
    logits = np.log(np.stack([confidence, 1 - confidence], axis=1))
    labels = np.array([1] + [0] * 9)
    assert of(calibration_error(), logits, labels) == pytest.approx((0.1 + 0.05) / 2, rel=1e-5)
    # In one bin it is what they are off together.
    assert of(calibration_error(bins=1), logits, labels) == pytest.approx(0.9 - 0.825, rel=1e-5)


def test_of_equal_logits_the_lower_class_comes_first():
    for label, right in enumerate([1, 1, 0, 0]):
        assert of(top_k(2), np.zeros((1, 4)), [label]) == right


# Several labels per example.

SEVERAL = {
    "accuracy": accuracy(multi_label=True),
    "precision": precision(multi_label=True),
    "recall": recall(multi_label=True),
    "f1": f1(multi_label=True),
    "macro f1": f1(macro=True, multi_label=True),
}
SEVERAL_MEASURES = {name: jax.jit(metric.measure) for name, metric in SEVERAL.items()}


@given(seed=seeds, dtype=st.sampled_from([bool, np.float32, np.int32]))
def test_several_labels_per_example(seed, dtype):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(9, CLASSES)).astype(np.float32)
    logits[rng.random(logits.shape) < 0.1] = np.nan
    labels, mask = rng.random((9, CLASSES)) < 0.4, rng.random(9) < 0.7
    labels[:, 3] = False
    sums = {n: SEVERAL_MEASURES[n](logits, labels.astype(dtype), mask) for n in SEVERAL}
    received = {name: metric.result(sums[name]) for name, metric in SEVERAL.items()}
    right = (logits > 0) == labels
    right &= ~np.isnan(logits)
    np.testing.assert_allclose(received["accuracy"], numpy_ratio(right[mask].sum(), mask.sum() * 4))
    expected = {"precision": [], "recall": [], "f1": []}
    for number in range(CLASSES):
        yes, true = logits[mask, number] > 0, labels[mask, number]
        counts = int((yes & true).sum()), int(yes.sum()), int(true.sum())
        for name, of_counts in (("precision", of_precision), ("recall", of_recall), ("f1", of_f1)):
            expected[name].append(of_counts(*counts) if counts[1] + counts[2] else math.nan)
    for name, values in expected.items():
        np.testing.assert_allclose(received[name], values)
    np.testing.assert_allclose(received["macro f1"], numpy_macro(np.array(expected["f1"])))


# In the evaluation of a data set.


class Stored(nnx.Module):
    """Put out its input: the images of a set are the logits themselves."""

    def __call__(self, x):
        return x[:, 0] if x.ndim == 3 else x


def stored(count, *spatial, seed=0):
    """Return a set whose images are logits, what they are and the labels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, *spatial, CLASSES)).astype(np.float32)
    labels = rng.integers(0, CLASSES, (count, *spatial))
    if spatial:
        labels[rng.random(labels.shape) < 0.2] = 255
    images = logits if spatial else logits[:, None]
    return cnn.Dataset(images, labels, tuple("abcd")), logits, labels


@pytest.mark.parametrize("spatial", [(), (3, 2)])
@pytest.mark.parametrize("batch_size", [1, 5, 23, 40])
def test_an_evaluation_does_not_depend_on_its_batches(spatial, batch_size):
    data, logits, labels = stored(23, *spatial)
    metrics = {name: metric for name, (metric, _) in CASES.items()}
    evaluation = cnn.evaluate(Stored(), data, batch_size=batch_size, metrics=metrics)
    found = numpy_counted(logits, labels, np.ones(23, bool))
    assert list(evaluation.metrics) == list(CASES)
    for name, (_, reference) in CASES.items():
        np.testing.assert_allclose(evaluation.metrics[name], reference(found), rtol=1e-5)
    if not spatial:
        assert evaluation.accuracy == evaluation.metrics["accuracy"]


def test_without_metrics_there_are_none():
    data, *_ = stored(5)
    assert cnn.evaluate(Stored(), data).metrics == {}
    assert cnn.evaluate(Stored(), data, metrics={}).metrics == {}


def test_counts_stay_exact_where_float32_does_not():
    """Three batches of 2²⁴ + 1 each; float32 has no such number."""

    def many(logits, labels, mask):
        return {"many": mask.any().astype(jnp.int32) * (2**24 + 1), "real": mask.sum()}

    data, *_ = stored(12)
    metric = Metric(many, lambda total: (total["many"], total["real"]))
    counted, real = cnn.evaluate(Stored(), data, batch_size=4, metrics={"a": metric}).metrics["a"]
    assert (int(counted), int(real)) == (3 * (2**24 + 1), 12)
    assert counted.dtype == np.int64

    def near_the_end_of_int32(logits, labels, mask):
        return mask.any().astype(jnp.int32) * (2**31 - 1)

    metric = Metric(near_the_end_of_int32, int)
    evaluated = cnn.evaluate(Stored(), data, batch_size=4, metrics={"a": metric})
    assert evaluated.metrics["a"] == 3 * (2**31 - 1)


def test_a_metric_of_ones_own():
    def absolute_error(predictions, targets, mask):
        assert predictions.dtype == targets.dtype == jnp.float32
        return jnp.where(mask[:, None], jnp.abs(predictions - targets), 0).sum(axis=0), mask.sum()

    data, logits, _ = stored(11)
    targets = np.random.default_rng(1).normal(size=logits.shape)
    data = cnn.Dataset(data.images, targets)
    metric = Metric(absolute_error, lambda sums: sums[0] / sums[1])
    evaluation = cnn.evaluate(
        Stored(), data, batch_size=4, loss=cnn.training.huber, metrics={"mae": metric}
    )
    np.testing.assert_allclose(
        evaluation.metrics["mae"], abs(logits - targets).mean(axis=0), rtol=1e-5
    )


def test_metrics_and_losses_made_alike_compile_once():
    traces = []

    class Counting(Stored):
        def __call__(self, x):
            traces.append(x.shape)
            return super().__call__(x)

    data, *_ = stored(6)
    for smoothing in (0.1, 0.1, 0.2):
        loss = functools.partial(cnn.training.cross_entropy, label_smoothing=smoothing)
        for _ in range(2):
            metrics = {"top": top_k(2), "f1": f1(macro=True), "ece": calibration_error(bins=4)}
            cnn.evaluate(Counting(), data, batch_size=6, loss=loss, metrics=metrics)
    compiled = sum(shape[0] == 6 for shape in traces)
    assert compiled == 2  # one for each smoothing
    weights = functools.partial(cnn.training.cross_entropy, class_weights=np.ones(CLASSES))
    cnn.evaluate(Counting(), data, batch_size=6, loss=weights, metrics={"top": top_k(2)})
    cnn.evaluate(Counting(), data, batch_size=6, loss=weights, metrics={"top": top_k(3)})
    assert sum(shape[0] == 6 for shape in traces) == compiled + 2


def test_the_step_gives_metrics_and_sums():
    data, logits, labels = stored(5)
    step = cnn.make_eval_step(Stored(), metrics={"hits": accuracy()})
    state = cnn.make_training(Stored(), optax.identity()).init(jax.random.key(0))
    batch = cnn.Batch(data.images, data.labels, np.array([True] * 4 + [False]))
    metrics, sums = step(state, batch)
    right = (logits.argmax(axis=1) == labels)[:4].sum()
    assert (int(metrics.correct), int(metrics.examples)) == (right, 4)
    assert {name: int(value) for name, value in sums["hits"].items()} == {
        "right": right,
        "counted": 4,
    }


# Errors.

LOGITS, LABELS, MASK = jnp.zeros((2, 3)), jnp.array([0, 1]), jnp.ones(2, bool)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: top_k(0), ValueError, "k must be at least 1. Received: k=0"),
        (lambda: top_k(1.0), TypeError, "k must be an integer. Received: k=1.0"),
        (
            lambda: calibration_error(bins=0),
            ValueError,
            "bins must be at least 1. Received: bins=0",
        ),
        (lambda: calibration_error(bins="5"), TypeError, "bins must be an integer.*bins='5'"),
        (
            lambda: top_k(4).measure(LOGITS, LABELS, MASK),
            ValueError,
            "k must be at most the number of classes, 3. Received: k=4",
        ),
        (
            lambda: accuracy(multi_label=True).measure(LOGITS, LABELS, MASK),
            ValueError,
            r"multi_label needs labels of the logits' shape, 0 or 1 for each class. "
            r"Received: labels \(2,\) for logits \(2, 3\)",
        ),
        (
            lambda: cnn.evaluate(Stored(), stored(3)[0], metrics=[accuracy()]),
            TypeError,
            r'metrics must map names to metrics, such as {"top-5": top_k\(5\)}, or be a sequence',
        ),
        (
            lambda: cnn.make_eval_step(Stored(), metrics={"own": 3}),
            TypeError,
            r"metrics must map names to metrics, .* Received: metrics={'own': 3}",
        ),
    ],
)
def test_errors(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


@pytest.mark.parametrize("name", CASES)
def test_labels_that_do_not_fit(name):
    measure = CASES[name][0].measure if name != "top_4" else top_k(3).measure
    with pytest.raises(
        ValueError,
        match=r"a metric of classes needs labels \(batch, \*spatial\), or shares of the logits' "
        r"shape. Received: labels \(2, 1\) for logits \(2, 3\)",
    ):
        measure(LOGITS, LABELS[:, None], MASK)
    with pytest.raises(TypeError, match=r"labels must be whole class numbers.* dtype float32"):
        measure(LOGITS, LABELS / 1, MASK)
    with pytest.raises(
        TypeError, match=r"accuracy, precision, recall and f1 have multi_label=True.* dtype bool"
    ):
        measure(LOGITS, LOGITS > 0, MASK)


def test_confusion_matrix_counts_every_pair():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 4, (2, 100))
    matrix = confusion_matrix(labels, predictions, 5)
    expected = [[np.sum((labels == i) & (predictions == j)) for j in range(5)] for i in range(5)]
    np.testing.assert_array_equal(matrix, expected)
