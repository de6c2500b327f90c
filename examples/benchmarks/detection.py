"""Train our light detector and torchvision's FCOS for the same processor time on the same scenes.

``nice python examples/benchmarks/detection.py [--seconds 240] [--only ours|torchvision]``

The scenes are those of ``examples/digit_detector.py``. Torchvision's FCOS has a ResNet-18 with a
feature pyramid at strides of 8, 16 and 32, from scratch, without resizing. Time is that of the
processor, all threads together, so that other programs on the machine do not count; data,
compilation and five steps by which the length of the learning rate's cycle is chosen do not count
either. Both are scored by the same function on the same held-out scenes, in the same form:
torchvision's outputs are made rows of locations, and ``cnn.training.detections`` makes boxes.
"""

import argparse
import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import optax
from flax import nnx

import jaxcnn as cnn
from jaxcnn.data.object_boxes import to_rows

sys.path.insert(0, str(Path(__file__).parents[1]))
from digit_detector import SIDE, train_and_test_scenes

BATCH, CLASSES, WARM = 16, 10, 5
Outputs = Callable[[np.ndarray], np.ndarray]


def batch_numbers(count: int, steps: int) -> np.ndarray:
    """Return the rows of each step, in a random order."""
    rng = np.random.default_rng(0)
    rounds = -(-steps * BATCH // count)
    order = np.concatenate([rng.permutation(count) for _ in range(rounds)])
    return order[: steps * BATCH].reshape(steps, BATCH)


def ours(data: cnn.Dataset, seconds: float) -> tuple[int, Outputs]:
    """Return the number of steps, and the trained network."""
    model = cnn.models.create("fcos_small", num_classes=CLASSES).build(
        data.image_shape, rngs=nnx.Rngs(0)
    )
    labels = to_rows(data.labels)

    def run(steps: int) -> tuple[float, nnx.Module]:
        rate = optax.cosine_onecycle_schedule(max(steps, WARM), 0.003)
        loss = functools.partial(cnn.training.detection, size_per_stride=4.0)
        training = cnn.make_training(model, optax.adamw(rate, weight_decay=1e-4), loss=loss)
        state, start = training.init(jax.random.key(0)), time.process_time()
        for index, rows in enumerate(batch_numbers(len(data), steps)):
            if index == 1:  # the first step compiles
                start = time.process_time()
            batch = cnn.Batch(data.images[rows], labels[rows], np.ones(BATCH, bool))
            state, metrics = training.step(state, batch)
            jax.block_until_ready(metrics)
        return (time.process_time() - start) / max(steps - 1, 1), state.to_model(model)

    per_step, _ = run(WARM)
    steps = max(int(seconds / per_step), WARM)
    per_step, trained = run(steps)
    print(f"ours: {steps} steps of {BATCH}, {per_step:.2f} s of processor time each")
    return steps, lambda images: cnn.predict(trained, images, activation=None, batch_size=64)


def torchvision_fcos(data: cnn.Dataset, seconds: float) -> tuple[int, Outputs]:
    """Return the same of torchvision's FCOS."""
    import torch

    try:
        import torchvision
    except RuntimeError:  # compiled for another build of PyTorch: its NMS is not needed here
        from torchvision_operations import declare_operations

        declarations.append(declare_operations())
        import torchvision
    from torchvision.models.detection import FCOS
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    assert torchvision
    torch.manual_seed(0)
    backbone = resnet_fpn_backbone(
        backbone_name="resnet18", weights=None, norm_layer=torch.nn.BatchNorm2d,
        trainable_layers=5, returned_layers=[2, 3, 4],
    )  # fmt: skip
    strides = (8, 16, 32, 64)  # the backbone adds a level by pooling
    anchors = torchvision.models.detection.anchor_utils.AnchorGenerator(
        tuple((stride,) for stride in strides), ((1.0,),) * len(strides)
    )
    model = FCOS(backbone, CLASSES, anchor_generator=anchors, min_size=SIDE, max_size=SIDE)
    labels = to_rows(data.labels)

    def tensors(images: np.ndarray) -> list[torch.Tensor]:
        return list(torch.as_tensor(images).permute(0, 3, 1, 2).float() / 255)

    def target(rows: np.ndarray) -> dict[str, torch.Tensor]:
        real = torch.as_tensor(rows[rows[:, 4] >= 0])
        return {"boxes": real[:, :4], "labels": real[:, 4].long()}

    def run(steps: int) -> float:
        optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=1e-4)
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, max(steps, WARM))
        model.train()
        start = time.process_time()
        for rows in batch_numbers(len(data), steps):
            losses = model(tensors(data.images[rows]), [target(each) for each in labels[rows]])
            optimizer.zero_grad()
            sum(losses.values()).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 10)
            optimizer.step()
            cycle.step()
        return (time.process_time() - start) / steps

    first = {name: array.clone() for name, array in model.state_dict().items()}
    per_step = run(WARM)
    model.load_state_dict(first)
    steps = max(int(seconds / per_step), WARM)
    per_step = run(steps)
    print(f"torchvision: {steps} steps of {BATCH}, {per_step:.2f} s of processor time each")
    model.eval()

    @torch.no_grad()
    def outputs(images: np.ndarray) -> np.ndarray:
        found = []
        for start in range(0, len(images), 50):
            batch, _ = model.transform(tensors(images[start : start + 50]))
            maps = list(model.backbone(batch.tensors).values())
            head = model.head(maps)
            box = model.anchor_generator(batch, maps)[0]
            stride = (box[:, 2] - box[:, 0])[:, None]
            middle = (box[:, :2] + box[:, 2:]) / 2
            # Its locations are at the corners of the cells; ours are in the middle.
            place = torch.cat([middle + stride / 2, stride], dim=1)
            shift = torch.cat([stride, stride, -stride, -stride], dim=1) / 2
            distances = head["bbox_regression"] * stride + shift
            place = place.expand(len(distances), *place.shape)
            parts = [place, distances, head["bbox_ctrness"], head["cls_logits"]]
            found.append(torch.cat(parts, dim=-1).numpy())
        return np.concatenate(found)

    return steps, outputs


declarations: list[object] = []
CONTENDERS = {"ours": ours, "torchvision": torchvision_fcos}


def main(seconds: float, names: list[str], count: int = 12_000) -> None:
    """Train the contenders and print their scores."""
    training, test = train_and_test_scenes(count)
    truth = to_rows(test.labels)
    for name in names:
        steps, outputs = CONTENDERS[name](training, seconds)
        found = np.asarray(cnn.training.detections(outputs(np.asarray(test.images))))
        scores = cnn.training.average_precision(found, truth, CLASSES)
        print(
            f"{name}: {seconds:.0f} s of processor time, {steps * BATCH:,} pictures: "
            f"mAP@0.5 {scores.mean_50:.3f}, mAP@[.5:.95] {scores.mean:.3f}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=240, help="processor time of each")
    parser.add_argument("--only", choices=list(CONTENDERS))
    parser.add_argument("--scenes", type=int, default=12_000)
    chosen = parser.parse_args()
    main(chosen.seconds, [chosen.only] if chosen.only else list(CONTENDERS), chosen.scenes)
