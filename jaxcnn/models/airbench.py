"""The fast network of airbench (Jordan, 2024, arXiv 2404.00498), and its whitening.

What the paper leaves open is as in its code, github.com/KellerJordan/cifar10-airbench.
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jaxcnn import checks, shapes
from jaxcnn.layers import Layer, batch_norm, conv, dense, flatten, max_pool, serial
from jaxcnn.models.registry import register
from jaxcnn.modules import Initializer
from jaxcnn.runtime import run_once

# By the error function, as PyTorch's; JAX's default approximates it.
_gelu = partial(jax.nn.gelu, approximate=False)
# Within ±1 / √fan_in, as PyTorch's.
_uniform: Initializer = run_once(
    jax.nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform"), static_argnums=(1, 2)
)


@register(input_shape=(32, 32, 3))
def airbench(num_classes: int = 10, *, features: tuple[int, int, int] = (64, 256, 256)) -> Layer:
    """Eight layers that learn CIFAR-10 in seconds: 1,971,640 parameters.

    The first convolution is to be whitened by :func:`whiten` and its kernel not to be trained. The
    paper gets 94 % of the test images right after 9.9 epochs, each seen in six ways, and 95 % after
    15 with features of (128, 384, 384).

    >>> airbench().output_shape((32, 32, 3))
    (10,)

    Args:
      num_classes: Outputs, at least 1.
      features: Channels of each of the three stages, at least 1.

    Raises:
      ValueError: an option is out of its range, or ``features`` are not three.
    """
    if len(features) != 3:
        raise ValueError(f"features must be three, one per stage. Received: features={features}")
    first, second, third = features
    return serial(
        stem=serial(conv(24, 2), _gelu),
        stage_1=_stage(first),
        stage_2=_stage(second),
        stage_3=_stage(third),
        pool=max_pool(3),
        flatten=flatten(),
        head=dense(num_classes, use_bias=False, kernel_init=_uniform),
        scale=ninth,
    )


def whiten(model: nnx.Module, images: jax.Array, *, epsilon: float = 5e-4) -> nnx.Module:
    """Returns a model whose first convolution whitens the images' patches of 2×2.

    Over all patches p of mean m, the first half of its outputs, Eᵀ(p − m) / √(λ + epsilon), are of
    mean 0, variance 1 and without correlation, where the columns of E are the eigenvectors of the
    patches' covariance and λ its eigenvalues; the other half are their negatives. For images of
    mean 0 that is the paper's, whose bias begins at zero.

    >>> images = jax.random.uniform(jax.random.key(0), (8, 32, 32, 3))
    >>> model = airbench(features=(4, 4, 4)).build((32, 32, 3), rngs=nnx.Rngs(0))
    >>> whitened = whiten(model, images)
    >>> [f"{deviation:.2f}" for deviation in whitened.stem.conv_1(images).std((0, 1, 2))[:3]]
    ['1.00', '1.00', '1.00']

    Args:
      model: A build of :func:`airbench`; it stays as it is.
      images: ``(batch, H, W, 3)``, floating point, as the model is given them; the paper takes the
        first 5,000 of the training set.
      epsilon: Added to the variances, which keeps what is nearly constant from being all noise; its
        default suits images of variance 1.

    Raises:
      TypeError: ``images`` are not floating point.
      ValueError: ``images`` are not as the first convolution takes them, or it is not one that can
        be whitened.
    """
    whitened = nnx.clone(model)
    convolution = whitened.stem.conv_1  # type: ignore[attr-defined]  # the build's own name
    *size, channels, features = convolution.kernel.shape
    checks.rank("images", images, 4)
    checks.floating("images", images)
    checks.channels("images", images, channels)
    if (*size, features) != (2, 2, 8 * channels):
        raise ValueError(
            "the first convolution must be of 2×2 with 8 features for each channel, 24 for 3. "
            f"Received: kernel {convolution.kernel.shape}"
        )
    convolution.kernel[...], convolution.bias[...] = _whitening(images, epsilon)
    return whitened


def _whitening(images: jax.Array, epsilon: float) -> tuple[jax.Array, jax.Array]:
    """Returns kernel and bias of the convolution that whitens."""
    height, width, channels = images.shape[1:]
    corners = [images[:, y : height - 1 + y, x : width - 1 + x] for y in (0, 1) for x in (0, 1)]
    patches = jnp.concatenate(corners, axis=-1).reshape(-1, 4 * channels).astype(jnp.float32)
    mean = patches.mean(axis=0)
    centerd = patches - mean[None]
    # On GPU the default precision, that of bfloat16 or little more, spoils small eigenvalues.
    covariance = jnp.matmul(centerd.T, centerd, precision="highest") / len(centerd)
    variances, vectors = jnp.linalg.eigh(covariance)
    largest_first = (vectors / jnp.sqrt(variances + epsilon)[None])[:, ::-1]
    kernel = jnp.concatenate([largest_first, -largest_first], axis=1)
    bias = -jnp.matmul(mean, kernel, precision="highest")
    return kernel.reshape(2, 2, channels, 8 * channels), bias


def _stage(features: int) -> serial:
    convolution = conv(features, 3, padding=1, use_bias=False, kernel_init=partly_identity)
    norm = batch_norm(momentum=0.6, epsilon=1e-12, use_scale=False)
    return serial(convolution, max_pool(2), norm, _gelu, convolution, norm, _gelu)


def ninth(x: jax.Array) -> jax.Array:
    """Returns a ninth of ``x``; as logits, they make a fast training's first steps small."""
    return x / 9


def partly_identity(key: jax.Array, shape: shapes.Shape, dtype: DTypeLike) -> jax.Array:
    """Returns a kernel whose first features copy the inputs and whose others are uniform."""
    *size, inputs, features = shape
    center = tuple(extent // 2 for extent in size)
    copies = jnp.zeros((*size, inputs, inputs), dtype).at[center].set(jnp.eye(inputs, dtype=dtype))
    others = _uniform(key, shape, dtype)[..., inputs:]
    return jnp.concatenate([copies[..., :features], others], axis=-1)
