"""The detector's targets, loss and detections against those of torchvision's FCOS."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import peer_zoo
import pytest
import torch
from flax import nnx
from torchvision.models.detection import fcos
from torchvision.ops import generalized_box_iou_loss

from jaxcnn import models
from jaxcnn.training import detection, detections
from jaxcnn.training.detection_loss import CLASSES, assign

SIDE, STRIDES, NUM_CLASSES, MOST, BATCH = 128, (4, 8, 16), 3, 6, 32
CODER = fcos.det_utils.BoxLinearCoder(normalize_by_size=True)
# Of the fast form, and of the long one.
batches = pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(n, marks=pytest.mark.long) for n in range(2, 100))]
)


def places():
    """The middle and the stride of every location."""
    rows = []
    for stride in STRIDES:
        y, x = np.meshgrid(*[np.arange(stride / 2, SIDE, stride)] * 2, indexing="ij")
        rows.append(np.column_stack([x.ravel(), y.ravel(), np.full(x.size, stride)]))
    return np.concatenate(rows).astype(np.float32)


PLACES = places()
COUNTS = [(SIDE // stride) ** 2 for stride in STRIDES]
ANCHORS = torch.as_tensor(
    np.concatenate([PLACES[:, :2] - PLACES[:, 2:] / 2, PLACES[:, :2] + PLACES[:, 2:] / 2], axis=1)
)


def case(seed):
    """Outputs and labels: some pictures are empty, some boxes overlap, some are within others."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, SIDE - 4, (BATCH, MOST, 2))
    size = np.exp(rng.uniform(np.log(3), np.log(SIDE), (BATCH, MOST, 2)))
    corners = np.concatenate([low, np.minimum(low + size, SIDE)], axis=-1)
    label = rng.integers(-1, NUM_CLASSES, (BATCH, MOST, 1)) * rng.integers(0, 2, (BATCH, 1, 1))
    label = np.where(rng.random((BATCH, 1, 1)) < 0.1, -1, label)
    # Torchvision compares 10⁸ − area in float32, so that areas less than 8 apart may be equal.
    area = np.prod(corners[..., 2:] - corners[..., :2], axis=-1)
    near = np.abs(area[:, :, None] - area[:, None]) < 16
    label[np.any(near & np.tri(MOST, k=-1, dtype=bool), axis=-1)] = -1
    labels = np.concatenate([corners, label, np.zeros_like(label)], axis=-1).astype(np.float32)
    numbers = rng.normal(size=(BATCH, len(PLACES), 5 + NUM_CLASSES)).astype(np.float32)
    numbers[..., :4] = PLACES[:, 2:] * np.exp(numbers[..., :4])
    place = np.broadcast_to(PLACES, (BATCH, *PLACES.shape))
    return np.concatenate([place, numbers], axis=-1), labels


def to_targets(labels):
    real = labels[labels[:, 4] >= 0]
    return {"boxes": torch.as_tensor(real[:, :4]), "labels": torch.as_tensor(real[:, 4]).long()}


def to_head(outputs):
    each = torch.as_tensor(outputs)
    regression = each[..., 3:7] / each[..., 2:3]
    return {
        "cls_logits": each[..., CLASSES:],
        "bbox_regression": regression,
        "bbox_ctrness": each[..., 7:8],
    }


def matched_by_peer(targets, head):
    """The box of each location of each picture, -1 for none."""
    found = []

    def keep(targets, head, anchors, matched):
        found.extend(matched)

    peer = SimpleNamespace(center_sampling_radius=1.5, head=SimpleNamespace(compute_loss=keep))
    fcos.FCOS.compute_loss(peer, targets, head, [ANCHORS] * len(targets), COUNTS)
    return found


assigned = jax.jit(lambda outputs, labels: assign(outputs, labels, radius=1.5, size_per_stride=8.0))
loss_of = jax.jit(detection)


@batches
def test_targets_and_loss(seed):
    outputs, labels = case(seed)
    targets, head = [to_targets(each) for each in labels], to_head(outputs)
    matched = matched_by_peer(targets, head)
    ours = jax.tree.map(np.asarray, assigned(jnp.asarray(outputs), jnp.asarray(labels)))
    losses = np.asarray(loss_of(jnp.asarray(outputs), jnp.asarray(labels)))
    peer = SimpleNamespace(box_coder=CODER)
    for index, (target, match) in enumerate(zip(targets, matched, strict=True)):
        chosen = match.numpy() >= 0
        assert np.array_equal(ours.positive[index], chosen)
        rows = match.numpy()[chosen]
        assert np.array_equal(ours.label[index][chosen], target["labels"].numpy()[rows])
        place, distances = PLACES[chosen, :2], ours.distances[index][chosen]
        truth = target["boxes"].numpy()[rows]
        assert np.allclose(place - distances[:, :2], truth[:, :2], atol=1e-4)
        assert np.allclose(place + distances[:, 2:], truth[:, 2:], atol=1e-4)
        alone = {name: array[index : index + 1] for name, array in head.items()}
        theirs = fcos.FCOSHead.compute_loss(peer, [target], alone, [ANCHORS], [match])
        expected = float(theirs["classification"])
        if chosen.any():
            # Theirs is not weighted by the centerness, as the paper is.
            sides = distances[:, :2], distances[:, 2:]
            shares = np.minimum(*sides) / np.maximum(*sides)
            weight = np.sqrt(shares.prod(axis=1))
            given = outputs[index][chosen]
            boxes = np.concatenate([place - given[:, 3:5], place + given[:, 5:7]], axis=1)
            each = generalized_box_iou_loss(*map(torch.as_tensor, (boxes, truth))).numpy()
            expected += float(theirs["bbox_ctrness"]) + (weight * each).sum() / weight.sum()
        assert np.isclose(losses[index], expected, rtol=2e-5)


def suppressed(boxes, scores, labels, threshold):
    """What torchvision's compiled batched_nms returns, one box after the other."""
    kept = []
    for index in torch.argsort(scores, descending=True, stable=True).tolist():
        same = [k for k in kept if labels[k] == labels[index]]
        overlaps = fcos.box_ops.box_iou(boxes[index][None], boxes[same])[0] if same else None
        if overlaps is None or not bool((overlaps > threshold).any()):
            kept.append(index)
    return torch.tensor(kept, dtype=torch.int64)


found_in = jax.jit(lambda outputs: detections(outputs, limit=50, score_threshold=0.4))


@batches
def test_detections(seed, monkeypatch):
    monkeypatch.setattr(fcos.box_ops, "batched_nms", suppressed)
    outputs = case(seed)[0][:2]
    outputs[..., CLASSES:] -= 2  # a few hundred above the threshold
    head = {name: list(array.split(COUNTS, dim=1)) for name, array in to_head(outputs).items()}
    options = {"score_thresh": 0.4, "topk_candidates": 4096, "nms_thresh": 0.6}
    peer = SimpleNamespace(**options, detections_per_img=50, box_coder=CODER)
    anchors = [list(ANCHORS.split(COUNTS))] * 2
    theirs = fcos.FCOS.postprocess_detections(peer, head, anchors, [(SIDE, SIDE)] * 2)
    ours = np.asarray(found_in(jnp.asarray(outputs)))
    for found, each in zip(ours, theirs, strict=True):
        count = len(each["scores"])
        assert (found[count:, 5] == -1).all()
        assert np.array_equal(found[:count, 5], each["labels"].numpy())
        assert np.allclose(found[:count, 4], each["scores"].numpy(), atol=1e-6)
        assert np.allclose(found[:count, :4], each["boxes"].numpy(), atol=1e-3)


@pytest.mark.long
def test_encoder_weights_are_used(tmp_path):
    """The maps of timm's network of the same weights, random ones."""
    timm = peer_zoo.timm
    theirs = timm.create_model("resnet18", features_only=True, out_indices=(2, 3, 4)).eval()
    whole = timm.create_model("resnet18")
    whole.load_state_dict(theirs.state_dict(), strict=False)
    torch.save(whole.state_dict(), tmp_path / "resnet18.pt")
    net = models.create(
        "fcos", encoder="resnet18", encoder_weights=tmp_path / "resnet18.pt", num_classes=2,
        levels=(8, 16, 32), features=32, depth=1,
    )  # fmt: skip
    model = net.build((64, 64, 3), rngs=nnx.Rngs(0))
    images = np.random.default_rng(0).uniform(size=(1, 64, 64, 3)).astype(np.float32)
    normalized = (images - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    expected = theirs(torch.as_tensor(normalized.transpose(0, 3, 1, 2)).float())
    for ours, each in zip(model.body(images), expected, strict=True):
        assert np.allclose(ours, each.detach().numpy().transpose(0, 2, 3, 1), atol=1e-4)
