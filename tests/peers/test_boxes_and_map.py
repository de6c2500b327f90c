"""Box ops against torchvision, and mAP against faster-coco-eval, on random cases.

Boxes lie between whole numbers: many are equal, many have no area, and scores tie.
"""

import contextlib
import io

import jax
import jax.numpy as jnp
import numpy as np
import peer_zoo  # noqa: F401 – declares what torchvision compiles, so that it can be imported
import pytest
import torch
import torchvision.ops as peer

from jaxcnn import ops
from jaxcnn.training import average_precision

COUNT = 24


def boxes_of(random, *shape, empty=True):
    low = random.integers(0, 12, (*shape, 2))
    return np.concatenate([low, low + random.integers(0 if empty else 1, 9, (*shape, 2))], -1)


def drawn(cases, empty=True):
    random = np.random.default_rng(0)
    boxes = boxes_of(random, cases, COUNT, empty=empty).astype(np.float32)
    scores = random.choice(np.linspace(0.1, 0.9, 5), (cases, COUNT)).astype(np.float32)
    classes = random.integers(0, 3, (cases, COUNT)).astype(np.int32)
    return boxes, scores, classes


def lists(indices, chosen):
    pairs = zip(np.asarray(indices), np.asarray(chosen), strict=True)
    return [row[mask].tolist() for row, mask in pairs]


def kept_by_list(boxes, scores, threshold):
    """torchvision's algorithm (nms_kernel.cpp) in float32, as its wheel is of another PyTorch."""
    x1, y1, x2, y2 = boxes.T
    area = (x2 - x1) * (y2 - y1)
    order, kept = np.argsort(-scores, kind="stable"), []
    dropped = np.zeros(len(boxes), bool)
    for place, row in enumerate(order):
        if dropped[row]:
            continue
        kept.append(int(row))
        rest = order[place + 1 :]
        width = np.maximum(np.minimum(x2[row], x2[rest]) - np.maximum(x1[row], x1[rest]), 0)
        height = np.maximum(np.minimum(y2[row], y2[rest]) - np.maximum(y1[row], y1[rest]), 0)
        both = width * height
        with np.errstate(invalid="ignore"):  # of two boxes without area it is NaN, and not above
            dropped[rest] |= both / (area[row] + area[rest] - both) > np.float64(threshold)
    return kept


@pytest.mark.parametrize("cases", [500, pytest.param(20_000, marks=pytest.mark.long)])
def test_nms(cases):
    boxes, scores, classes = drawn(cases)
    # IoUs of 3/10 are above it in float32.
    threshold = 0.3
    single = jax.jit(jax.vmap(lambda b, s: ops.nms(b, s, threshold=threshold, limit=COUNT)))
    several = jax.jit(
        jax.vmap(lambda b, s, c: ops.nms(b, s, threshold=threshold, limit=COUNT, classes=c))
    )
    expected = [kept_by_list(b, s, threshold) for b, s in zip(boxes, scores, strict=True)]
    found = lists(*single(boxes, scores))
    assert sum(a != b for a, b in zip(found, expected, strict=True)) == 0
    by_class = lists(*several(boxes, scores, classes))
    bad = 0
    for b, s, c, mine in zip(boxes, scores, classes, by_class, strict=True):
        kept = []
        for number in range(3):
            rows = np.flatnonzero(c == number)
            kept += rows[kept_by_list(b[rows], s[rows], threshold)].tolist()
        bad += mine != sorted(kept, key=lambda row: (-s[row], row))
    assert bad == 0


def test_overlaps_areas_formats_and_codings():
    boxes, _, _ = drawn(500)
    others = np.roll(boxes, 1, axis=0)
    first, second = torch.tensor(boxes.reshape(-1, 4)), torch.tensor(others.reshape(-1, 4))
    area = np.asarray(peer.box_area(first))
    np.testing.assert_array_equal(ops.box_area(jnp.array(first)), area)
    np.testing.assert_array_equal(
        ops.clip_boxes(jnp.array(first), (9, 7)), peer.clip_boxes_to_image(first, (9, 7)).numpy()
    )
    for old in ops.BOX_FORMATS:
        for new in ops.BOX_FORMATS:
            mine = ops.convert_boxes(jnp.array(first), old, new)
            np.testing.assert_array_equal(mine, peer.box_convert(first, old, new).numpy())
    # Pairs of boxes without area, of which torchvision's is NaN, are 0.
    mine = ops.iou(jnp.array(first), jnp.array(second), pairwise=False)
    theirs = torch.stack([peer.box_iou(a, b).diagonal() for a, b in zip(
        first.split(COUNT), second.split(COUNT), strict=True)]).flatten()  # fmt: skip
    np.testing.assert_allclose(mine, torch.nan_to_num(theirs).numpy(), rtol=1e-6)
    mine = ops.giou(jnp.array(first), jnp.array(second), pairwise=False)
    theirs = 1 - peer.generalized_box_iou_loss(first, second)  # adds 1e-7 to denominators
    np.testing.assert_allclose(mine, theirs, atol=1e-5)
    picture = torch.tensor(boxes[0]), torch.tensor(others[0])
    theirs = peer.generalized_box_iou(*picture).numpy()
    mine = np.asarray(ops.giou(*map(jnp.array, picture)))
    known = ~np.isnan(theirs)  # NaN of two boxes without area
    assert known.mean() > 0.8
    np.testing.assert_allclose(mine[known], theirs[known], atol=1e-6)
    assert np.isfinite(mine).all()


def test_offsets_of_anchors():
    from torchvision.models.detection._utils import BoxCoder

    boxes, _, _ = drawn(1000, empty=False)
    boxes, anchors = torch.tensor(boxes.reshape(-1, 4)), torch.tensor(boxes[::-1].reshape(-1, 4))
    weights = (10.0, 10.0, 5.0, 5.0)
    coder = BoxCoder(weights)
    theirs = coder.encode_single(boxes, anchors)
    mine = ops.encode_boxes(jnp.array(boxes), jnp.array(anchors), weights=weights)
    np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)
    offsets = 30 * theirs  # beyond the largest growth of a side
    mine = ops.decode_boxes(jnp.array(offsets), jnp.array(anchors), weights=weights)
    np.testing.assert_allclose(mine, coder.decode_single(offsets, anchors), rtol=1e-4, atol=1e-2)


def soft_nms(boxes, scores, method, sigma, threshold, least):
    """The algorithm of the paper, over a list, in NumPy."""
    left, kept = list(range(len(boxes))), []
    scores = scores.astype(np.float64).copy()
    left = [i for i in left if scores[i] > least]
    while left:
        best = max(left, key=lambda i: (scores[i], -i))
        left.remove(best)
        kept.append((best, scores[best]))
        for other in left:
            pair = (torch.tensor(boxes[row][None]).double() for row in (best, other))
            share = float(torch.nan_to_num(peer.box_iou(*pair)))
            if method == "gaussian":
                scores[other] *= np.exp(-(share**2) / sigma)
            elif share >= threshold:
                scores[other] *= 1 - share
        left = [i for i in left if scores[i] > least]
    return kept


@pytest.mark.parametrize("method", ["linear", "gaussian"])
def test_soft_nms(method):
    """Scores differ, as rounding would decide between equal ones after a few products."""
    random = np.random.default_rng(1)
    cases = 40
    boxes = boxes_of(random, cases, 8).astype(np.float32)
    scores = random.permuted(np.tile(np.linspace(0.2, 0.9, 8), (cases, 1)), axis=1)
    scores = (scores + random.uniform(0, 0.01, scores.shape)).astype(np.float32)
    function = jax.jit(
        jax.vmap(lambda b, s: ops.soft_nms(b, s, limit=8, method=method, score_threshold=0.05))
    )
    for mine, box, score in zip(
        zip(*map(np.asarray, function(boxes, scores)), strict=True), boxes, scores, strict=True
    ):
        expected = soft_nms(box, score, method, 0.5, 0.3, 0.05)
        indices, lowered, chosen = mine
        assert indices[chosen].tolist() == [index for index, _ in expected]
        np.testing.assert_allclose(lowered[chosen], [value for _, value in expected], rtol=1e-5)


def pictures(random, count, classes):
    """Detections and boxes, most of them near each other, with ties, crowds and empty pictures."""
    boxes, found = 8, 20
    low = random.integers(0, 200, (count, boxes + found, 2))
    most = random.choice([20, 80, 200], (count, boxes + found, 1))
    corners = np.concatenate([low, low + random.integers(0, 201, low.shape) % most], axis=-1)
    label = random.integers(-1, classes, (count, boxes, 1))
    crowd = random.random((count, boxes, 1)) < 0.1
    truth = np.concatenate([corners[:, :boxes], label, crowd], axis=-1).astype(np.float32)
    source = np.take_along_axis(truth, random.integers(0, boxes, (count, found, 1)), axis=1)
    moved = source[..., :4] + random.integers(-4, 5, (count, found, 4)) * random.integers(
        0, 3, (count, found, 1)
    )
    moved[..., 2:] = np.maximum(moved[..., 2:], moved[..., :2])
    near = random.random((count, found, 1)) < 0.7
    scores = random.choice([0.1, 0.3, 0.5, 0.7, 0.9], (count, found, 1))
    other = random.integers(-1, classes, (count, found, 1))
    known = near & (random.random(near.shape) < 0.9)
    detections = np.concatenate(
        [
            np.where(near, moved, corners[:, boxes:]),
            scores,
            np.where(known, source[..., 4:5], other),
        ],
        axis=-1,
    ).astype(np.float32)
    truth[random.random(count) < 0.15, :, 4] = -1
    detections[random.random(count) < 0.15, :, 5] = -1
    return detections, truth


def coco_scores(detections, truth, classes):
    from faster_coco_eval import COCO, COCOeval_faster

    annotations, results = [], []
    for image, (found, boxes) in enumerate(
        zip(detections.astype(float).tolist(), truth.astype(float).tolist(), strict=True), 1
    ):
        for x1, y1, x2, y2, label, crowd in boxes:
            if label >= 0:
                annotations.append(
                    {
                        "id": len(annotations) + 1, "image_id": image,
                        "category_id": int(label) + 1, "bbox": [x1, y1, x2 - x1, y2 - y1],
                        "area": (x2 - x1) * (y2 - y1), "iscrowd": int(crowd),
                    }
                )  # fmt: skip
        results += [
            {
                "image_id": image, "category_id": int(label) + 1, "score": score,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
            }
            for x1, y1, x2, y2, score, label in found if label >= 0
        ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        content = {
            "images": [{"id": n + 1, "width": 400, "height": 400} for n in range(len(truth))],
            "categories": [{"id": n + 1, "name": str(n)} for n in range(classes)],
            "annotations": annotations,
        }
        known = COCO(content)
        evaluation = COCOeval_faster(known, known.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


@pytest.mark.parametrize("cases", [4, pytest.param(200, marks=pytest.mark.long)])
def test_average_precision(cases):
    """40 pictures at a time."""
    worst, classes = 0.0, 3
    for seed in range(cases):
        detections, truth = pictures(np.random.default_rng(seed), 40, classes)
        mine = average_precision(detections, truth, classes)
        theirs = coco_scores(detections, truth, classes)
        precision = np.nan_to_num(mine.precision, nan=-1)
        worst = max(worst, np.abs(precision - theirs.eval["precision"][..., 0, 2]).max())
        values = [mine.mean, mine.mean_50, mine.mean_75, mine.small, mine.medium, mine.large]
        stats = np.nan_to_num([*values, mine.recall], nan=-1)
        worst = max(worst, np.abs(stats - np.array(theirs.stats)[[0, 1, 2, 3, 4, 5, 8]]).max())
        assert 0.05 < mine.mean < 0.95
    assert worst < 1e-9
