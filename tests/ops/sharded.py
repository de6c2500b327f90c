"""Gradients on two devices beside those on one, as JSON; ``test_sharding.py`` starts it.

JAX_NUM_CPU_DEVICES=2 python sharded.py [CASE …]
"""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxcnn import modules, ops
from jaxcnn.ops.normalization import normalize_over_batch

ALL, HALF = P(), P("devices")


def numbers(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def batch_norm(x, scale, bias):
    module = modules.BatchNorm(x.shape[-1], rngs=nnx.Rngs(0))
    module.scale[...], module.bias[...] = scale, bias
    return module(x, train=True)


def conv(**options):
    return lambda x, kernel, bias: ops.conv(x, kernel, bias, **options)


def pool(op, *arguments, **options):
    return lambda x: op(x, *arguments, **options)


IMAGES, WIDE = (4, 9, 8, 4), (4, 20, 20, 32)
# A function, the shape of its images, and those of the arrays that all devices share.
CASES = {
    "conv": (conv(padding=1), IMAGES, (3, 3, 4, 5), (5,)),
    "conv 1x1": (conv(), IMAGES, (1, 1, 4, 5), (5,)),
    "conv 3-D": (conv(), (4, 5, 5, 5, 3), (3, 3, 3, 3, 5), (5,)),
    "conv gray": (conv(), (4, 9, 8, 1), (3, 3, 1, 5), (5,)),
    "conv depthwise": (conv(groups=4), IMAGES, (3, 3, 1, 4), (4,)),
    "conv of two groups": (conv(groups=2), (4, 9, 8, 24), (3, 3, 12, 24), (24,)),
    "conv by Winograd": (conv(padding=1), WIDE, (3, 3, 32, 32), (32,)),
    "conv_transpose": (
        lambda x, kernel, bias: ops.conv_transpose(x, kernel, bias, strides=2),
        IMAGES, (3, 3, 4, 5), (5,),
    ),
    "batch_norm": (batch_norm, IMAGES, (4,), (4,)),
    "max_pool": (pool(ops.max_pool, 3, strides=2), IMAGES),
    "max_pool dilated": (pool(ops.max_pool, 2, dilation=2), IMAGES),
    "avg_pool": (pool(ops.avg_pool, 2), IMAGES),
    "avg_pool overlapping": (pool(ops.avg_pool, 3, strides=2), IMAGES),
    "adaptive_avg_pool": (pool(ops.adaptive_avg_pool, 3), IMAGES),
}  # fmt: skip


def gradients(function, arrays):
    def loss(*arrays):
        return (function(*arrays) ** 3).sum()

    return jax.grad(loss, argnums=tuple(range(len(arrays))))(*arrays)


def differences(function, shape, *shared):
    """Largest differences, relative, of each way to share the work from one device a half each."""
    mesh = jax.make_mesh((2,), ("devices",), axis_types=(AxisType.Auto,))
    x = numbers(0, *shape)
    others = [numbers(seed, *size) for seed, size in enumerate(shared, start=1)]
    one_device = jax.jit(lambda *arrays: gradients(function, arrays))
    halves = [one_device(half, *others) for half in jnp.split(x, 2)]
    (first, *rest), (second, *others_of_second) = halves
    sums = [a + b for a, b in zip(rest, others_of_second, strict=True)]
    by_halves, together = [jnp.concatenate([first, second]), *sums], one_device(x, *others)

    def by_hand(x, *others):
        """The kernel is told to vary, and the sum over devices written out."""
        varying = [jax.lax.pcast(other, ("devices",), to="varying") for other in others]
        first, *rest = gradients(function, (x, *varying))
        return first, *jax.lax.psum(rest, "devices")

    def by_jax(x, *others):
        return gradients(function, (x, *others))

    specs = HALF, *[ALL] * len(others)
    found = {}
    for way in (by_hand, by_jax):
        sharded = jax.shard_map(way, mesh=mesh, in_specs=specs, out_specs=specs)
        found[way.__name__] = largest(jax.jit(sharded)(x, *others), by_halves)
    with jax.set_mesh(jax.make_mesh((2,), ("devices",), axis_types=(AxisType.Explicit,))):
        arrays = map(jax.device_put, (x, *others), specs)
        found["in_types"] = largest(jax.jit(by_jax)(*arrays), together)
    explicit = jax.make_mesh((2,), ("devices",))  # explicit axes, and no mesh is set
    placed = [
        jax.device_put(array, NamedSharding(explicit, spec))
        for array, spec in zip((x, *others), specs, strict=True)
    ]
    found["without_set_mesh"] = largest(jax.jit(by_jax)(*placed), together)
    placed = [
        jax.device_put(array, NamedSharding(mesh, spec))
        for array, spec in zip((x, *others), specs, strict=True)
    ]
    compiled = jax.jit(by_jax).lower(*placed).compile()
    found["by_compiler"] = largest(compiled(*placed), together)
    found["all_gathers"] = compiled.as_text().count(" all-gather(")
    return found


def synchronized():
    """Largest difference of batch norm over two devices from that over one, gradients included."""
    mesh = jax.make_mesh((2,), ("devices",), axis_types=(AxisType.Auto,))
    x, scale, bias = numbers(0, *IMAGES) + 3, numbers(1, 4), numbers(2, 4)

    def step(axis_name):
        def run(x, scale, bias):
            module = modules.BatchNorm(4, axis_name=axis_name, rngs=nnx.Rngs(0))

            def loss(x, scale, bias):
                y, *_ = normalize_over_batch(x, scale, bias, axis_name=axis_name)
                total = (y**3).sum()
                return total if axis_name is None else jax.lax.psum(total, axis_name)

            module.scale[...], module.bias[...] = scale, bias
            y = module(x, train=True)
            gradients = jax.grad(loss, argnums=(0, 1, 2))(x, scale, bias)
            return y, gradients[0], module.mean[...], module.var[...], *gradients[1:]

        return run

    specs = HALF, HALF, ALL, ALL, ALL, ALL
    sharded = jax.shard_map(step("devices"), mesh=mesh, in_specs=(HALF, ALL, ALL), out_specs=specs)
    return largest(jax.jit(sharded)(x, scale, bias), jax.jit(step(None))(x, scale, bias))


def largest(ours, expected):
    pairs = [map(np.asarray, pair) for pair in zip(ours, expected, strict=True)]
    return max(float(abs(one - other).max() / abs(other).max()) for one, other in pairs)


if __name__ == "__main__":
    results = {"synchronized": synchronized()}
    for name in sys.argv[1:] or CASES:
        case = CASES[name]
        try:
            results[name] = differences(*case)
        except Exception as error:  # for the test to show
            results[name] = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(results))
