"""The fast ways of CPU against XLA's own: values, both gradients, second order, vmap, scan."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from jax import export

from jaxcnn import ops, shapes
from jaxcnn.ops.primitives import convolution as primitives
from jaxcnn.ops.primitives.conv_plain import PLAIN
from jaxcnn.ops.primitives.conv_strategy import Convolution


def whole_numbers(seed, *shape):
    """Whole numbers, whose products and sums are exact in any order."""
    return jax.device_put(np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float32))


@st.composite
def convolutions(draw):
    """Draws each kind that has a way of its own, in every window."""
    axes = draw(st.integers(1, 3))
    small = st.integers(1, 3)
    kind = draw(
        st.sampled_from(["depthwise", "gray", "pointwise", "grouped", "wide", "wide pointwise"])
    )
    channels = draw(small) + 1
    groups, in_features, features = {
        "depthwise": (channels, channels, channels * draw(small)),
        "gray": (1, 1, channels),
        "pointwise": (1, channels, draw(small)),
        "grouped": (2, 2 * channels, 4),
        "wide": (3, 15, 6),
        "wide pointwise": (3, 18, 9),
    }[kind]
    spatial = draw(st.tuples(*[st.integers(1, 6)] * axes))
    pointwise = kind.endswith("pointwise")
    size = (1,) * axes if pointwise else draw(st.tuples(*[small] * axes))
    pair = st.just((0, 0)) if pointwise else st.tuples(*[st.integers(0, 2)] * 2)
    try:
        windows = shapes.windows(
            spatial,
            size,
            strides=draw(st.tuples(*[small] * axes)),
            padding=draw(st.tuples(*[pair] * axes)),
            dilation=draw(st.tuples(*[st.integers(1, 2)] * axes)),
        )
    except ValueError:
        assume(False)
    batch = draw(st.integers(0, 2))
    x = whole_numbers(0, batch, *spatial, in_features)
    kernel = whole_numbers(1, *size, in_features // groups, features)
    return x, kernel, Convolution(windows, groups, None)


@given(convolutions())
def test_values_and_gradients_are_those_of_xla(case):
    x, kernel, convolution = case
    shape = jax.eval_shape(lambda x, k: PLAIN.value(x, k, convolution), x, kernel).shape
    y = whole_numbers(2, *shape)

    @jax.jit  # one program compiles faster than three
    def fast(x, kernel, y):
        return (
            primitives.convolve(x, kernel, convolution),
            primitives.input_gradient(y, kernel, convolution),
            primitives.kernel_gradient(x, y, convolution),
        )

    @jax.jit
    def plain(x, kernel, y):
        return (
            PLAIN.value(x, kernel, convolution),
            PLAIN.input_gradient(y, kernel, convolution),
            PLAIN.kernel_gradient(x, y, convolution),
        )

    jax.tree.map(np.testing.assert_array_equal, fast(x, kernel, y), plain(x, kernel, y))


EXAMPLES = [
    ((2, 6, 5, 3), (3, 2, 1, 6), {"groups": 3, "strides": 2, "padding": 1}),
    ((2, 6, 5, 1), (3, 2, 1, 4), {"dilation": 2}),
    ((2, 6, 5, 3), (1, 1, 3, 4), {"strides": 2}),
    ((2, 4, 5, 4, 2), (3, 2, 2, 2, 3), {"padding": "SAME"}),
    ((2, 6, 5, 3), (3, 2, 3, 4), {"padding": 1}),
    ((2, 6, 5, 10), (3, 2, 5, 4), {"groups": 2, "strides": 2}),
    ((2, 6, 5, 12), (1, 1, 6, 4), {"groups": 2}),
]
each = pytest.mark.parametrize(("shape", "size", "options"), EXAMPLES)


@each
def test_second_order(shape, size, options):
    """The product of the Hessian of Σ y³ with a direction, three ways."""
    x, kernel = whole_numbers(0, *shape), whole_numbers(1, *size)
    dx, dkernel = whole_numbers(2, *shape), whole_numbers(3, *size)
    windows = shapes.windows(
        shape[1:-1], size[:-2], **{n: v for n, v in options.items() if n != "groups"}
    )
    convolution = Convolution(windows, options.get("groups", 1), None)

    def product(conv):
        gradient = jax.grad(lambda x, k: (conv(x, k) ** 3).sum() / 1000, argnums=(0, 1))

        @jax.jit
        def run(x, kernel):
            over_reverse = jax.jvp(gradient, (x, kernel), (dx, dkernel))[1]
            twice = jax.grad(
                lambda x, k: sum(
                    (g * d).sum() for g, d in zip(gradient(x, k), (dx, dkernel), strict=True)
                ),
                argnums=(0, 1),
            )(x, kernel)
            return over_reverse, twice

        return jax.tree.leaves(run(x, kernel))

    ours = product(lambda x, k: ops.conv(x, k, **options))
    plain = product(lambda x, k: PLAIN.value(x, k, convolution))
    for our, expected in zip(ours, plain, strict=True):
        np.testing.assert_allclose(our, expected, rtol=1e-5, atol=1e-2)


@pytest.mark.long
@each
@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0), (1, None), (2, 1)])
def test_vmap_of_values_and_gradients(shape, size, options, axes):
    def run(x, kernel):
        y, pull_back = jax.vjp(lambda x, k: ops.conv(x, k, **options), x, kernel)
        return y, *pull_back(y)

    arrays = [
        whole_numbers(i, *s) if axis is None else whole_numbers(i, *s[:axis], 3, *s[axis:])
        for i, (s, axis) in enumerate(zip((shape, size), axes, strict=True))
    ]
    together = jax.vmap(run, in_axes=axes)(*arrays)
    for index in range(3):
        one = [
            array if axis is None else jnp.take(array, index, axis)
            for array, axis in zip(arrays, axes, strict=True)
        ]
        for all_of_them, expected in zip(together, run(*one), strict=True):
            np.testing.assert_array_equal(all_of_them[index], expected)


@each
def test_inside_scan(shape, size, options):
    xs, kernel = whole_numbers(0, 3, *shape), whole_numbers(1, *size)

    def body(total, x):
        return total + ops.conv(x, kernel, **options).sum(), None

    @jax.jit
    def scanned_and_unrolled(xs):
        scanned = jax.grad(lambda xs: jax.lax.scan(body, 0.0, xs)[0])(xs)
        gradient = jax.grad(lambda x: ops.conv(x, kernel, **options).sum())
        return scanned, jnp.stack([gradient(x) for x in xs])

    np.testing.assert_array_equal(*scanned_and_unrolled(xs))


@each
def test_other_dtypes_go_the_plain_way(shape, size, options):
    dtypes = ("bfloat16", "float16", "int32")

    @jax.jit
    def computed(x, kernel):
        others = [ops.conv(x.astype(d), kernel.astype(d), **options) for d in dtypes]
        return ops.conv(x, kernel, **options), others

    exact, others = computed(whole_numbers(0, *shape), whole_numbers(1, *size))
    for dtype, y in zip(dtypes, others, strict=True):
        assert y.dtype == dtype
        np.testing.assert_array_equal(y, np.asarray(exact).astype(dtype))


@each
def test_accelerators_get_xlas_own_program(shape, size, options):
    """Lowered for each platform: only the CPU's program is another than the plain one."""

    def gradients(conv):
        return jax.grad(lambda x, k: (conv(x, k) ** 2).sum(), argnums=(0, 1))

    windows = shapes.windows(
        shape[1:-1], size[:-2], **{n: v for n, v in options.items() if n != "groups"}
    )
    convolution = Convolution(windows, options.get("groups", 1), None)
    arrays = whole_numbers(0, *shape), whole_numbers(1, *size)

    def program(conv, *platforms):
        text = export.export(jax.jit(gradients(conv)), platforms=platforms)(*arrays).mlir_module()
        return text.count("stablehlo.convolution"), text.count("stablehlo.while")

    for platform in ("cuda", "tpu"):
        ours = program(lambda x, k: ops.conv(x, k, **options), platform)
        plain = program(lambda x, k: PLAIN.value(x, k, convolution), platform)
        assert ours == plain == (3, 0)
    everywhere = export.export(
        jax.jit(gradients(lambda x, k: ops.conv(x, k, **options))),
        platforms=("cpu", "cuda", "tpu"),
    )(*arrays)
    run = gradients(lambda x, k: ops.conv(x, k, **options))
    exported, computed = jax.jit(lambda *arrays: (everywhere.call(*arrays), run(*arrays)))(*arrays)
    for ours, expected in zip(exported, computed, strict=True):
        np.testing.assert_array_equal(ours, expected)


@each
def test_export_with_a_symbolic_batch(shape, size, options):
    def run(x, kernel):
        return jax.value_and_grad(lambda x: ops.conv(x, kernel, **options).sum())(x)

    x, kernel = whole_numbers(0, *shape), whole_numbers(1, *size)
    symbolic = jax.ShapeDtypeStruct((*export.symbolic_shape("batch"), *shape[1:]), x.dtype)
    exported = export.export(jax.jit(run), platforms=("cpu", "cuda"))(symbolic, kernel)
    pairs = jax.jit(lambda x, kernel: (exported.call(x, kernel), run(x, kernel)))(x, kernel)
    for ours, expected in zip(*pairs, strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_max_pool_on_accelerators_is_xlas_own():
    def gradient(x):
        return jax.grad(lambda x: ops.max_pool(x, 2).sum())(x)

    for platform, count in (("cpu", 0), ("cuda", 1), ("tpu", 1)):
        exported = export.export(jax.jit(gradient), platforms=[platform])(jnp.ones((1, 4, 4, 1)))
        assert exported.mlir_module().count("stablehlo.select_and_scatter") == count
