"""Operators for primitives that move a window."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxcnn import shapes
from jaxcnn.interchange.held_values import Layouts, Value
from jaxcnn.interchange.operator_graph import UntranslatableError
from jaxcnn.interchange.program_translation import Rule
from jaxcnn.interchange.symbolic_sizes import are_known
from jaxcnn.interchange.translated_cuts import padded


def channels_first(rank: int) -> tuple[int, ...]:
    """Return the order of axes that ONNX expects of an array with the channels last.

    >>> channels_first(4)
    (0, 3, 1, 2)
    """
    return (0, rank - 1, *range(1, rank - 1))


def _conv(layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any) -> Value:
    x, kernel = inputs
    if x.name is None:
        return NotImplemented
    given = params["params"]
    windows: shapes.Windows = given.windows
    order = channels_first(x.rank)
    weights = layouts.arranged(kernel, (x.rank - 1, x.rank - 2, *range(x.rank - 2)))
    name = _convolved(
        layouts,
        layouts.arranged(x, order),
        weights,
        strides=windows.strides,
        padding=windows.padding,
        dilation=windows.dilation,
        groups=given.groups,
    )
    return layouts.made(name, order, result.shape, result.dtype)


def _convolved(
    layouts: Layouts,
    x: str,
    weights: str,
    *,
    strides: Sequence[int],
    padding: Sequence[Any],
    dilation: Sequence[int],
    groups: int,
) -> str:
    _check_padding(padding)
    if any(min(pair) < 0 for pair in padding):
        cut = [(min(low, 0), min(high, 0)) for low, high in padding]
        x = padded(layouts, x, [(0, 0), (0, 0), *cut], np.zeros((), np.float32))
        padding = [(max(low, 0), max(high, 0)) for low, high in padding]
    return layouts.graph.add(
        "Conv",
        x,
        weights,
        strides=list(strides),
        pads=_pads(padding),
        dilations=list(dilation),
        group=groups,
    )


def _pads(padding: Sequence[Any]) -> list[int]:
    return [int(pair[side]) for side in (0, 1) for pair in padding]


def _check_padding(padding: Sequence[Any]) -> None:
    if not all(are_known(pair) for pair in padding):
        raise UntranslatableError("its padding depends on a size that is free. Leave out any_size")


def _conv_transpose(
    layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any
) -> Value:
    y, kernel = inputs
    if y.name is None:
        return NotImplemented
    given = params["params"]
    windows: shapes.Windows = given.windows
    rank = y.rank
    weights = layouts.arranged(kernel, (rank - 1, rank - 2, *range(rank - 2)))
    name = _spread_out(
        layouts,
        layouts.arranged(y, channels_first(rank)),
        weights,
        windows=windows,
        sizes=y.shape[1:-1],
        groups=given.groups,
    )
    return layouts.made(name, channels_first(rank), result.shape, result.dtype)


def _spread_out(
    layouts: Layouts,
    y: str,
    weights: str,
    *,
    windows: shapes.Windows,
    sizes: Sequence[Any],
    groups: int,
) -> str:
    """Add the transpose of a convolution, which returns to the size that `windows` reads."""
    _check_padding(windows.padding)
    pads, own, rests = [], [], []
    for axis, (low, high) in enumerate(windows.padding):
        stride, reach = windows.strides[axis], windows.dilation[axis] * (windows.window[axis] - 1)
        natural = (sizes[axis] - 1) * stride + reach + 1 - low - high
        missing = windows.spatial[axis] - natural
        if not are_known([missing]):
            raise UntranslatableError("its size depends on one that is free")
        # An operator adds fewer positions than its strides; the others hold zeros.
        missing -= min(high, 0)
        own.append(max(0, min(int(missing), stride - 1)))
        pads.append((max(low, 0), max(high, 0) + max(0, -int(missing))))
        rests.append((max(0, -low), max(0, int(missing) - own[-1])))
    name = layouts.graph.add(
        "ConvTranspose",
        y,
        weights,
        strides=list(windows.strides),
        pads=_pads(pads),
        dilations=list(windows.dilation),
        group=groups,
        output_padding=own,
    )
    return padded(layouts, name, [(0, 0), (0, 0), *rests], np.zeros((), np.float32))


def _lax_conv(
    layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any
) -> Value:
    x, kernel = inputs
    if x.name is None:
        return NotImplemented
    if params["batch_group_count"] != 1:
        raise UntranslatableError("it has groups of the batch")
    how = params["dimension_numbers"]
    order, taps = tuple(how.lhs_spec), tuple(how.rhs_spec)
    spread, strides = params["lhs_dilation"], params["window_strides"]
    padding, dilation = params["padding"], params["rhs_dilation"]
    groups = params["feature_group_count"]
    name = layouts.arranged(x, order)
    if max(spread) == 1:
        name = _convolved(
            layouts,
            name,
            layouts.arranged(kernel, taps),
            strides=strides,
            padding=padding,
            dilation=dilation,
            groups=groups,
        )
        return layouts.made(name, tuple(how.out_spec), result.shape, result.dtype)
    if max(strides) > 1 or kernel.array is None:
        raise UntranslatableError("it has strides of the input and of the output")
    # The kernel flipped, and its channels exchanged within each group.
    array = kernel.filled().transpose(taps)
    array = np.flip(array, tuple(range(2, array.ndim)))
    features, per_group, *window = array.shape
    array = array.reshape(groups, features // groups, per_group, *window).swapaxes(1, 2)
    array = array.reshape(groups * per_group, features // groups, *window)
    own = [tuple(map(int, pair)) for pair in padding]
    pads = tuple(
        (d * (k - 1) - low, 0) for (low, _), k, d in zip(own, window, dilation, strict=True)
    )
    spatial = tuple(result.shape[axis] for axis in how.out_spec[2:])
    windows = shapes.Windows(spatial, tuple(window), tuple(spread), pads, tuple(dilation), False)
    sizes = [x.shape[axis] for axis in order[2:]]
    weights = layouts.graph.constant(array, kernel.label)
    name = _spread_out(layouts, name, weights, windows=windows, sizes=sizes, groups=groups)
    return layouts.made(name, tuple(how.out_spec), result.shape, result.dtype)


def _largest(
    layouts: Layouts, x: Value, windows: shapes.Windows, padding: Sequence[Any], result: Any
) -> Value:
    if x.name is None:
        return NotImplemented
    order = channels_first(x.rank)
    name = layouts.arranged(x, order)
    _check_padding(padding)
    if not np.issubdtype(x.dtype, np.floating):
        raise UntranslatableError(f"it takes the maximum of {x.dtype}")
    options = {"dilations": list(windows.dilation)}
    name = _pooled(layouts, "MaxPool", name, windows, padding, np.array(-np.inf, x.dtype), options)
    return layouts.made(name, order, result.shape, result.dtype)


def _summed(
    layouts: Layouts, x: Value, windows: shapes.Windows, padding: Sequence[Any], result: Any
) -> Value:
    """Return the sums of windows: means, times the number of values of a window."""
    if x.name is None:
        return NotImplemented
    order = channels_first(x.rank)
    name = layouts.arranged(x, order)
    _check_padding(padding)
    if max(windows.dilation) > 1:
        channels = int(x.shape[-1])
        ones = layouts.graph.constant(np.ones((channels, 1, *windows.window), x.dtype))
        name = _convolved(
            layouts,
            name,
            ones,
            strides=windows.strides,
            padding=padding,
            dilation=windows.dilation,
            groups=channels,
        )
        return layouts.made(name, order, result.shape, result.dtype)
    options = {"count_include_pad": 1}
    name = _pooled(layouts, "AveragePool", name, windows, padding, np.zeros((), x.dtype), options)
    name = layouts.graph.add("Mul", name, np.array(math.prod(windows.window), x.dtype))
    return layouts.made(name, order, result.shape, result.dtype)


def _pooled(
    layouts: Layouts,
    operator: str,
    x: str,
    windows: shapes.Windows,
    padding: Sequence[Any],
    fill: np.ndarray,
    options: Mapping[str, Any],
) -> str:
    """Add a pool; ONNX allows no window in the padding alone, so there `fill` is written out."""
    if any(max(pair) >= size for pair, size in zip(padding, windows.window, strict=True)):
        x = padded(layouts, x, [(0, 0), (0, 0), *padding], fill)
        padding = [(0, 0)] * len(padding)
    return layouts.graph.add(
        operator,
        x,
        kernel_shape=list(windows.window),
        strides=list(windows.strides),
        pads=_pads(padding),
        **options,
    )


def _own_windows(
    params: Mapping[str, Any], inputs: list[Value]
) -> tuple[shapes.Windows, list[Any]]:
    """Return the windows of a pool of this library over the inner axes, and their padding."""
    windows: shapes.Windows = params["params"]
    return windows, [(low, high) for low, high, _ in windows.borders[1:-1]]


def _lax_windows(
    params: Mapping[str, Any], inputs: list[Value]
) -> tuple[shapes.Windows, list[Any]]:
    """Return the windows of a `lax.reduce_window` over the inner axes, and their padding."""
    columns = [
        params[name]
        for name in ("window_dimensions", "window_strides", "window_dilation", "base_dilation")
    ]
    padding = params["padding"]
    if any(column[i] != 1 for column in columns for i in (0, -1)) or max(columns[3]) > 1:
        raise UntranslatableError("its window is not over the axes between the first and the last")
    if any(padding[i] != (0, 0) for i in (0, -1)):
        raise UntranslatableError("it pads the first or the last axis")
    window, strides, dilation = (tuple(column[1:-1]) for column in columns[:3])
    inner = list(padding[1:-1])
    spatial = tuple(inputs[0].shape[1:-1])
    return shapes.Windows(spatial, window, strides, tuple(inner), dilation, False), inner


def _pool(
    reduce: Callable[..., Value],
    windows_of: Callable[..., tuple[shapes.Windows, list[Any]]],
    layouts: Layouts,
    inputs: list[Value],
    params: Mapping[str, Any],
    result: Any,
) -> Value:
    return reduce(layouts, inputs[0], *windows_of(params, inputs), result)


RULES: dict[str, Rule] = {
    "jaxcnn_conv": _conv,
    "jaxcnn_conv_input_gradient": _conv_transpose,
    "conv_general_dilated": _lax_conv,
    "jaxcnn_max_pool": functools.partial(_pool, _largest, _own_windows),
    "jaxcnn_sum_pool": functools.partial(_pool, _summed, _own_windows),
    "reduce_window_max": functools.partial(_pool, _largest, _lax_windows),
    "reduce_window_sum": functools.partial(_pool, _summed, _lax_windows),
}
