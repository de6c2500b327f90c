"""Slow and obvious NumPy definitions of the operations, and a search over their options.

Windows are placed one by one and read position by position; nothing here uses a formula for
an output size, a padding or a gradient.
"""

import itertools
from typing import NamedTuple

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st


class Axis(NamedTuple):
    """A window on one spatial axis, every option a number."""

    size: int
    window: int
    stride: int = 1
    padding: tuple[int, int] = (0, 0)
    dilation: int = 1
    ceil_mode: bool = False

    def starts(self):
        """Tries every stride's start, counted from the first input, and keeps the windows.

        A window must end inside the padding. Rounding up (PyTorch's ceil_mode), it may reach
        past it by less than one stride, if it starts before the input's own end.
        """
        low, high = self.padding
        kept = []
        for start in range(-low, self.size + high, self.stride):
            past = start + (self.window - 1) * self.dilation - (self.size + high - 1)
            if past <= 0 or (self.ceil_mode and past < self.stride and start < self.size):
                kept.append(start)
        return kept


def same_widths(axis):
    """Adds padding one by one, after the end first, until every stride has its window."""
    low = high = 0
    while len(axis._replace(padding=(low, high)).starts()) < -(-axis.size // axis.stride):
        low, high = (low, high + 1) if low == high else (low + 1, high)
    return low, high


def placements(axes):
    """Yields each output index with the input indices that its window reads, in memory order."""
    starts = [axis.starts() for axis in axes]
    for index in np.ndindex(*map(len, starts)):
        reads = [
            range(at[i], at[i] + axis.window * axis.dilation, axis.dilation)
            for axis, at, i in zip(axes, starts, index, strict=True)
        ]
        yield index, list(itertools.product(*reads))


def inside(index, axes, *, padded=False):
    """Whether an index is a real input, or at least in the padding."""
    return all(
        -padded * axis.padding[0] <= i < axis.size + padded * axis.padding[1]
        for i, axis in zip(index, axes, strict=True)
    )


def output(x, axes, channels, dtype=np.float64):
    return np.zeros((len(x), *(len(axis.starts()) for axis in axes), channels), dtype)


def conv(x, kernel, bias=None, *, axes, groups=1, flip_kernel=False):
    taps = list(np.ndindex(kernel.shape[:-2]))
    channels, features = kernel.shape[-2], kernel.shape[-1] // groups
    y = output(x, axes, kernel.shape[-1])
    for index, reads in placements(axes):
        for tap, read in zip(taps[::-1] if flip_kernel else taps, reads, strict=True):
            for group in range(groups if inside(read, axes) else 0):
                inputs = x[:, *read, group * channels : (group + 1) * channels]
                outputs = slice(group * features, (group + 1) * features)
                y[:, *index, outputs] += inputs.astype(float) @ kernel[*tap, :, outputs]
    return y if bias is None else y + bias


def winners(x, axes):
    """Yields each output with the input that wins it: the first NaN, else the first largest."""
    for index, reads in placements(axes):
        real = [read for read in reads if inside(read, axes)]
        for row, channel in itertools.product(range(x.shape[0]), range(x.shape[-1])):
            best = None
            for read in real:
                value, largest = x[row, *read, channel], best and x[row, *best, channel]
                if best is None or (value > largest) or (np.isnan(value) > np.isnan(largest)):
                    best = read
            yield (row, *index, channel), best and (row, *best, channel)


def max_pool(x, axes):
    y = output(x, axes, x.shape[-1], x.dtype)
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    for index, winner in winners(x, axes):
        y[index] = lowest if winner is None else x[winner]
    return y


def max_pool_gradient(x, dy, axes):
    dx = np.zeros_like(x)
    for index, winner in winners(x, axes):
        if winner is not None:
            dx[winner] += dy[index]
    return dx


def avg_pool(x, axes, *, count_include_pad=False):
    y = output(x, axes, x.shape[-1])
    for index, reads in placements(axes):
        total = sum(x[:, *read].astype(float) for read in reads if inside(read, axes))
        count = sum(inside(read, axes, padded=count_include_pad) for read in reads)
        y[:, *index] = total / max(count, 1)
    return y


def sum_pool(x, axes):
    y = output(x, axes, x.shape[-1])
    for index, reads in placements(axes):
        for read in reads:
            if inside(read, axes):
                y[:, *index] += x[:, *read]
    return y


def lp_pool(x, axes, p):
    return sum_pool(np.abs(x.astype(float)) ** p, axes) ** (1 / p)


def conv_transpose(x, kernel, bias=None, *, axes, groups=1, added=None):
    """Every input is spread over the output; ``padding`` crops, ``added`` widens the end."""
    channels, features = kernel.shape[-2], kernel.shape[-1] // groups
    reach = [(axis.size - 1) * axis.stride + (axis.window - 1) * axis.dilation for axis in axes]
    whole = [n + 1 + end for n, end in zip(reach, added or [0] * len(axes), strict=True)]
    y = np.zeros((len(x), *whole, kernel.shape[-1]))
    for index in np.ndindex(*x.shape[1:-1]):
        for tap in np.ndindex(kernel.shape[:-2]):
            spot = [
                i * axis.stride + a * axis.dilation
                for i, a, axis in zip(index, tap, axes, strict=True)
            ]
            for group in range(groups):
                inputs = x[:, *index, group * channels : (group + 1) * channels]
                outputs = slice(group * features, (group + 1) * features)
                y[:, *spot, outputs] += inputs.astype(float) @ kernel[*tap, :, outputs]
    crops = [slice(a.padding[0], n - a.padding[1]) for a, n in zip(axes, whole, strict=True)]
    y = y[:, *crops]
    return y if bias is None else y + bias


def adaptive_pool(x, sizes, reduce):
    """Window i of n covers everything between the fractions i/n and (i + 1)/n of the axis."""
    y = np.zeros((len(x), *sizes, x.shape[-1]))
    for index in np.ndindex(*sizes):
        covered = [
            [at for at in range(n) if (at + 1) * count > i * n and at * count < (i + 1) * n]
            for i, count, n in zip(index, sizes, x.shape[1:-1], strict=True)
        ]
        block = x[np.ix_(range(len(x)), *covered, range(x.shape[-1]))]
        y[:, *index] = reduce(block, axis=tuple(range(1, block.ndim - 1)))
    return y


def source(place, size, mode):
    """Which position of an axis a border position shows; ``None`` where it is filled."""
    if 0 <= place < size:
        return place
    match mode:
        case "zeros":
            return None
        case "replicate":
            return 0 if place < 0 else size - 1
        case "circular":
            return place + size if place < 0 else place - size
        case "reflect":
            return -place if place < 0 else 2 * (size - 1) - place


def pad(x, pairs, mode="zeros", value=0):
    spatial = x.shape[1:-1]
    grown = [low + n + high for n, (low, high) in zip(spatial, pairs, strict=True)]
    y = np.full((x.shape[0], *grown, x.shape[-1]), value, x.dtype)
    for index in np.ndindex(*grown):
        places = [
            source(i - low, n, mode) for i, n, (low, _) in zip(index, spatial, pairs, strict=True)
        ]
        if None not in places:
            y[:, *index] = x[:, *places]
    return y


def batch_moments(x):
    """Mean and variance of each channel, over one list of its values at a time."""
    values = [[x[place] for place in np.ndindex(*x.shape) if place[-1] == c]
              for c in range(x.shape[-1])]  # fmt: skip
    mean = [sum(map(float, own)) / len(own) for own in values]
    variance = [
        sum((float(value) - m) ** 2 for value in own) / len(own)
        for own, m in zip(values, mean, strict=True)
    ]
    return np.array(mean), np.array(variance)


def batch_norm(x, scale, bias, mean, variance, epsilon=1e-5):
    y = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        c = place[-1]
        y[place] = (float(x[place]) - mean[c]) / (variance[c] + epsilon) ** 0.5
        y[place] = y[place] * (1 if scale is None else scale[c]) + (0 if bias is None else bias[c])
    return y


class Case(NamedTuple):
    """A window's options as a user writes them, and what they mean on each axis."""

    spatial: tuple[int, ...]
    window: int | tuple[int, ...]
    options: dict
    axes: list[Axis]


@st.composite
def cases(draw, *, max_axes=3, max_size=7, pool=False):
    """Draws windows that fit their input, in every form that the vocabulary has."""
    count = draw(st.integers(1, max_axes))
    small = st.integers(1, 3)

    def per_axis(numbers):
        each = st.tuples(*[numbers] * count)
        value = draw(numbers | each | each.map(list))
        return value, ((value,) * count if isinstance(value, int) else tuple(value))

    spatial = draw(st.tuples(*[st.integers(1, max_size)] * count))
    (window, windows), (strides, steps), (dilation, spread) = map(per_axis, [small] * 3)
    if pool and draw(st.booleans()):
        strides, steps = None, windows
    axes = [
        Axis(n, f, s, dilation=d)
        for n, f, s, d in zip(spatial, windows, steps, spread, strict=True)
    ]
    spans = [(axis.window - 1) * axis.dilation for axis in axes]
    words = ["VALID", "SAME", "SAME_LOWER", *(["CAUSAL"] if count == 1 else [])]
    kind = draw(st.sampled_from([*words, "ints", "pairs"]))
    if kind == "ints":
        padding, widths = per_axis(st.integers(0, min(2, *spans) if pool else 2))
        pairs = [(width, width) for width in widths]
    elif kind == "pairs":
        limits = [st.integers(0, min(2, span) if pool else 2) for span in spans]
        padding = pairs = [draw(st.tuples(limit, limit)) for limit in limits]
    else:
        padding = draw(st.sampled_from([kind, kind.lower(), kind.title()]))
        pairs = {
            "VALID": lambda: [(0, 0)] * count,
            "SAME": lambda: [same_widths(axis) for axis in axes],
            "SAME_LOWER": lambda: [same_widths(axis)[::-1] for axis in axes],
            "CAUSAL": lambda: [(spans[0], 0)],
        }[kind]()
    options = {"strides": strides, "padding": padding, "dilation": dilation}
    if pool:
        options["ceil_mode"] = draw(st.booleans())
    axes = [
        axis._replace(padding=pair, ceil_mode=options.get("ceil_mode", False))
        for axis, pair in zip(axes, pairs, strict=True)
    ]
    assume(all(axis.starts() for axis in axes))
    return Case(spatial, window, options, axes)
