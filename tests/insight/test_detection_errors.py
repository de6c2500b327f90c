"""Mistakes of a detector by kind, each made by hand, and their pictures."""

import numpy as np
import pytest

from jaxcnn.insight import detection_errors, plots
from jaxcnn.training import average_precision

NAMES = ("cat", "dog")
BOXES = np.array([[0, 0, 20, 20, 0, 0], [40, 0, 60, 20, 1, 0], [0, 40, 40, 80, 0, 1]], float)


def errors_of(*found, truth=BOXES, **options):
    rows = np.zeros((1, max(len(found), 1), 6))
    rows[..., 5] = -1
    for number, row in enumerate(found):
        rows[0, number] = row
    return detection_errors(rows, truth[None], NAMES, **options)


RIGHT = [(0, 0, 20, 18, 0.9, 0), (40, 0, 60, 20, 0.8, 1)]


def kinds(errors):
    return [mistake.kind for mistake in errors.mistakes]


def test_no_mistake():
    errors = errors_of(*RIGHT)
    assert (errors.boxes, errors.detections, errors.right, errors.mistakes) == (2, 2, 2, ())


@pytest.mark.parametrize(
    ("found", "kind", "label", "iou"),
    [
        ((0, 0, 20, 20, 0.5, 0), "twice", 0, 1),
        ((0, 0, 20, 20, 0.5, 1), "wrong class", 0, 1),
        ((0, 0, 20, 5, 0.5, 0), "loose", 0, 0.25),
        ((0, 0, 20, 5, 0.5, 1), "both", 0, 0.25),
        ((80, 80, 90, 90, 0.5, 0), "background", None, 0),
        ((0, 0, 20, 1, 0.5, 0), "background", None, 0),  # an IoU of 0.05
    ],
)
def test_kinds_by_hand(found, kind, label, iou):
    errors = errors_of(*RIGHT, found)
    assert (kinds(errors), errors.right, errors.detections) == ([kind], 2, 3)
    mistake = errors.mistakes[0]
    assert (mistake.label, mistake.iou) == (label, iou)
    assert (mistake.predicted, mistake.score, mistake.detection) == (found[5], 0.5, found[:4])
    assert errors.counts[kind] == 1 == len(errors.of_kind(kind))


def test_missed_boxes_and_those_that_another_mistake_is_about():
    assert kinds(errors_of()) == ["missed", "missed"]
    assert kinds(errors_of(RIGHT[0])) == ["missed"]
    assert kinds(errors_of(RIGHT[0], (40, 0, 60, 20, 0.8, 0))) == ["wrong class"]
    assert kinds(errors_of(RIGHT[0], (40, 0, 60, 5, 0.8, 1))) == ["loose"]
    assert kinds(errors_of(*RIGHT, score_threshold=0.85)) == ["missed"]


def test_detections_within_a_crowd_do_not_count():
    errors = errors_of(*RIGHT, (0, 40, 20, 60, 0.7, 0), (20, 60, 40, 80, 0.6, 0))
    assert (errors.detections, errors.mistakes) == (2, ())
    assert kinds(errors_of(*RIGHT, (0, 40, 20, 60, 0.7, 1))) == ["background"]


def test_the_most_confident_mistakes_first():
    errors = errors_of((80, 80, 90, 90, 0.4, 0), (60, 60, 70, 70, 0.9, 1))
    assert [mistake.score for mistake in errors.mistakes] == [0.9, 0.4, 0, 0]


def test_wrong_arguments():
    with pytest.raises(ValueError, match="class_names must be one per class"):
        detection_errors(np.zeros((1, 1, 6)), np.full((1, 1, 6), 3.0), ["cat"])
    with pytest.raises(ValueError, match="kind must be"):
        errors_of().of_kind("mised")
    with pytest.raises(ValueError, match="of the 1 images"):
        plots.detections(np.zeros((1, 8, 8, 1)), np.zeros((1, 1, 4)), class_names=NAMES)
    with pytest.raises(ValueError, match="images must be"):
        plots.detections(np.zeros((1, 8, 8)), np.zeros((1, 1, 6)), class_names=NAMES)
    with pytest.raises(ValueError, match="those of the errors"):
        plots.worst_detections(np.zeros((0, 8, 8, 1)), errors_of())


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_pictures_hold_the_boxes_the_classes_and_the_counts():
    images = np.zeros((1, 90, 90, 1), np.uint8)
    found = np.array([[*RIGHT, (80, 80, 90, 90, 0.2, 0)]], float)
    figure = plots.detections(images, found, BOXES[None], class_names=NAMES)
    assert sorted(texts(figure)) == ["cat 90%", "dog 80%"]
    boxes = [patch.get_bbox().bounds for patch in figure.axes[0].patches]
    assert sorted(boxes)[:2] == [(-0.5, -0.5, 20, 18), (-0.5, -0.5, 20, 20)]
    styles = [patch.get_linestyle() for patch in figure.axes[0].patches]
    assert sorted(styles) == ["-", "-", "--", "--", ":"]
    errors = errors_of(RIGHT[0], (0, 0, 20, 5, 0.5, 1))
    assert texts(plots.detection_errors(errors)) == ["1", "0", "0", "0", "1", "0"]
    worst = plots.worst_detections(images, errors)
    titles = [axes.get_title() or axes.get_title(loc="left") for axes in worst.axes]
    assert titles == ["missed", "wrong class, loose"]
    curves = plots.precision_recall(average_precision(found, BOXES[None], 2), class_names=NAMES)
    legend = [text.get_text() for text in curves.legends[0].get_texts()]
    assert legend[0] == "IoU 0.5: AP 100.0%"
    assert plots.worst_detections(images, errors_of(*RIGHT)).get_suptitle().startswith("0 mistakes")
