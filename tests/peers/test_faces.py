"""The networks of MTCNN against facenet-pytorch's."""

from pathlib import Path

import jax
import numpy as np
import peer_zoo  # noqa: F401 – declares what facenet-pytorch imports of torchvision
import pytest
import torch
from facenet_pytorch.models import mtcnn
from flax import nnx
from skimage import data

from jaxcnn import models

DATA = Path(mtcnn.__file__).parents[1] / "data"
NETWORKS = {
    "pnet": (mtcnn.PNet, (47, 61)),
    "rnet": (mtcnn.RNet, (24, 24)),
    "onet": (mtcnn.ONet, (48, 48)),
}


def pictures(size):
    """Random numbers, and windows of a photo around a face and elsewhere; all from 0 to 1."""
    random = np.random.default_rng(0).uniform(size=(8, *size, 3))
    photo = data.astronaut() / 255
    height, width = size
    windows = [
        photo[y : y + 2 * height : 2, x : x + 2 * width : 2]
        for y, x in ((60, 180), (70, 190), (80, 200), (0, 0), (300, 350), (380, 60))
    ]
    return np.concatenate([random, windows]).astype(np.float32)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name):
    kind, size = NETWORKS[name]
    network = models.create(f"mtcnn_{name}", weights=DATA / f"{name}.pt")
    x = pictures(size)
    pixels = torch.from_numpy(x.transpose(0, 3, 1, 2) * 255)
    with torch.no_grad():
        *others, face = kind()((pixels - 127.5) * 0.0078125)
    expected = torch.cat([face, *others], dim=1).movedim(1, -1).numpy()
    graphdef, state = nnx.split(network.build((*size, 3), rngs=nnx.Rngs(0)))
    found = jax.jit(lambda state, x: nnx.merge(graphdef, state)(x))(state, x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert np.ptp(expected[..., 1]) > 0.1  # some are faces and some are not
    assert sum(p.numel() for p in kind().parameters()) == models.info(f"mtcnn_{name}").parameters
