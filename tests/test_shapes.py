"""Window arithmetic against windows placed one by one, and every error with its message."""

import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from ops.references import Axis, cases, same_widths

from jaxcnn import shapes

small = st.integers(1, 4)
sizes = st.integers(1, 12)
widths = st.integers(0, 4)


@given(sizes, small, small, st.tuples(widths, widths), small, st.booleans())
@example(5, 2, 2, (0, 0), 1, True)
@example(2, 3, 2, (0, 0), 1, True)
@example(1, 4, 2, (0, 0), 1, True)
@example(4, 2, 3, (1, 1), 1, True)
def test_output_size_counts_windows(size, window, stride, padding, dilation, ceil_mode):
    # As for a pool: rounding up is defined where no window sees padding alone.
    assume(not ceil_mode or max(padding) <= (window - 1) * dilation)
    expected = len(Axis(size, window, stride, padding, dilation, ceil_mode).starts())
    options = {"stride": stride, "dilation": dilation, "ceil_mode": ceil_mode}
    for form in {padding, padding[0] if padding[0] == padding[1] else padding}:
        if expected:
            assert shapes.output_size(size, window, padding=form, **options) == expected
        else:
            with pytest.raises(ValueError, match=r"^window must fit into the padded input: n = "):
                shapes.output_size(size, window, padding=form, **options)


@pytest.mark.parametrize(
    ("size", "window", "options", "expected"),
    [
        (28, 3, {}, 26),
        (28, 3, {"padding": 1}, 28),
        (28, 2, {"stride": 2}, 14),
        (7, 3, {"stride": 2, "padding": (0, 1)}, 3),
        (10, 3, {"dilation": 4}, 2),
        (1, 1, {}, 1),
        (5, 2, {"stride": 2, "ceil_mode": True}, 3),
        (4, 2, {"stride": 2, "ceil_mode": True}, 2),
        (2, 3, {"stride": 2, "ceil_mode": True}, 1),
        # The third window would start in the padding after the end.
        (4, 2, {"stride": 3, "padding": 1, "ceil_mode": True}, 2),
    ],
)
def test_output_size_by_hand(size, window, options, expected):
    assert shapes.output_size(size, window, **options) == expected


@given(sizes, small, small, small)
def test_same_padding_is_the_smallest(size, window, stride, dilation):
    pair = shapes.same_padding(size, window, stride=stride, dilation=dilation)
    assert pair == same_widths(Axis(size, window, stride, dilation=dilation))
    output = shapes.output_size(size, window, stride=stride, dilation=dilation, padding=pair)
    assert output == math.ceil(size / stride)


@pytest.mark.parametrize(
    ("arguments", "options", "expected"),
    [
        ((28, 3), {}, (1, 1)),
        ((28, 2), {}, (0, 1)),
        ((128, 3), {"stride": 2}, (0, 1)),
        ((9, 3), {"dilation": 3}, (3, 3)),
        ((4, 1), {"stride": 4}, (0, 0)),
    ],
)
def test_same_padding_by_hand(arguments, options, expected):
    assert shapes.same_padding(*arguments, **options) == expected


@given(cases(max_axes=4), small)
def test_conv_shape_counts_windows(case, features):
    shape = shapes.conv_shape((*case.spatial, 3), features, case.window, **case.options)
    assert shape == (*(len(axis.starts()) for axis in case.axes), features)


@given(cases(max_axes=4, pool=True), small)
def test_pool_shape_counts_windows(case, channels):
    shape = shapes.pool_shape([*case.spatial, channels], case.window, **case.options)
    assert shape == (*(len(axis.starts()) for axis in case.axes), channels)


@given(cases(max_axes=4, pool=True))
def test_windows_spell_every_option_out(case):
    found = shapes.pool_windows(case.spatial, case.window, **case.options)
    columns = found.spatial, found.window, found.strides, found.padding, found.dilation
    assert [Axis(*column, found.ceil_mode) for column in zip(*columns, strict=True)] == case.axes
    for axis, size, overhang in zip(case.axes, found.output_sizes, found.overhang, strict=True):
        last = axis.starts()[-1] + (axis.window - 1) * axis.dilation
        assert size == len(axis.starts())
        assert overhang == max(last - (axis.size + axis.padding[1] - 1), 0)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("valid", (0, 0)),
        ("Same", (2, 2)),
        ("same_LOWER", (2, 2)),
        ("cauSAL", (4, 0)),
        (2, (2, 2)),
        ([1], (1, 1)),
        (((0, 3),), (0, 3)),
    ],
)
def test_padding_forms_of_a_dilated_window(word, expected):
    assert shapes.windows((9,), 3, padding=word, dilation=2).padding == (expected,)


def test_odd_same_padding_goes_after_the_end_and_lower_before_the_start():
    assert shapes.windows((8, 7), 2, padding="SAME").padding == ((0, 1), (0, 1))
    assert shapes.windows((8, 7), 2, padding="SAME_LOWER").padding == ((1, 0), (1, 0))


def test_strides_are_1_for_windows_and_the_window_for_pools():
    assert shapes.windows((6, 6), (2, 3)).strides == (1, 1)
    assert shapes.pool_windows((6, 6), (2, 3)).strides == (2, 3)
    assert shapes.pool_shape((6, 6, 5), (2, 3)) == (3, 2, 5)


@pytest.mark.parametrize(
    ("widths", "axes", "expected"),
    [
        (1, 3, ((1, 1),) * 3),
        ([1, 0], 2, ((1, 1), (0, 0))),
        ((1, 2), 2, ((1, 1), (2, 2))),
        (((0, 1), (2, 3)), 2, ((0, 1), (2, 3))),
        ([[1, 2]], 1, ((1, 2),)),
        (np.int64(2), 1, ((2, 2),)),
    ],
)
def test_pad_widths(widths, axes, expected):
    assert shapes.pad_widths("widths", widths, axes) == expected


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_flatten_counts_values(shape):
    assert shapes.flatten(shape) == (np.zeros(shape, np.bool).size,)


def test_extent():
    assert [shapes.extent(3, d) for d in (1, 2, 5)] == [3, 5, 11]
    assert shapes.extent(1, 7) == 1


@given(cases(max_axes=4, pool=True))
def test_explained_formula_holds(case):
    """Reads the formula back as arithmetic: both sides are the number of windows."""
    text = shapes.explain((*case.spatial, 1), case.window, **case.options)
    names = {1: ["n_L"], 2: ["n_H", "n_W"], 3: ["n_D", "n_H", "n_W"]}
    expected = dict(
        zip(
            names.get(len(case.axes), [f"n_{i}" for i in range(1, 5)]),
            (len(axis.starts()) for axis in case.axes),
            strict=True,
        )
    )
    signs = {"⌊": "floor(", "⌈": "ceil(", "⌋": ")", "⌉": ")", "−": "-", "·": "*"}
    found = {}
    for equation in text.split(", "):
        *left, formula, value = equation.split(" = ")
        arithmetic = re.sub("[⌊⌈⌋⌉−·]", lambda sign: signs[sign[0]], formula)
        assert eval(arithmetic, {"floor": math.floor, "ceil": math.ceil}) == int(value)
        found |= dict.fromkeys(left, int(value))
    assert found == expected


@pytest.mark.parametrize(
    ("arguments", "options", "expected"),
    [
        (((28, 28, 1), 3), {}, "n_H = n_W = ⌊(28 − 3 + 2·0) / 1⌋ + 1 = 26"),
        (((28, 28, 1), 2), {"strides": None}, "n_H = n_W = ⌊(28 − 2 + 2·0) / 2⌋ + 1 = 14"),
        (((9, 1), 3), {"padding": "causal", "dilation": 2},
         "n_L = ⌊(9 − (2·(3 − 1) + 1) + 4 + 0) / 1⌋ + 1 = 9"),
        (((5, 4, 1), 2), {"strides": 2, "padding": 1, "ceil_mode": True},
         "n_H = ⌈(5 − 2 + 2·1) / 2⌉ + 1 − 1 = 3, n_W = ⌈(4 − 2 + 2·1) / 2⌉ + 1 = 3"),
        (((4, 6, 4, 1), (2, 2, 2)), {"strides": 2},
         "n_D = n_W = ⌊(4 − 2 + 2·0) / 2⌋ + 1 = 2, n_H = ⌊(6 − 2 + 2·0) / 2⌋ + 1 = 3"),
    ],
)  # fmt: skip
def test_explain_by_hand(arguments, options, expected):
    assert shapes.explain(*arguments, **options) == expected


def test_shapes_are_plain_integers():
    shape = shapes.conv_shape([np.int64(9), np.int32(9), 1], np.int64(4), np.int64(3))
    assert shape == (7, 7, 4)
    assert {type(shape), *map(type, shape)} == {tuple, int}


BASE = {"size": 28, "window": 3, "stride": 1, "dilation": 1}
BAD = [
    *[(v, TypeError, "an integer") for v in (2.5, 3.0, True, "3", None, 1j, (3, (3,)))],
    *[(v, ValueError, "at least 1") for v in (0, -1)],
]


@pytest.mark.parametrize("name", BASE)
@pytest.mark.parametrize(("value", "kind", "rule"), BAD)
def test_numbers_of_one_axis(name, value, kind, rule):
    for function in (shapes.output_size, shapes.same_padding):
        options = BASE | {name: value}
        with pytest.raises(kind, match=rf"^{name} must be .*{rule}.*") as raised:
            function(options.pop("size"), options.pop("window"), **options)
        assert str(raised.value).endswith(f"Received: {name}={value!r}")


PER_AXIS = {
    "kernel_size": lambda value: shapes.conv_shape((9, 9, 1), 4, value),
    "window": lambda value: shapes.pool_shape((9, 9, 1), value),
    "strides": lambda value: shapes.pool_shape((9, 9, 1), 2, strides=value),
    "dilation": lambda value: shapes.conv_shape((9, 9, 1), 4, 2, dilation=value),
}


@pytest.mark.parametrize("name", PER_AXIS)
@pytest.mark.parametrize(
    ("value", "kind", "rule"),
    [
        (2.5, TypeError, "must be an integer"),
        (True, TypeError, "must be an integer"),
        ("22", TypeError, "must be an integer"),
        ((2, 2.0), TypeError, "must be integers"),
        ((2, False), TypeError, "must be integers"),
        ((2, (2, 2)), TypeError, "must be integers"),
        (0, ValueError, "must be at least 1"),
        (-2, ValueError, "must be at least 1"),
        ((2, 0), ValueError, "must be at least 1 on every axis"),
        ((2,), ValueError, "must be one int or one per spatial axis (2 here)"),
        ([2, 2, 2], ValueError, "must be one int or one per spatial axis (2 here)"),
        ((), ValueError, "must be one int or one per spatial axis (2 here)"),
    ],
)
def test_numbers_of_every_axis(name, value, kind, rule):
    with pytest.raises(kind) as raised:
        PER_AXIS[name](value)
    assert str(raised.value) == f"{name} {rule}. Received: {name}={value!r}"


FORMS = "an int, one int per spatial axis or one (low, high) per spatial axis"


@pytest.mark.parametrize(
    ("value", "kind", "rule"),
    [
        (1.0, TypeError, "an int, one int per spatial axis"),
        (True, TypeError, "an int, one int per spatial axis"),
        (None, TypeError, "an int, one int per spatial axis"),
        ((1, 1.5), TypeError, "integers"),
        (((0, 1), (1, "1")), TypeError, "integers"),
        (-1, ValueError, "at least 0"),
        ((1, -1), ValueError, "at least 0 on every axis"),
        (((0, 1), (-1, 0)), ValueError, "at least 0 on every axis"),
        (((0, -1), (1, 2)), ValueError, "at least 0 on every axis"),
        ((1,), ValueError, FORMS),
        ((1, 1, 1), ValueError, FORMS),
        (((1, 1, 1), (1, 1, 1)), ValueError, FORMS),
        (((1, 1),), ValueError, FORMS),
        ((), ValueError, FORMS),
        ("FULL", ValueError, f"'VALID', 'SAME', 'SAME_LOWER', 'CAUSAL', {FORMS}"),
        ("", ValueError, f"'VALID', 'SAME', 'SAME_LOWER', 'CAUSAL', {FORMS}"),
    ],
)
def test_padding_of_every_axis(value, kind, rule):
    for call in (
        lambda: shapes.conv_shape((9, 9, 1), 4, 3, padding=value),
        lambda: shapes.pool_shape((9, 9, 1), 3, padding=value),
        lambda: shapes.explain((9, 9, 1), 3, padding=value),
    ):
        with pytest.raises(kind, match=rf"^padding must be .*{re.escape(rule)}") as raised:
            call()
        assert str(raised.value).endswith(f"Received: padding={value!r}")


ERRORS = [
    (lambda: shapes.output_size(9, 3, padding=2.5), TypeError,
     r"^padding must be an integer. Received: padding=2.5$"),
    (lambda: shapes.output_size(9, 3, padding="SAME"), TypeError,
     r"^padding must be an integer. Received: padding='SAME'$"),
    (lambda: shapes.output_size(9, 3, padding=-1), ValueError,
     r"^padding must be at least 0. Received: padding=-1$"),
    (lambda: shapes.output_size(9, 3, padding=(0, -1)), ValueError,
     r"^padding must be at least 0.* Received: padding=\(0, -1\)$"),
    (lambda: shapes.output_size(9, 3, padding=(1,)), ValueError,
     r"^padding must be an int or \(low, high\).* Received: padding=\(1,\)$"),
    (lambda: shapes.output_size(2, 3, dilation=2), ValueError,
     r"^window must fit into the padded input: n = ⌊\(2 − \(2·\(3 − 1\) \+ 1\) \+ 2·0\) / 1⌋ \+ 1 "
     r"= -2\. Use a smaller window, more padding or a larger input\. Received: size=2, window=3, "
     r"stride=1, padding=\(0, 0\), dilation=2$"),
    (lambda: shapes.conv_shape((5, 2, 1), 4, 3, strides=2), ValueError,
     r"^kernel_size must fit into the padded input: n_W = ⌊\(2 − 3 \+ 2·0\) / 2⌋ \+ 1 = 0\. Use a "
     r"smaller kernel_size.* Received: size=2, kernel_size=3, stride=2"),
    (lambda: shapes.pool_shape((5, 1, 5, 1), 3, padding=((0, 0), (0, 1), (0, 0))), ValueError,
     r"^window must fit into the padded input: n_H = ⌊\(1 − 3 \+ 0 \+ 1\) / 3⌋ \+ 1 = 0\."),
    (lambda: shapes.pool_shape((1, 1), 4, strides=2, ceil_mode=True), ValueError,
     r"^window must fit into the padded input: n_L = ⌈\(1 − 4 \+ 2·0\) / 2⌉ \+ 1 = 0\."),
    (lambda: shapes.explain((2, 2, 2, 2, 1), (1, 1, 3, 1)), ValueError,
     r"^window must fit into the padded input: n_3 = ⌊\(2 − 3"),
    (lambda: shapes.conv_shape((9, 9, 1), 4, 3, padding="Causal"), ValueError,
     r"^padding='CAUSAL' needs exactly one spatial axis, there are 2. Write one \(low, high\)"),
    (lambda: shapes.pool_shape((9, 9, 1), (2, 3), padding=2), ValueError,
     r"^padding must be smaller than the window's extent.*: padding=2, window=\(2, 3\), dil.*=1$"),
    (lambda: shapes.pool_shape((9, 1), 2, padding=((0, 3),), dilation=2), ValueError,
     r"^padding must be smaller .* Received: padding=\(\(0, 3\),\), window=2, dilation=2$"),
    (lambda: shapes.conv_shape((9, 9, 1), 0, 3), ValueError,
     r"^features must be at least 1. Received: features=0$"),
    (lambda: shapes.conv_shape((9, 9, 1), 2.0, 3), TypeError,
     r"^features must be an integer. Received: features=2.0$"),
    (lambda: shapes.pad_widths("widths", ((1, 2, 3),), 1), ValueError,
     r"^widths must be an int, .* \(1 here\). Received: widths=\(\(1, 2, 3\),\)$"),
    (lambda: shapes.pad_widths("widths", ((1, 2), (3, 0.5)), 2), TypeError,
     r"^widths must be integers. Received: widths=\(\(1, 2\), \(3, 0.5\)\)$"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS)
def test_errors(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


IMAGE_SHAPE = {
    "conv_shape": lambda shape: shapes.conv_shape(shape, 4, 1),
    "pool_shape": lambda shape: shapes.pool_shape(shape, 1),
    "explain": lambda shape: shapes.explain(shape, 1),
    "flatten": shapes.flatten,
}


@pytest.mark.parametrize("name", IMAGE_SHAPE)
@pytest.mark.parametrize(
    ("shape", "kind", "rule"),
    [
        (28, TypeError, "a sequence such as (28, 28, 1)"),
        ((), TypeError, "a sequence such as (28, 28, 1)"),
        ("28", TypeError, "a sequence such as (28, 28, 1)"),
        (None, TypeError, "a sequence such as (28, 28, 1)"),
        ((28, 28.0, 1), TypeError, "integers"),
        ((28, True), TypeError, "integers"),
        ((28, 0, 1), ValueError, "at least 1 on every axis"),
        ((28, -28, 1), ValueError, "at least 1 on every axis"),
    ],
)
def test_input_shapes(name, shape, kind, rule):
    with pytest.raises(kind, match=rf"^input_shape must be {re.escape(rule)}") as raised:
        IMAGE_SHAPE[name](shape)
    assert str(raised.value).endswith(f"Received: input_shape={shape!r}")


@pytest.mark.parametrize("name", ["conv_shape", "pool_shape", "explain"])
def test_a_flat_input_has_no_window(name):
    rule = r"^input_shape must be \(\*spatial, channels\) with at least one spatial axis, such as "
    with pytest.raises(ValueError, match=rf"{rule}.*Received: input_shape=\(28,\)$"):
        IMAGE_SHAPE[name]((28,))
    assert shapes.flatten((28,)) == (28,)


def test_no_array_library_is_imported():
    """The room works where there is none: alone, in a process that refuses to import one."""
    code = (
        "import sys, types\n"
        "sys.modules |= dict.fromkeys(['numpy', 'jax', 'jaxlib', 'flax', 'chex'])\n"
        "sys.modules['jaxcnn'] = package = types.ModuleType('jaxcnn')\n"
        "package.__path__ = [sys.argv[1]]\n"
        "from jaxcnn.shapes import conv_shape\n"
        "print(conv_shape((28, 28, 1), 64, 3, padding='SAME'))"
    )
    root = Path(shapes.__file__).parents[1]
    result = subprocess.run(
        [sys.executable, "-c", code, root], capture_output=True, text=True, check=False
    )
    assert (result.stdout, result.stderr) == ("(28, 28, 64)\n", "")
