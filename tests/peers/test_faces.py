"""The networks of MTCNN, and the detector of the example, against facenet-pytorch's."""

import runpy
from pathlib import Path

import jax
import numpy as np
import peer_zoo  # noqa: F401 – declares what facenet-pytorch imports of torchvision
import pytest
import torch
from facenet_pytorch.models import mtcnn
from facenet_pytorch.models.utils import detect_face
from flax import nnx
from PIL import Image
from skimage import data

from jaxcnn import models
from jaxcnn.interchange import to_torch

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
    model = network.build((*size, 3), rngs=nnx.Rngs(0))
    graphdef, state = nnx.split(model)
    found = jax.jit(lambda state, x: nnx.merge(graphdef, state)(x))(state, x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert np.ptp(expected[..., 1]) > 0.1  # some are faces and some are not
    back, given = to_torch(model, library="facenet_pytorch"), kind().state_dict()
    assert back.keys() == given.keys()
    assert all(torch.equal(back[key], array) for key, array in given.items())
    assert sum(array.numel() for array in given.values()) == models.info(f"mtcnn_{name}").parameters


def greedy(boxes, scores, _, threshold):
    """Torchvision's suppression of boxes, which is compiled, for the boxes of one photo."""
    boxes, order, kept = boxes.double().numpy(), np.argsort(-scores.numpy(), kind="stable"), []
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[order, :2])
        high = np.minimum(boxes[best, 2:], boxes[order, 2:])
        both = np.maximum(high - low, 0).prod(1)
        order = order[both / (areas[best] + areas[order] - both) <= threshold]
    return torch.tensor(kept, dtype=torch.int64)


def group_photo():
    """Four copies of the face, of three sizes and one mirrored, in a photo of the same shape."""
    photo = Image.fromarray(data.astronaut())
    for x, y, size in ((0, 0, 256), (256, 0, 256), (0, 256, 200), (300, 300, 140)):
        face = Image.fromarray(data.astronaut()[20:220, 120:320]).resize((size, size))
        if x == 256:
            face = face.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        photo.paste(face, (x, y))
    return photo


@pytest.mark.implicit_promotion
def test_detector(monkeypatch, tmp_path):
    """Boxes and landmarks agree to a hundredth of a pixel."""
    monkeypatch.setattr(detect_face, "batched_nms", greedy)
    detector = mtcnn.MTCNN(keep_all=True)
    main = runpy.run_path(str(Path(__file__).parents[2] / "examples/faces.py"))["main"]
    photos = {"one": Image.fromarray(data.astronaut()), "four": group_photo()}
    counts = {}
    photos["four"].save(tmp_path / "four.png")
    for name, photo in photos.items():
        path = None if name == "one" else tmp_path / "four.png"
        found = main(path, tmp_path / "faces.png")
        boxes, probabilities, landmarks = (
            np.asarray(each, np.float32) for each in detector.detect(np.asarray(photo), True)
        )
        order = np.argsort(-probabilities, kind="stable")
        for ours, theirs, most in zip(
            found, (probabilities, boxes, landmarks), (1e-4, 0.01, 0.01), strict=True
        ):
            np.testing.assert_allclose(ours, theirs[order], rtol=0, atol=most)
        drawn = np.asarray(Image.open(tmp_path / "faces.png"))
        left, top, *_ = found[1][0].round().astype(int)
        assert tuple(drawn[top, left]) == (0, 255, 0)
        counts[name] = len(boxes)
    assert counts == {"one": 1, "four": 4}
