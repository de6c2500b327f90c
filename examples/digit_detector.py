"""Find and read handwritten digits in photographs with a detector trained from scratch.

``python examples/digit_detector.py [--short] [--picture detections.png] [--run folder]``

A scene is a crop of a photograph of 128×128 pixels with 1 to 6 digits of 14 to 48 pixels, in
training up to 12. Digits are scikit-learn's 1,797 pictures of 8×8 pixels, enlarged; in order of its
rows, which are in the order of the writers, the last fifth is held out. Photographs are those of
scikit-learn and scikit-image; two are held out. A digit is mixed into the photograph with the one
of five random colors that differs most from what is behind it. Its box is that of its stroke: the
pixels whose opacity is above 30 % of its largest.
"""

import argparse
import functools
import time
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx
from PIL import Image, ImageDraw
from skimage import data as skimage_data
from sklearn.datasets import load_digits, load_sample_image

import jaxcnn as cnn

SIDE = 128  # pixels of a scene
SMALLEST, LARGEST = 14, 48  # pixels of a digit's height
MOST = 6  # digits in a scene
STROKE = 0.3  # share of the largest opacity that belongs to the box


def photographs() -> tuple[list[Image.Image], list[Image.Image]]:
    """Return photographs for training, and held-out ones."""
    training = [load_sample_image("china.jpg"), skimage_data.stereo_motorcycle()[0]]
    names = (
        "camera", "coffee", "chelsea", "rocket", "hubble_deep_field", "brick", "grass", "gravel",
        "retina", "immunohistochemistry", "moon", "colorwheel",
    )  # fmt: skip
    training += [getattr(skimage_data, name)() for name in names]
    held_out = [load_sample_image("flower.jpg"), skimage_data.astronaut()]

    def in_color(photos: list[np.ndarray]) -> list[Image.Image]:
        return [Image.fromarray(photo).convert("RGB") for photo in photos]

    return in_color(training), in_color(held_out)


def crop(rng: np.random.Generator, photos: list[Image.Image]) -> np.ndarray:
    """Return a random crop of a random photograph, ``(SIDE, SIDE, 3)`` from 0 to 1."""
    photo = photos[rng.integers(len(photos))]
    side = int(rng.uniform(SIDE * 0.75, min(photo.size)))
    left, top = (int(rng.integers(room - side + 1)) for room in photo.size)
    box = (left, top, left + side, top + side)
    pixels = np.asarray(photo.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box), np.float32)
    return pixels[:, :: rng.choice([-1, 1])] / 255


def varied_crop(rng: np.random.Generator, photos: list[Image.Image]) -> np.ndarray:
    """Return a crop that is turned, and whose colors are exchanged and changed in brightness."""
    pixels = np.rot90(crop(rng, photos), int(rng.integers(4)))
    pixels = pixels[..., rng.permutation(3)] ** rng.uniform(0.5, 2, 3).astype(np.float32)
    return 1 - pixels if rng.random() < 0.3 else pixels


def training_background(rng: np.random.Generator, photos: list[Image.Image]) -> np.ndarray:
    """Return two varied crops that meet along the contours of smooth noise.

    There are few photographs: the contours are shapes of every size that are no digits.
    """
    noise = rng.random([rng.integers(2, 20)] * 2, np.float32)
    smooth = Image.fromarray(noise).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    sharpness, level = np.exp(rng.uniform(0, 3.5)), rng.uniform(0.2, 0.8)
    share = np.clip((np.asarray(smooth) - level) * sharpness + 0.5, 0, 1)[..., None]
    return share * varied_crop(rng, photos) + (1 - share) * varied_crop(rng, photos)


def stroke(rng: np.random.Generator, digit: np.ndarray) -> np.ndarray:
    """Return the opacity of a digit of random size and aspect, cut to the box of its stroke."""
    height = rng.uniform(SMALLEST, LARGEST)
    size = round(height * rng.uniform(0.75, 1.1)), round(height)
    picture = Image.fromarray(np.uint8(np.pad(digit, 1) * (255 / 16)))
    # The enlarged picture, turned and sheared a little about its middle.
    angle, shear = rng.normal(0, 0.1), rng.normal(0, 0.1)
    turn = np.array([[np.cos(angle), np.sin(angle) + shear], [-np.sin(angle), np.cos(angle)]])
    turn = turn * (8 / np.array(size))
    frame = round(size[0] * 1.6), round(size[1] * 1.6)
    offset = 5 - turn @ (np.array(frame) / 2)
    matrix = (*turn[0], offset[0], *turn[1], offset[1])
    enlarged = picture.transform(frame, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    opacity = np.asarray(enlarged, np.float32) / 255
    rows, columns = np.nonzero(opacity > STROKE * opacity.max())
    return opacity[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def legible_color(rng: np.random.Generator, behind: np.ndarray) -> np.ndarray:
    """Return that of five random colors which differs most from the pixels behind a stroke.

    What counts is the difference that nine tenths of the pixels ``(count, 3)`` exceed.
    """
    colors = rng.random((5, 1, 3), np.float32)
    differences = abs(colors - behind).mean(axis=-1)
    color: np.ndarray = colors[np.quantile(differences, 0.1, axis=1).argmax(), 0]
    return color


def scene(
    rng: np.random.Generator,
    photos: list[Image.Image],
    digits: np.ndarray,
    labels: np.ndarray,
    training: bool,
) -> tuple[np.ndarray, list[tuple[int, ...]], list[int]]:
    """Return a picture ``(SIDE, SIDE, 3)`` uint8, the boxes of its digits, and their classes."""
    pixels = (training_background if training else crop)(rng, photos).copy()
    boxes: list[tuple[int, ...]] = []
    found: list[int] = []
    for _ in range(rng.integers(1, (2 * MOST if training else MOST) + 1)):
        index = rng.integers(len(digits))
        opacity = stroke(rng, digits[index])
        height, width = opacity.shape
        for _ in range(10):  # places, until one is free
            x, y = int(rng.integers(SIDE - width + 1)), int(rng.integers(SIDE - height + 1))
            if all(
                x > x2 or x + width < x1 or y > y2 or y + height < y1 for x1, y1, x2, y2 in boxes
            ):
                break
        else:
            continue
        behind = pixels[y : y + height, x : x + width]
        color = legible_color(rng, behind[opacity > STROKE * opacity.max()])
        opacity = np.minimum(opacity * rng.uniform(0.8, 1.2), 1)[..., None]
        behind[:] = (1 - opacity) * behind + opacity * color
        boxes.append((x, y, x + width, y + height))
        found.append(int(labels[index]))
    return (pixels * 255 + 0.5).astype(np.uint8), boxes, found


def scenes(seed: int, count: int, *sources: Any) -> cnn.Dataset:
    """Return a data set of `count` scenes of photographs, digits and their classes."""
    rng = np.random.default_rng(seed)
    images = np.empty((count, SIDE, SIDE, 3), np.uint8)
    boxes, found = [], []
    for index in range(count):
        images[index], corners, classes = scene(rng, *sources)
        boxes.append(corners)
        found.append(classes)
    labels = cnn.data.box_labels(boxes, found, most=2 * MOST)
    return cnn.Dataset(images, labels, class_names=tuple("0123456789"))


def train_and_test_scenes(count: int) -> tuple[cnn.Dataset, cnn.Dataset]:
    """Return `count` scenes, and a 24th of it with held-out digits and photographs."""
    digits, labels = load_digits(return_X_y=True)
    digits = digits.reshape(-1, 8, 8)
    first_held_out = len(digits) * 4 // 5
    photos, other_photos = photographs()
    training = photos, digits[:first_held_out], labels[:first_held_out], True
    test = other_photos, digits[first_held_out:], labels[first_held_out:], False
    return scenes(0, count, *training), scenes(2, count // 24, *test)


def train(training: cnn.Dataset, epochs: int, run: Path | None = None) -> nnx.Module:
    """Return a detector that is trained on the scenes."""
    network = cnn.models.create("fcos_small", num_classes=10)
    model = network.build(training.image_shape, rngs=nnx.Rngs(0))
    # Digits of up to about 28 pixels belong to the level of 4 pixels, larger ones to that of 8.
    loss = functools.partial(cnn.training.detection, size_per_stride=4.0)
    return cnn.fit(
        model, training, loss=loss, epochs=epochs, batch_size=16,
        optimizer="adamw", learning_rate=0.003, ema=0.99, run=run,
    ).model  # fmt: skip


def draw(images: np.ndarray, found: np.ndarray, threshold: float = 0.4) -> Image.Image:
    """Return pictures in rows of six, with the boxes of a score above the threshold."""
    tiles = []
    for pixels, boxes in zip(images, found, strict=True):
        picture = Image.fromarray(pixels).resize((2 * SIDE, 2 * SIDE))
        pen = ImageDraw.Draw(picture)
        for *corners, score, label in boxes[boxes[:, 4] > threshold].tolist():
            x1, y1, x2, y2 = (2 * corner for corner in corners)
            pen.rectangle((x1, y1, x2, y2), outline="lime", width=2)
            text, place = f"{label:.0f} {score:.2f}", (x1 + 2, max(y1 - 12, 0))
            pen.rectangle(pen.textbbox(place, text), fill="black")
            pen.text(place, text, fill="white")
        tiles.append(np.asarray(picture))
    rows = [np.concatenate(tiles[start : start + 6], axis=1) for start in range(0, len(tiles), 6)]
    return Image.fromarray(np.concatenate(rows))


def main(
    *, count: int = 32_000, epochs: int = 2, picture: Path | None = None, run: Path | None = None
) -> float:
    """Train on `count` scenes, test on a 24th of it, and return the mAP@0.5."""
    start = time.perf_counter()
    training, test = train_and_test_scenes(count)
    print(f"{len(training):,} + {len(test):,} scenes: {time.perf_counter() - start:.0f} s")
    start = time.perf_counter()
    model = train(training, epochs, run)
    print(f"trained for {(time.perf_counter() - start) / 60:.1f} minutes")
    scores = cnn.evaluate(model, test, batch_size=64, metrics=["map_50", "map"]).metrics
    print(f"mAP@0.5 {scores['map_50']:.3f}, mAP@[.5:.95] {scores['map']:.3f}")
    if picture is not None:
        shown = test[:18]
        draw(np.asarray(shown.images), cnn.predict(model, shown)).save(picture)
        print(f"wrote {picture}")
    return float(scores["map_50"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="few scenes, for a test")
    parser.add_argument("--picture", type=Path, help="PNG of detections to write")
    parser.add_argument("--run", type=Path, help="folder of the run, which can be resumed")
    chosen = parser.parse_args()
    size = {"count": 480, "epochs": 2} if chosen.short else {}
    main(**size, picture=chosen.picture, run=chosen.run)
