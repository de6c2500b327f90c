"""The errors of a classifier against values worked out by hand, and their pictures."""

import numpy as np
import pytest

from jaxcnn.insight import brightness, classification_errors, confused_pairs, plots
from jaxcnn.insight.plots.drawing import Drawing
from jaxcnn.insight.plots.percent_axes import show_percent

NAMES = ("ant", "bee", "cat")
# Rows 1, 3 and 4 are wrong, with 0.6, 0.9 and 0.6.
LABELS = np.array([0, 0, 1, 1, 1, 0])
PROBABILITIES = np.array(
    [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.9, 0.1, 0], [0.6, 0.4, 0], [1, 0, 0]]
)


@pytest.fixture
def errors():
    return classification_errors(LABELS, PROBABILITIES, NAMES)


def test_scores_of_each_class(errors):
    assert errors.matrix.tolist() == [[2, 1, 0], [2, 1, 0], [0, 0, 0]]
    assert errors.accuracy == 0.5
    ant, bee, cat = errors.classes
    assert (ant.images, ant.correct, ant.recall, ant.precision) == (3, 2, 2 / 3, 0.5)
    assert ant.f1 == pytest.approx(2 / (3 / 2 + 2))
    assert (ant.taken_for, bee.taken_for, cat.taken_for) == ("bee", "ant", None)
    assert (cat.images, cat.recall, cat.precision, cat.f1) == (0, None, None, None)


def test_mistakes_come_surest_first(errors):
    found = [(m.row, m.label, m.predicted, m.probability) for m in errors.mistakes]
    assert found == [(3, 1, 0, 0.9), (1, 0, 1, 0.6), (4, 1, 0, 0.6)]
    assert [m.label_probability for m in errors.mistakes] == [0.1, 0.3, 0.4]


def test_most_frequent_pairs_come_first(errors):
    found = [(pair.label, pair.predicted, pair.count, pair.share) for pair in errors.pairs]
    assert found == [(1, 0, 2, 2 / 3), (0, 1, 1, 1 / 3)]
    assert confused_pairs(np.diag([3, 4])) == ()


def test_reliability(errors):
    found = errors.reliability(bins=5)
    np.testing.assert_allclose(found.edges, [0, 0.2, 0.4, 0.6, 0.8, 1])
    # 0.6 and 0.8 are upper bounds: (0.4, 0.6] holds rows 1 and 4, (0.6, 0.8] rows 0 and 2.
    assert found.counts.tolist() == [0, 0, 2, 2, 2]
    np.testing.assert_allclose(found.confidence[2:], [0.6, 0.75, 0.95])
    np.testing.assert_allclose(found.accuracy[2:], [0, 1, 0.5])
    assert np.isnan(found.confidence[:2]).all()
    assert np.isnan(found.accuracy[:2]).all()
    assert found.expected_calibration_error == pytest.approx((2 * 0.6 + 2 * 0.25 + 2 * 0.45) / 6)


def test_slices_have_equally_many_images(errors):
    found = errors.slices(np.array([10, 30, 20, 60, 50, 40]), name="size", bins=3)
    assert found.edges.tolist() == [10, 20, 40, 60]
    assert [rows.tolist() for rows in found.rows] == [[0, 2], [1, 5], [3, 4]]
    assert found.accuracy.tolist() == [1, 0.5, 0]
    assert found.counts.tolist() == [2, 2, 2]


def test_equal_values_are_in_one_slice(errors):
    assert errors.slices(np.full(6, 3.0)).counts.tolist() == [6]
    found = errors.slices(np.array([0, 0, 0, 0, 0, 9]))
    assert found.counts.tolist() == [5, 1]
    assert found.edges.tolist() == [0, 0, 9]


def test_brightness_is_the_luma_of_color():
    gray = np.array([[[[0], [51]], [[102], [255]]]], np.uint8)
    np.testing.assert_allclose(brightness(gray), [0.4], rtol=1e-6)
    color = np.broadcast_to(np.array([1.0, 0.5, 0.0], np.float32), (2, 4, 4, 3))
    np.testing.assert_allclose(brightness(color), [0.299 + 0.587 / 2] * 2, rtol=1e-6)
    assert brightness(np.ones((3, 7, 2), np.float32)).tolist() == [1, 1, 1]  # a sequence


def test_outputs_beyond_the_classes_are_left_out(errors):
    beyond = np.concatenate([PROBABILITIES, np.full((6, 1), 5.0)], axis=1)
    found = classification_errors(LABELS, beyond, NAMES)
    assert found.matrix.tolist() == errors.matrix.tolist()


@pytest.mark.parametrize(
    ("labels", "probabilities", "names", "message"),
    [
        (LABELS, PROBABILITIES[:5], NAMES, r"must be \(N, classes\).*here \(6, 3\).*\(5, 3\)"),
        (LABELS, PROBABILITIES[:, :2], NAMES, r"here \(6, 3\). Received: shape \(6, 2\)"),
        (LABELS, PROBABILITIES.argmax(1), NAMES, r"Received: shape \(6,\)"),
        (LABELS[:0], PROBABILITIES[:0], NAMES, "with N at least 1"),
        (LABELS + 2, PROBABILITIES, NAMES, r"labels must be in 0…2.*labels from 2 to 3"),
        (LABELS, np.where(PROBABILITIES == 1, np.nan, PROBABILITIES), NAMES, "1 rows.* at row 5"),
        (np.eye(6, 3, dtype=bool), PROBABILITIES, NAMES, "classification_errors needs one class"),
    ],
)
def test_what_does_not_fit_is_an_error(labels, probabilities, names, message):
    with pytest.raises(ValueError, match=message):
        classification_errors(labels, probabilities, names)


def test_options_out_of_range_are_errors(errors):
    with pytest.raises(ValueError, match=r"bins must be at least 1. Received: bins=0"):
        errors.reliability(bins=0)
    with pytest.raises(ValueError, match=r"values must be one finite number.*\(6,\).*\(5,\)"):
        errors.slices(np.zeros(5))
    with pytest.raises(ValueError, match="of which some are not finite"):
        errors.slices(np.full(6, np.nan))
    logits = classification_errors(LABELS, 3 * PROBABILITIES, NAMES)
    with pytest.raises(ValueError, match=r"take the softmax. Received: numbers from 0 to 3"):
        logits.reliability()


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]


@pytest.mark.parametrize("channels", [1, 3])
def test_picture_of_the_worst_mistakes(tmp_path, channels, errors):
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 6, channels), np.uint8)
    maps = np.random.default_rng(1).random((2, 4, 3))
    figure = plots.worst_mistakes(images, errors, most=2, maps=maps)
    assert titles(figure) == ["ant (90%)", "bee (60%)"]
    assert [axes.texts[0].get_text() for axes in figure.axes] == [
        "truly bee (10%)",
        "truly ant (30%)",
    ]
    assert figure.get_suptitle() == "3 mistakes in 6 images: the 2 most confident"
    for axes, row, heat in zip(figure.axes, (3, 1), maps, strict=True):
        image, over = axes.images
        np.testing.assert_array_equal(image.get_array(), images[row].squeeze())
        np.testing.assert_array_equal(over.get_array(), heat)
        assert list(over.get_extent()) == list(image.get_extent()) == [-0.5, 5.5, 7.5, -0.5]
    figure.savefig(tmp_path / "mistakes.png")


def test_mistakes_of_sequences_are_curves(errors, tmp_path):
    sequences = np.random.default_rng(0).normal(size=(6, 9, 2))
    figure = plots.worst_mistakes(sequences, errors, maps=np.ones((1, 4)))
    axes = figure.axes[0]
    curves = np.array([line.get_ydata() for line in axes.lines])
    np.testing.assert_array_equal(curves, sequences[3].T)
    left, right, bottom, top = axes.images[0].get_extent()
    assert (left, right) == axes.get_xlim() == (-0.5, 8.5)
    assert (bottom, top) == axes.get_ylim()
    figure.savefig(tmp_path / "mistakes.png")


def test_no_mistakes(tmp_path):
    errors = classification_errors(np.array([0]), np.array([[0.9, 0.1]]), ["a", "b"])
    figure = plots.worst_mistakes(np.zeros((1, 8, 8, 1), np.uint8), errors)
    assert figure.get_suptitle() == "0 mistakes in 1 images"
    figure.savefig(tmp_path / "mistakes.png")
    assert titles(plots.most_confused(errors)) == ["No mistakes"]


def test_mistakes_need_their_images(errors):
    with pytest.raises(ValueError, match=r"with 1 or 3 channels, .*shape \(6, 8, 8, 2\)"):
        plots.worst_mistakes(np.zeros((6, 8, 8, 2)), errors)
    with pytest.raises(ValueError, match=r"images must be the 6 of the errors. Received: 5"):
        plots.worst_mistakes(np.zeros((5, 8, 8, 1)), errors)


def test_picture_of_the_most_confused(errors, tmp_path):
    figure = plots.most_confused(errors)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["bee → ant", "ant → bee"]
    assert [text.get_text() for text in axes.texts] == ["2 (66.7%)", "1 (33.3%)"]
    figure.savefig(tmp_path / "pairs.png")


def test_reliability_diagram_shows_the_gaps(errors, tmp_path):
    found = errors.reliability(bins=5)
    figure = plots.reliability_diagram(found)
    top, bottom = figure.axes
    diagonal, dots = top.lines
    np.testing.assert_allclose(dots.get_xydata(), [[0.6, 0], [0.75, 1], [0.95, 0.5]])
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    (gaps,) = top.collections
    np.testing.assert_allclose(
        [path.vertices[:, 1] for path in gaps.get_paths()], [[0, 0.6], [1, 0.75], [0.5, 0.95]]
    )
    assert [bar.get_height() for bar in bottom.patches] == [0, 0, 2, 2, 2]
    assert top.get_title(loc="left").endswith("calibration error 43.3%")
    assert top.get_xlim() == bottom.get_xlim() == (0, 1)
    figure.savefig(tmp_path / "reliability.png")


def test_picture_of_the_scores_begins_with_the_lowest(errors, tmp_path):
    figure = plots.class_scores(errors)
    (axes,) = figure.axes
    # F1 of bee is 2/5, of ant 4/7; there are no cats.
    assert [label.get_text() for label in axes.get_yticklabels()] == ["bee (3)", "ant (3)"]
    marks = [line.get_xdata().tolist() for line in axes.lines if line.get_marker() in "oD"]
    np.testing.assert_allclose(np.ravel(marks), [0.5, 1 / 3, 0.5, 2 / 3])  # precision, recall
    figure.savefig(tmp_path / "classes.png")
    few = plots.class_scores(errors, most=1).axes[0]
    assert few.get_title(loc="left") == "Recall and precision: the 1 lowest of 2 classes"


def test_picture_of_slices(errors, tmp_path):
    found = errors.slices(np.array([10, 30, 20, 60, 50, 40]), name="size", bins=3)
    # Wilson (1927) of 1 of 2: center 1/2, half width z / √(n + z²) / 2.
    half = 1.959964 / np.sqrt(2 + 1.959964**2) / 2
    np.testing.assert_allclose(found.intervals[1], [0.5 - half, 0.5 + half])
    figure = plots.accuracy_of_slices(found, unit="pixels")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["100.0%", "50.0%", "0.0%", "all 50.0%"]
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "10 to 20\n2 images", "20 to 40\n2 images", "40 to 60\n2 images",
    ]  # fmt: skip
    assert axes.get_xlabel() == "size (pixels)"
    figure.savefig(tmp_path / "slices.png")


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.13, 1.0, ["20%", "40%", "60%", "80%", "100%"]),
        (0.976, 0.992, ["97.5%", "98.0%", "98.5%", "99.0%"]),
        (0, 1, ["0%", "20%", "40%", "60%", "80%", "100%"]),
    ],
)
def test_percent_axes_begin_where_the_values_do(low, high, ticks):
    axes = Drawing().subplots()
    show_percent(axes, "y", low, high)
    assert [label.get_text() for label in axes.get_yticklabels()] == ticks
    bottom, top = axes.get_ylim()
    assert low - 0.05 <= bottom <= low
    assert high <= top <= high + 0.05
