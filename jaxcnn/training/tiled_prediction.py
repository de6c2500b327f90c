"""Predictions for pictures larger than memory: in tiles that overlap, blended where they do."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

import jax
import numpy as np
from flax import nnx

from jaxcnn import arguments, shapes
from jaxcnn.training.prediction import predict

# The slice of a tile along an axis, and its weights; the picture and the parts of a tile.
_Part: TypeAlias = tuple[slice, np.ndarray]
_Place: TypeAlias = tuple[int, _Part, _Part]


def predict_tiles(
    model: nnx.Module,
    images: np.ndarray,
    *,
    tile: int | Sequence[int] = 512,
    overlap: int | Sequence[int] = 64,
    margin: int | Sequence[int] | None = None,
    batch_size: int = 4,
    activation: Callable[[jax.Array], jax.Array] | str | None = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the prediction at each position of pictures of any size, computed in tiles.

    Neighboring tiles share `overlap` positions along an axis. Of these, the `margin` nearest to a
    tile's border are not used, as the network sees the padding there in place of the picture; over
    the rest, the weight of a tile grows linearly. Only the tiles of one step are in memory, if
    `images` and `out` are mapped from files.

    The result is that of the whole picture, to rounding, if `margin` is at least half the
    receptive field, and ``tile − overlap`` and the sides of the picture are multiples of the
    network's stride; a network that looks at the whole picture, as squeeze-and-excitation does,
    gives other values.

    >>> import jax.numpy as jnp
    >>> from jaxcnn import layers
    >>> network = layers.serial(layers.conv(2, 3, padding=1))
    >>> model = network.build((8, 8, 1), rngs=nnx.Rngs(0))
    >>> picture = np.random.default_rng(0).random((20, 30, 1), np.float32)
    >>> found = predict_tiles(model, picture, tile=12, overlap=4, margin=1)
    >>> bool(np.allclose(found, predict(model, picture[None])[0], atol=1e-6))
    True

    Args:
      model: As for :func:`jaxcnn.predict`; its outputs have a vector at each position of the image.
      images: One picture ``(H, W, C)``, or ``(N, H, W, C)``, uint8 or floating point; it may be
        mapped from a file, as ``np.load(path, mmap_mode="r")`` does.
      tile: Height and width of a tile, at least 1; at the right and lower edge tiles are smaller.
      overlap: Positions that neighboring tiles share, at least 0 and below `tile`.
      margin: Positions at a tile's border within the picture that are not used, at most half of
        `overlap`; by default a quarter of it.
      batch_size: Tiles per step, at least 1.
      activation: As for :func:`jaxcnn.predict`; it is applied before tiles are blended.
      out: An array for the result, floating point, such as ``np.lib.format.open_memmap(path,
        "w+", np.float32, shape)``; by default a new one.

    Returns:
      ``(H, W, classes)`` or ``(N, H, W, classes)`` float32; `out` if it is given.

    Raises:
      TypeError: an option is not an integer, or the images are not an array.
      ValueError: an option is outside the range above, the images have other axes, the outputs
        are not of the image's size, or `out` has another shape.
    """
    if not isinstance(images, np.ndarray | jax.Array):
        raise TypeError(f"images must be an array. Received: {type(images).__name__}")
    if images.ndim not in (3, 4):
        raise ValueError(
            f"images must be (H, W, C) or (N, H, W, C). Received: shape {images.shape}"
        )
    sizes = shapes.per_axis("tile", tile, 2)
    shared = shapes.per_axis("overlap", overlap, 2, minimum=0)
    unused = tuple(n // 4 for n in shared)
    if margin is not None:
        unused = shapes.per_axis("margin", margin, 2, minimum=0)
    if any(n >= side for n, side in zip(shared, sizes, strict=True)):
        raise ValueError(f"overlap must be below tile. Received: overlap={overlap}, tile={tile}")
    if any(2 * m > n for m, n in zip(unused, shared, strict=True)):
        raise ValueError(
            f"margin must be at most half of overlap. Received: margin={margin}, overlap={overlap}"
        )
    arguments.check_integer("batch_size", batch_size, minimum=1)
    pictures = images[None] if images.ndim == 3 else images
    axes = [_parts(*each) for each in zip(pictures.shape[1:3], sizes, shared, unused, strict=True)]
    result: np.ndarray | None = None
    for batch in _batches(itertools.product(range(len(pictures)), axes[0], axes[1]), batch_size):
        tiles = np.stack([np.asarray(pictures[n, down[0], across[0]]) for n, down, across in batch])
        found = predict(model, tiles, batch_size=batch_size, activation=activation)
        if found.shape[:-1] != tiles.shape[:-1]:
            raise ValueError(
                "the model must give a vector at each position of an image. Received: outputs "
                f"{found.shape[1:]} for tiles {tiles.shape[1:]}"
            )
        if result is None:
            result = _start(out, (*images.shape[:-1], found.shape[-1]))
        for (n, (rows, down), (columns, across)), values in zip(batch, found, strict=True):
            target = result if images.ndim == 3 else result[n]
            target[rows, columns] += values * (down[:, None, None] * across[None, :, None])
    assert result is not None
    return result


def _start(out: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of zeros of that shape: `out`, if it is given."""
    if out is None:
        return np.zeros(shape, np.float32)
    if out.shape != shape or not np.issubdtype(out.dtype, np.floating):
        raise ValueError(
            f"out must be a floating-point array of shape {shape}. "
            f"Received: {out.dtype} {out.shape}"
        )
    for row in out:
        row[...] = 0
    return out


def _parts(size: int, tile: int, overlap: int, margin: int) -> list[_Part]:
    """Return the slice of each tile along an axis, and its weights, which add up to 1."""
    step = tile - overlap
    starts = [0, *range(step, size - overlap, step)]
    inner = overlap - 2 * margin
    ramp = (np.arange(inner) + 0.5) / max(inner, 1)
    rise = np.concatenate([np.zeros(margin), ramp, np.ones(margin)])
    total = np.zeros(size)
    parts = []
    for start in starts:
        part = slice(start, min(start + tile, size))
        weights = np.ones(part.stop - start)
        if start > 0:
            weights[:overlap] *= rise
        if start != starts[-1]:
            weights[len(weights) - overlap :] *= 1 - rise
        total[part] += weights
        parts.append((part, weights))
    # More than two tiles share a position if the overlap is more than half a tile.
    return [(part, (weights / total[part]).astype(np.float32)) for part, weights in parts]


def _batches(places: Iterable[_Place], size: int) -> Iterator[list[_Place]]:
    """Yield lists of at most `size` places whose tiles have the same shape."""

    def shape(place: _Place) -> tuple[int, int]:
        _, (rows, _), (columns, _) = place
        return rows.stop - rows.start, columns.stop - columns.start

    for _, group in itertools.groupby(sorted(places, key=shape, reverse=True), shape):
        while batch := list(itertools.islice(group, size)):
            yield batch
