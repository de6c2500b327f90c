"""Convolution and its transpose against PyTorch and Keras."""

import jax.numpy as jnp
import keras
import torch.nn.functional as F
from compare import (
    EXACT,
    assert_same,
    batches,
    dtypes,
    fewer,
    first,
    last,
    pairs,
    per_axis,
    ranks,
    run_ours,
    run_torch,
    seeds,
    torch_kernel,
    torch_widths,
    whole_numbers,
)
from hypothesis import assume, given
from hypothesis import strategies as st

from jaxcnn import ops

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
TORCH_MODES = {
    "zeros": "constant",
    "reflect": "reflect",
    "replicate": "replicate",
    "circular": "circular",
}


@st.composite
def arrays(draw, *, dtype=None):
    """Arrays and options that convolution and its transpose share."""
    axes = draw(ranks)
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    in_features, features = (groups * draw(st.integers(1, 3)) for _ in range(2))
    if draw(st.booleans()):
        groups = in_features
        features = in_features * draw(st.integers(1, 2))
    size = per_axis(draw, axes, 1, 4)
    spatial = per_axis(draw, axes, 1, 9 if axes < 3 else 6)
    kind = dtype or draw(dtypes)
    seed = draw(seeds)
    x = whole_numbers(seed, (draw(batches), *spatial, in_features), kind)
    kernel = whole_numbers(seed + 1, (*size, in_features // groups, features), kind)
    bias = whole_numbers(seed + 2, (features,), kind)
    options = {
        "strides": per_axis(draw, axes, 1, 3),
        "dilation": per_axis(draw, axes, 1, 3),
        "groups": groups,
    }
    return (x, kernel, bias), options


def extents(kernel, dilation):
    return [(f - 1) * d + 1 for f, d in zip(kernel.shape, dilation, strict=False)]


@given(arrays(), st.data())
def test_conv_against_torch(case, data):
    (x, kernel, bias), options = case
    axes = x.ndim - 2
    mode = data.draw(st.sampled_from(["zeros", "zeros", *TORCH_MODES]))
    widths = pairs(data.draw, axes, 3)
    spatial = x.shape[1:-1]
    if mode in ("reflect", "circular"):
        bounds = [n - (mode == "reflect") for n in spatial]
        widths = tuple((min(a, n), min(b, n)) for (a, b), n in zip(widths, bounds, strict=True))
    spans = extents(kernel, options["dilation"])
    assume(all(n + sum(p) >= f for n, p, f in zip(spatial, widths, spans, strict=True)))
    assume(x.shape[0] or mode == "zeros")  # PyTorch refuses to pad an empty batch otherwise

    def torch_conv(x, kernel, bias):
        padded = F.pad(first(x), torch_widths(widths), mode=TORCH_MODES[mode])
        names = {"strides": "stride"}
        settings = {names.get(name, name): value for name, value in options.items()}
        return last(CONV[axes](padded, torch_kernel(kernel), bias, **settings))

    def conv(x, kernel, bias):
        return ops.conv(x, kernel, bias, padding=widths, padding_mode=mode, **options)

    ours, theirs = run_ours(conv, x, kernel, bias), run_torch(torch_conv, x, kernel, bias)
    assert_same(ours, theirs, EXACT[str(x.dtype)])


@fewer
@given(arrays(dtype="float32"), st.sampled_from(["VALID", "SAME", "CAUSAL"]))
def test_conv_against_keras(case, padding):
    (x, kernel, _), options = case
    assume(max(options["strides"]) == 1 or max(options["dilation"]) == 1)  # Keras takes one
    assume(padding != "CAUSAL" or x.ndim == 3)
    spans = extents(kernel, options["dilation"])
    fits = all(n >= f for n, f in zip(x.shape[1:-1], spans, strict=True))
    assume(padding != "VALID" or fits)

    def keras_conv(x, kernel):
        word = padding.lower()
        if padding == "CAUSAL":  # as its layer does it
            x, word = jnp.pad(x, ((0, 0), (spans[0] - 1, 0), (0, 0))), "valid"
        strides, dilation = options["strides"], options["dilation"]
        return keras.ops.conv(x, kernel, strides, word, "channels_last", dilation)

    def conv(x, kernel):
        return ops.conv(x, kernel, padding=padding, **options)

    assert_same(run_ours(conv, x, kernel), run_ours(keras_conv, x, kernel), 0)


@given(arrays(), st.data())
def test_conv_transpose_against_torch(case, data):
    (x, kernel, bias), options = case
    axes, groups = x.ndim - 2, options["groups"]
    strides, dilation = options["strides"], options["dilation"]
    padding = per_axis(data.draw, axes, 0, 3)
    added = tuple(data.draw(st.integers(0, s - 1)) for s in strides)
    sizes = [
        (n - 1) * s + f - 2 * p + a
        for n, s, f, p, a in zip(
            x.shape[1:-1], strides, extents(kernel, dilation), padding, added, strict=True
        )
    ]
    assume(min(sizes) > 0)

    def torch_conv_transpose(x, kernel, bias):
        *size, inner, features = kernel.shape
        weight = kernel.reshape(*size, inner, groups, features // groups)
        weight = (
            weight.movedim((-2, -3, -1), (0, 1, 2))
            .reshape(-1, features // groups, *size)
            .contiguous()
        )
        settings = {"stride": strides, "padding": padding, "output_padding": added}
        settings |= {"groups": groups, "dilation": dilation}
        return last(CONV_TRANSPOSE[axes](first(x), weight, bias, **settings))

    def conv_transpose(x, kernel, bias):
        return ops.conv_transpose(x, kernel, bias, padding=padding, output_padding=added, **options)

    ours = run_ours(conv_transpose, x, kernel, bias)
    theirs = run_torch(torch_conv_transpose, x, kernel, bias)
    assert_same(ours, theirs, EXACT[str(x.dtype)])


@fewer
@given(arrays(dtype="float32"), st.sampled_from(["VALID", "SAME"]))
def test_conv_transpose_against_keras(case, padding):
    (x, kernel, _), options = case
    assume(options["groups"] == 1)  # Keras has no groups here
    assume(max(options["strides"]) == 1 or max(options["dilation"]) == 1)

    def keras_conv_transpose(x, kernel):
        return keras.ops.conv_transpose(
            x,
            jnp.swapaxes(kernel, -1, -2),
            options["strides"],
            padding.lower(),
            data_format="channels_last",
            dilation_rate=options["dilation"],
        )

    def conv_transpose(x, kernel):
        return ops.conv_transpose(x, kernel, padding=padding, **options)

    ours, theirs = run_ours(conv_transpose, x, kernel), run_ours(keras_conv_transpose, x, kernel)
    assert_same(ours, theirs, 0)


@fewer
@given(arrays(dtype="float32"))
def test_dense_against_torch(case):
    (x, _, bias), _ = case
    rows = x.reshape(-1, x.shape[-1])[:7]
    weights = whole_numbers(5, (x.shape[-1], bias.shape[0]))
    assert_same(
        run_ours(ops.dense, rows, weights, bias),
        run_torch(lambda x, kernel, bias: F.linear(x, kernel.T, bias), rows, weights, bias),
        0,
    )
