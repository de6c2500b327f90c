"""Photographs as timm and torchvision crop them to evaluate a network, and timm's class names."""

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from peer_zoo import timm
from PIL import Image

from jaxcnn.data import Dataset
from jaxcnn.models import imagenet_classes

PHOTOGRAPHS = ("chelsea", "coffee", "rocket", "astronaut", "camera")
# Heights and widths, the last two of which round a half up and down.
SIZES = ((224, 224), (299, 299), (240, 160), (97, 201))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos", "nearest"])
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_photograph_is_cropped_as_by_timm(name, interpolation):
    whole = getattr(skimage.data, name)()
    for image in (whole, whole[:131], whole[:, :333], whole.swapaxes(0, 1)[:, :211]):
        pixels = image.reshape(1, *image.shape[:2], -1)
        for size in SIZES:
            for share in (0.5, 0.875, 0.965, 1.0):
                theirs = timm.data.create_transform(
                    (3, *size), interpolation=interpolation, crop_pct=share, normalize=False
                )(Image.fromarray(image))
                ours = Dataset(pixels, [0]).resize(
                    size, aspect="crop", interpolation=interpolation, crop_share=share
                )
                np.testing.assert_array_equal(ours.images[0], np.moveaxis(theirs.numpy(), 0, -1))


def test_classes_have_the_first_name_of_their_synset():
    folder = Path(timm.__file__).parent / "data" / "_info"
    lines = (folder / "imagenet_synset_to_lemma.txt").read_text("utf-8").splitlines()
    lemmas = dict(line.split("\t", 1) for line in lines)
    synsets = (folder / "imagenet_synsets.txt").read_text("utf-8").split()
    theirs = [lemmas[synset].split(", ")[0] for synset in synsets]
    differing = {n for n, name in enumerate(imagenet_classes()) if name != theirs[n]}
    assert differing == {134, 517, 639}  # both cranes, and the second maillot
