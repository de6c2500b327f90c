"""Pictures of masks show each class in its color, and the worst images first."""

import numpy as np
import pytest

from jaxcnn.insight import image_iou, plots

NAMES = ["ground", "disk", "$box$"]


def scene():
    labels = np.zeros((3, 12, 16), np.uint8)
    labels[:, 2:8, 2:8], labels[:, 4:10, 10:15], labels[:, 11] = 1, 2, 255
    predictions = np.where(labels == 255, 0, labels)
    predictions[1, :, :9] = 0
    predictions[2, 2:8, 2:5] = 0
    return np.full((3, 12, 16, 1), 99, np.uint8), predictions, labels


def test_iou_of_each_image():
    _, predictions, labels = scene()
    found = image_iou(predictions, labels, 4)
    for n in range(3):
        for number in range(4):
            true, guess = labels[n] == number, (predictions[n] == number) & (labels[n] != 255)
            union = (true | guess).sum()
            expected = (true & guess).sum() / union if union else np.nan
            np.testing.assert_allclose(found[n, number], expected)
    with pytest.raises(ValueError, match="must have the shape of the labels"):
        image_iou(predictions[:2], labels, 3)


def test_masks_lie_over_the_image(tmp_path):
    images, predictions, labels = scene()
    figure = plots.segmentation(images, predictions, labels, class_names=NAMES, most=2)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:3] == ["image 0", "true", "predicted, mean IoU 100.0%"]
    assert len(figure.axes) == 6
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["disk", "$box$", "void"]
    overlay = figure.axes[1].images[1].get_array()
    assert (overlay[labels[0] == 0, 3] == 0).all()  # the background has no color
    disk, box = (overlay[labels[0] == number] for number in (1, 2))
    assert len(np.unique(disk[:, :3], axis=0)) == len(np.unique(box[:, :3], axis=0)) == 1
    assert not np.allclose(disk[0, :3], box[0, :3])
    assert overlay[2, 2, 3] == 1 > overlay[4, 4, 3] > 0  # a contour, and what is within
    figure.savefig(tmp_path / "masks.png")
    scores = np.eye(3)[predictions]
    alone = plots.segmentation(images, scores, class_names=NAMES, background=None)
    assert len(alone.axes) == 6
    np.testing.assert_array_equal(
        alone.axes[1].images[1].get_array()[..., 3] > 0, np.ones((12, 16), bool)
    )
    with pytest.raises(ValueError, match="labels must be masks of the size"):
        plots.segmentation(images, predictions, labels[:, :5], class_names=NAMES)


def test_the_worst_images_are_first():
    images, predictions, labels = scene()
    figure = plots.worst_segmentations(images, predictions, labels, class_names=NAMES, most=2)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[::3] == ["image 1", "image 2"]
    mean = np.nanmean(image_iou(predictions, labels, 3)[1])
    assert titles[2] == f"predicted, mean IoU {mean:.1%}"


def test_bars_of_classes():
    figure = plots.class_iou(np.array([0.9, np.nan, 0.5]), NAMES)
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == [0.9, 0.5]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["ground", "$box$"]
    assert axes.get_title(loc="left") == "Intersection over union: mean 70.0%"
    many = plots.class_iou(np.linspace(0, 1, 50), [f"class {n}" for n in range(50)])
    assert len(many.axes[0].patches) == 40
    assert many.axes[0].get_title(loc="left").endswith("mean 50.0%; the lowest 40 of 50")
    with pytest.raises(ValueError, match="iou must be one number per class"):
        plots.class_iou(np.array([np.nan]), ["a"])
