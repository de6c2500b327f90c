"""U-Nets: their sizes, the way through the encoder and the skips, and what they learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.layers.serialization import layer_from_json, layer_to_json


def test_the_way_through_encoder_and_skips():
    """With convolutions by 1 whose values are known, the result is computed by hand."""
    body = cnn.serial(stem=cnn.conv(1, 1), stage_1=cnn.serial(cnn.max_pool(2), cnn.conv(1, 1)))
    net = cnn.skip_decoder(body, ("stem", "stage_1"), (cnn.conv(1, 1),))
    model = net.build((3, 6, 1), rngs=nnx.Rngs(0))
    model.body.stem.kernel[...] = jnp.full((1, 1, 1, 1), 2.0)
    model.body.stage_1.conv_1.kernel[...] = jnp.full((1, 1, 1, 1), 3.0)
    model.block_1.kernel[...] = jnp.array([10.0, 1.0]).reshape(1, 1, 2, 1)
    x = np.arange(18.0, dtype=np.float32).reshape(1, 3, 6, 1)
    small = 3 * 2 * np.array([[7.0, 9.0, 11.0]])  # maxima of the windows of rows 0…1
    large = small[[0, 0, 0]].repeat(2, axis=1)
    np.testing.assert_allclose(model(x)[0, ..., 0], 10 * large + 2 * x[0, ..., 0])


@pytest.mark.parametrize("size", [(33, 41), (32, 40), (17, 16)])
def test_any_size_fits(size):
    net = cnn.models.create("unet_small", num_classes=3, features=2, depth=3)
    model = net.abstract((32, 32, 1))
    shape = jax.eval_shape(lambda m, x: m(x), model, jnp.zeros((2, *size, 1))).shape
    assert shape == (2, *size, 3)
    assert net.output_shape((*size, 1)) == (*size, 3)


@pytest.mark.parametrize(
    ("encoder", "blocks"),
    [("resnet18", 5), ("resnet18_small", 3), ("mobilenetv2_100", 5), ("convnext_tiny", 4)],
)
def test_any_encoder_of_the_zoo(encoder, blocks):
    net = cnn.models.create("unet", encoder=encoder, num_classes=4)
    model = net.abstract((75, 100, 3))
    shape = jax.eval_shape(lambda m, x: m(x), model, jnp.zeros((1, 75, 100, 3))).shape
    assert shape == (1, 75, 100, 4) == (1, *net.output_shape((75, 100, 3)))
    assert hasattr(model.decoder, f"block_{blocks}")
    assert not hasattr(model.decoder, f"block_{blocks + 1}")
    counted = sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
    assert f"{counted:,}" in str(cnn.summarize(net, (75, 100, 3)))


def test_the_encoder_takes_trained_weights():
    body = cnn.serial(stem=cnn.conv(2, 1), stage_1=cnn.max_pool(2))
    weights = {"stem.kernel": np.full((1, 1, 1, 2), 7.0, np.float32)}
    encoder = cnn.layers.pretrained(body, weights)
    net = cnn.skip_decoder(encoder, ("stem", "stage_1"), (cnn.conv(1, 1),))
    model = net.build((4, 4, 1), rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(model.body.stem.kernel, weights["stem.kernel"])
    assert net.output_shape((4, 4, 1)) == (4, 4, 1)


def test_a_description_comes_back_from_json():
    net = cnn.models.create("unet_small", features=2, depth=2)
    assert layer_from_json(layer_to_json(net)) == net
    assert repr(net.children[0][1]).startswith("skip_decoder(serial(stem=")
    assert eval(repr(net), vars(cnn.layers) | {"relu": jax.nn.relu}) == net


def test_errors():
    body = cnn.serial(a=cnn.conv(2, 1), b=cnn.max_pool(2))
    with pytest.raises(ValueError, match=r"child of the network.*'c'"):
        cnn.skip_decoder(body, ("a", "c"), (cnn.conv(1, 1),))
    with pytest.raises(ValueError, match="blocks must be one for each"):
        cnn.skip_decoder(body, ("a", "b"), ())
    with pytest.raises(ValueError, match="block_1 must keep the spatial axes"):
        cnn.skip_decoder(body, ("a", "b"), (cnn.conv(1, 3),)).output_shape((8, 8, 1))
    with pytest.raises(ValueError, match="features must be at least 5 numbers"):
        cnn.models.create("unet", features=(8, 8))
    with pytest.raises(ValueError, match="features_only needs a model with stages"):
        cnn.models.create("unet", encoder="tiny_cnn")


@pytest.mark.long
def test_it_learns_rectangles():
    random = np.random.default_rng(0)
    labels = np.zeros((64, 24, 24), np.uint8)
    for label in labels:
        y, x = random.integers(0, 14, 2)
        label[y : y + 8, x : x + 10] = 1
    images = (200 * labels + random.integers(0, 55, labels.shape)).astype(np.uint8)[..., None]
    data = cnn.Dataset(images, labels)
    net = cnn.models.create("unet_small", features=4, depth=2)
    model = net.build(data.image_shape, rngs=nnx.Rngs(0))
    result = cnn.fit(
        model, data[:48], epochs=10, batch_size=8, learning_rate=1e-2, loss="cross_entropy_dice"
    )
    metrics = {"iou": cnn.training.iou()}
    found = cnn.evaluate(result.model, data[48:], metrics=metrics).metrics["iou"]
    assert found.shape == (2,)
    assert found.min() > 0.97
