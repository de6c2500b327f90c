"""Properties of every operation: the transformations of JAX, dtypes, empty batches, size 1."""

import contextlib
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import ops


class Example(NamedTuple):
    """An operation with its options bound, and the shapes of its arrays; the first is x."""

    op: Callable[..., jax.Array] | tuple[Callable[..., jax.Array], ...]
    function: Callable[..., jax.Array]
    shapes: list[tuple[int, ...]]
    batched: bool = True


def bind(op, *arguments, **options):
    return lambda *arrays: op(*arrays, *arguments, **options)


def drop(op):
    return lambda x: op(jax.random.key(0), x, 0.5)


def batch_norm(x, scale, bias, mean, variance):
    return ops.batch_norm(x, scale, bias, mean, variance + 1)  # positive


def batch_moments(x):
    return jnp.stack(ops.batch_moments(x)).astype(x.dtype)


def pool_and_unpool(x):
    return ops.max_unpool(*ops.max_pool_with_indices(x, 2), (6, 5))


def values_and_indices(x):
    values, indices = ops.max_pool_with_indices(x, 3, strides=2, padding=1)
    return values + 0 * indices.astype(x.dtype)


def sample(method, padding_mode):
    def function(x, grid):
        return ops.grid_sample(0.01 * x, 0.09 * grid, method=method, padding_mode=padding_mode)

    return function


def align(mode):
    def function(x, boxes):
        """The boxes are about (1, 1, 4, 4) by the scale; half precision would round them."""
        dtype = boxes.dtype if boxes.dtype.itemsize > 4 else jnp.float32
        boxes = 0.2 * boxes.astype(dtype) + jnp.array([0.25, 0.25, 1, 1], dtype)[None]
        index = jnp.array([1, 0])
        return ops.roi_align(0.01 * x, boxes, index, (3, 2), spatial_scale=4.0, mode=mode)

    return function


def corners(boxes, shift=0.0):
    """Boxes of about one pixel; the coordinates are not rounded to half precision."""
    places = 0.3 * boxes.astype(boxes.dtype if boxes.dtype.itemsize > 4 else jnp.float32) + shift
    return jnp.concatenate([places[:, :2], places[:, 2:] + 1], axis=1)


def overlap(boxes, others):
    """No coordinate of one array is that of another, where the derivative jumps."""
    pairs = corners(boxes), corners(others, shift=0.007)
    return (ops.iou(*pairs) + ops.giou(*pairs)).astype(boxes.dtype)


def box_forms(boxes, others):
    """The ops of boxes that are a few sums each, one after the other: few programs to compile."""
    dtype = boxes.dtype
    boxes, others = corners(boxes), corners(others)
    places = ops.convert_boxes(others, "xywh", "cxcywh")[:, :2]
    boxes = ops.distances_to_boxes(ops.boxes_to_distances(boxes, places), places)
    offsets = ops.encode_boxes(boxes, others, weights=(2, 2, 1, 1))
    clipped = ops.clip_boxes(ops.decode_boxes(offsets, others), (3, 2))
    return (ops.box_area(boxes)[:, None] * clipped + offsets).astype(dtype)


def chosen(boxes, scores):
    """Boxes chosen by both ways of suppression."""
    places, probabilities = corners(boxes), jax.nn.sigmoid(jnp.asarray(scores))
    indices, chosen = ops.nms(places, scores, threshold=0.3, limit=4)
    softly, _, _ = ops.soft_nms(places, probabilities, limit=4)
    return jnp.where(chosen, scores[indices], 0)[:, None] * boxes[indices] + boxes[softly]


CONV = [(2, 6, 5, 4), (3, 2, 2, 6), (6,)]
IMAGE = [(2, 6, 5, 4)]
EXAMPLES = {
    "conv": Example(ops.conv, bind(ops.conv, strides=2, padding=1, groups=2), CONV),
    "conv reflect": Example(ops.conv, bind(ops.conv, padding=1, padding_mode="reflect"),
                            [(2, 4, 4, 2), (3, 3, 2, 3)]),
    "conv 1-D": Example(ops.conv, bind(ops.conv, padding="CAUSAL", dilation=2),
                        [(2, 9, 3), (3, 3, 4), (4,)]),
    "conv 3-D": Example(ops.conv, bind(ops.conv, padding="SAME"),
                        [(2, 3, 4, 3, 2), (2, 3, 2, 2, 3)]),
    "conv depthwise": Example(ops.conv, bind(ops.conv, padding="SAME", groups=3),
                              [(2, 5, 5, 3), (3, 3, 1, 6)]),
    "conv pointwise": Example(ops.conv, ops.conv, [(2, 3, 3, 3), (1, 1, 3, 4), (4,)]),
    "conv_transpose": Example(ops.conv_transpose,
                              bind(ops.conv_transpose, strides=2, padding=1, output_padding=1,
                                   groups=2), CONV),
    "max_pool": Example(ops.max_pool, bind(ops.max_pool, 2), IMAGE),
    "max_pool overlapping": Example(ops.max_pool,
                                    bind(ops.max_pool, 3, strides=2, padding=1, ceil_mode=True),
                                    IMAGE),
    "max_pool dilated": Example(ops.max_pool, bind(ops.max_pool, 2, strides=1, dilation=2), IMAGE),
    "max_pool_with_indices": Example(ops.max_pool_with_indices, values_and_indices, IMAGE),
    "max_unpool": Example(ops.max_unpool, pool_and_unpool, IMAGE),
    "unfold": Example(ops.unfold, bind(ops.unfold, 3, strides=2, padding=1), IMAGE),
    "fold": Example(ops.fold, bind(ops.fold, (7, 6), 2), [(2, 6, 5, 8)]),
    "grid_sample": Example(ops.grid_sample, sample("linear", "zeros"),
                           [(2, 6, 5, 4), (2, 3, 2, 2)], batched=False),
    "grid_sample bicubic": Example(ops.grid_sample, sample("bicubic", "reflect"),
                                   [(2, 6, 5, 4), (2, 3, 2, 2)], batched=False),
    "affine_grid": Example(ops.affine_grid, bind(ops.affine_grid, (3, 2)), [(2, 2, 3)]),
    "roi_align": Example(ops.roi_align, align("avg"), [(2, 6, 5, 4), (2, 4)], batched=False),
    "roi_align max": Example(ops.roi_align, align("max"), [(2, 6, 5, 4), (2, 4)], batched=False),
    "iou": Example((ops.iou, ops.giou), overlap, [(5, 4), (3, 4)]),
    "box forms": Example((ops.box_area, ops.clip_boxes, ops.convert_boxes, ops.encode_boxes,
                          ops.decode_boxes, ops.boxes_to_distances, ops.distances_to_boxes),
                         box_forms, [(5, 4), (5, 4)], batched=False),
    "nms": Example((ops.nms, ops.soft_nms), chosen, [(6, 4), (6,)], batched=False),
    "avg_pool": Example(ops.avg_pool, bind(ops.avg_pool, 3, strides=2, padding=1), IMAGE),
    "sum_pool": Example(ops.sum_pool, bind(ops.sum_pool, 3, strides=2, padding=1), IMAGE),
    "lp_pool": Example(ops.lp_pool, bind(ops.lp_pool, 2, 3), IMAGE),
    "global_max_pool": Example(ops.global_max_pool, ops.global_max_pool, IMAGE),
    "global_avg_pool": Example(ops.global_avg_pool, ops.global_avg_pool, IMAGE),
    "adaptive_max_pool": Example(ops.adaptive_max_pool, bind(ops.adaptive_max_pool, (4, 2)), IMAGE),
    "adaptive_avg_pool": Example(ops.adaptive_avg_pool, bind(ops.adaptive_avg_pool, (4, 2)), IMAGE),
    "pad": Example(ops.pad, bind(ops.pad, 1), IMAGE),
    "pad reflect": Example(ops.pad, bind(ops.pad, 1, mode="reflect"), IMAGE),
    "pad replicate": Example(ops.pad, bind(ops.pad, 1, mode="replicate"), IMAGE),
    "pad circular": Example(ops.pad, bind(ops.pad, 1, mode="circular"), IMAGE),
    "pad negative": Example(ops.pad, bind(ops.pad, ((-1, 2), (0, -2)), mode="circular"), IMAGE),
    "resize": Example(ops.resize, bind(ops.resize, (4, 7), method="cubic"), IMAGE),
    "resize aligned": Example(ops.resize, bind(ops.resize, (4, 7), coordinates="align_corners"),
                              IMAGE),
    "resize bicubic": Example(ops.resize, bind(ops.resize, (4, 7), method="bicubic"), IMAGE),
    "upsample floor": Example(ops.upsample,
                              bind(ops.upsample, (2, 3), method="nearest_floor",
                                   coordinates="asymmetric"), IMAGE),
    "upsample": Example(ops.upsample, bind(ops.upsample, 2), IMAGE),
    "space_to_depth": Example(ops.space_to_depth, bind(ops.space_to_depth, 2), [(2, 4, 6, 3)]),
    "depth_to_space": Example(ops.depth_to_space, bind(ops.depth_to_space, 2), [(2, 2, 3, 8)]),
    "channel_shuffle": Example(ops.channel_shuffle, bind(ops.channel_shuffle, 2), IMAGE),
    "dense": Example(ops.dense, ops.dense, [(2, 4), (4, 3), (3,)]),
    "flatten": Example(ops.flatten, ops.flatten, IMAGE),
    "batch_norm": Example(ops.batch_norm, batch_norm, [(2, 6, 5, 4), (4,), (4,), (4,), (4,)]),
    "batch_moments": Example(ops.batch_moments, batch_moments, IMAGE, batched=False),
    "local_response_norm": Example(ops.local_response_norm,
                                   bind(ops.local_response_norm, 3, alpha=0.5), IMAGE),
    "prelu": Example(ops.prelu, ops.prelu, [(2, 6, 5, 4), (4,)]),
    "layer_scale": Example(ops.layer_scale, ops.layer_scale, [(2, 6, 5, 4), (4,)]),
    "standardize": Example(ops.standardize,
                           bind(ops.standardize, (0.5, 0.4, 0.3, 0.2), (0.5, 1, 2, 3)), IMAGE),
    "spectrogram": Example(ops.spectrogram, bind(ops.spectrogram, 8), [(2, 12, 2)]),
    "mel_spectrogram": Example(ops.mel_spectrogram,
                               bind(ops.mel_spectrogram, 3, sample_rate=8, n_fft=8, log=False),
                               [(2, 12, 2)]),
    "dropout": Example(ops.dropout, drop(ops.dropout), IMAGE),
    "spatial_dropout": Example(ops.spatial_dropout, drop(ops.spatial_dropout), IMAGE),
    "drop_path": Example(ops.drop_path, drop(ops.drop_path), IMAGE),
    "filter_image": Example(ops.filter_image, bind(ops.filter_image, "sharpen"), [(6, 5, 3)],
                            batched=False),
}  # fmt: skip


def arrays(shapes, dtype=jnp.float32):
    """Values 0.1 apart and in random order, so that no small step changes which is the largest."""
    random = np.random.default_rng(0)
    numbers = [
        random.permutation(np.arange(np.prod(shape)) - np.prod(shape) // 2) for shape in shapes
    ]
    return [
        jax.device_put((number.reshape(shape) / 10 + 0.05).astype(dtype))
        for number, shape in zip(numbers, shapes, strict=True)
    ]


# They compile for long; test_grid_sampling.py and tests/conformance have their values.
SLOW = ("grid_sample bicubic", "roi_align", "roi_align max")
every = pytest.mark.parametrize(
    "example",
    [
        pytest.param(example, id=name, marks=[pytest.mark.long] if name in SLOW else [])
        for name, example in EXAMPLES.items()
    ],
)


def test_every_operation_has_an_example():
    functions = [getattr(ops, name) for name in ops.__all__ if callable(getattr(ops, name))]
    shown = [example.op for example in EXAMPLES.values()]
    several = [each if isinstance(each, tuple) else (each,) for each in shown]
    assert {op for each in several for op in each} == set(functions)


@every
def test_jit(example):
    inputs = arrays(example.shapes)
    expected = example.function(*inputs)
    np.testing.assert_allclose(jax.jit(example.function)(*inputs), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.long
@every
def test_without_jit(example):
    """As for debugging, under ``jax.disable_jit``."""
    inputs = arrays(example.shapes)
    with jax.disable_jit():
        y = example.function(*inputs)
    np.testing.assert_allclose(y, example.function(*inputs), rtol=1e-6, atol=3e-6)


@every
def test_arrays_of_numpy_and_variables_of_flax(example):
    inputs = arrays(example.shapes)
    expected = example.function(*inputs)
    for wrap in (np.asarray, nnx.Param):
        y = example.function(*map(wrap, inputs))
        assert isinstance(y, jax.Array)
        np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)


def pairs(arrays):
    """Two values of every array, along a new first axis."""
    return [np.stack([array, array[::-1] * 2]) for array in map(np.asarray, arrays)]


@every
def test_vmap(example):
    """Over a new first axis of every array, and of each alone: as one after the other."""
    count = len(example.shapes)
    mapped = {(0,) * count, *((None,) * n + (0,) + (None,) * (count - n - 1) for n in range(count))}

    @jax.jit
    def computed(*stacked):
        results = []
        for axes in mapped:
            inputs = [a if axis == 0 else a[0] for a, axis in zip(stacked, axes, strict=True)]
            one_by_one = [
                example.function(
                    *(a[i] if axis == 0 else a for a, axis in zip(inputs, axes, strict=True))
                )
                for i in range(2)
            ]
            together = jax.vmap(example.function, in_axes=axes)(*inputs)
            results.append((together, jnp.stack(one_by_one)))
        return results

    for together, expected in computed(*pairs(arrays(example.shapes))):
        np.testing.assert_allclose(together, expected, rtol=1e-5, atol=1e-4)


@every
def test_vmap_over_nothing(example):
    stacked = [np.zeros((0, *shape), np.float32) for shape in example.shapes]
    y = jax.jit(jax.vmap(example.function))(*stacked)
    assert y.shape == (0, *jax.eval_shape(example.function, *arrays(example.shapes)).shape)


def products(tree, other):
    return sum(jax.tree.leaves(jax.tree.map(lambda a, b: (a * b).sum(), tree, other)))


def differences(function, inputs, changes, step=1e-4):
    """The change of every output of ``function`` along ``changes``."""
    above, below = (
        function(*(x + sign * step * dx for x, dx in zip(inputs, changes, strict=True)))
        for sign in (1, -1)
    )
    return jax.tree.map(lambda a, b: (a - b) / (2 * step), above, below)


@every
def test_gradient(example):
    """Forwards and backwards, against finite differences, to the second order, in float64."""
    random = np.random.default_rng(0)
    y = jax.eval_shape(example.function, *arrays(example.shapes))
    weights = random.normal(size=y.shape)
    changes, others = ([random.normal(size=s) for s in example.shapes] for _ in range(2))

    @jax.jit
    def computed(inputs, changes, others, weights):
        def tangent(*inputs):
            return jax.jvp(example.function, inputs, changes)[1]

        def gradients(*inputs):
            y, pull_back = jax.vjp(example.function, *inputs)
            return pull_back(y)

        forwards, backwards = [], []
        for function in (example.function, tangent):
            derivative = jax.jvp(function, inputs, others)[1]
            forwards.append((derivative, differences(function, inputs, others)))
        for function, weight in ((example.function, weights), (gradients, changes)):
            derivative = products(jax.vjp(function, *inputs)[1](weight), others)
            backwards.append((derivative, products(differences(function, inputs, others), weight)))
        return forwards, backwards

    with jax.enable_x64(True):
        inputs = tuple(arrays(example.shapes, jnp.float64))
        forwards, backwards = computed(inputs, tuple(changes), tuple(others), weights)
    for derivative, expected in forwards + backwards:
        np.testing.assert_allclose(derivative, expected, rtol=1e-4, atol=1e-5)


@every
def test_gradient_under_vmap(example):
    """Of each example by itself, as ``jax.vmap(jax.grad(…))`` is used."""
    gradient = jax.grad(lambda *inputs: (example.function(*inputs) ** 2).sum())

    @jax.jit
    def computed(*stacked):
        one_by_one = [gradient(*(array[i] for array in stacked)) for i in range(2)]
        return jax.vmap(gradient)(*stacked), jnp.stack(one_by_one)

    together, expected = computed(*pairs(arrays(example.shapes)))
    np.testing.assert_allclose(together, expected, rtol=1e-4, atol=1e-3)


@every
def test_checkpoint_and_scan(example):
    """A gradient through a loop whose body is computed again on the way back."""
    x, *others = arrays(example.shapes)

    def looped(x):
        body = jax.checkpoint(lambda scale: example.function(x * scale, *others).sum())
        return jax.lax.scan(lambda total, scale: (total + body(scale), None), 0.0, scales)[0]

    def unrolled(x):
        return sum(example.function(x * scale, *others).sum() for scale in scales)

    scales = jnp.array([0.5, 1.0, 2.0])
    (values, gradients), (expected_values, expected) = jax.jit(
        lambda x: (jax.value_and_grad(looped)(x), jax.value_and_grad(unrolled)(x))
    )(x)
    np.testing.assert_allclose(values, expected_values, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(gradients, expected, rtol=1e-5, atol=1e-4)


@every
def test_dtype_is_kept(example):
    dtypes = ("float64", "bfloat16", "float16")

    def one(inputs):
        y, pull_back = jax.vjp(example.function, *inputs)
        return y, pull_back(y), example.function(*(a.astype(jnp.float64) for a in inputs))

    with jax.enable_x64(True):
        all_inputs = [arrays(example.shapes, dtype) for dtype in dtypes]
        results = jax.jit(lambda all_inputs: list(map(one, all_inputs)))(all_inputs)
    for dtype, (y, gradients, exact) in zip(dtypes, results, strict=True):
        assert y.dtype == jnp.dtype(dtype)
        assert [gradient.dtype for gradient in gradients] == [y.dtype] * len(example.shapes)
        exact = np.asarray(exact)
        error = np.abs(np.asarray(y, np.float64) - exact).max() / np.abs(exact).max()
        assert error <= 4 * jnp.finfo(dtype).eps


@pytest.mark.parametrize(
    "example", [pytest.param(e, id=name) for name, e in EXAMPLES.items() if e.batched]
)
def test_an_empty_batch(example):
    x, *others = arrays(example.shapes)

    @jax.jit
    def computed(*inputs):
        y, pull_back = jax.vjp(example.function, *inputs)
        return y, pull_back(y)

    y, (empty, *gradients) = computed(np.asarray(x)[:0], *others)
    full = jax.eval_shape(example.function, x, *others)
    assert (y.shape, y.dtype) == ((0, *full.shape[1:]), full.dtype)
    assert empty.shape == (0, *x.shape[1:])
    for gradient, array in zip(gradients, others, strict=True):
        np.testing.assert_array_equal(gradient, np.zeros(array.shape))


@every
def test_empty_axes_are_computed_or_refused(example):
    """No axis of size 0 ends in anything but an array or a ValueError, gradients included."""
    for axis in range(len(example.shapes[0])):
        shapes = [list(shape) for shape in example.shapes]
        shapes[0][axis] = 0
        if axis == len(shapes[0]) - 1:
            for shape in shapes[1:]:  # the kernel's inputs, or what is one per channel
                shape[-2 if len(shape) > 1 else -1] = 0
            shapes[2:] = [
                shape[-1:] if len(shapes[1]) == 1 else [shapes[1][-1]] for shape in shapes[2:]
            ]
        structs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
        gradients = jax.grad(lambda *x: example.function(*x).sum(), tuple(range(len(shapes))))
        with contextlib.suppress(ValueError):
            jax.eval_shape(gradients, *structs)


@pytest.mark.parametrize(
    "function",
    [
        bind(ops.max_pool, 3, padding="SAME"),
        bind(ops.avg_pool, 3, padding="SAME"),
        bind(ops.sum_pool, 3, padding=1),
        bind(ops.lp_pool, 1, 2),
        bind(ops.adaptive_max_pool, 1),
        bind(ops.adaptive_avg_pool, 1),
        bind(ops.global_max_pool, keepdims=True),
        bind(ops.global_avg_pool, keepdims=True),
        bind(ops.pad, 0, mode="circular"),
        bind(ops.resize, 1),
        bind(ops.upsample, 1),
        bind(ops.space_to_depth, 1),
        bind(ops.depth_to_space, 1),
    ],
)
def test_an_image_of_one_pixel_stays_itself(function):
    x = np.full((1, 1, 1, 1), 0.75, np.float32)
    np.testing.assert_allclose(jax.jit(function)(x), x, rtol=1e-6)


@pytest.mark.parametrize("op", [ops.conv, ops.conv_transpose])
def test_a_convolution_of_one_pixel_is_its_middle_weight(op):
    x, kernel = jnp.full((1, 1, 1, 1), 2.0), jnp.arange(9.0).reshape(3, 3, 1, 1)
    assert jax.jit(bind(op, padding="SAME"))(x, kernel).item() == 8
