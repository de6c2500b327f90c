"""Convolution and its transpose against their definitions, tap by tap."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ops import references
from ops.references import Axis, cases

from jaxcnn import ops, shapes


def whole_numbers(seed, *shape):
    """Whole numbers, whose products and sums are exact in any order."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float32)


@st.composite
def channels(draw):
    groups = draw(st.integers(1, 3))
    return groups, groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))


@given(cases(max_size=5), channels(), st.integers(0, 2), st.booleans(), st.booleans())
def test_conv(case, channels, batch, use_bias, flip_kernel):
    groups, in_features, features = channels
    windows = [axis.window for axis in case.axes]
    x = whole_numbers(0, batch, *case.spatial, in_features)
    kernel = whole_numbers(1, *windows, in_features // groups, features)
    bias = whole_numbers(2, features) if use_bias else None
    options = {"groups": groups, "flip_kernel": flip_kernel}
    conv = jax.jit(functools.partial(ops.conv, **case.options, **options))
    y = conv(*map(as_array, (x, kernel, bias)))
    expected = references.conv(x, kernel, bias, axes=case.axes, **options)
    np.testing.assert_array_equal(y, expected)
    assert y.shape[1:] == shapes.conv_shape(
        x.shape[1:], features, case.window if len(case.axes) > 1 else windows, **case.options
    )


@given(
    st.sampled_from(["reflect", "replicate", "circular"]),
    st.lists(
        st.tuples(st.integers(3, 6), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=2
    ),
    st.integers(1, 2),
)
def test_padding_modes(mode, axes, stride):
    """A convolution that pads is one without padding of the padded input."""
    spatial, pairs = [n for n, *_ in axes], [(low, high) for _, low, high in axes]
    x = whole_numbers(0, 2, *spatial, 2)
    kernel = whole_numbers(1, *(2 for _ in axes), 2, 3)
    padded = references.pad(x, pairs, mode)
    plain = [Axis(n, 2, stride) for n in padded.shape[1:-1]]
    options = {"strides": stride, "padding": pairs, "padding_mode": mode}
    y = jax.jit(functools.partial(ops.conv, **options))(x, kernel)
    np.testing.assert_array_equal(y, references.conv(padded, kernel, axes=plain))


@st.composite
def transposed(draw):
    axes, added = [], []
    for _ in range(draw(st.integers(1, 3))):
        stride, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 3))
        size, window = draw(st.integers(1, 4)), draw(st.integers(1, 3))
        most = (size - 1) * stride + (window - 1) * dilation
        low = draw(st.integers(0, min(2, most)))
        high = draw(st.integers(0, min(2, most - low)))
        axes.append(Axis(size, window, stride, (low, high), dilation))
        added.append(draw(st.integers(0, stride - 1)))
    return axes, added


@given(transposed(), channels(), st.integers(0, 2), st.booleans())
def test_conv_transpose(case, channels, batch, use_bias):
    (axes, added), (groups, in_features, features) = case, channels
    x = whole_numbers(0, batch, *(axis.size for axis in axes), in_features)
    kernel = whole_numbers(1, *(axis.window for axis in axes), in_features // groups, features)
    bias = whole_numbers(2, features) if use_bias else None
    options = {
        "strides": [axis.stride for axis in axes],
        "padding": [axis.padding for axis in axes],
        "dilation": [axis.dilation for axis in axes],
        "output_padding": added,
    }
    conv_transpose = jax.jit(functools.partial(ops.conv_transpose, groups=groups, **options))
    y = conv_transpose(*map(as_array, (x, kernel, bias)))
    expected = references.conv_transpose(x, kernel, bias, axes=axes, groups=groups, added=added)
    np.testing.assert_array_equal(y, expected)
    predicted = shapes.conv_transpose_shape(x.shape[1:], features, kernel.shape[:-2], **options)
    assert y.shape[1:] == predicted


numbers = st.integers(1, 3)
option = st.one_of(numbers, st.tuples(numbers, numbers))


@st.composite
def adjoint_options(draw):
    """Options of a transposed convolution with two spatial axes, of every form."""
    strides = draw(option)
    pair = strides if isinstance(strides, tuple) else (strides, strides)
    widths = st.integers(0, 2)
    return {
        "strides": strides,
        "dilation": draw(option),
        "padding": draw(
            st.one_of(
                st.sampled_from(["VALID", "SAME", "SAME_LOWER", "same"]),
                widths,
                st.tuples(widths, widths),
                st.tuples(st.tuples(widths, widths), st.tuples(widths, widths)),
            )
        ),
        "output_padding": draw(
            st.one_of(st.none(), st.tuples(*(st.integers(0, s - 1) for s in pair)))
        ),
    }


@settings(max_examples=15)
@given(adjoint_options(), st.tuples(numbers, numbers), st.tuples(numbers, numbers), numbers)
def test_conv_transpose_is_the_transpose_of_conv(options, size, window, groups):
    """⟨conv(u), v⟩ = ⟨u, conv_transpose(v)⟩ for every option, and conv maps its shape back."""
    v = whole_numbers(0, 2, *size, 2 * groups)
    kernel = whole_numbers(1, *window, 2, 3 * groups)
    whole = shapes.conv_transpose_shape(v.shape[1:], 1, window, **options | {"padding": 0})
    low_high = options["padding"]
    if not isinstance(low_high, str):  # a crop may leave nothing, which is refused
        crop = [np.sum(pair) for pair in shapes.pad_widths("padding", low_high, 2)]
        assume(min(n - c for n, c in zip(whole[:-1], crop, strict=True)) > 0)
    predicted = shapes.conv_transpose_shape(v.shape[1:], 3 * groups, window, **options)
    u = whole_numbers(2, 2, *predicted)
    # The kernel seen from the other side: inputs and outputs of each group change places.
    sides = kernel.reshape(*window, 2, groups, 3)
    turned = np.swapaxes(sides, -1, -3).reshape(*window, 3, -1)
    conv_options = {name: value for name, value in options.items() if name != "output_padding"}

    @jax.jit
    def both(u, v, kernel, turned):
        spread = ops.conv_transpose(v, kernel, groups=groups, **options)
        return ops.conv(u, turned, groups=groups, **conv_options), spread

    convolved, spread = both(u, v, kernel, turned)
    assert spread.shape == u.shape
    assert convolved.shape == v.shape
    assert (np.asarray(convolved) * v).sum() == (u * np.asarray(spread)).sum()


@pytest.mark.parametrize(
    ("padding", "stride", "window", "size"),
    [("SAME", 2, 3, 8), ("SAME", 2, 4, 8), ("SAME", 3, 2, 12), ("same_lower", 2, 3, 8),
     ("VALID", 2, 3, 9), ("valid", 1, 3, 6), ("VALID", 3, 2, 12)],
)  # fmt: skip
def test_words_of_the_transpose(padding, stride, window, size):
    x, kernel = jnp.ones((1, 4, 1)), jnp.ones((window, 1, 1))
    transpose = functools.partial(ops.conv_transpose, strides=stride, padding=padding)
    assert jax.eval_shape(transpose, x, kernel).shape == (1, size, 1)


def test_output_padding_is_computed_not_filled():
    x, kernel = jnp.array([1.0, 2, 3])[None, :, None], jnp.array([1.0, 10, 100])[:, None, None]
    without = ops.conv_transpose(x, kernel, strides=2, padding=1)[0, :, 0]
    added = ops.conv_transpose(x, kernel, strides=2, padding=1, output_padding=1)[0, :, 0]
    assert without.tolist() == [10, 102, 20, 203, 30]
    assert added.tolist() == [10, 102, 20, 203, 30, 300]


def test_same_at_stride_2_puts_the_odd_pad_at_the_end():
    """TensorFlow's and Keras's meaning; PyTorch's ``padding=1`` reads one position earlier."""
    x, kernel = jnp.arange(1.0, 7)[None, :, None], jnp.array([1.0, 10, 100])[:, None, None]

    def conv(padding):
        return ops.conv(x, kernel, strides=2, padding=padding)[0, :, 0].tolist()

    assert conv("SAME") == conv([(0, 1)]) == [321, 543, 65]
    assert conv("SAME_LOWER") == conv([(1, 0)]) == [210, 432, 654]
    assert conv(1) == [210, 432, 654]


def test_causal_sees_no_future():
    x = jnp.zeros((1, 9, 1)).at[0, 4].set(1.0)
    y = ops.conv(x, jnp.ones((3, 1, 1)), padding="CAUSAL", dilation=2)[0, :, 0]
    assert y.tolist() == [0, 0, 0, 0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("op", [ops.conv, ops.conv_transpose])
def test_halves_are_summed_in_float32(op, dtype):
    """4,096 ones and then a 1: a sum in half precision would stop at 256, or at 2,048."""
    x, kernel = np.ones((1, 1, 4097), dtype), np.ones((1, 4097, 1), dtype)
    y = jax.jit(op)(x, kernel)
    assert y.dtype == jnp.dtype(dtype)
    assert y.item() == np.asarray(4097, dtype)


def test_precision_reaches_the_program():
    text = (
        jax.jit(lambda x, k: ops.conv(x, k, precision="highest"))
        .lower(jnp.ones((1, 4, 1)), jnp.ones((2, 1, 1)))
        .as_text()
    )
    assert "HIGHEST" in text


def test_the_default_precision_reaches_convolutions_on_cpu():
    """Winograd's errors are several times those of the direct sum, which precision asks for."""
    random = np.random.default_rng(0)
    x, kernel = (random.normal(size=s).astype("f4") for s in [(2, 24, 24, 32), (3, 3, 32, 32)])

    def programs(precision):
        def loss(x, kernel):
            return (ops.conv(x, kernel, padding=1, precision=precision) ** 2).sum()

        return jax.jit(jax.grad(loss, argnums=(0, 1))).lower(x, kernel).as_text()

    with jax.default_matmul_precision("highest"):
        by_default = programs(None)
    assert by_default == programs("highest")
    assert by_default.count("stablehlo.convolution(") == 3
    assert "stablehlo.convolution(" not in programs(None)


def as_array(array):
    return None if array is None else jnp.asarray(array)


def test_options_of_any_librarys_numbers():
    x, kernel = jnp.ones((1, 6, 6, 4)), jnp.ones((3, 3, 2, 4))
    expected = ops.conv(x, kernel, strides=2, groups=2, padding=1)
    for two in (np.array(2), jnp.array(2)):
        y = ops.conv(x, kernel, strides=two, groups=two, padding=np.array([[1, 1], [1, 1]]))
        np.testing.assert_array_equal(y, expected)
    for precision in (["highest", "highest"], "highest"):
        np.testing.assert_array_equal(
            ops.conv(x, kernel, strides=2, groups=2, padding=1, precision=precision), expected
        )
