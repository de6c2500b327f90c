"""Where peers differ from each other: whose meaning is ours, and how to get the other."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from compare import first, last, to_torch
from flax import linen, nnx

import jaxcnn as cnn
from jaxcnn import ops
from jaxcnn.training import cross_entropy, dice

SIGNAL = jnp.array([1.0, 2, 3, 4, 5, 6])[None, :, None]
KERNEL = jnp.array([1.0, 10, 100])[:, None, None]


def torch_conv(x, kernel, op=F.conv1d, **options):
    """The kernel is (size, 1, 1): its two feature axes need no care."""
    return last(op(first(to_torch(x)), to_torch(kernel).movedim(0, -1), **options)).numpy()


def test_average_pool_divisor():
    """Keras's by default, the real inputs; PyTorch's default counts the padding."""
    keras_mean = keras.ops.average_pool(SIGNAL, 3, 1, "same")
    torch_mean = last(F.avg_pool1d(first(to_torch(SIGNAL)), 3, 1, padding=1))
    assert not np.allclose(keras_mean, torch_mean)
    ours = ops.avg_pool(SIGNAL, 3, strides=1, padding="SAME")
    np.testing.assert_allclose(ours, keras_mean, rtol=1e-6)
    counted = ops.avg_pool(SIGNAL, 3, strides=1, padding=1, count_include_pad=True)
    np.testing.assert_allclose(counted, torch_mean, rtol=1e-6)


def test_same_padding_at_stride_2():
    """Keras's "same": the odd pad comes at the end; PyTorch users write padding=1, both sides."""
    keras_same = keras.ops.conv(SIGNAL, KERNEL, 2, "same")
    torch_one = torch_conv(SIGNAL, KERNEL, stride=2, padding=1)
    assert not np.array_equal(keras_same, torch_one)
    np.testing.assert_array_equal(ops.conv(SIGNAL, KERNEL, strides=2, padding="SAME"), keras_same)
    np.testing.assert_array_equal(ops.conv(SIGNAL, KERNEL, strides=2, padding=1), torch_one)


def test_batch_norm_momentum_is_the_share_that_stays():
    """Keras's and Flax's direction; PyTorch's momentum is the share that is new."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(8, 5, 3)) + 3, "float32")
    ours = cnn.batch_norm(momentum=0.9).build(x.shape[1:], rngs=nnx.Rngs(0))
    ours(x, train=True)
    peer = keras.layers.BatchNormalization(momentum=0.9)
    peer(x, training=True)
    theirs = torch.nn.BatchNorm1d(3, momentum=0.1)
    theirs(first(to_torch(x)))
    np.testing.assert_allclose(ours.mean[...], peer.moving_mean.value, rtol=1e-5)
    np.testing.assert_allclose(ours.mean[...], theirs.running_mean, rtol=1e-5)


def test_batch_norm_running_variance_is_the_biased_one():
    """Keras's and Flax's; PyTorch's running variance is n / (n − 1) of it."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 2, 3)), "float32")
    ours = cnn.batch_norm(momentum=0.0).build(x.shape[1:], rngs=nnx.Rngs(0))
    ours(x, train=True)
    theirs = torch.nn.BatchNorm1d(3, momentum=1.0)
    theirs(first(to_torch(x)))
    np.testing.assert_allclose(ours.var[...], np.var(x, axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(ours.var[...] * 8 / 7, theirs.running_var, rtol=1e-5)


@pytest.mark.parametrize("output_padding", [0, 1])
def test_output_padding(output_padding):
    """PyTorch's: positions added at the end, and computed; Keras takes it with its words too."""
    theirs = torch_conv(
        SIGNAL, KERNEL, F.conv_transpose1d, stride=2, padding=1, output_padding=output_padding
    )
    ours = ops.conv_transpose(SIGNAL, KERNEL, strides=2, padding=1, output_padding=output_padding)
    np.testing.assert_array_equal(ours, theirs)
    same = keras.ops.conv_transpose(SIGNAL, KERNEL, 2, "same")
    words = ops.conv_transpose(SIGNAL, KERNEL, strides=2, padding="SAME")
    np.testing.assert_array_equal(words, same)
    # Keras's "same" of a kernel of 3 crops at the end; PyTorch's crop of 1 takes from both.
    assert not np.array_equal(
        same, torch_conv(SIGNAL, KERNEL, F.conv_transpose1d, stride=2, padding=1, output_padding=1)
    )


@pytest.mark.parametrize(("size", "strides", "added"), [(3, 2, 0), (3, 2, 1), (4, 2, 1), (5, 3, 2)])
def test_output_padding_with_same(size, strides, added):
    """Keras's, but for even kernels, where no convolution with "same" maps its size back."""
    kernel = jnp.arange(1.0, size + 1)[:, None, None]
    theirs = keras.ops.conv_transpose(SIGNAL, kernel, strides, "same", output_padding=added)
    ours = ops.conv_transpose(SIGNAL, kernel, strides=strides, padding="SAME", output_padding=added)
    even = size % 2 == 0
    assert ours.shape[1] == theirs.shape[1] + even == 5 * strides + 1 + added
    if even:
        smaller = keras.ops.conv(theirs, kernel, strides, "same").shape[1]
        assert (smaller, ops.conv(ours, kernel, strides=strides, padding="SAME").shape[1]) == (6, 6)
    else:
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("size", "strides"), [(2, 3), (1, 2), (3, 2), (4, 2)])
@pytest.mark.parametrize("word", ["VALID", "SAME"])
def test_sizes_of_words(size, strides, word):
    """Keras's, with a kernel smaller than the stride too; with a number, PyTorch's."""
    kernel = jnp.arange(1.0, size + 1)[:, None, None]
    theirs = keras.ops.conv_transpose(SIGNAL, kernel, strides, word.lower())
    ours = ops.conv_transpose(SIGNAL, kernel, strides=strides, padding=word)
    np.testing.assert_array_equal(ours, theirs)
    for added in range(strides):
        options = {"strides": strides, "output_padding": added}
        ours = ops.conv_transpose(SIGNAL, kernel, padding="VALID", **options)
        theirs = torch_conv(
            SIGNAL, kernel, F.conv_transpose1d, stride=strides, output_padding=added
        )
        np.testing.assert_array_equal(ours, theirs)


def test_transposed_kernels():
    """PyTorch's and Keras's orientation; Flax's default is the kernel flipped."""
    peer = linen.ConvTranspose(1, (3,), strides=(2,), padding="VALID", use_bias=False)
    flipped = peer.apply({"params": {"kernel": KERNEL}}, SIGNAL)
    ours = ops.conv_transpose(SIGNAL, KERNEL, strides=2)
    assert not np.array_equal(ours, flipped)
    np.testing.assert_array_equal(ops.conv_transpose(SIGNAL, KERNEL[::-1], strides=2), flipped)
    np.testing.assert_array_equal(ours, torch_conv(SIGNAL, KERNEL, F.conv_transpose1d, stride=2))


def test_order_of_channels_in_space_to_depth():
    """TensorFlow's, channels fastest; PyTorch's pixel_unshuffle lets the block vary fastest."""
    x = jnp.arange(8.0).reshape(1, 2, 2, 2)
    theirs = last(F.pixel_unshuffle(first(to_torch(x)), 2)).ravel()
    ours = ops.space_to_depth(x, 2).ravel()
    assert ours.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert theirs.tolist() == ours.reshape(4, 2).T.ravel().tolist()


def test_lp_pool_takes_absolute_values():
    """As its formula says; PyTorch sums x^p, which for odd p lets signs cancel."""
    x = jnp.array([3.0, -4.0])[None, :, None]
    assert ops.lp_pool(x, 2, 1).item() == 7
    assert F.lp_pool1d(first(to_torch(x)), 1, 2).item() != 7


def test_resize_antialiases():
    """As jax.image and Pillow; PyTorch's and Keras's default does not."""
    x = jnp.arange(16.0)[None, :, None]
    plain = last(F.interpolate(first(to_torch(x)), size=3, mode="linear"))
    assert not np.allclose(ops.resize(x, 3), plain)
    np.testing.assert_allclose(ops.resize(x, 3, antialias=False), plain, rtol=1e-5)


LOGITS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
LABELS, WEIGHTS = np.array([0, 1, 2, 3, 1, 1]), np.array([1, 2, 0.5, 4], np.float32)


def test_smoothing_with_class_weights():
    """Ours weighs the loss by its example's class; PyTorch weighs each class's part of the spread.

    Given as shares, which each class weighs, ours is PyTorch's.
    """
    target, weight = torch.tensor(LABELS), torch.tensor(WEIGHTS)
    theirs = F.cross_entropy(
        to_torch(LOGITS), target, weight=weight, label_smoothing=0.2, reduction="none"
    )
    ours = cross_entropy(
        jnp.asarray(LOGITS), jnp.asarray(LABELS), label_smoothing=0.2, class_weights=WEIGHTS
    )
    assert not np.allclose(ours, theirs, rtol=1e-2)
    unweighted = F.cross_entropy(to_torch(LOGITS), target, label_smoothing=0.2, reduction="none")
    np.testing.assert_allclose(ours, WEIGHTS[LABELS] * unweighted.numpy(), rtol=1e-5)
    shares = 0.8 * np.eye(4, dtype=np.float32)[LABELS] + np.float32(0.05)
    smoothed = cross_entropy(jnp.asarray(LOGITS), jnp.asarray(shares), class_weights=WEIGHTS)
    np.testing.assert_allclose(smoothed, theirs, rtol=1e-5)


def test_the_mean_of_weighted_losses():
    """Ours divides by the number of examples, as Keras; PyTorch by the sum of their weights."""
    losses = cross_entropy(jnp.asarray(LOGITS), jnp.asarray(LABELS), class_weights=WEIGHTS)
    peer = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    expected = peer(LABELS, LOGITS, sample_weight=WEIGHTS[LABELS])
    np.testing.assert_allclose(losses.mean(), expected, rtol=1e-5)
    theirs = F.cross_entropy(to_torch(LOGITS), torch.tensor(LABELS), weight=torch.tensor(WEIGHTS))
    assert not np.allclose(losses.mean(), theirs, rtol=1e-2)
    np.testing.assert_allclose(losses.sum() / WEIGHTS[LABELS].sum(), theirs, rtol=1e-5)


def test_positions_of_several_images():
    """Ours is a mean over images of their means; PyTorch's counts each position alike."""
    x = np.random.default_rng(1).normal(size=(2, 5, 3)).astype(np.float32)
    labels = np.array([[0, 1, 2, 1, 0], [2, 255, 255, 255, 255]])
    losses = cross_entropy(jnp.asarray(x), jnp.asarray(labels))
    theirs = F.cross_entropy(first(to_torch(x)), torch.tensor(labels), ignore_index=255)
    assert not np.allclose(losses.mean(), theirs, rtol=1e-2)
    np.testing.assert_allclose(np.dot(losses, [5, 1]) / 6, theirs, rtol=1e-5)


def test_dice_has_squares_below():
    """As Milletari et al. have it; Keras has none, which a sure prediction does not tell apart."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (4, 5, 5))
    one_hot = np.eye(3, dtype=np.float32)[labels]
    logits = rng.normal(size=one_hot.shape).astype(np.float32)

    def both(logits):
        shares = np.asarray(jax.nn.softmax(logits))
        theirs = np.asarray(keras.losses.dice(one_hot, shares, axis=(1, 2))).mean(axis=1)
        return dice(jnp.asarray(logits), jnp.asarray(labels)), theirs

    assert not np.allclose(*both(logits), rtol=1e-2)
    np.testing.assert_allclose(*both(1000 * logits), rtol=1e-5)


def test_nearest_is_of_the_middle():
    """PyTorch's nearest-exact; its nearest rounds down where the new pixel begins."""
    x = jnp.arange(5.0)[None, :, None]
    exact, floor = (
        last(F.interpolate(first(to_torch(x)), size=8, mode=mode))
        for mode in ("nearest-exact", "nearest")
    )
    ours = ops.resize(x, 8, method="nearest")
    assert not np.array_equal(ours, floor)
    np.testing.assert_array_equal(ours, exact)


def test_cubic_has_the_constant_of_keys():
    """a = −1/2, as Pillow and PyTorch's with antialias; PyTorch's without has −3/4."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 6, 5, 1)), "float32")
    antialiased, other = (
        last(F.interpolate(first(to_torch(x)), size=(9, 4), mode="bicubic", antialias=antialias))
        for antialias in (True, False)
    )
    ours = ops.resize(x, (9, 4), method="cubic")
    np.testing.assert_allclose(ours, antialiased, rtol=1e-5, atol=1e-5)
    ours = ops.resize(x, (9, 4), method="cubic", antialias=False)
    assert not np.allclose(ours, other, atol=0.01)
