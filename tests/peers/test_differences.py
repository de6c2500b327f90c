"""Where peers differ from each other: whose meaning is ours, and how to get the other."""

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
