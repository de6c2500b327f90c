"""Classifiers that slide over pictures larger than those that they were trained on.

A dense layer that reads a whole feature map is a convolution whose kernel has the size of that map
(Sermanet et al., 2014, arXiv 1312.6229): on a larger picture it gives a map of answers, one for
each window, and what windows share is computed once.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, overload

import jax
import numpy as np
from flax import nnx

from jaxcnn import arguments, shapes
from jaxcnn.layers.composition import error_path, remat, serial
from jaxcnn.layers.convolution import conv
from jaxcnn.layers.drop import drop_path, dropout
from jaxcnn.layers.layer import Layer, function
from jaxcnn.layers.linear import dense
from jaxcnn.layers.normalization import batch_norm, group_norm, instance_norm, layer_norm, rms_norm
from jaxcnn.layers.pooling import (
    adaptive_avg_pool,
    adaptive_max_pool,
    avg_pool,
    global_avg_pool,
    global_max_pool,
    max_pool,
)
from jaxcnn.layers.reshaping import flatten, identity
from jaxcnn.layers.scaling import layer_scale, prelu
from jaxcnn.layers.weights import array_shapes, pretrained
from jaxcnn.modules.parameter_tree import arrays_of, with_arrays

# The spatial sizes of the map that a flat row is made of; None where the axes are still there.
_Size: TypeAlias = tuple[int, ...] | None

# After the flattening these compute every position alone.
_POINTWISE = (function, dropout, drop_path, identity)
# And these do, where a row has no more than its channels.
_BY_CHANNEL = (batch_norm, layer_norm, rms_norm, prelu, layer_scale)
_POOLS: dict[type[Layer], Any] = {
    global_avg_pool: avg_pool,
    global_max_pool: max_pool,
    adaptive_avg_pool: avg_pool,
    adaptive_max_pool: max_pool,
}
# Within other layers, these make an answer depend on all of a picture.
_OF_WHOLE_MAPS: tuple[type[Layer], ...] = (*_POOLS, flatten, group_norm, instance_norm)


@overload
def fully_convolutional(network: Layer, *, input_shape: Sequence[int]) -> Layer: ...
@overload
def fully_convolutional(
    network: nnx.Module, *, input_shape: Sequence[int] | None = None
) -> nnx.Module: ...
def fully_convolutional(
    network: Layer | nnx.Module, *, input_shape: Sequence[int] | None = None
) -> Layer | nnx.Module:
    """Return a classifier as a network that gives a map of answers for a larger picture.

    What follows the feature maps is replaced: the first dense layer after ``flatten`` becomes a
    convolution with a kernel of the size of the map, the next ones convolutions of size 1, and a
    global pool becomes a pool over windows of the size of the map, with a stride of 1. Dropout and
    activations stay. The arrays keep their names and numbers; only kernels of dense layers are
    reshaped.

    On a picture of the size of ``input_shape`` the result gives what the classifier gives, as
    ``(1, 1, classes)``. On a larger one it gives at each position the answer of the classifier for
    one window of that size; :func:`sliding_windows` tells which. This is exact where no layer pads.
    With padding, a window within the picture shows the pixels around it where the classifier alone
    saw zeros: the answers are then near, and differ where the border of the window counts.

    >>> network = serial(conv(8, 3), jax.nn.relu, max_pool(2), flatten(), dense(2))
    >>> dense_everywhere = fully_convolutional(network, input_shape=(24, 24, 1))
    >>> dense_everywhere.output_shape((24, 24, 1)), dense_everywhere.output_shape((100, 80, 1))
    ((1, 1, 2), (39, 29, 2))

    Args:
      network: A description, with or without weights, or a trained module that was built of one,
        such as ``cnn.fit(…).model``.
      input_shape: The shape that the classifier was made for, ``(H, W, C)``; ``None`` for a module,
        which knows it.

    Returns:
      A description of a description; a module, with the same weights, of a module.

    Raises:
      TypeError: ``network`` is neither, or a module that was not built of a description.
      ValueError: ``input_shape`` is missing, or a layer has no counterpart; the message names it.
    """
    if isinstance(network, nnx.Module):
        description, shape = _origin(network)
        shape = shape if input_shape is None else shapes.check_shape(input_shape)
        sliding = _convert(description, shape)
        arrays = _reshaped(arrays_of(network), sliding, shape)
        return with_arrays(sliding.abstract(shape), arrays)
    if not isinstance(network, Layer):
        raise TypeError(
            "network must be a description such as serial(…), or a module built of one. "
            f"Received: {arguments.shown(network)}"
        )
    if input_shape is None:
        raise ValueError(
            "input_shape must be the shape that the classifier was made for, (H, W, C), because "
            "the size of its last feature map follows from it. Received: input_shape=None"
        )
    return _convert(network, shapes.check_shape(input_shape))


def sliding_windows(
    network: Layer | nnx.Module,
    picture_shape: Sequence[int],
    *,
    input_shape: Sequence[int] | None = None,
) -> np.ndarray:
    """Return the window of the picture for each answer of a :func:`fully_convolutional` network.

    >>> network = serial(conv(8, 3), jax.nn.relu, max_pool(2), flatten(), dense(2))
    >>> dense_everywhere = fully_convolutional(network, input_shape=(24, 24, 1))
    >>> windows = sliding_windows(dense_everywhere, (100, 80, 1), input_shape=(24, 24, 1))
    >>> windows.shape, windows[1, 3].tolist()
    ((39, 29, 4), [6.0, 2.0, 30.0, 26.0])

    Args:
      network: A description, or a module built of one.
      picture_shape: The shape of the picture, ``(H, W, C)``.
      input_shape: The shape of a window, for which the classifier was made; ``None`` for a module,
        which knows it.

    Returns:
      ``(rows, columns, 4)`` float32: x1, y1, x2 and y2 of each window, in pixels from the left and
      the upper edge.

    Raises:
      TypeError: ``network`` is neither.
      ValueError: ``input_shape`` is missing, the picture is smaller than a window, or the receptive
        field of a layer is not known.
    """
    if isinstance(network, nnx.Module):
        network, known = _origin(network)
        input_shape = known if input_shape is None else input_shape
    if input_shape is None:
        raise ValueError("input_shape must be the shape of a window, (H, W, C). Received: None")
    window, picture = shapes.check_shape(input_shape), shapes.check_shape(picture_shape)
    rows, columns, *_ = network.output_shape(picture)
    one, several = network.receptive_field(window), network.receptive_field(picture)
    if one is None or several is None or len(several) != 2:
        raise ValueError(
            "network must be fully convolutional, with two spatial axes and layers whose receptive "
            f"field is known. Received: {arguments.shown(network)}"
        )
    # Padding moves the first field; the window moves as much as the field does.
    y, x = (
        many.jump * np.arange(count) + many.start - single.start
        for count, many, single in zip((rows, columns), several, one, strict=True)
    )
    corners = np.stack(np.broadcast_arrays(x[None], y[:, None]), axis=-1)
    size = np.array([window[1], window[0]])
    return np.concatenate([corners, corners + size], axis=-1).astype(np.float32)


def _origin(model: nnx.Module) -> tuple[Layer, shapes.Shape]:
    """Return the description of which a module was built, and its input shape."""
    description, shape = getattr(model, "description", None), getattr(model, "input_shape", None)
    if not isinstance(description, Layer) or shape is None:
        raise TypeError(
            "the module must have been built of a description, such as serial(…).build(…). "
            f"Received: {type(model).__name__}"
        )
    return description, shape


def _convert(network: Layer, input_shape: shapes.Shape) -> Layer:
    if len(input_shape) < 2:
        raise ValueError(f"input_shape must have spatial axes. Received: {input_shape}")
    converted, size = _rewrite(network, input_shape, None)
    if size is not None and math.prod(size) != 1:
        raise ValueError(
            "network must end in a dense layer or a global pool. Received: one that ends in a "
            f"flattened map of {size} positions"
        )
    return converted


def _rewrite(layer: Layer, shape: shapes.Shape, size: _Size) -> tuple[Layer, _Size]:
    """Return a layer for maps in place of a layer of a classifier.

    Args:
      layer: The layer.
      shape: The shape that reaches it in the classifier.
      size: The size of the map that reaches it flattened; ``None`` where it is not flattened.

    Returns:
      The layer, and the size of the map that its flattened output is.
    """
    if isinstance(layer, serial):
        return _rewrite_each(layer, shape, size)
    if isinstance(layer, pretrained):
        body, after = _rewrite(layer.body, shape, size)
        weights = _OfClassifier(layer, body, shape)
        return pretrained(body, weights, preprocessing=layer.preprocessing), after
    if isinstance(layer, remat):
        body, after = _rewrite(layer.body, shape, size)
        return remat(body), after
    if size is None:
        return _rewrite_map(layer, shape)
    if isinstance(layer, flatten):
        return identity(), size
    if isinstance(layer, dense):
        options = {f.name: getattr(layer, f.name) for f in dataclasses.fields(dense) if f.kw_only}
        return conv(layer.features, size, **options), (1,) * len(size)
    one = math.prod(size) == 1
    allowed = isinstance(layer, (*_POINTWISE, *(_BY_CHANNEL if one else ())))
    if allowed and layer.output_shape(shape) == shape:
        return layer, size
    raise ValueError(
        f"{layer.kind} has no counterpart on a map after the flattening: only dense, dropout and "
        f"activations, and normalization after a dense layer. Received: {arguments.shown(layer)}"
    )


def _rewrite_each(layer: serial, shape: shapes.Shape, size: _Size) -> tuple[Layer, _Size]:
    children: dict[str, Layer] = {}
    for name, child in layer.children:
        with error_path(name):
            converted, size = _rewrite(child, shape, size)
            shape = child.output_shape(shape)
        if not isinstance(converted, identity) or isinstance(child, identity):
            children[name] = converted
    return (serial(**children) if children else identity()), size


def _rewrite_map(layer: Layer, shape: shapes.Shape) -> tuple[Layer, _Size]:
    """Return the counterpart of a layer that reads a map, and the size of a flat output."""
    spatial = shape[:-1]
    if isinstance(layer, flatten):
        return identity(), spatial
    if type(layer) in _POOLS:
        given = getattr(layer, "output_size", 1)
        sizes = shapes.per_axis("output_size", given, len(spatial))
        if any(side % kept for side, kept in zip(spatial, sizes, strict=True)):
            raise ValueError(
                f"{layer.kind} has no counterpart on larger maps where its windows have several "
                f"sizes. Received: {arguments.shown(layer)} of a map {spatial}"
            )
        window = tuple(side // kept for side, kept in zip(spatial, sizes, strict=True))
        is_global = isinstance(layer, global_avg_pool | global_max_pool)
        flat = (1,) * len(spatial) if is_global and not vars(layer)["keepdims"] else None
        if math.prod(window) == 1:
            return identity(), flat
        return _POOLS[type(layer)](window, strides=1 if is_global else window), flat
    for step in layer.walk(shape):
        if isinstance(step.layer, _OF_WHOLE_MAPS):
            raise ValueError(
                f"{step.layer.kind} reads the whole map, and on a larger picture another one: only "
                "a network whose layers read windows gives the answers of its windows. "
                f"Received: {arguments.shown(layer)}"
            )
    return layer, None


@dataclass(frozen=True)
class _OfClassifier:
    """The weights of a classifier as those of its fully convolutional form."""

    network: pretrained
    body: Layer
    input_shape: shapes.Shape

    def __call__(self, own: Mapping[str, jax.Array]) -> Mapping[str, Any]:
        given = array_shapes(self.network.body, self.input_shape)
        abstract = {
            name: jax.ShapeDtypeStruct(given[name], array.dtype) for name, array in own.items()
        }
        weights = self.network.read(abstract)  # type: ignore[arg-type]  # arrays may be abstract
        return _reshaped(weights, self.body, self.input_shape)


def _reshaped(arrays: Mapping[str, Any], sliding: Layer, shape: shapes.Shape) -> dict[str, Any]:
    """Return the arrays of a classifier in the shapes of its fully convolutional form."""
    sizes = array_shapes(sliding, shape)
    return {name: array.reshape(sizes[name]) for name, array in arrays.items()}
