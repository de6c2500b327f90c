"""Node cases of ONNX: the inputs and outputs of its backend tests.

`pytest -s tests/conformance` prints the table. Each function here maps the inputs and attributes of
a node to a call of ours; what a case asks for and no call gives is counted by its reason.
"""

import functools
import math
import warnings
from collections import defaultdict

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from onnx import helper
from onnx.backend.test.loader import load_model_tests
from onnx.reference import ReferenceEvaluator
from outcomes import (
    NotExpressible,
    as_32_bits,
    assert_close,
    check_log_probabilities,
    class_losses,
    first,
    kernel_of,
    last,
    transposed_kernel_of,
)

import jaxcnn as cnn
from jaxcnn import ops


def window_options(axes, *, strides=None, pads=None, auto_pad=b"NOTSET", dilations=None):
    words = {b"SAME_UPPER": "SAME", b"SAME_LOWER": "SAME_LOWER", b"VALID": "VALID"}
    pads = pads or [0] * (2 * axes)
    pairs = tuple(zip(pads[:axes], pads[axes:], strict=True))
    return {
        "strides": tuple(strides or [1] * axes),
        "padding": words.get(auto_pad, pairs),
        "dilation": tuple(dilations or [1] * axes),
    }


def conv(x, weights, bias=None, *, kernel_shape=None, group=1, **window):
    options = window_options(x.ndim - 2, **window)
    return first(ops.conv(last(x), kernel_of(weights), bias, groups=group, **options))


def conv_transpose(
    x, weights, bias=None, *, kernel_shape=None, group=1, output_padding=None, output_shape=None,
    **window,
):  # fmt: skip
    axes = x.ndim - 2
    options = window_options(axes, **window)
    if output_shape:
        beyond = [
            size - ((n - 1) * stride + (k - 1) * dilation + 1)
            for size, n, k, stride, dilation in zip(
                output_shape, x.shape[2:], weights.shape[2:], options["strides"],
                options["dilation"], strict=True,
            )
        ]  # fmt: skip
        output_padding = beyond
    elif not isinstance(options["padding"], str):
        output_padding = output_padding or [0] * axes
    y = ops.conv_transpose(
        last(x), transposed_kernel_of(weights, group), bias, groups=group,
        output_padding=output_padding and tuple(output_padding), **options,
    )  # fmt: skip
    return first(y)


def max_pool(x, *, kernel_shape, ceil_mode=0, storage_order=0, outputs=1, **window):
    options = window_options(len(kernel_shape), **window) | {"ceil_mode": bool(ceil_mode)}
    if outputs == 1:
        return first(ops.max_pool(last(x), tuple(kernel_shape), **options))
    y, indices = ops.max_pool_with_indices(last(x), tuple(kernel_shape), **options)
    if storage_order == 1:  # of columns
        indices = indices % x.shape[3] * x.shape[2] + indices // x.shape[3]
    if x.shape[:2] != (1, 1):
        raise NotExpressible("positions that count the batch and the channels")
    return first(y), first(indices)


def max_unpool(x, indices, output_shape=None, *, kernel_shape, strides):
    """ONNX's positions count batch and channels too; the cases have one of each."""
    smallest = [(n - 1) * s + k for n, k, s in zip(x.shape[2:], kernel_shape, strides, strict=True)]
    y = ops.max_unpool(last(x), last(indices), smallest)
    if output_shape is not None:  # larger; the positions are those in the smallest
        y = ops.pad(y, [(0, int(n - m)) for n, m in zip(output_shape[2:], smallest, strict=True)])
    return first(y)


def grid_sample(x, grid, *, mode=b"linear", padding_mode=b"zeros", align_corners=0):
    methods = {b"linear": "linear", b"cubic": "bicubic", b"nearest": "nearest"}
    words = {b"zeros": "zeros", b"border": "replicate", b"reflection": "reflect"}
    y = ops.grid_sample(
        last(x), jnp.asarray(grid), method=methods[mode], padding_mode=words[padding_mode],
        align_corners=bool(align_corners),
    )  # fmt: skip
    return first(y)


def affine_grid(theta, size, *, align_corners=0):
    sizes = tuple(map(int, size[2:]))
    return ops.affine_grid(theta, sizes, align_corners=bool(align_corners))


def roi_align(
    x, boxes, batch_index, *, output_height, output_width, sampling_ratio, spatial_scale=1.0,
    mode=b"avg", coordinate_transformation_mode=b"half_pixel",
):  # fmt: skip
    if mode == b"max":
        raise NotExpressible("a maximum of pixels by weight")
    y = ops.roi_align(
        last(x), boxes, batch_index, (output_height, output_width), spatial_scale=spatial_scale,
        sampling_ratio=sampling_ratio, aligned=coordinate_transformation_mode == b"half_pixel",
    )  # fmt: skip
    return first(y)


def col2im(x, image_shape, block_shape, *, pads=None, strides=None, dilations=None):
    """ONNX has the input's channels slowest, and one axis for all positions."""
    axes = len(image_shape)
    options = window_options(axes, strides=strides, pads=pads, dilations=dilations)
    block = tuple(map(int, block_shape))
    sizes = tuple(map(int, image_shape))
    positions = cnn.shapes.windows(sizes, block, **options).output_sizes
    channels = x.shape[1] // math.prod(block)
    y = x.reshape(x.shape[0], channels, math.prod(block), *positions)
    y = jnp.moveaxis(y, (2, 1), (-2, -1)).reshape(x.shape[0], *positions, -1)
    return first(ops.fold(y, sizes, block, **options))


def average_pool(x, *, kernel_shape, ceil_mode=0, count_include_pad=0, **window):
    y = ops.avg_pool(
        last(x), tuple(kernel_shape), ceil_mode=bool(ceil_mode),
        count_include_pad=bool(count_include_pad), **window_options(len(kernel_shape), **window),
    )  # fmt: skip
    return first(y)


def lp_pool(x, *, kernel_shape, p=2, **window):
    return first(
        ops.lp_pool(last(x), tuple(kernel_shape), p, **window_options(len(kernel_shape), **window))
    )


def global_average_pool(x):
    return first(ops.global_avg_pool(last(x), keepdims=True))


def global_max_pool(x):
    return first(ops.global_max_pool(last(x), keepdims=True))


def batch_normalization(
    x, scale, bias, mean, variance, *, epsilon=1e-5, momentum=0.9, training_mode=0, outputs=1
):
    layer = cnn.batch_norm(epsilon=epsilon, momentum=momentum)
    model = layer.build(last(x).shape[1:], rngs=nnx.Rngs(0))
    values = {"scale": scale, "bias": bias, "mean": mean, "var": variance}
    for name, value in values.items():
        getattr(model, name)[...] = jnp.asarray(value)
    y = first(model(last(x), train=bool(training_mode)))
    return (y, model.mean[...], model.var[...]) if training_mode else y


def normalized(layer, x, scale, bias=None):
    model = layer.build(x.shape[1:], rngs=nnx.Rngs(0))
    model.scale[...] = jnp.asarray(scale)
    if bias is not None:
        model.bias[...] = jnp.asarray(bias)
    return model(x)


def instance_normalization(x, scale, bias, *, epsilon=1e-5):
    return first(normalized(cnn.instance_norm(epsilon=epsilon), last(x), scale, bias))


def group_normalization(x, scale, bias, *, num_groups, epsilon=1e-5):
    return first(normalized(cnn.group_norm(num_groups, epsilon=epsilon), last(x), scale, bias))


def rows(x, axis):
    """The axes that are normalized together as the channels of one position."""
    axis %= x.ndim
    return jnp.asarray(x).reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


def layer_normalization(x, scale, bias, *, axis=-1, epsilon=1e-5, outputs=1):
    # The two further outputs are those of the expansion into other nodes.
    layer = cnn.layer_norm(epsilon=epsilon)
    return normalized(layer, rows(x, axis), scale.reshape(-1), bias.reshape(-1)).reshape(x.shape)


def rms_normalization(x, scale, *, axis=-1, epsilon=1e-5):
    layer = cnn.rms_norm(epsilon=epsilon)
    return normalized(layer, rows(x, axis), scale.reshape(-1)).reshape(x.shape)


def lrn(x, *, size, alpha=1e-4, beta=0.75, bias=1.0):
    return first(ops.local_response_norm(last(x), size, alpha=alpha, beta=beta, k=bias))


def upsample(x, scales, *, mode):
    assert mode == b"nearest"
    return first(ops.upsample(last(x), tuple(int(scale) for scale in scales[2:])))


def resize(
    x, roi=None, scales=None, sizes=None, *, mode=b"nearest", antialias=0, axes=None,
    coordinate_transformation_mode=b"half_pixel", nearest_mode=b"round_prefer_floor",
    cubic_coeff_a=-0.75, exclude_outside=0, keep_aspect_ratio_policy=b"stretch",
    extrapolation_value=0.0,
):  # fmt: skip
    coordinates = coordinate_transformation_mode.decode()
    if coordinates not in {"half_pixel", "align_corners", "asymmetric"}:
        raise NotExpressible(f"coordinates {coordinates}")
    methods = {b"linear": "linear", b"cubic": "cubic" if exclude_outside else "bicubic"}
    rounding = {b"floor": "nearest_floor", b"ceil": None}.get(nearest_mode, "nearest")
    method = methods.get(mode, rounding)
    if method is None:
        raise NotExpressible("rounding up")
    assert method != "cubic" or cubic_coeff_a == -0.5
    given = dict.fromkeys(range(x.ndim), 1)
    given |= zip(axes or range(x.ndim), scales if sizes is None else sizes, strict=True)
    options = {"method": method, "coordinates": coordinates}
    if sizes is None:
        factors = [float(given[axis]) for axis in range(2, x.ndim)]
        if antialias and any(factor < 1 for factor in factors):
            raise NotExpressible("a factor with blurring")
        exact = all((n * f).is_integer() for n, f in zip(x.shape[2:], factors, strict=True))
        if coordinates == "align_corners" and not exact:
            raise NotExpressible("the corner of a fraction of a pixel")
        return first(ops.upsample(last(x), factors, **options))
    wanted = [int(given[axis]) for axis in range(2, x.ndim)]
    if keep_aspect_ratio_policy != b"stretch":
        choose = min if keep_aspect_ratio_policy == b"not_larger" else max
        factor = choose(new / old for new, old in zip(wanted, x.shape[2:], strict=True))
        wanted = [round(old * factor) for old in x.shape[2:]]
    if method == "nearest" and nearest_mode == b"round_prefer_floor":
        for new, old in zip(wanted, x.shape[2:], strict=True):
            if any(((2 * i + 1) * old / new) % 2 == 0 for i in range(new)):
                raise NotExpressible("a tie that is rounded down")
    if antialias and method == "linear":
        raise NotExpressible("blurring that repeats the edges")
    return first(ops.resize(last(x), wanted, antialias=bool(antialias), **options))


def pad(x, pads, value=None, axes=None, *, mode=b"constant"):
    axes = range(x.ndim) if axes is None else [axis % x.ndim for axis in axes]
    widths = [(0, 0)] * x.ndim
    for axis, low, high in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        widths[axis] = (int(low), int(high))
    words = {b"constant": "zeros", b"edge": "replicate", b"wrap": "circular"}
    options = {"mode": words.get(mode, mode.decode()), "value": 0 if value is None else value}
    return ops.pad(jnp.asarray(x)[None, ..., None], widths, **options)[0, ..., 0]


def regroup(x, block, *, to_depth):
    """Exchange what varies fastest in the channels: the input's channels, or the block."""
    order = (-1, block**2) if to_depth else (block**2, -1)
    return x.reshape(*x.shape[:-1], *order).swapaxes(-1, -2).reshape(x.shape)


def depth_to_space(x, *, blocksize, mode=b"DCR"):
    x = last(x) if mode == b"DCR" else regroup(last(x), blocksize, to_depth=True)
    return first(ops.depth_to_space(x, blocksize))


def space_to_depth(x, *, blocksize, mode=b"DCR"):
    y = ops.space_to_depth(last(x), blocksize)
    return first(y if mode == b"DCR" else regroup(y, blocksize, to_depth=False))


def flatten(x, *, axis=1):
    axis %= x.ndim
    return ops.flatten(jnp.asarray(x).reshape(math.prod(x.shape[:axis]), *x.shape[axis:]))


def gemm(a, b, c=None, *, alpha=1.0, beta=1.0, transA=0, transB=0):  # ONNX's names
    a, b = a.T if transA else a, b.T if transB else b
    per_feature = c is not None and c.shape in {(1, b.shape[1]), (b.shape[1],)}
    bias = jnp.asarray(beta * c.reshape(-1), jnp.float32) if per_feature else None
    y = ops.dense(jnp.asarray(alpha * a), jnp.asarray(b), bias)
    if c is None or per_feature:
        return y
    return y + jnp.broadcast_to(jnp.asarray(beta * c, y.dtype), y.shape)


def matmul(a, b):
    if b.ndim != 2 or a.ndim != 2:
        raise NotExpressible("products of other than two axes")
    return ops.dense(a, b)


def softmax_cross_entropy(
    x, labels, weights=None, *, reduction=b"mean", ignore_index=None, outputs=1
):
    options = {"weights": weights, "ignore_index": ignore_index}
    z = class_losses(x, labels, reduction.decode(), **options)
    return (z, jax.nn.log_softmax(x, axis=1)) if outputs == 2 else z


def negative_log_likelihood(x, labels, weights=None, **options):
    """Log-probabilities are logits of themselves."""
    return softmax_cross_entropy(x, labels, weights, **options)


def dropout(x, ratio=0.5, training=False, *, seed=None, outputs=1, **options):
    ratio = options.get("ratio", ratio)
    if training and ratio:
        raise NotExpressible("the peer's random numbers")
    model = cnn.dropout(float(ratio)).build(x.shape, rngs=nnx.Rngs(0))
    y = model(x[None], train=bool(training), key=jax.random.key(0))[0]
    return (y, np.ones(x.shape, bool)) if outputs == 2 else y


NODES = {
    "AffineGrid": affine_grid,
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Col2Im": col2im,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "DepthToSpace": depth_to_space,
    "Dropout": dropout,
    "Flatten": flatten,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "GridSample": grid_sample,
    "GroupNormalization": group_normalization,
    "InstanceNormalization": instance_normalization,
    "LRN": lrn,
    "LayerNormalization": layer_normalization,
    "LpPool": lp_pool,
    "MatMul": matmul,
    "MaxPool": max_pool,
    "MaxUnpool": max_unpool,
    "NegativeLogLikelihoodLoss": negative_log_likelihood,
    "Pad": pad,
    "RMSNormalization": rms_normalization,
    "Resize": resize,
    "RoiAlign": roi_align,
    "SoftmaxCrossEntropyLoss": softmax_cross_entropy,
    "SpaceToDepth": space_to_depth,
    "Upsample": upsample,
}

# The cases that no call of ours expresses, by reason.
LEFT_OUT = {
    "Dropout": {
        "the peer's random numbers": 4,
    },
    "MatMul": {
        "products of other than two axes": 6,
    },
    "NegativeLogLikelihoodLoss": {
        "log-probabilities whose probabilities do not sum to 1": 18,
    },
    "Resize": {
        "a factor with blurring": 2,
        "a tie that is rounded down": 7,
        "blurring that repeats the edges": 1,
        "coordinates half_pixel_symmetric": 2,
        "coordinates pytorch_half_pixel": 1,
        "coordinates tf_crop_and_resize": 4,
        "rounding up": 1,
        "the corner of a fraction of a pixel": 2,
    },
    "RoiAlign": {
        "a maximum of pixels by weight": 1,
    },
}


@functools.cache
def cases():
    """The cases of each kind of node; those that expand a node into others are not among them."""
    by_kind = defaultdict(list)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in load_model_tests(kind="node"):
            if len(case.model.graph.node) == 1:
                by_kind[case.model.graph.node[0].op_type].append(case)
    return by_kind


def compiled(function, x, *others, **attributes):
    """Compile the call as a whole: by operations it would be many programs."""
    return jax.jit(lambda x: function(x, *others, **attributes))(x)


def compare(case, inputs, outputs):
    (node,) = case.model.graph.node
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    if len(node.output) > 1:
        attributes["outputs"] = len(node.output)
    given = iter(map(as_32_bits, inputs))
    arguments = [next(given) if name else None for name in node.input]
    if node.op_type == "NegativeLogLikelihoodLoss":
        check_log_probabilities(arguments[0])
    ours = compiled(NODES[node.op_type], *arguments, **attributes)
    ours = ours if isinstance(ours, tuple) else (ours,)
    for our, their in zip(ours, outputs, strict=False):
        assert_close(our, as_32_bits(their), case.rtol, case.atol, case.name)


@pytest.mark.parametrize("kind", NODES)
def test_values(kind, table):
    def run(case):
        for inputs, outputs in case.data_sets:
            compare(case, inputs, outputs)

    table.count(kind, cases()[kind], LEFT_OUT.get(kind, {}), run)


def test_likelihood_of_probabilities(table):
    """The nodes' inputs made log-probabilities, against ONNX's own evaluation."""
    kind = "NegativeLogLikelihoodLoss"

    def run(case):
        (x, *others), _ = case.data_sets[0]
        inputs = [x - np.log(np.exp(x).sum(1, keepdims=True)), *others]
        names = [value.name for value in case.model.graph.input]
        outputs = ReferenceEvaluator(case.model).run(None, dict(zip(names, inputs, strict=True)))
        compare(case, inputs, outputs)

    table.count(f"{kind}: normalized", cases()[kind], {}, run)
