"""OpInfo of PyTorch: its sample, reference and error inputs, against its own values.

`pytest -s tests/conformance` prints the table. Each function here maps the arguments of a function
of `torch.nn.functional` to a call of ours; what an input asks for and no call gives is counted by
its reason. Operations with more than `MOST` inputs are tried on that many, drawn by chance.
"""

import inspect
import math
import random
import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
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
from torch.testing._internal.common_methods_invocations import op_db

from jaxcnn import modules, ops, training

MOST = 60


def images(x, axes, function):
    """Call a function of ours, channels last, with a batch."""
    if x.ndim not in {axes + 1, axes + 2}:
        raise NotExpressible("the number of axes, which we read off the input")
    if x.ndim == axes + 1:
        return first(function(last(x[None])))[0]
    return first(function(last(x)))


def windowed(kernel_size, stride=None, padding=0, dilation=1):
    return per_axis(kernel_size), {
        "strides": None if stride in (None, ()) else per_axis(stride),
        "padding": per_axis(padding),
        "dilation": per_axis(dilation),
    }


def max_pool(axes):
    def run(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
            return_indices=False):  # fmt: skip
        window, options = windowed(kernel_size, stride, padding, dilation)
        if type(padding) is type(window) is int and window < 2 * padding <= 2 * dilation * window:
            raise NotExpressible("an error for padding over half the window, which we take")
        if 0 in x.shape[: x.ndim - axes] and x.ndim == axes + 1:
            raise NotExpressible("an error for no channels, which we take")
        options["ceil_mode"] = ceil_mode
        if not return_indices:
            return images(x, axes, lambda x: ops.max_pool(x, window, **options))
        return tuple(
            images(x, axes, lambda x, at=at: ops.max_pool_with_indices(x, window, **options)[at])
            for at in (0, 1)
        )

    return run


def max_unpool(axes):
    def run(x, indices, kernel_size, stride=None, padding=0, output_size=None):
        if output_size is None:
            stride = stride or kernel_size
            pairs = (np.broadcast_to(n, axes) for n in (kernel_size, stride, padding))
            output_size = [
                int((n - 1) * s - 2 * p + k)
                for n, k, s, p in zip(x.shape[-axes:], *pairs, strict=True)
            ]
        sizes = tuple(output_size)[-axes:]
        if x.ndim == axes + 1:
            indices = indices[None]
        return images(x, axes, lambda x: ops.max_unpool(x, last(indices), sizes))

    return run


def grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    methods = {"bilinear": "linear", "bicubic": "bicubic", "nearest": "nearest"}
    words = {"zeros": "zeros", "border": "replicate", "reflection": "reflect"}
    y = ops.grid_sample(
        last(x), jnp.asarray(grid), method=methods[mode], padding_mode=words[padding_mode],
        align_corners=bool(align_corners),
    )  # fmt: skip
    return first(y)


def unfold(x, kernel_size, dilation=1, padding=0, stride=1):
    """The input's channels vary slowest in PyTorch, fastest here."""
    y = images(
        x, 2, lambda x: ops.unfold(
            x, kernel_size, strides=stride, padding=padding, dilation=dilation
        ),
    )  # fmt: skip
    channels = x.shape[-3]
    *batch, patch = y.shape[:-2]
    positions = math.prod(y.shape[-2:])
    y = y.reshape(*batch, patch // channels, channels, positions)
    return y.swapaxes(-2, -3).reshape(*batch, patch, positions)


def avg_pool(axes):
    def run(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
            divisor_override=None):  # fmt: skip
        window, options = windowed(kernel_size, stride, padding)
        options["ceil_mode"] = ceil_mode
        if divisor_override is None:
            options["count_include_pad"] = count_include_pad
            return images(x, axes, lambda x: ops.avg_pool(x, window, **options))
        if divisor_override == 0:
            raise NotExpressible("a divisor, which is an operation of its own")
        return images(x, axes, lambda x: ops.sum_pool(x, window, **options)) / divisor_override

    return run


def adaptive_pool(op, axes):
    def run(x, output_size, return_indices=False):
        if return_indices:
            raise NotExpressible("the positions of the maxima of an adaptive pool")
        if isinstance(output_size, tuple) and len(output_size) == axes:
            given = zip(output_size, x.shape[-axes:], strict=True)
            output_size = tuple(n if new is None else new for new, n in given)
        return images(x, axes, lambda x: op(x, output_size))

    return run


def conv(axes):
    def run(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        if padding == "same" and stride not in (1, (1,) * axes):
            raise NotExpressible('an error for "same" with strides, which we have')
        return images(
            x, axes, lambda x: ops.conv(
                x, kernel_of(weight), bias, strides=per_axis(stride), padding=per_axis(padding),
                dilation=per_axis(dilation), groups=groups,
            ),
        )  # fmt: skip

    return run


def per_axis(option):
    """PyTorch takes a sequence of one number for all axes."""
    return option[0] if isinstance(option, tuple) and len(option) == 1 else option


def conv_transpose(axes):
    def run(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
        beyond = np.broadcast_to(output_padding, axes)
        if (beyond >= np.broadcast_to(stride, axes)).any():
            raise NotExpressible("output_padding of the stride or more, below the dilation")
        return images(
            x, axes, lambda x: ops.conv_transpose(
                x, transposed_kernel_of(weight, groups), bias, strides=per_axis(stride),
                padding=per_axis(padding), output_padding=per_axis(output_padding),
                dilation=per_axis(dilation), groups=groups,
            ),
        )  # fmt: skip

    return run


def normalized(module, x, weight, bias=None, eps=1e-5, **options):
    """Call one of our modules with a scale and a bias; without a bias PyTorch's is 0."""
    if eps is not None and eps < 0:
        raise NotExpressible("a negative epsilon")
    channels = x.shape[-1]
    model = module(channels, epsilon=eps, use_scale=weight is not None, rngs=nnx.Rngs(0), **options)
    if weight is not None:
        model.scale[...] = weight
    if bias is not None:
        model.bias[...] = bias
    return model(x)


def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    return first(normalized(modules.GroupNorm, last(x), weight, bias, eps, num_groups=num_groups))


def instance_norm(x, running_mean=None, running_var=None, weight=None, bias=None,
                  use_input_stats=True, momentum=0.1, eps=1e-5):  # fmt: skip
    return first(normalized(modules.InstanceNorm, last(x), weight, bias, eps))


def rows(x, shape, *others):
    """The axes that are normalized together as the channels of one position."""
    if not shape or x.shape[-len(shape) :] != tuple(shape):
        raise NotExpressible("the shape of what is normalized, which we read off the input")
    if any(other is not None and other.shape != tuple(shape) for other in others):
        raise NotExpressible("the shape of what is normalized, which we read off the input")
    flat = [None if other is None else other.reshape(-1) for other in others]
    return x.reshape(-1, math.prod(shape)), *flat


def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    flat = rows(x, normalized_shape, weight, bias)
    return normalized(modules.LayerNorm, *flat, eps).reshape(x.shape)


def rms_norm(x, normalized_shape, weight=None, eps=None):
    eps = float(jnp.finfo(x.dtype).eps) if eps is None else eps
    flat = rows(x, normalized_shape, weight)
    return normalized(modules.RMSNorm, *flat, None, eps).reshape(x.shape)


def batch_norm(x, mean, variance, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    if x.ndim == 1:
        raise NotExpressible("an input without channels")
    if eps < 0:
        raise NotExpressible("a negative epsilon")
    moments = ops.batch_moments(last(x)) if training else (mean, variance)
    return first(ops.batch_norm(last(x), weight, bias, *moments, epsilon=eps))


def pad(x, widths, mode="constant", value=None):
    pairs = list(zip(widths[::2], widths[1::2], strict=True))[::-1]
    word = "zeros" if mode == "constant" else mode
    others = x.ndim - len(pairs)
    flat = x.reshape(math.prod(x.shape[:others]), *x.shape[others:], 1)
    y = ops.pad(flat, pairs, mode=word, value=value or 0)
    return y.reshape(*x.shape[:others], *y.shape[1:-1])


def local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    return first(ops.local_response_norm(last(x), size, alpha=alpha, beta=beta, k=k))


def channel_shuffle(x, groups):
    return first(ops.channel_shuffle(last(x), groups))


def interpolate(x, size=None, scale_factor=None, mode="nearest", align_corners=None,
                recompute_scale_factor=None, antialias=False):  # fmt: skip
    if mode == "area":
        sizes = size or tuple(int(n * scale_factor) for n in x.shape[2:])
        return first(ops.adaptive_avg_pool(last(x), sizes))
    words = {"nearest": "nearest_floor", "nearest-exact": "nearest", "bicubic": "bicubic"}
    if antialias:
        words["bicubic"] = "cubic"
    coordinates = {"nearest": "asymmetric"}.get(mode, "half_pixel")
    options = {
        "method": words.get(mode, "linear"),
        "coordinates": "align_corners" if align_corners else coordinates,
    }
    if size is None and recompute_scale_factor:
        size = [int(n * scale_factor) for n in x.shape[2:]]
    if size is None:
        return first(ops.upsample(last(x), scale_factor, **options))
    return first(ops.resize(last(x), tuple(size), antialias=antialias, **options))


def upsample_bilinear(x, size=None, scale_factor=None):
    return interpolate(x, size, scale_factor, "bilinear", align_corners=True)


def upsample_nearest(x, size=None, scale_factor=None):
    return interpolate(x, size, scale_factor)


def linear(x, weight, bias=None):
    if weight.ndim != 2:
        raise NotExpressible("a kernel without features")
    others = x.shape[:-1]
    y = ops.dense(x.reshape(math.prod(others), x.shape[-1]), weight.T, bias)
    return y.reshape(*others, y.shape[-1])


def dropout(op):
    def run(x, p=0.5, training=True, inplace=False):
        if p == 1:
            raise NotExpressible("a rate of 1")
        if not training:
            return modules.Dropout(p)(x)
        if p:
            raise NotExpressible("the peer's random numbers")
        return op(jax.random.key(0), x[None], 0.0)[0]

    return run


def regroup(x, block, *, to_depth):
    """Exchange what varies fastest in the channels: the input's channels, or the block."""
    order = (x.shape[-1] // block**2, block**2)
    split = x.reshape(*x.shape[:-1], *(order if to_depth else order[::-1]))
    return split.swapaxes(-1, -2).reshape(x.shape)


def pixel_shuffle(x, upscale_factor):
    y = regroup(last(x), upscale_factor, to_depth=True)
    return first(ops.depth_to_space(y, upscale_factor))


def pixel_unshuffle(x, downscale_factor):
    y = ops.space_to_depth(last(x), downscale_factor)
    return first(regroup(y, downscale_factor, to_depth=False))


def number_losses(loss, x, target, reduction, weight=None):
    """The peer's loss of pairs of numbers from ours, which is one mean for each example.

    Where the loss of each number is asked for, or is weighted, each is an example of its own.
    """
    if reduction not in {"none", "sum", "mean"}:
        raise NotExpressible("reductions, which are operations of their own")
    if x.shape != target.shape:
        loss(x, target)  # refused
    if x.ndim > 1 and weight is None and reduction != "none":
        losses, numbers = loss(x, target), math.prod(x.shape[1:])
    else:
        losses, numbers = of_each(loss, x, target), 1
        if weight is not None:
            losses = losses * jnp.broadcast_to(weight, losses.shape)
    if reduction == "none":
        return losses
    return losses.sum() * numbers if reduction == "sum" else losses.mean()


def of_each(loss, x, target):
    return loss(x.reshape(-1, 1), target.reshape(-1, 1)).reshape(x.shape)


def mse_loss(x, target, reduction="mean"):
    return number_losses(training.squared_error, x, target, reduction)


def huber_loss(x, target, reduction="mean", delta=1.0):
    return number_losses(partial(training.huber, delta=delta), x, target, reduction)


def smooth_l1_loss(x, target, reduction="mean", beta=1.0):
    if beta == 0:
        raise NotExpressible("the absolute error")
    return huber_loss(x, target, reduction, delta=beta) / beta


def binary_cross_entropy(x, target, weight=None, reduction="mean"):
    loss = partial(training.binary_cross_entropy, from_logits=False)
    return number_losses(loss, x, target, reduction, weight)


def binary_cross_entropy_with_logits(x, target, weight=None, reduction="mean", pos_weight=None):
    loss = training.binary_cross_entropy
    if pos_weight is None:
        return number_losses(loss, x, target, reduction, weight)
    if weight is None and reduction != "none":
        return number_losses(partial(loss, pos_weight=pos_weight), x, target, reduction)
    columns = [  # each class by itself, with its factor
        of_each(partial(loss, pos_weight=float(factor)), x[..., i], target[..., i])
        for i, factor in enumerate(pos_weight)
    ]
    losses = jnp.stack(columns, axis=-1) * (1 if weight is None else weight)
    return {"none": jnp.asarray, "sum": jnp.sum, "mean": jnp.mean}[reduction](losses)


def cross_entropy(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    if weight is not None and np.any(weight < 0):
        raise NotExpressible("negative class weights")
    if weight is not None and label_smoothing:
        raise NotExpressible("class weights of the smoothed part")
    one = x.ndim == 1
    if one:
        x, target = x[None], target[None]
    losses = class_losses(
        x, target, reduction, weights=weight, ignore_index=ignore_index,
        label_smoothing=label_smoothing,
    )  # fmt: skip
    return losses[0] if one and reduction == "none" else losses


def nll_loss(x, target, weight=None, ignore_index=-100, reduction="mean"):
    """Log-probabilities are logits of themselves."""
    return cross_entropy(x, target, weight, ignore_index, reduction)


FUNCTIONS = {
    "cross_entropy": cross_entropy,
    "nll_loss": nll_loss,
    "binary_cross_entropy": binary_cross_entropy,
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
    "mse_loss": mse_loss,
    "huber_loss": huber_loss,
    "smooth_l1_loss": smooth_l1_loss,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "batch_norm": batch_norm,
    "pad": pad,
    "interpolate": interpolate,
    "upsample_bilinear": upsample_bilinear,
    "upsample_nearest": upsample_nearest,
    "unfold": unfold,
    "grid_sample": grid_sample,
    "linear": linear,
    "local_response_norm": local_response_norm,
    "channel_shuffle": channel_shuffle,
    "dropout": dropout(ops.dropout),
    "dropout2d": dropout(ops.spatial_dropout),
    "dropout3d": dropout(ops.spatial_dropout),
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
}
for axes in (1, 2, 3):
    FUNCTIONS |= {
        f"avg_pool{axes}d": avg_pool(axes),
        f"max_pool{axes}d": max_pool(axes),
        f"max_unpool{axes}d": max_unpool(axes),
        f"adaptive_avg_pool{axes}d": adaptive_pool(ops.adaptive_avg_pool, axes),
        f"adaptive_max_pool{axes}d": adaptive_pool(ops.adaptive_max_pool, axes),
        f"conv{axes}d": conv(axes),
        f"conv_transpose{axes}d": conv_transpose(axes),
    }

PREFIX = "nn.functional."
OPERATIONS = {
    f"{info.name.removeprefix(PREFIX)} {info.variant_test_name}".rstrip(): info
    for info in op_db
    if info.name.startswith(PREFIX) and info.name.removeprefix(PREFIX) in FUNCTIONS
}

# The inputs that no call of ours expresses, by reason.
LEFT_OUT = {
    "adaptive_max_pool1d": {
        "the positions of the maxima of an adaptive pool": 4,
    },
    "adaptive_max_pool2d": {
        "the positions of the maxima of an adaptive pool": 12,
    },
    "adaptive_max_pool3d": {
        "the positions of the maxima of an adaptive pool": 10,
    },
    "batch_norm": {
        "an input without channels": 2,
    },
    "batch_norm without_cudnn": {
        "an input without channels": 2,
    },
    "conv_transpose2d": {
        "output_padding of the stride or more, below the dilation": 2,
    },
    "conv_transpose3d": {
        "output_padding of the stride or more, below the dilation": 2,
    },
    "cross_entropy": {
        "negative class weights": 6,
    },
    "dropout": {
        "a rate of 1": 6,
        "the peer's random numbers": 4,
    },
    "dropout2d": {
        "a rate of 1": 4,
        "the peer's random numbers": 3,
    },
    "dropout3d": {
        "a rate of 1": 4,
        "the peer's random numbers": 3,
    },
    "group_norm": {
        "a negative epsilon": 4,
    },
    "layer_norm": {
        "a negative epsilon": 1,
    },
    "nll_loss": {
        "log-probabilities whose probabilities do not sum to 1": 60,
    },
    "nll_loss: normalized": {
        "negative class weights": 26,
    },
    "pad constant": {
        "empty axes": 4,
    },
    "pixel_shuffle": {
        "empty axes": 2,
    },
    "pixel_unshuffle": {
        "empty axes": 2,
    },
    "rms_norm": {
        "a negative epsilon": 1,
    },
    "smooth_l1_loss": {
        "the absolute error": 1,
    },
}

ERRORS_LEFT_OUT = {
    "adaptive_avg_pool2d": {
        "the number of axes, which we read off the input": 1,
    },
    "adaptive_avg_pool3d": {
        "the number of axes, which we read off the input": 1,
    },
    "adaptive_max_pool2d": {
        "the number of axes, which we read off the input": 1,
    },
    "adaptive_max_pool3d": {
        "the number of axes, which we read off the input": 1,
    },
    "avg_pool2d": {
        "a divisor, which is an operation of its own": 1,
    },
    "avg_pool3d": {
        "a divisor, which is an operation of its own": 1,
        "the number of axes, which we read off the input": 1,
    },
    "conv3d": {
        'an error for "same" with strides, which we have': 1,
    },
    "huber_loss": {
        "reductions, which are operations of their own": 1,
    },
    "max_pool1d": {
        "an error for no channels, which we take": 2,
        "an error for padding over half the window, which we take": 2,
        "the number of axes, which we read off the input": 4,
    },
    "max_pool2d": {
        "an error for no channels, which we take": 4,
    },
    "max_pool3d": {
        "an error for no channels, which we take": 5,
    },
    "rms_norm": {
        "the shape of what is normalized, which we read off the input": 3,
    },
}


def arguments(info, sample):
    """The arguments, tensors as arrays."""
    signature = inspect.signature(FUNCTIONS[info.name.removeprefix(PREFIX)])

    def array(value):
        return as_32_bits(value.detach().numpy()) if torch.is_tensor(value) else value

    given = [array(sample.input), *map(array, sample.args)]
    named = {name: array(value) for name, value in sample.kwargs.items()}
    bound = signature.bind(*given, **named)
    return bound.args, bound.kwargs


def call(info, sample):
    """Compile the call as a whole: by operations it would be many programs."""
    (x, *others), options = arguments(info, sample)
    function = FUNCTIONS[info.name.removeprefix(PREFIX)]
    if function is nll_loss:
        check_log_probabilities(x)
    return jax.jit(lambda x: function(x, *others, **options))(x)


def samples(info):
    """All inputs, or `MOST` of them drawn by chance."""
    # The reference inputs of grid_sample are pictures of 345×456, which take minutes.
    small = info.name == f"{PREFIX}grid_sample"
    source = info.sample_inputs if small else info.reference_inputs
    torch.manual_seed(0)  # the signs of weights decide whether ours takes them
    everything = list(source("cpu", torch.float32))
    return random.Random(0).sample(everything, min(MOST, len(everything)))


def compare(info, sample, name):
    # PyTorch computes the coordinates in float32, which tell where between two pixels to read.
    tolerance = 1e-4 if name.startswith(("interpolate", "upsample")) else 3e-5
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        theirs = info.op(sample.input.clone(), *sample.args, **sample.kwargs)
    try:
        ours = call(info, sample)
    except ValueError as error:
        if 0 in (*sample.input.shape, *theirs.shape):
            raise NotExpressible("empty axes") from error
        raise
    ours, theirs = (y if isinstance(y, tuple) else (y,) for y in (ours, theirs))
    for our, their in zip(ours, theirs, strict=True):
        assert_close(our, as_32_bits(their.numpy()), tolerance, 1e-6, name)


@pytest.mark.parametrize("name", OPERATIONS)
def test_values(name, table):
    info = OPERATIONS[name]
    table.count(
        name, samples(info), LEFT_OUT.get(name, {}), lambda sample: compare(info, sample, name)
    )


def test_likelihood_of_probabilities(table):
    """The samples of nll_loss, which are any numbers, made log-probabilities."""
    info = OPERATIONS["nll_loss"]

    def run(sample):
        sample.input = torch.log_softmax(sample.input, min(1, sample.input.ndim - 1))
        compare(info, sample, "nll_loss")

    name = "nll_loss: normalized"
    table.count(name, samples(info), LEFT_OUT[name], run)


@pytest.mark.parametrize("name", [n for n, i in OPERATIONS.items() if i.error_inputs_func])
def test_errors(name, table):
    """What PyTorch refuses, ours refuses by a ValueError or a TypeError."""
    info = OPERATIONS[name]

    def run(error):
        with pytest.raises((ValueError, TypeError)):
            call(info, error.sample_input)

    errors = list(info.error_inputs("cpu"))
    table.count(f"{name}: errors", errors, ERRORS_LEFT_OUT.get(name, {}), run)
