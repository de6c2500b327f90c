"""Files of weights, and models that start from them."""

import pickle
import sys
import types

import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

import jaxcnn as cnn
from jaxcnn import models
from jaxcnn.interchange import checkpoints
from jaxcnn.interchange.names import translate
from jaxcnn.interchange.torch import read_torch
from jaxcnn.interchange.torch_names import CONVENTIONS
from jaxcnn.layers import pretrained
from jaxcnn.layers.weights import array_shapes
from jaxcnn.modules.parameter_tree import arrays_of

NAME = "shufflenet_v2_x0_5"


def there(classes=1000, **options):
    """Random arrays with the names and layouts of torchvision."""
    rng = np.random.default_rng(0)
    own = array_shapes(models.create(NAME, num_classes=classes, **options), (224, 224, 3))
    names = translate(own, CONVENTIONS["shufflenet"][0].rules(own))
    return {
        names[name]: rng.uniform(0.5, 1, (*shape[::-1][:2], *shape[:-2])).astype(np.float32)
        for name, shape in own.items()
    }


@pytest.fixture(scope="module")
def arrays():
    return there()


@pytest.fixture
def file(arrays, tmp_path):
    save_file(arrays, tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


def test_a_model_starts_from_a_file(file, arrays):
    network = models.create(NAME, weights=file)
    model = network.build((64, 64, 3), rngs=nnx.Rngs(0))
    kernel = arrays["stage2.0.branch1.2.weight"]  # (features, in_features, 1, 1)
    ours = model.stage_1.parallel_1.branch1.conv_1.kernel[...]
    np.testing.assert_array_equal(ours[0, 0], kernel[:, :, 0, 0].T)
    depthwise = model.stage_1.parallel_1.branch1.depthwise_1.kernel[...]
    np.testing.assert_array_equal(
        depthwise[1, 2, 0], arrays["stage2.0.branch1.0.weight"][:, 0, 1, 2]
    )
    np.testing.assert_array_equal(model.head.kernel[...], arrays["fc.weight"].T)
    np.testing.assert_array_equal(model.stem.batch_norm_1.var[...], arrays["conv1.1.running_var"])


def test_images_are_normalized_as_the_weights_expect(file):
    network = models.create(NAME, weights=file)
    expected = network.preprocessing
    assert expected.image_size == (224, 224)
    assert (expected.interpolation, expected.crop_share) == ("bilinear", 0.875)
    assert expected.class_names[967] == "espresso"
    model = network.build((32, 32, 3), rngs=nnx.Rngs(0))
    x = np.random.default_rng(0).uniform(size=(1, 4, 4, 3)).astype(np.float32)
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    np.testing.assert_allclose(model.normalize(x), (x - mean) / std, rtol=1e-5)
    options = models.options_of(network)
    assert models.create(NAME, **options) == network.body
    assert models.options_of(models.create(NAME)) == {}


def test_other_classes_keep_the_trunk(file, arrays):
    model = models.create(NAME, weights=file, num_classes=3).build((64, 64, 3), rngs=nnx.Rngs(0))
    assert model.head.kernel.shape == (1024, 3)
    np.testing.assert_array_equal(model.stem.batch_norm_1.scale[...], arrays["conv1.1.weight"])
    trunk = models.create(NAME, weights=file, num_classes=0)
    assert trunk.output_shape((64, 64, 3)) == (1024,)
    assert not hasattr(trunk.build((64, 64, 3), rngs=nnx.Rngs(0)), "head")


def test_weights_of_other_classes(tmp_path):
    arrays = there(classes=7)
    save_file(arrays, tmp_path / "seven.safetensors")
    with pytest.raises(ValueError, match=r"is for 7 classes, and .* has 1000: give num_classes=7"):
        models.create(NAME, weights=tmp_path / "seven.safetensors")
    network = models.create(NAME, weights=tmp_path / "seven.safetensors", num_classes=7)
    assert network.preprocessing.class_names == ()
    model = network.build((64, 64, 3), rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(model.head.bias[...], arrays["fc.bias"])


def test_a_file_without_a_last_layer(arrays, tmp_path):
    headless = {name: array for name, array in arrays.items() if not name.startswith("fc.")}
    save_file(headless, tmp_path / "trunk.safetensors")
    with pytest.raises(ValueError, match=r"is for 0 classes, and .* has 1000: give num_classes=0"):
        models.create(NAME, weights=tmp_path / "trunk.safetensors")
    network = models.create(NAME, weights=tmp_path / "trunk.safetensors", num_classes=3)
    model = network.build((64, 64, 3), rngs=nnx.Rngs(0))
    assert model.head.kernel.shape == (1024, 3)
    np.testing.assert_array_equal(model.stem.batch_norm_1.scale[...], arrays["conv1.1.weight"])


def test_a_description_with_weights_reaches_another_process(file, arrays):
    network = pickle.loads(pickle.dumps(models.create(NAME, weights=file)))
    model = network.build((64, 64, 3), rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(model.head.bias[...], arrays["fc.bias"])


def test_other_channels(file, arrays):
    gray = models.create(NAME, weights=file, in_features=1)
    model = gray.build((64, 64, 1), rngs=nnx.Rngs(0))
    kernel = arrays["conv1.0.weight"]
    np.testing.assert_allclose(
        model.stem.conv_1.kernel[..., 0, :], kernel.sum(1).transpose(1, 2, 0), rtol=1e-6
    )
    assert gray.preprocessing.mean == (pytest.approx((0.485 + 0.456 + 0.406) / 3),)
    five = models.create(NAME, weights=file, in_features=5).build((64, 64, 5), rngs=nnx.Rngs(0))
    np.testing.assert_allclose(
        five.stem.conv_1.kernel[..., 4, :], kernel[:, 1].transpose(1, 2, 0) * 3 / 5, rtol=1e-6
    )


def test_feature_maps_with_weights(file, arrays):
    maps = models.create(NAME, weights=file, features_only=True)
    assert maps.strides((64, 64, 3)) == (2, 4, 8, 16, 32)
    model = maps.build((64, 64, 3), rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(model.stem.batch_norm_1.scale[...], arrays["conv1.1.weight"])
    assert [y.shape[1:] for y in model(np.zeros((1, 64, 64, 3), np.float32))] == [
        *maps.output_shapes((64, 64, 3))
    ]


def changed(arrays, **changes):
    return {name: array for name, array in (arrays | changes).items() if array is not None}


WRONG = [
    ({"fc.weight": None}, r"does not hold the weights of shuffle\w+: missing: fc\.weight$"),
    ({"x.y": np.zeros(3)}, r"weights of shuffle\w+: unexpected: x\.y$"),
    ({"conv1.1.bias": np.zeros(3)}, r"of other shapes: conv1\.1\.bias \(3,\), not \(24,\)$"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_a_partly_matching_file_lists_what_differs(changes, message, arrays, tmp_path):
    save_file(changed(arrays, **changes), tmp_path / "wrong.safetensors")
    with pytest.raises(ValueError, match=message):
        models.create(NAME, weights=tmp_path / "wrong.safetensors")


def test_weights_of_another_architecture(file):
    with pytest.raises(ValueError, match=r"weights of resnet18: missing: .* and \d+ more; unexp"):
        models.create("resnet18", weights=file)
    with pytest.raises(ValueError, match="there are no known weights of mnist_cnn"):
        models.create("mnist_cnn", weights=file)


def test_damaged_and_missing_files(file, tmp_path, monkeypatch):
    truncated = tmp_path / "truncated.safetensors"
    truncated.write_bytes(file.read_bytes()[:100_000])
    with pytest.raises(ValueError, match=r"truncated\.safetensors' is damaged"):
        models.create(NAME, weights=truncated)
    with pytest.raises(ValueError, match="there is no file of weights"):
        models.create(NAME, weights=tmp_path / "gone.safetensors")
    (tmp_path / "weights.h5").write_bytes(b"")
    with pytest.raises(ValueError, match=r"a file of \.safetensors or \.pth, .*weights\.h5"):
        models.create(NAME, weights=tmp_path / "weights.h5")
    (tmp_path / "weights.pth").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="in PyTorch's format: install torch to read it"):
        models.create(NAME, weights=tmp_path / "weights.pth")


def test_the_hub(file, tmp_path, monkeypatch):
    """What the hub says of the images is taken; without a connection it is told."""
    config = tmp_path / "config.json"
    config.write_text('{"pretrained_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], '
                      '"input_size": [3, 160, 160], "crop_pct": 0.95}}')  # fmt: skip
    asked = []

    def download(repository, name, revision):
        asked.append((repository, name, revision))
        return str({"model.safetensors": file, "config.json": config}[name])

    hub = types.SimpleNamespace(hf_hub_download=download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    expected = models.create(NAME, weights="hf:timm/some@v1").preprocessing
    assert asked[0] == ("timm/some", "model.safetensors", "v1")
    assert (expected.image_size, expected.mean, expected.crop_share) == (
        (160, 160), (0.5, 0.5, 0.5), 0.95,
    )  # fmt: skip

    def offline(*arguments, **options):
        raise OSError("no connection")

    hub.hf_hub_download = offline
    with pytest.raises(ValueError, match=r"'hf:timm/some' cannot be read .*: no connection"):
        models.create(NAME, weights="hf:timm/some")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"install jaxcnn\[hub\]"):
        models.create(NAME, weights="hf:timm/some")


@pytest.mark.long
def test_a_saved_model_with_weights_comes_back(file, tmp_path):
    model = models.create(NAME, weights=file, num_classes=3).build((64, 64, 3), rngs=nnx.Rngs(0))
    cnn.save(model, tmp_path / "saved.safetensors")
    loaded = cnn.load(tmp_path / "saved.safetensors")
    assert dict(loaded.description.children)["normalize"].mean[0] == 0.485
    assert not isinstance(loaded.description, pretrained)
    for name, array in arrays_of(model).items():
        np.testing.assert_array_equal(array, arrays_of(loaded)[name])


def test_in_features_are_for_weights():
    with pytest.raises(ValueError, match="in_features is for weights"):
        models.create(NAME, in_features=1)


def test_files_are_read_once_for_names_and_late_for_arrays(file, monkeypatch):
    network = models.create(NAME, weights=file)
    monkeypatch.setattr(checkpoints, "open_checkpoint", None)
    own = array_shapes(network.body, (64, 64, 3))
    weights = network.weights
    assert weights.num_classes == 1000
    assert read_torch(str(file), "shufflenet", own, NAME).names == weights.names
