"""Figures show the numbers that they were given."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.text import Text

from jaxcnn.insight import plots
from jaxcnn.training import Epoch, LearningRateSearch


def texts(axes):
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("held_out", [True, False])
def test_learning_curves(tmp_path, held_out):
    best = {1: (0.9, 0.2), 2: (0.25, 0.97), 3: (0.3, 0.95)}
    history = [
        Epoch(n, 1 / n, 1 - 0.5 / n, 100.0, 1.0)
        if not held_out
        else Epoch(n, 1 / n, 1 - 0.5 / n, 100.0, 1.0, *best[n])
        for n in (1, 2, 3)
    ]
    figure = plots.learning_curves(history)
    losses, accuracies = figure.axes
    assert len(losses.lines) == len(accuracies.lines) == 1 + held_out
    np.testing.assert_allclose(losses.lines[0].get_ydata(), [1, 1 / 2, 1 / 3])
    np.testing.assert_allclose(accuracies.lines[0].get_ydata(), [0.5, 0.75, 1 - 0.5 / 3])
    assert texts(losses) == ["training 0.333", "held out 0.3"][: 1 + held_out]
    assert texts(accuracies) == ["training 83.3%", "held out 95.0%"][: 1 + held_out]
    if held_out:
        rings = [axes.collections[0].get_offsets()[0].tolist() for axes in figure.axes]
        assert rings == [[2, 0.25], [2, 0.97]]
        assert accuracies.get_title(loc="right") == "◯ best: 97.0%, epoch 2"
    else:
        assert not losses.collections
    # The axis begins where the values do, and no tick is above 100 %.
    assert accuracies.get_ylim()[0] == pytest.approx(0.16 if held_out else 0.48, abs=0.01)
    assert max(accuracies.get_yticks()) <= 1
    figure.savefig(tmp_path / "curves.png")


@pytest.mark.parametrize(("fall", "scale"), [(9, "linear"), (50, "log")])
def test_loss_is_logarithmic_where_it_falls_far(fall, scale, tmp_path):
    history = [Epoch(1, 1.0, 0.5, 1.0, 1.0), Epoch(2, 1 / fall, 0.9, 1.0, 1.0)]
    figure = plots.learning_curves(history)
    assert figure.axes[0].get_yscale() == scale
    figure.savefig(tmp_path / "curves.png")


def test_losses_that_are_not_finite_are_gaps(tmp_path):
    losses = [2.0, np.nan, np.inf, 1.0]
    figure = plots.learning_curves([Epoch(n, x, np.nan, 1.0, 1.0) for n, x in enumerate(losses, 1)])
    assert texts(figure.axes[0]) == ["training 1"]
    assert texts(figure.axes[1]) == []  # there is no accuracy
    figure.savefig(tmp_path / "curves.png")


def test_labels_at_the_ends_of_curves_do_not_overlap(tmp_path):
    runs = {
        f"run {k}": [Epoch(n, 1.0, 0.5, 1.0, 1.0, 1.0, 0.9 + 0.001 * k) for n in range(1, 4 + k)]
        for k in range(9)
    }
    figure = plots.comparison(runs)
    figure.savefig(tmp_path / "runs.png", dpi=figure.dpi)
    for axes in figure.axes:
        # Of the texts alone, without the lines that lead to them.
        boxes = sorted(
            (Text.get_window_extent(text) for text in axes.texts), key=lambda box: box.y0
        )
        assert len(boxes) == 9
        assert all(lower.y1 <= upper.y0 for lower, upper in itertools.pairwise(boxes))
        assert max(box.x1 for box in boxes) <= figure.bbox.x1
    assert texts(figure.axes[1])[3] == "90.3%  run 3"


def test_learning_rate_search_marks_the_suggestion(tmp_path):
    rates = np.geomspace(1e-4, 1, 5)
    losses, smoothed = np.array([2, 2.2, 1, 0.5, 900]), np.array([2, 2.1, 1.5, 1, 90])
    figure = plots.learning_rate_search(LearningRateSearch(rates, losses, smoothed, 0.01))
    (axes,) = figure.axes
    raw, average, suggestion = axes.lines
    np.testing.assert_array_equal(raw.get_xydata(), np.stack([rates, losses], axis=1))
    np.testing.assert_array_equal(average.get_xydata(), np.stack([rates, smoothed], axis=1))
    assert set(suggestion.get_xdata()) == {0.01}
    assert axes.get_xscale() == "log"
    assert axes.get_ylim()[0] == pytest.approx(0.4, abs=0.1)
    assert 2.1 < axes.get_ylim()[1] < 3  # the end of the run is cut off
    assert texts(axes) == ["suggestion: 0.01"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["each batch", "smoothed"]
    figure.savefig(tmp_path / "rates.png")


def test_confusion_shows_each_count(tmp_path):
    figure = plots.confusion(np.array([[5, 0], [2, 7]]), ["cat", "dog"])
    axes, _ = figure.axes
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    assert texts == {(0, 0): "5\n100%", (0, 1): "2\n22%", (1, 1): "7\n78%"}
    assert axes.get_title(loc="left") == "Confusion matrix\n85.71% of 14 images correct"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["cat", "dog"]
    figure.savefig(tmp_path / "confusion.png")


def test_numbers_are_readable_on_the_color_of_their_cell():
    axes, _ = plots.confusion(np.array([[1, 9], [2, 2]]), ["a", "b"]).axes
    colors = {text.get_position(): text.get_color() for text in axes.texts}
    assert colors == {(0, 0): "black", (1, 0): "white", (0, 1): "black", (1, 1): "black"}


def test_confusion_of_many_classes_lists_the_pairs_confused_most(tmp_path):
    matrix = 5 * np.eye(400, dtype=int)
    matrix[3, 7], matrix[7, 3], matrix[399, 0] = 40, 4, 12
    names = [f"$class {number}" for number in range(399)] + ["a name of more than twenty letters"]
    figure = plots.confusion(matrix, names)
    drawn, pairs, _ = figure.axes
    np.testing.assert_allclose(drawn.images[0].get_array(), matrix / matrix.sum(1, keepdims=True))
    assert [label.get_text() for label in pairs.get_yticklabels()] == [
        "$class 3 → $class 7",
        "a name of more than t… → $class 0",
        "$class 7 → $class 3",
    ]
    assert [bar.get_width() for bar in pairs.patches] == [40, 12, 4]
    assert [text.get_text() for text in pairs.texts] == ["40 (88.9%)", "12 (70.6%)", "4 (44.4%)"]
    figure.savefig(tmp_path / "confusion.png")


def test_of_many_classes_those_that_occur_are_shown(tmp_path):
    matrix = np.zeros((1000, 1000), int)
    matrix[7, 7], matrix[7, 999], matrix[500, 500] = 3, 1, 6
    figure = plots.confusion(matrix, [f"class {number}" for number in range(1000)])
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "class 7", "class 500", "class 999",
    ]  # fmt: skip
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.75, 0, 0.25], [0, 1, 0], [0, 0, 0]])
    assert axes.get_title(loc="left").endswith("90.00% of 10 images correct; 3 of 1,000 classes")
    figure.savefig(tmp_path / "confusion.png")
    matrix += np.diag(np.arange(1000) % 20 == 0)  # 50 classes, by their numbers
    axes = plots.confusion(matrix, list(map(str, range(1000)))).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()][1:3] == ["0", "180"]


@pytest.mark.parametrize("channels", [1, 3])
def test_augmentations_shows_the_original_and_the_draws(tmp_path, channels):
    def brighter(key, images, *, epoch):
        return images + 0.1 * (1 + epoch)

    images = np.random.default_rng(0).integers(0, 100, (2, 6, 5, channels), np.uint8)
    figure = plots.augmentations(images, brighter, draws=3)
    shown = [np.asarray(axes.images[0].get_array()) for axes in figure.axes]
    for row, image in enumerate(images):
        for draw in range(4):
            expected = (image / 255 + 0.1 * draw).squeeze()
            np.testing.assert_allclose(shown[4 * row + draw], expected, atol=1e-6)
    assert {axes.images[0].get_clim() for axes in figure.axes} == {(0, 1)}
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["original", "draw 1", "draw 2", "draw 3", *[""] * 4]
    figure.savefig(tmp_path / "augmentations.png")


def test_draws_of_augmentations_differ_and_repeat():
    def noise(key, images):
        return jnp.clip(images + jax.random.uniform(key, images.shape), 0, 1)

    images = np.zeros((1, 4, 4, 1), np.float32)
    first, again, other = (
        [axes.images[0].get_array() for axes in plots.augmentations(images, noise, seed=s).axes[1:]]
        for s in (0, 0, 1)
    )
    assert len({np.asarray(image).tobytes() for image in first}) == 7
    np.testing.assert_array_equal(first, again)
    assert (np.asarray(first) != np.asarray(other)).any()
    with pytest.raises(ValueError, match=r"draws must be at least 1. Received: draws=0"):
        plots.augmentations(images, noise, draws=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_contact_sheet_shows_the_images_of_each_class(tmp_path, channels):
    images = np.random.default_rng(0).integers(0, 256, (30, 4, 5, channels), np.uint8)
    labels = np.array([2, 0] + [2] * 28)
    figure = plots.contact_sheet(images, labels, ["cat", "bird", "dog"])
    cats, dogs = figure.axes  # there is no bird
    assert (cats.get_title(loc="left"), dogs.get_title(loc="left")) == ("cat", "dog")
    strip = np.asarray(cats.images[0].get_array()).reshape(4, 12, 6, channels)
    np.testing.assert_allclose(strip[:, 0, :5], images[1] / 255)
    assert (strip[:, 1:] == 1).all()
    strip = np.asarray(dogs.images[0].get_array()).reshape(4, 12, 6, channels)
    np.testing.assert_allclose(np.moveaxis(strip, 1, 0)[1:, :, :5], images[2:13] / 255)
    figure.savefig(tmp_path / "sheet.png")


def test_contact_sheet_of_many_classes(tmp_path):
    images = np.zeros((100, 4, 4, 1), np.uint8)
    figure = plots.contact_sheet(images, np.arange(100), [f"class {n}" for n in range(100)])
    assert len(figure.axes) == 100
    assert figure.axes[0].images[0].get_array().shape == (4, 5)
    figure.savefig(tmp_path / "sheet.png")


def test_contact_sheet_shows_the_first_hundred_classes():
    images = np.zeros((120, 4, 4, 1), np.uint8)
    figure = plots.contact_sheet(images, np.arange(120), list(map(str, range(120))))
    assert figure.get_suptitle() == "Examples of 100 of 120 classes"
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(map(str, range(100)))


def test_contact_sheet_stretches_other_values():
    images = np.linspace(-3, 5, 32, dtype="f4").reshape(2, 4, 4, 1)
    figure = plots.contact_sheet(images, np.zeros(2, int), ["a"])
    shown = np.asarray(figure.axes[0].images[0].get_array())
    assert (shown[0, 0], shown[3, 8]) == (0, 1)
    figure = plots.contact_sheet(np.ones_like(images), np.zeros(2, int), ["a"])
    assert np.isfinite(np.asarray(figure.axes[0].images[0].get_array())).all()


def test_contact_sheet_needs_classes():
    with pytest.raises(
        ValueError, match=r"a contact sheet needs one class per image.* bool \(2, 3"
    ):
        plots.contact_sheet(np.zeros((2, 4, 4, 1)), np.ones((2, 3), bool), list("abc"))


def test_contact_sheet_needs_gray_or_color():
    with pytest.raises(ValueError, match=r"1 or 3 channels. Received: shape \(2, 4, 4, 2\)"):
        plots.contact_sheet(np.zeros((2, 4, 4, 2)), np.zeros(2, int), ["a"])


def test_class_names_that_the_font_lacks_are_numbers(tmp_path):
    names = ["cat", "Käfer", "猫", "🐕"]
    with pytest.warns(UserWarning, match=r"for 2 class names, such as '猫'.*Noto Sans"):
        figure = plots.confusion(np.eye(4), names)
    labels = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert labels == ["cat", "Käfer", "class 2", "class 3"]
    figure.savefig(tmp_path / "confusion.png")  # without a warning of each character
