"""The zoo against timm and torchvision: names, shapes, multiply-adds, logits, and the way back."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from peer_zoo import COUNTER, abstract, channels_first, library_of, seeded, timm
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode

from jaxcnn import models, summarize
from jaxcnn.interchange import to_torch
from jaxcnn.interchange.checkpoints import Checkpoint
from jaxcnn.interchange.torch import read_torch
from jaxcnn.layers.weights import array_shapes
from jaxcnn.models.registry import find_entry
from jaxcnn.modules.parameter_tree import arrays_of, with_arrays

NAMES = [name for name in models.names() if library_of(name)]
# One of each family of small networks; all others take minutes together.
QUICK = (
    "convnext_tiny",
    "efficientnet_lite0",
    "mobilenetv3_small_100",
    "r2plus1d_18",
    "r3d_18",
    "regnety_002",
    "resnet18",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
)
VIDEO = ("mc3_18", "r2plus1d_18", "r3d_18")
QUICK_LOGITS = ("mobilenetv3_small_100", "shufflenet_v2_x0_5")


def networks(quick):
    return [pytest.param(name, marks=[pytest.mark.long] * (name not in quick)) for name in NAMES]


@functools.cache
def peer(name):
    return abstract(name).eval()


def state_of(network, name):
    second = ("AuxLogits.", "aux")  # heads that only help training
    return {
        key: array
        for key, array in network.state_dict().items()
        if not key.endswith(COUNTER) and not key.startswith(second)
    }


def test_every_large_network_has_a_peer():
    rest = set(models.names()) - set(NAMES)
    own = {"airbench", "letters_cnn", "mnist_cnn", "pets_cnn", "tiny_cnn"}
    small = {"resnet18_small", "resnet20", "resnet56", "lenet5"}
    signals = {"fcn", "inception_time", "inception_time_ensemble", "resnet1d"}  # test_models.py
    # test_detection_peers.py compares the detector; a U-Net is an encoder and plain convolutions.
    others = ("fcos", "mtcnn", "unet")
    assert {name for name in rest if not name.startswith(others)} == own | small | signals


@pytest.mark.parametrize("name", networks(QUICK))
def test_parameters_and_multiply_adds(name):
    info, network = models.info(name), models.create(name)
    parameters = [p for k, p in peer(name).named_parameters() if not k.startswith("AuxLogits.")]
    assert summarize(network, info.input_shape).trainable == info.parameters
    assert sum(p.numel() for p in parameters) == info.parameters
    assert network.multiply_adds(info.input_shape) == info.multiply_adds
    *size, channels = info.input_shape
    with FlopCounterMode(display=False) as counter:
        peer(name)(torch.zeros((1, channels, *size), device="meta"))
    assert counter.get_total_flops() == 2 * info.multiply_adds


@pytest.mark.parametrize("name", [n for n in QUICK if timm.is_model(n)])
def test_feature_maps(name):
    """Channels and strides are those of timm's pyramid."""
    with torch.device("meta"):
        theirs = timm.create_model(name, features_only=True).feature_info
    shape = models.input_shape(name)
    maps = models.create(name, features_only=True)
    assert list(maps.strides(shape)) == theirs.reduction()
    assert [channels for *_, channels in maps.output_shapes(shape)] == theirs.channels()


@pytest.mark.parametrize("name", networks(QUICK))
def test_there_and_back(name, monkeypatch):
    """Our arrays have the names and shapes there, and come back as they were."""
    network, shape = models.create(name), models.input_shape(name)
    own = array_shapes(network, shape)
    numbers = iter(range(len(own)))
    model = network.abstract(shape)
    arrays = {n: np.full(s, next(numbers), np.float32) for n, s in own.items()}
    for array in arrays.values():  # so that transposed and other numbers are not the same
        array.ravel()[: min(array.size, 1000)] += np.linspace(0, 1, min(array.size, 1000))
    there = to_torch(with_arrays(model, arrays), library=library_of(name))
    expected = state_of(peer(name), name)
    assert {k: tuple(a.shape) for k, a in there.items()} == {
        k: tuple(a.shape) for k, a in expected.items()
    }
    checkpoint = Checkpoint(
        "memory",
        {k: tuple(a.shape) for k, a in there.items()},
        lambda: {k: a.numpy() for k, a in there.items()},
    )
    monkeypatch.setattr("jaxcnn.interchange.torch.open_checkpoint", lambda path: checkpoint)
    weights = read_torch("memory", find_entry(name).family, own, name)
    back = weights(arrays_of(model))
    assert back.keys() == arrays.keys()
    for key, array in back.items():
        np.testing.assert_array_equal(array, arrays[key])


def logits(network, shape, x):
    """The outputs of a network, computed in the precision of the images."""
    model = network.build(shape, rngs=nnx.Rngs(0))
    graphdef, state = nnx.split(model)
    state = jax.tree.map(lambda leaf: leaf.astype(x.dtype), state)
    return np.asarray(jax.jit(lambda state, x: nnx.merge(graphdef, state)(x))(state, x))


def sizes(name):
    """The sides of an image, even and odd."""
    if name in QUICK_LOGITS:
        return 64, 71
    return (224, 231) if name.startswith("vgg") else (128, 135)


@pytest.mark.parametrize("odd", [False, True], ids=["even", "odd"])
@pytest.mark.parametrize("name", networks(QUICK_LOGITS))
def test_logits(name, odd, tmp_path):
    """In float64 to many digits; in float32 as far as rounding lets PyTorch agree with itself.

    Deep networks with random weights multiply rounding: that of float32 would hide a small mistake.
    """
    side = sizes(name)[odd]
    shape = (8 + odd, 32 + odd, 34, 3) if name in VIDEO else (side, side, 3)
    peer = seeded(name, shape)
    path = tmp_path / "weights.safetensors"
    save_file(peer.state_dict(), path)
    network = models.create(name, weights=path)
    x = np.random.default_rng(0).uniform(size=(2, *shape))
    mean, std = network.preprocessing.mean, network.preprocessing.std
    with torch.no_grad():
        given = channels_first((x - mean) / std)
        single = peer(given.float()).numpy()
        double = peer.double()(given).numpy()
    with jax.enable_x64(True):
        ours = logits(network, shape, jnp.asarray(x))
    assert ours.dtype == np.float64
    scale = np.abs(double).max()
    assert np.abs(double[0] - double[1]).max() > 0.02 * scale  # else agreement would say nothing
    exact = np.abs(ours - double).max() / scale
    ours = logits(network, shape, jnp.asarray(x, jnp.float32))
    rounded, theirs = (np.abs(each - double).max() / scale for each in (ours, single))
    print(f"ZOO {name} {shape[:-1]} {exact:.1e} {rounded:.1e} {theirs:.1e}")
    assert exact < 1e-9
    assert rounded < max(1e-4, 20 * theirs)


def test_training_and_gradients(tmp_path):
    """With layer normalization; test_models.py has batch normalization."""
    torch.manual_seed(0)
    peer = timm.create_model(
        "convnext_tiny", num_classes=5, depths=(1, 1, 1, 1), dims=(8, 8, 16, 16)
    )
    for key, array in peer.state_dict().items():
        if key.endswith("gamma"):  # near 0 at first
            array.fill_(0.7)
    path = tmp_path / "small.safetensors"
    save_file(peer.state_dict(), path)
    options = {"depths": (1, 1, 1, 1), "features": (8, 8, 16, 16), "num_classes": 5}
    normalize = (0, 0, 0), (1, 1, 1)
    network = models.create("convnext_tiny", weights=path, normalize=normalize, **options)
    model = network.build((32, 32, 3), rngs=nnx.Rngs(0))
    x = np.random.default_rng(0).normal(size=(3, 32, 32, 3)).astype(np.float32)
    weights = np.random.default_rng(1).normal(size=(3, 5)).astype(np.float32)
    graphdef, params, others = nnx.split(model, nnx.Param, ...)

    @jax.jit
    def run(params, others):
        def loss(params):
            y = nnx.merge(graphdef, params, others)(x, train=True, key=jax.random.key(0))
            return (y * weights).sum(), y

        return jax.value_and_grad(loss, has_aux=True)(params)

    (_, y), gradients = run(params, others)
    peer = peer.double().train()
    theirs = peer(channels_first(x).double())
    (theirs * torch.tensor(weights)).sum().backward()
    assert_near(y, theirs.detach().numpy())
    with_gradients = with_arrays(model, arrays_of(model) | flat(gradients))
    ours = to_torch(with_gradients)
    for key, parameter in peer.named_parameters():
        assert_near(ours[key].numpy(), parameter.grad.numpy(), name=key)


def flat(state):
    return {".".join(map(str, path)): leaf for path, leaf in nnx.to_flat_state(state)}


def assert_near(ours, theirs, name=""):
    # The bias of what a normalization follows has no gradient but rounding.
    scale = max(np.abs(theirs).max(), 1e-2)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-4 * scale, err_msg=name)


@pytest.mark.long
def test_the_encoder_of_a_unet_gives_the_maps_of_timm(tmp_path):
    theirs = timm.create_model("resnet18", features_only=True).eval()
    state = timm.create_model("resnet18").state_dict() | theirs.state_dict()
    torch.save(state, tmp_path / "resnet18.pth")
    net = models.create("unet", encoder_weights=tmp_path / "resnet18.pth", num_classes=2)
    model = net.build((64, 64, 3), rngs=nnx.Rngs(0))
    x = np.random.default_rng(0).uniform(0, 1, (1, 64, 64, 3)).astype(np.float32)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    with torch.no_grad():
        expected = theirs(channels_first(((x - mean) / std).astype(np.float32)))
    for ours, other in zip(model.decoder.body(x), expected, strict=True):
        np.testing.assert_allclose(ours, other.numpy().transpose(0, 2, 3, 1), atol=2e-4)
