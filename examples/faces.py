"""Find the faces in a photo and their landmarks with MTCNN, and draw them.

``python examples/faces.py [photo] [picture]``

Three networks look at the photo one after the other (Zhang et al., 2016, arXiv 1604.02878): the
first proposes boxes at every position of many scales, the second discards and corrects them, and so
does the third, which also finds the eyes, the nose and the corners of the mouth.

The weights, and the rounding of coordinates that they are used with, are those of facenet-pytorch
(MIT license): ``pip install torch`` and ``pip install --no-deps facenet-pytorch``. Without an
argument, the photo is NASA's portrait of Eileen Collins (public domain) in scikit-image.
"""

import functools
import importlib.util
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from PIL import Image, ImageDraw, ImageOps

import jaxcnn as cnn

SMALLEST = 20  # pixels of the smallest face
SHRINK = 0.709  # from one scale to the next: half the area
PROPOSALS, REFINED, FACES = 512, 128, 16  # most boxes: at one scale and after each network
THRESHOLDS = 0.6, 0.7, 0.7  # probabilities of a face that pass each network


@functools.cache  # photos of one size share a program
def load_networks() -> tuple[nnx.Module, ...]:
    """Return the three networks, which read pictures from 0 to 1."""
    package = importlib.util.find_spec("facenet_pytorch")
    if package is None or package.origin is None:
        raise ImportError("the weights are missing: pip install --no-deps facenet-pytorch")
    folder = Path(package.origin).parent / "data"
    return tuple(
        cnn.models.create(f"mtcnn_{name}", weights=folder / f"{name}.pt").build(
            (size, size, 3), rngs=nnx.Rngs(0)
        )
        for name, size in (("pnet", 12), ("rnet", 24), ("onet", 48))
    )


@functools.partial(jax.jit, static_argnums=0)
def find_faces(networks: Any, photo: jax.Array) -> tuple[jax.Array, ...]:
    """Return the faces in a photo, (H, W, 3) from 0 to 1, with the likeliest first.

    Returns:
      Probabilities (16,), boxes (16, 4) and landmarks (16, 5, 2), (x, y) in pixels. Rows without a
      face have the probability −∞: the sizes are fixed, so that everything is one program.
    """
    pnet, rnet, onet = networks
    # The windows of 12 pixels of the first network see larger faces in smaller photos.
    scales = [12 / SMALLEST]
    while min(photo.shape[:2]) * scales[-1] * SHRINK >= 12:
        scales.append(scales[-1] * SHRINK)
    proposed = zip(*(propose(pnet, photo, scale) for scale in scales), strict=True)
    scores, boxes, offsets = keep_strongest(0.7, PROPOSALS, *map(jnp.concatenate, proposed))
    boxes = squares(boxes + offsets * sides(boxes))

    answers = rnet(crop(photo, boxes, 24))
    scores = passing(answers[:, 1], THRESHOLDS[1], of=scores)
    scores, boxes, offsets = keep_strongest(0.7, REFINED, scores, boxes, answers[:, 2:6])
    boxes = squares(boxes + offsets * (sides(boxes) + 1))

    answers = onet(crop(photo, boxes, 48))
    scores = passing(answers[:, 1], THRESHOLDS[2], of=scores)
    shares = answers[:, 6:].reshape(-1, 2, 5).swapaxes(1, 2)  # x and y of the five points
    landmarks = boxes[:, None, :2] + shares * (sides(boxes)[:, None, :2] + 1) - 1
    boxes = boxes + answers[:, 2:6] * (sides(boxes) + 1)
    return keep_strongest(0.7, FACES, scores, boxes, landmarks, method="minimum")


def propose(pnet: Any, photo: jax.Array, scale: float) -> tuple[jax.Array, ...]:
    """Return scores, boxes and offsets of windows of 12×12 pixels, 2 apart, at one scale."""
    size = [int(side * scale + 1) for side in photo.shape[:2]]
    answers = pnet(cnn.ops.adaptive_avg_pool(photo[None], size))[0]
    rows, columns = jnp.indices(answers.shape[:2], dtype=photo.dtype)
    corners = jnp.stack([columns, rows], axis=-1).reshape(-1, 2) * 2
    boxes = jnp.floor(jnp.concatenate([corners + 1, corners + 12], axis=1) / scale)
    answers = answers.reshape(-1, 6)
    scores = passing(answers[:, 1], THRESHOLDS[0])
    return keep_strongest(0.5, PROPOSALS, scores, boxes, answers[:, 2:6])


def passing(
    probabilities: jax.Array, threshold: float, *, of: jax.Array | float = 0.0
) -> jax.Array:
    """Return the probabilities above a threshold, and −∞ for the others and for rows of −∞."""
    return jnp.where((of >= 0) & (probabilities >= threshold), probabilities, -jnp.inf)


def keep_strongest(
    overlap: float, limit: int, scores: jax.Array, *rows: jax.Array, method: str = "union"
) -> tuple[jax.Array, ...]:
    """Return the rows, of which the first are boxes, that non-maximum suppression leaves."""
    indices, chosen = cnn.ops.nms(rows[0], scores, threshold=overlap, limit=limit, method=method)
    return jnp.where(chosen, scores[indices], -jnp.inf), *(each[indices] for each in rows)


def sides(boxes: jax.Array) -> jax.Array:
    """Return width, height, width and height of each box."""
    return jnp.tile(boxes[:, 2:] - boxes[:, :2], 2)


def squares(boxes: jax.Array) -> jax.Array:
    """Return squares with the centers and the longer sides of the boxes."""
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = sides(boxes).max(axis=1, keepdims=True) / 2
    return jnp.concatenate([center - half, center + half], axis=1)


def crop(photo: jax.Array, boxes: jax.Array, size: int) -> jax.Array:
    """Return what each box shows as `size`×`size` pixels, means over the pixels that they cover."""
    corners = jnp.trunc(boxes) - jnp.array([1, 1, 0, 0])  # the first pixel of a photo is 1
    means = []
    for start, length in zip((1, 0), photo.shape, strict=False):
        low, high = (jnp.clip(corners[:, at, None], 0, length) for at in (start, start + 2))
        edges = jnp.arange(size + 1) * (high - low) / size
        first, last = low + jnp.floor(edges[:, :-1]), low + jnp.ceil(edges[:, 1:])
        pixels = jnp.arange(length)
        covered = (pixels >= first[..., None]) & (pixels < last[..., None])
        means.append(covered / jnp.maximum(last - first, 1)[..., None])
    return jnp.einsum("byh,hwc,bxw->byxc", means[0], photo, means[1])


def main(photo: str | None = None, picture: str = "faces.png") -> tuple[np.ndarray, ...]:
    """Print the faces in a photo and draw them; return their probabilities, boxes and landmarks."""
    if photo is None:
        from skimage import data

        image = Image.fromarray(data.astronaut())
    else:
        image = ImageOps.exif_transpose(Image.open(photo)).convert("RGB")
    if min(image.size) < SMALLEST:
        raise ValueError(f"the photo must have {SMALLEST} pixels a side. Received: {image.size}")
    pixels = jnp.asarray(np.asarray(image), jnp.float32) / 255
    rows = [np.asarray(each) for each in find_faces(load_networks(), pixels)]
    faces = tuple(each[rows[0] > 0] for each in rows)
    draw = ImageDraw.Draw(image)
    for probability, box, landmarks in zip(*faces, strict=True):
        print(f"face of probability {probability:.4f} in the box {box.round().astype(int)}")
        draw.rectangle(box.tolist(), outline="lime", width=3)
        for x, y in landmarks.tolist():
            draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill="red")
    image.save(picture)
    print(f"{len(faces[0])} found; drawn into {picture}")
    return faces


if __name__ == "__main__":
    main(*sys.argv[1:])
