"""The fast network of airbench (Jordan, 2024, arXiv 2404.00498), with its whitening.

Details that the paper does not give are from its code, github.com/KellerJordan/cifar10-airbench.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike

from jaxcnn import checks, shapes
from jaxcnn.layers import Layer, batch_norm, conv, flatten, max_pool, serial
from jaxcnn.layers.layer import as_layer
from jaxcnn.models.head import last
from jaxcnn.models.registry import register
from jaxcnn.modules import Initializer
from jaxcnn.runtime import run_once

# With the error function, as in PyTorch; JAX's default is an approximation.
_gelu = partial(jax.nn.gelu, approximate=False)
_uniform: Initializer = jax.nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")

# Number of images from which the whitening is computed, as in the paper.
_WHITENED_IMAGES = 5_000
# Added to the variances, which keeps nearly constant directions from being mostly noise. The paper
# adds 5e-4 for images of variance 1; that of pixels between 0 and 1 is about a 16th.
_SMALLEST_VARIANCE = 3e-5


def whiten_first(model: nnx.Module, images: jax.Array | np.ndarray) -> nnx.Module:
    """Return a model whose first convolution whitens the images' patches of 2×2.

    Over all patches p of mean m, the first half of its outputs, Eᵀ(p − m) / √(λ + ε), have mean 0,
    variance 1 and no correlation, where the columns of E are the eigenvectors of the patches'
    covariance and λ its eigenvalues; the other half are their negatives. For images of mean 0 this
    is the paper's initialization, whose bias starts at zero.

    >>> images = jax.random.uniform(jax.random.key(0), (8, 32, 32, 3))
    >>> model = airbench(features=(4, 4, 4)).build((32, 32, 3), rngs=nnx.Rngs(0))
    >>> whitened = whiten_first(model, images)
    >>> [f"{deviation:.2f}" for deviation in whitened.stem.conv_1(images).std((0, 1, 2))[:3]]
    ['1.00', '1.00', '1.00']

    Args:
      model: A build of :func:`airbench`; it is not changed.
      images: ``(N, H, W, C)``, uint8 pixels or floats in [0, 1]; as in the paper, the first 5,000
        are used.

    Raises:
      TypeError: `images` have another dtype.
      ValueError: `images` do not fit the first convolution.
    """
    whitened = nnx.clone(model)
    convolution = whitened.stem.conv_1  # type: ignore[attr-defined]  # the name in the build
    images = jnp.asarray(images[:_WHITENED_IMAGES])
    if images.dtype == jnp.uint8:  # as a training step scales them
        images = images.astype(jnp.float32) / 255
    checks.rank("images", images, 4)
    checks.floating("images", images)
    checks.channels("images", images, convolution.kernel.shape[-2])
    convolution.kernel[...], convolution.bias[...] = _whitening(images)
    return whitened


@register(
    input_shape=(32, 32, 3),
    paper="Jordan, 2024, arXiv 2404.00498",
    parameters=1_971_640,
    multiply_adds=118_147_360,
    prepare=whiten_first,
)
def airbench(num_classes: int = 10, *, features: tuple[int, int, int] = (64, 256, 256)) -> Layer:
    """Eight layers that learn CIFAR-10 in seconds: 1,971,640 parameters.

    :func:`jaxcnn.models.prepare` initializes the first convolution so that it whitens the training
    images; its kernel should be frozen. The paper reaches a test accuracy of 94 % after 9.9 epochs,
    with six views of each test image, and 95 % after 15 with features of (128, 384, 384).

    >>> airbench().output_shape((32, 32, 3))
    (10,)

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      features: Number of channels of each of the three stages, at least 1.

    Raises:
      ValueError: an option is out of range, or `features` are not three.
    """
    if len(features) != 3:
        raise ValueError(f"features must be three, one per stage. Received: features={features}")
    first, second, third = features
    classifier = last(num_classes, use_bias=False, kernel_init=uniform)
    return serial(
        stem=serial(conv(24, 2), _gelu),
        stage_1=_stage(first),
        stage_2=_stage(second),
        stage_3=_stage(third),
        pool=max_pool(3),
        flatten=flatten(),
        **(classifier | {"scale": as_layer(ninth)} if classifier else {}),
    )


def _whitening(images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return kernel and bias of the convolution that whitens."""
    height, width, channels = images.shape[1:]
    corners = [images[:, y : height - 1 + y, x : width - 1 + x] for y in (0, 1) for x in (0, 1)]
    patches = jnp.concatenate(corners, axis=-1).reshape(-1, 4 * channels).astype(jnp.float32)
    mean = patches.mean(axis=0)
    centered = patches - mean[None]
    # On GPU the default precision, about that of bfloat16, makes small eigenvalues inaccurate.
    covariance = jnp.matmul(centered.T, centered, precision="highest") / len(centered)
    variances, vectors = jnp.linalg.eigh(covariance)
    largest_first = (vectors / jnp.sqrt(variances + _SMALLEST_VARIANCE)[None])[:, ::-1]
    kernel = jnp.concatenate([largest_first, -largest_first], axis=1)
    bias = -jnp.matmul(mean, kernel, precision="highest")
    return kernel.reshape(2, 2, channels, 8 * channels), bias


def _stage(features: int) -> serial:
    convolution = conv(features, 3, padding=1, use_bias=False, kernel_init=partly_identity)
    norm = batch_norm(momentum=0.6, epsilon=1e-12, use_scale=False)
    return serial(convolution, max_pool(2), norm, _gelu, convolution, norm, _gelu)


def ninth(x: jax.Array) -> jax.Array:
    """Return a ninth of `x`, which makes the first steps of a fast training small."""
    return x / 9


@partial(run_once, static_argnums=(1, 2))
def uniform(key: jax.Array, shape: shapes.Shape, dtype: DTypeLike) -> jax.Array:
    """Return a kernel uniform in ±1 / √fan_in, as in PyTorch."""
    kernel: jax.Array = _uniform(key, shape, dtype)
    return kernel


def partly_identity(key: jax.Array, shape: shapes.Shape, dtype: DTypeLike) -> jax.Array:
    """Return a kernel whose first features copy the inputs and whose others are uniform."""
    *size, inputs, features = shape
    center = tuple(extent // 2 for extent in size)
    copies = jnp.zeros((*size, inputs, inputs), dtype).at[center].set(jnp.eye(inputs, dtype=dtype))
    others = uniform(key, shape, dtype)[..., inputs:]
    return jnp.concatenate([copies[..., :features], others], axis=-1)
