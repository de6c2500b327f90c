"""The course's worked numbers, in the order in which it teaches them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn import ops, shapes
from jaxcnn.ops.filters import KERNELS
from jaxcnn.training.forward import to_float

ARROW = [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]]
CROSS = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
LETTER_A = [[0, 0.6, 0.6, 0], [0.6, 0, 0, 0.6], [0.6, 0.6, 0.6, 0.6], [0.6, 0, 0, 0.6]]


def image(rows):
    return jnp.array(rows, jnp.float32)[None, :, :, None]


def kernel(rows):
    return jnp.array(rows, jnp.float32)[:, :, None, None]


def plane(y):
    return np.asarray(y[0, :, :, 0])


def test_a_picture_is_numbers():
    assert cnn.data.storage_bytes((512, 512, 1)) == 262_144
    assert cnn.data.storage_bytes((512, 512, 3)) == 786_432
    pixels = to_float(np.array([0, 51, 255], np.uint8))
    np.testing.assert_allclose(pixels, [0, 0.2, 1], rtol=1e-6)


def test_a_data_set_is_a_matrix_and_one_hot_labels():
    images = np.zeros((60_000, 28, 28), np.uint8)
    assert images.reshape(len(images), *shapes.flatten((28, 28))).shape == (60_000, 784)
    labels = np.arange(60_000) % 10
    encoded = cnn.data.one_hot(labels, 10)
    assert encoded.shape == (60_000, 10)
    assert encoded[7].tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 0, 0]


def test_convolution_of_the_arrow():
    y = ops.conv(image(ARROW), kernel(CROSS))
    np.testing.assert_array_equal(plane(y), [[4, 3, 4], [2, 4, 3], [2, 3, 4]])


@pytest.mark.parametrize("padding", [1, "SAME"])
def test_sobel_of_the_letter(padding):
    y = ops.conv(image(LETTER_A), kernel(KERNELS["sobel_x"]), padding=padding)
    expected = [
        [-1.2, -0.6, 0.6, 1.2],
        [-1.2, 0.6, -0.6, 1.2],
        [-1.2, 1.2, -1.2, 1.2],
        [-0.6, 1.2, -1.2, 0.6],
    ]
    np.testing.assert_allclose(plane(y), expected, atol=1e-6)
    np.testing.assert_allclose(
        ops.filter_image(jnp.array(LETTER_A), "sobel_x"), expected, atol=1e-6
    )


def test_three_channels_add_up():
    channels = jnp.array(
        [
            [[0, 0, 0], [0, 156, 155], [0, 153, 154]],
            [[0, 0, 0], [0, 167, 166], [0, 164, 165]],
            [[0, 0, 0], [0, 163, 162], [0, 160, 161]],
        ],
        jnp.float32,
    )
    kernels = jnp.array(
        [
            [[-1, -1, 1], [0, 1, -1], [0, 1, 1]],
            [[1, 0, 0], [1, -1, -1], [1, 0, -1]],
            [[0, 1, 1], [0, 1, 0], [1, -1, 1]],
        ],
        jnp.float32,
    )
    x, weights = jnp.moveaxis(channels, 0, -1)[None], jnp.moveaxis(kernels, 0, -1)
    each = ops.conv(x, weights[:, :, None, :], groups=3)
    assert each[0, 0, 0].tolist() == [308, -498, 164]
    assert ops.conv(x, weights[..., None], jnp.ones(1)).item() == -25


def test_two_by_two_kernel():
    x, weights = jnp.arange(9.0).reshape(1, 3, 3, 1), jnp.ones((2, 2, 1, 1))
    np.testing.assert_array_equal(plane(ops.conv(x, weights)), [[8, 12], [20, 24]])


def test_both_convolutions():
    """(f∗g)(x) = Σ_t f(t) g(t − x) is the cross-correlation; flipped, it is NumPy's convolution."""
    f, g = jnp.array([1.0, 2, 3, 4, 5]), jnp.array([1.0, 10, 100])
    x, weights = f[None, :, None], g[:, None, None]
    np.testing.assert_array_equal(ops.conv(x, weights)[0, :, 0], np.correlate(f, g, "valid"))
    flipped = ops.conv(x, weights, flip_kernel=True)
    np.testing.assert_array_equal(flipped[0, :, 0], np.convolve(f, g, "valid"))


def test_fifteen_kernels():
    assert shapes.conv_shape((52, 52, 1), 15, 12, strides=2) == (21, 21, 15)
    y = ops.conv(jnp.zeros((1, 52, 52, 1)), jnp.zeros((12, 12, 1, 15)), strides=2)
    assert y.shape == (1, 21, 21, 15)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("identity", [[0, 0, 0], [0, 1, 0], [0, 0, 0]]),
        ("edges_diagonal", [[1, 0, -1], [0, 0, 0], [-1, 0, 1]]),
        ("edges_cross", [[0, 1, 0], [1, -4, 1], [0, 1, 0]]),
        ("edges", [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]),
        ("sharpen", [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
        ("box_blur", np.ones((3, 3)) / 9),
        ("gaussian_blur", np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16),
        ("sobel_x", [[1, 0, -1], [2, 0, -2], [1, 0, -1]]),
        ("sobel_y", [[1, 2, 1], [0, 0, 0], [-1, -2, -1]]),
    ],
)
def test_classic_kernels(name, rows):
    np.testing.assert_allclose(KERNELS[name], rows, rtol=1e-12)


def test_a_parrot_is_a_parrot_anywhere():
    """What moves in the input moves in the output, and nothing else changes."""
    parrot = jnp.pad(jnp.array(ARROW, jnp.float32), ((3, 8), (2, 9)))
    moved = jnp.roll(parrot, (4, 5), (0, 1))
    before, after = (ops.conv(image(x), kernel(CROSS)) for x in (parrot, moved))
    np.testing.assert_array_equal(jnp.roll(before, (4, 5), (1, 2)), after)


def test_weights_are_shared():
    """640 parameters see 26·26·64 positions; a dense layer would need 34 million."""
    convolution = cnn.summarize(cnn.conv(64, 3), (28, 28, 1))
    dense = cnn.summarize(cnn.serial(cnn.flatten(), cnn.dense(26 * 26 * 64)), (28, 28, 1))
    assert convolution.parameters == 640
    assert dense.parameters == (28 * 28 + 1) * 26 * 26 * 64


def test_zero_padding():
    expected = [[0, 0, 0, 0], [0, 1, 2, 0], [0, 3, 4, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(plane(ops.pad(image([[1, 2], [3, 4]]), 1)), expected)


def test_pools():
    x = image([[2, 3, 1, 9], [4, 7, 3, 5], [8, 2, 2, 2], [1, 3, 4, 5]])
    np.testing.assert_array_equal(plane(ops.max_pool(x, 2)), [[7, 9], [8, 5]])
    x = image([[2, 1, 1, 3], [4, 5, 2, 1], [1, 4, 5, 3], [5, 1, 7, 6]])
    stepped = ops.max_pool(x, 2, strides=1)
    np.testing.assert_array_equal(plane(stepped), [[5, 5, 3], [5, 5, 5], [5, 7, 7]])
    np.testing.assert_array_equal(plane(ops.avg_pool(x, 2)), [[3, 1.75], [2.75, 5.25]])
    assert cnn.summarize(cnn.max_pool(2), (4, 4, 1)).parameters == 0


def test_relu_and_softmax():
    assert jax.nn.relu(jnp.array([-3.0, -0.5, 0, 2])).tolist() == [0, 0, 0, 2]
    shares = np.exp([2.0, 1, 0]) / (np.e**2 + np.e + 1)
    np.testing.assert_allclose(jax.nn.softmax(jnp.array([2.0, 1, 0])), shares, rtol=1e-6)
    np.testing.assert_allclose(shares, [0.665, 0.245, 0.090], atol=5e-4)


def test_a_dense_layer_and_dropout(key):
    """1·1 + 2·3 + 3·5 + 10 = 32, and what is not dropped at a rate of 0.5 is doubled."""
    y = ops.dense(
        jnp.array([[1.0, 2, 3]]), jnp.array([[1.0, 2], [3, 4], [5, 6]]), jnp.array([10.0, 20])
    )
    assert y.tolist() == [[32, 48]]
    dropped = np.asarray(ops.dropout(key, jnp.ones((8, 100)), 0.5))
    assert set(np.unique(dropped)) == {0, 2}
    assert shapes.flatten((2, 2, 128)) == (512,)


NETWORKS = {
    "pets_cnn": (
        (30, 30, 1),
        [25_088, 6_272, 12 * 12 * 64, 6 * 6 * 64, 4 * 4 * 128, 512, 512, 100, 3],
        [320, 18_496, 73_856, 51_300, 303],
        144_275,
    ),
    "letters_cnn": (
        (128, 128, 1),
        [64 * 64 * 16, 32 * 32 * 16, 16_384, 512, 26],
        [160, 8_389_120, 13_338],
        8_402_618,
    ),
    "mnist_cnn": (
        (28, 28, 1),
        [26 * 26 * 64, 13 * 13 * 64, 11 * 11 * 64, 5 * 5 * 64, 3 * 3 * 64, 576, 576, 10],
        [640, 36_928, 36_928, 5_770],
        80_266,
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name, key):
    """Every size and count, predicted, and found again in the model that is built."""
    input_shape, sizes, counts, total = NETWORKS[name]
    layer = cnn.models.create(name)
    summary = cnn.summarize(layer, input_shape)
    rows = [row for row in summary.rows if row.kind != "relu"]
    assert [np.prod(row.output_shape) for row in rows] == sizes
    assert [row.parameters for row in rows if row.parameters] == counts
    assert (summary.parameters, summary.trainable, summary.non_trainable) == (total, total, 0)

    model = layer.build(input_shape, rngs=nnx.Rngs(0))
    arrays = jax.tree.leaves(cnn.make_training(model, optax.identity()).init(key).params)
    assert sum(array.size for array in arrays) == total
    logits = model(jnp.zeros((2, *input_shape)))
    np.testing.assert_allclose(jax.nn.softmax(logits).sum(axis=1), 1, rtol=1e-6)


def test_same_padding_of_the_first_layer():
    assert np.prod(shapes.conv_shape((30, 30, 1), 32, 3, padding="SAME")) == 28_800
