"""The layers here that compute what a layer of Keras does."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxcnn.interchange.keras_activations import ACTIVATION_LAYERS, activation
from jaxcnn.interchange.keras_parts import (
    Call,
    Converter,
    Part,
    array_of,
    kind_of,
    of_function,
    one_or_each,
    require,
    require_last_axis,
    with_options,
)
from jaxcnn.layers import (
    Layer,
    adaptive_avg_pool,
    adaptive_max_pool,
    avg_pool,
    batch_norm,
    conv,
    conv_transpose,
    dense,
    depthwise,
    drop_path,
    dropout,
    flatten,
    global_avg_pool,
    global_max_pool,
    group_norm,
    layer_norm,
    layer_scale,
    max_pool,
    pad,
    resize,
    rms_norm,
    separable,
    spatial_dropout,
    standardize,
    upsample,
)

_SMALLEST_STD = 1e-7  # of Keras's Normalization: keras.config.epsilon()
_METHODS = {"bilinear": "linear", "bicubic": "cubic"}  # Keras's bicubic has Keys's a = −1/2

# Random augmentations and noise, which leave every value as it is at inference.
# fmt: off
LEFT_OUT = frozenset((
    "AlphaDropout", "AugMix", "CutMix", "GaussianDropout", "GaussianNoise", "MixUp", "RandAugment",
    "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast",
    "RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGaussianBlur",
    "RandomGrayscale", "RandomHue", "RandomInvert", "RandomPerspective", "RandomPosterization",
    "RandomRotation", "RandomSaturation", "RandomSharpness", "RandomShear", "RandomTranslation",
    "RandomZoom",
))
# fmt: on


def convert(call: Call) -> list[Part]:
    """Return the layers that compute what a layer of Keras does, in a row.

    Args:
      call: The layer, of a kind in ``CONVERTERS``.

    Raises:
      TypeError: an option has a type that no layer here takes.
      ValueError: an option has a value that no layer here takes.
    """
    require(call.layer, "data_format", "channels_last")
    require(call.layer, "compute_dtype", "float32")
    require(call.layer, "variable_dtype", "float32")
    return CONVERTERS[kind_of(type(call.layer).__module__, type(call.layer).__name__)](call)


def scaled(scale: np.ndarray, offset: np.ndarray) -> list[Part]:
    """Return x · scale + offset, of one number or one per channel.

    Args:
      scale: Numbers above 0.
      offset: Any numbers.

    Raises:
      ValueError: a scale is not above 0.
    """
    for numbers in (scale, offset):
        if numbers.size not in (1, *numbers.shape[-1:]):
            raise ValueError(f"a factor must be one number or one per channel. Received: {numbers}")
    if not np.all(scale > 0):
        raise ValueError(f"scale must be above 0. Received: scale={scale.tolist()}")
    mean, std = np.broadcast_arrays(0 - offset / scale, 1 / scale)  # 0 − 0 is 0, not −0
    return [Part(standardize(_numbers(mean), _numbers(std)), {})]


def _numbers(array: np.ndarray) -> Any:
    """Return the numbers of all channels as one, if they are equal."""
    return one_or_each(array.reshape(-1).tolist())


def _window(layer: Any) -> dict[str, Any]:
    """Return the options that all convolutions share."""
    return {
        "strides": one_or_each(layer.strides),
        "padding": layer.padding.upper(),
        "dilation": one_or_each(layer.dilation_rate),
        "use_bias": layer.use_bias,
    }


def _affine(layer: Any, kernel: np.ndarray) -> dict[str, np.ndarray]:
    return {"kernel": kernel} | ({"bias": array_of(layer.bias)} if layer.use_bias else {})


def _grouped(kernel: np.ndarray) -> np.ndarray:
    """Return ``(*size, channels, multiplier)`` as a kernel of as many groups as channels."""
    *size, channels, multiplier = kernel.shape
    return kernel.reshape(*size, 1, channels * multiplier)


def _conv(call: Call) -> list[Part]:
    layer = call.layer
    size = one_or_each(layer.kernel_size)
    here = conv(layer.filters, size, groups=layer.groups, **_window(layer))
    return [Part(here, _affine(layer, array_of(layer.kernel))), *activation(call)]


def _conv_transpose(call: Call) -> list[Part]:
    layer, added = call.layer, call.layer.output_padding
    if added is not None and layer.padding == "same" and any(n % 2 == 0 for n in layer.kernel_size):
        raise ValueError(
            "output_padding must be None for padding 'same' and an even kernel_size. "
            f"Received: output_padding={added}, kernel_size={layer.kernel_size}"
        )
    options = _window(layer)
    if added is not None:
        options["output_padding"] = one_or_each(added)
    here = conv_transpose(layer.filters, one_or_each(layer.kernel_size), **options)
    kernel = np.swapaxes(array_of(layer.kernel), -1, -2)  # Keras's has the features first
    return [Part(here, _affine(layer, kernel)), *activation(call)]


def _depthwise(call: Call) -> list[Part]:
    layer = call.layer
    size = one_or_each(layer.kernel_size)
    here = depthwise(size, multiplier=layer.depth_multiplier, **_window(layer))
    return [Part(here, _affine(layer, _grouped(array_of(layer.kernel)))), *activation(call)]


def _separable(call: Call) -> list[Part]:
    layer = call.layer
    size = one_or_each(layer.kernel_size)
    here = separable(layer.filters, size, multiplier=layer.depth_multiplier, **_window(layer))
    (depthwise_name, _), (pointwise_name, _) = here.children
    arrays = {f"{depthwise_name}.kernel": _grouped(array_of(layer.depthwise_kernel))}
    pointwise = _affine(layer, array_of(layer.pointwise_kernel))
    arrays |= {f"{pointwise_name}.{name}": array for name, array in pointwise.items()}
    return [Part(here, arrays), *activation(call)]


def _dense(call: Call) -> list[Part]:
    """Return a dense layer, or the convolution that Keras's is at every position of an image."""
    layer, kernel = call.layer, array_of(call.layer.kernel)
    axes = len(call.input_shape) - 2
    here: Layer = dense(layer.units, use_bias=layer.use_bias)
    if axes > 0:
        here = conv(layer.units, 1, use_bias=layer.use_bias)
        kernel = kernel.reshape(*[1] * axes, *kernel.shape)
    return [Part(here, _affine(layer, kernel)), *activation(call)]


def _pool(pool: Callable[..., Layer], call: Call) -> list[Part]:
    layer = call.layer
    window, strides = one_or_each(layer.pool_size), one_or_each(layer.strides)
    strides = None if strides == window else strides
    return [Part(pool(window, strides=strides, padding=layer.padding.upper()), {})]


def _global_pool(pool: Callable[..., Layer], call: Call) -> list[Part]:
    return [Part(pool(keepdims=call.layer.keepdims), {})]


def _adaptive_pool(pool: Callable[..., Layer], call: Call) -> list[Part]:
    return [Part(pool(one_or_each(call.layer.output_size)), {})]


def _norm(norm: Callable[..., Layer], layer: Any, **options: Any) -> Part:
    """Return a normalization with the scale and bias of Keras's."""
    here = norm(epsilon=layer.epsilon, use_scale=layer.scale, use_bias=layer.center, **options)
    given = {"scale": layer.gamma, "bias": layer.beta}
    return Part(here, {name: array_of(value) for name, value in given.items() if value is not None})


def _batch_norm(call: Call) -> list[Part]:
    layer = call.layer
    require_last_axis(call)
    require(layer, "renorm", False)
    here, arrays = _norm(batch_norm, layer, momentum=layer.momentum)
    statistics = {"mean": array_of(layer.moving_mean), "var": array_of(layer.moving_variance)}
    return [Part(here, {**arrays, **statistics})]


def _layer_norm(call: Call) -> list[Part]:
    require_last_axis(call)
    require(call.layer, "rms_scaling", False)
    return [_norm(layer_norm, call.layer)]


def _group_norm(call: Call) -> list[Part]:
    require_last_axis(call)
    return [_norm(functools.partial(group_norm, call.layer.groups), call.layer)]


def _rms_norm(call: Call) -> list[Part]:
    require_last_axis(call)
    here = rms_norm(epsilon=call.layer.epsilon)
    return [Part(here, {"scale": array_of(call.layer.scale)})]


def _standardize(call: Call) -> list[Part]:
    layer, rank = call.layer, len(call.input_shape)
    require(layer, "invert", False)
    if any(axis % rank != rank - 1 for axis in layer.axis):
        raise ValueError(f"axis must be None or the last. Received: axis={layer.axis}")
    std = np.maximum(np.sqrt(array_of(layer.variance)), _SMALLEST_STD)
    return [Part(standardize(_numbers(array_of(layer.mean)), _numbers(std)), {})]


def _rescale(call: Call) -> list[Part]:
    return scaled(np.asarray(call.layer.scale), np.asarray(call.layer.offset))


def _layer_scale(call: Call) -> list[Part]:
    factors = array_of(call.layer.gamma)
    return [Part(layer_scale(init=float(call.layer.init_values)), {"scale": factors})]


def _dropout(call: Call) -> list[Part]:
    layer, others = call.layer, len(call.input_shape) - 1
    if layer.noise_shape is None:
        return [Part(dropout(layer.rate), {})]
    if tuple(layer.noise_shape)[1:] == (1,) * others:
        return [Part(drop_path(layer.rate), {})]
    raise ValueError(
        "noise_shape must be None, or 1 on every axis but that of the examples. "
        f"Received: noise_shape={layer.noise_shape}"
    )


def _spatial_dropout(call: Call) -> list[Part]:
    return [Part(spatial_dropout(call.layer.rate), {})]


def _drop_path(call: Call) -> list[Part]:
    return [Part(drop_path(call.layer.drop_path_rate), {})]


def _border(name: str, sign: int, call: Call) -> list[Part]:
    """Return a border of zeros, or with negative widths a crop."""
    given = getattr(call.layer, name)
    pairs: Sequence[Any] = given if len(call.input_shape) > 3 else [given]
    widths = [(sign * low, sign * high) for low, high in pairs]
    return [Part(pad(widths), {})]


def _upsample(call: Call) -> list[Part]:
    size = np.atleast_1d(call.layer.size).tolist()
    method = getattr(call.layer, "interpolation", "nearest")
    return [Part(upsample(one_or_each(size), method=_METHODS.get(method, method)), {})]


def _resize(call: Call) -> list[Part]:
    layer = call.layer
    require(layer, "crop_to_aspect_ratio", False)
    require(layer, "pad_to_aspect_ratio", False)
    method = _METHODS.get(layer.interpolation, layer.interpolation)
    antialias = getattr(layer, "antialias", False)
    size = one_or_each((layer.height, layer.width))
    return [Part(resize(size, method=method, antialias=antialias), {})]


def _flatten(call: Call) -> list[Part]:
    return [Part(flatten(), {})]


def _reshape(call: Call) -> list[Part]:
    sizes = call.output_shape[1:]
    if len(sizes) == 1:
        return _flatten(call)
    if None in sizes:
        raise ValueError(f"the sizes must be known, from those of the input. Received: {sizes}")
    return of_function(with_options(jnp.reshape, shape=(-1, *sizes)))


def _permute(call: Call) -> list[Part]:
    return of_function(with_options(jnp.transpose, axes=(0, *call.layer.dims)))


def _none(call: Call) -> list[Part]:
    return []


def _per_axes(name: str, converter: Converter) -> dict[str, Converter]:
    return {name.format(axes): converter for axes in (1, 2, 3)}


CONVERTERS: dict[str, Converter] = {
    **ACTIVATION_LAYERS,
    **_per_axes("Conv{}D", _conv),
    **_per_axes("Conv{}DTranspose", _conv_transpose),
    "DepthwiseConv1D": _depthwise,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv1D": _separable,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    **_per_axes("MaxPooling{}D", functools.partial(_pool, max_pool)),
    **_per_axes("AveragePooling{}D", functools.partial(_pool, avg_pool)),
    **_per_axes("GlobalMaxPooling{}D", functools.partial(_global_pool, global_max_pool)),
    **_per_axes("GlobalAveragePooling{}D", functools.partial(_global_pool, global_avg_pool)),
    **_per_axes("AdaptiveMaxPooling{}D", functools.partial(_adaptive_pool, adaptive_max_pool)),
    **_per_axes("AdaptiveAveragePooling{}D", functools.partial(_adaptive_pool, adaptive_avg_pool)),
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
    "RMSNormalization": _rms_norm,
    "Normalization": _standardize,
    "Rescaling": _rescale,
    "LayerScale": _layer_scale,  # of keras.applications, as is StochasticDepth
    "StochasticDepth": _drop_path,
    "Dropout": _dropout,
    **_per_axes("SpatialDropout{}D", _spatial_dropout),
    **_per_axes("ZeroPadding{}D", functools.partial(_border, "padding", 1)),
    **_per_axes("Cropping{}D", functools.partial(_border, "cropping", -1)),
    **_per_axes("UpSampling{}D", _upsample),
    "Resizing": _resize,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "Identity": _none,
    "ActivityRegularization": _none,
    **dict.fromkeys(LEFT_OUT, _none),
}
