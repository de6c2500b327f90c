"""Two models side by side: values worked out by hand, and the checkpoints of a run."""

import dataclasses

import numpy as np
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.insight import classification_errors, compare_arrays, compare_errors, plots
from jaxcnn.layers import conv, dense, flatten, serial
from jaxcnn.modules.parameter_tree import arrays_of
from jaxcnn.training import checkpoint_models

NAMES = ("ant", "bee", "cat")
LABELS = np.array([0, 0, 1, 1, 2])
# Rows: corrected, corrected, broken, as before, another wrong class.
BEFORE = [[0.4, 0.6, 0], [0.1, 0.9, 0], [0, 1, 0], [0, 1, 0], [0.8, 0.1, 0.1]]
AFTER = [[0.6, 0.4, 0], [0.7, 0.3, 0], [0.75, 0.25, 0], [0, 1, 0], [0.1, 0.7, 0.2]]


@pytest.fixture
def before():
    return classification_errors(LABELS, np.array(BEFORE), NAMES)


@pytest.fixture
def changes(before):
    return compare_errors(before, classification_errors(LABELS, np.array(AFTER), NAMES))


@pytest.fixture
def network():
    return serial(conv(2, 2), flatten(), head=dense(2))


def test_changed_images_come_in_groups(changes):
    assert [change.row for change in changes.corrected] == [1, 0]  # by 0.6, then by 0.2
    assert [change.row for change in changes.broken] == [2]
    assert [change.row for change in changes.others] == [4]
    assert (changes.images, changes.accuracy_before, changes.accuracy_after) == (5, 0.4, 0.6)
    assert dataclasses.astuple(changes.others[0]) == (4, 2, 0, 1, 0.8, 0.7, 0.1, 0.2)
    # Of three tosses, two or more of one side.
    assert changes.p_value == pytest.approx(1)


def test_eight_corrections_are_no_chance():
    labels, wrong = np.zeros(8, int), np.tile([0.0, 1.0], (8, 1))
    pair = [classification_errors(labels, p, NAMES[:2]) for p in (wrong, 1 - wrong)]
    assert compare_errors(*pair).p_value == pytest.approx(2 / 2**8)
    assert compare_errors(pair[0], pair[0]).p_value == 1


def test_only_errors_of_the_same_images_are_compared(before):
    other = classification_errors(LABELS[::-1], np.array(BEFORE), NAMES)
    with pytest.raises(ValueError, match=r"of the same images.*5 and 5 images of 3 and 3 classes"):
        compare_errors(before, other)


def test_movement_of_arrays(network):
    first = network.build((2, 2, 1), rngs=nnx.Rngs(0))
    second = nnx.clone(first)
    first.conv_1.kernel[...] = np.zeros((2, 2, 1, 2), np.float32)
    first.conv_1.kernel[0, 0, 0] = np.array([3.0, 4.0])
    second.conv_1.kernel[...] = np.zeros((2, 2, 1, 2), np.float32)
    second.conv_1.kernel[0, 0, 0] = np.array([4.0, 3.0])
    second.head.bias[...] = np.array([0.0, 2.0], np.float32)
    found = {movement.name: movement for movement in compare_arrays(first, second)}
    assert list(found) == ["conv_1.bias", "conv_1.kernel", "head.bias", "head.kernel"]
    kernel, bias = found["conv_1.kernel"], found["head.bias"]
    assert (kernel.shape, kernel.norm_before, kernel.norm_after) == ((2, 2, 1, 2), 5, 5)
    assert kernel.distance == pytest.approx(np.sqrt(2))
    assert kernel.relative_distance == pytest.approx(np.sqrt(2) / 5)
    assert kernel.cosine == pytest.approx(24 / 25)
    assert (bias.norm_before, bias.norm_after, bias.distance) == (0, 2, 2)
    assert (bias.relative_distance, bias.cosine) == (None, None)
    assert found["head.kernel"].relative_distance == 0
    assert found["head.kernel"].cosine == pytest.approx(1)


def test_only_models_of_one_structure_are_compared(network):
    model = network.build((2, 2, 1), rngs=nnx.Rngs(0))
    other = serial(conv(3, 2), flatten(), head=dense(2)).build((2, 2, 1), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"differ in conv_1.bias, conv_1.kernel, head.kernel$"):
        compare_arrays(model, other)
    with pytest.raises(TypeError, match="after must be "):
        compare_arrays(model, network)


@pytest.mark.implicit_promotion
@pytest.mark.parametrize("ema", [None, 0.5])
def test_models_of_checkpoints(network, tmp_path, ema):
    model = network.build((2, 2, 1), rngs=nnx.Rngs(0))
    images = np.random.default_rng(0).random((8, 2, 2, 1), np.float32)
    data = images, (images.mean(axis=(1, 2, 3)) > 0.5).astype(int)
    result = cnn.fit(
        model, data, validation=data, run=tmp_path / "run", epochs=3, batch_size=4, ema=ema,
        progress=False, checkpoint_every=1,
    )  # fmt: skip
    found = checkpoint_models(tmp_path / "run")
    assert [(checkpoint.step, checkpoint.epochs) for checkpoint in found] == [(5, 2), (6, 3)]
    last = arrays_of(found[-1].model)
    for name, array in arrays_of(cnn.load(tmp_path / "run")).items():
        np.testing.assert_array_equal(last[name], array)
    assert result.epoch == 3
    other = serial(conv(3, 2), flatten(), head=dense(2)).build((2, 2, 1), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"of another model: conv_1.bias must .*\(3,\).*\(2,\)"):
        checkpoint_models(tmp_path / "run", into=other)
    with pytest.raises(ValueError, match="has no checkpoint"):
        checkpoint_models(tmp_path, into=other)


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes if axes.axison]


@pytest.mark.parametrize("channels", [1, 3])
def test_picture_of_changed_images(changes, tmp_path, channels):
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, channels), np.uint8)
    figure = plots.changed_images(images, changes, NAMES, most=1)
    assert titles(figure) == ["after: ant (70%)", "after: ant (75%)", "after: bee (70%)"]
    assert [axes.texts[0].get_text() for axes in figure.axes if axes.axison] == [
        "before: bee (90%)", "before: bee (100%)", "before: ant (80%)",
    ]  # fmt: skip
    assert [axes.get_xlabel() for axes in figure.axes if axes.axison] == ["", "", "truly cat"]
    assert [part.get_suptitle() for part in figure.subfigs] == [
        "2 wrong before, correct after, 1 shown",
        "1 correct before, wrong after",
        "1 wrong before and after, differently",
    ]
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    for image, row in zip(shown, (1, 2, 4), strict=True):
        np.testing.assert_array_equal(image, images[row].squeeze())
    figure.savefig(tmp_path / "changed.png")
    with pytest.raises(ValueError, match=r"must be the 5 that were compared. Received: 4"):
        plots.changed_images(images[:4], changes, NAMES)


def test_picture_of_no_changes(before, tmp_path):
    figure = plots.changed_images(np.zeros((5, 4, 4, 1)), compare_errors(before, before), NAMES)
    assert [axes.texts[0].get_text() for axes in figure.axes] == ["No prediction changed"]
    figure.savefig(tmp_path / "changed.png")


def test_picture_of_movements(network, tmp_path):
    first, second = (network.build((2, 2, 1), rngs=nnx.Rngs(seed)) for seed in (0, 1))
    moved = compare_arrays(first, second)
    figure = plots.movements(moved)
    distances, norms = figure.axes
    assert [label.get_text() for label in distances.get_yticklabels()] == [m.name for m in moved]
    widths = [bar.get_width() for bar in distances.patches]
    np.testing.assert_allclose(widths, [m.relative_distance or 0 for m in moved])
    before, after = norms.lines[-2:]
    np.testing.assert_allclose(before.get_xdata(), [m.norm_before for m in moved])
    np.testing.assert_allclose(after.get_xdata(), [m.norm_after for m in moved])
    figure.savefig(tmp_path / "moved.png")
    few = plots.movements(moved, most=3).axes[0]  # without biases
    assert [label.get_text() for label in few.get_yticklabels()] == ["conv_1.kernel", "head.kernel"]
    assert few.get_title(loc="left") == "Movement (2 of 4 arrays)"


def test_picture_of_kernels(tmp_path):
    before = np.zeros((1, 2, 3, 2))
    after = before + np.array([1.0, 3.0])
    figure = plots.kernels_before_and_after(before, after)
    images = [axes.images[0] for axes in figure.axes[:6]]
    shown = [np.asarray(image.get_array()) for image in images]
    # The second kernel moved most.
    for picture, value in zip(shown, (0, 0, 3, 1, 3, 1), strict=True):
        np.testing.assert_allclose(picture, np.full((1, 2), value))
    assert {image.get_clim() for image in images} == {(-3, 3)}
    figure.savefig(tmp_path / "kernels.png")
    sequence = plots.kernels_before_and_after(np.ones((5, 3, 4)), np.zeros((5, 3, 4)), most=2)
    assert sequence.axes[0].images[0].get_array().shape == (3, 5)
    with pytest.raises(ValueError, match=r"Received: shapes \(1, 2, 3, 2\) and \(2,\)"):
        plots.kernels_before_and_after(before, np.zeros(2))
