"""Segment coins: a small U-Net trained from scratch against Otsu's threshold.

``python examples/coins.py [--short] [picture]``

The photograph of Greek coins from Pompeii is that of scikit-image. Its background is as bright in
the upper left corner as some coins are, so that no threshold on the gray level divides both.

The masks that count as true are made as scikit-image's tutorial "Comparing edge-based and
region-based segmentation" makes them: the watershed of the Sobel edges from markers that are surely
background (below 30) or surely coin (above 150), with holes filled and specks removed. They were
checked by eye.

The photograph is cut between two rows of coins. A network is trained on the lower part and tested
on the upper one, and another the other way round, so that every coin is tested once by a network
that has not seen it. Otsu's threshold is that of the part that is tested.
"""

import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from scipy import ndimage
from skimage import data, filters, segmentation

import jaxcnn as cnn
from jaxcnn.insight import image_iou, plots

CUT = 150  # the row between the second and the third row of coins
SIDE = 96  # of the squares that the network is trained on
NAMES = ("background", "coin")


def true_mask(photo: np.ndarray) -> np.ndarray:
    """Return 1 for coin and 0 for background, by edges and watershed."""
    markers = np.where(photo < 30, 1, np.where(photo > 150, 2, 0))
    regions = segmentation.watershed(filters.sobel(photo), markers)
    parts, _ = ndimage.label(ndimage.binary_fill_holes(regions == 2))
    large = np.bincount(parts.ravel()) > 200
    large[0] = False
    return large[parts].astype(np.uint8)


def squares(photo: np.ndarray, mask: np.ndarray, count: int, seed: int) -> cnn.Dataset:
    """Return squares at random places of a photograph, and their masks."""
    random = np.random.default_rng(seed)
    places = zip(
        random.integers(0, photo.shape[0] - SIDE + 1, count),
        random.integers(0, photo.shape[1] - SIDE + 1, count),
        strict=True,
    )
    cut = [(slice(y, y + SIDE), slice(x, x + SIDE)) for y, x in places]
    images = np.stack([photo[place] for place in cut])[..., None]
    return cnn.Dataset(images, np.stack([mask[place] for place in cut]), NAMES)


@cnn.augment.in_place
def shade(key: jax.Array, images: jax.Array) -> jax.Array:
    """Add a plane of random slope to each image, as light from one side does."""
    slopes = jax.random.uniform(key, (len(images), 2, 1, 1, 1), images.dtype, -0.4, 0.4)
    y = jnp.linspace(-1, 1, images.shape[1])[None, :, None, None]
    x = jnp.linspace(-1, 1, images.shape[2])[None, None, :, None]
    return jnp.clip(images + slopes[:, 0] * y + slopes[:, 1] * x, 0, 1)


def train(photo: np.ndarray, mask: np.ndarray, epochs: int, seed: int = 0) -> nnx.Module:
    """Return a U-Net trained on a part of the photograph."""
    network = cnn.models.create("unet_small", num_classes=2, features=8, depth=4)
    model = network.build((SIDE, SIDE, 1), rngs=nnx.Rngs(seed))
    augment = cnn.augment.compose(
        cnn.augment.random_flip,
        partial(cnn.augment.random_affine, rotation=180, scale=(0.8, 1.25), mode="reflect"),
        shade,
        partial(cnn.augment.color_jitter, brightness=0.3, contrast=0.3),
    )
    result = cnn.fit(
        model,
        squares(photo, mask, 256, seed),
        epochs=epochs,
        batch_size=16,
        learning_rate=3e-3,
        loss="cross_entropy_dice",
        augment=augment,
        progress=False,
    )
    return result.model


def main(*options: str, epochs: int | None = None) -> dict[str, float]:
    """Train and test on both parts, print IoU, and draw; return the mean IoU of each method."""
    short = "--short" in options
    pictures = [option for option in options if not option.startswith("--")]
    epochs = epochs or (2 if short else 15)
    photo = data.coins()
    mask = true_mask(photo)
    upper, lower = slice(0, CUT), slice(CUT, None)
    found = {"Otsu": np.zeros_like(mask), "U-Net": np.zeros_like(mask)}
    for tested, trained in ((upper, lower), (lower, upper)):
        found["Otsu"][tested] = photo[tested] > filters.threshold_otsu(photo[tested])
        model = train(photo[trained], mask[trained], epochs)
        scores = cnn.training.predict_tiles(model, photo[tested][..., None], tile=128, overlap=64)
        found["U-Net"][tested] = scores.argmax(axis=-1)
    means = {}
    print(f"{'method':8} {'part':6} " + " ".join(f"{name:>10}" for name in NAMES) + "       mean")
    for method, guess in found.items():
        for part, rows in (("upper", upper), ("lower", lower), ("both", slice(None))):
            iou = image_iou(guess[None, rows], mask[None, rows], len(NAMES))[0]
            means[method] = float(iou.mean())
            numbers = " ".join(f"{value:10.1%}" for value in (*iou, iou.mean()))
            print(f"{method:8} {part:6} {numbers}")
    if pictures:
        figure = plots.segmentation(
            np.repeat(photo[None, ..., None], 2, axis=0),
            np.stack([*found.values()]),
            np.stack([mask, mask]),
            class_names=NAMES,
        )
        figure.axes[0].set_title("Otsu's threshold", loc="left", fontsize=9)
        figure.axes[3].set_title("U-Net", loc="left", fontsize=9)
        figure.savefig(pictures[0])
        print(f"drawn into {pictures[0]}")
    return means


if __name__ == "__main__":
    main(*sys.argv[1:])
