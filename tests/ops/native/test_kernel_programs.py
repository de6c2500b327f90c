"""Programs with compiled kernels under JAX's transformations, beside the same without them."""

import functools
import os
import subprocess
import sys

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import AxisType, PartitionSpec

import jaxcnn as cnn
from jaxcnn import ops

# Images and kernel: dense, in groups, depthwise, along one axis.
SHAPES = {
    "dense": ((2, 9, 8, 3), (3, 3, 3, 20), {"padding": 1}),
    "Winograd": ((4, 16, 16, 16), (3, 3, 16, 32), {"padding": 1}),
    "strides": ((2, 9, 8, 3), (3, 3, 3, 20), {"strides": 2}),
    "groups": ((2, 6, 6, 8), (3, 3, 4, 6), {"groups": 2}),
    "depthwise": ((2, 9, 9, 21), (5, 5, 1, 21), {"groups": 21, "padding": 2}),
    "1-D": ((2, 30, 4), (5, 4, 6), {"dilation": 2}),
    "3-D": ((2, 5, 6, 5, 3), (3, 3, 3, 3, 4), {"padding": 1}),
}


def arrays(*shapes):
    numbers = np.random.default_rng(0)
    return [jnp.asarray(numbers.normal(size=shape), jnp.float32) for shape in shapes]


def calls(function, *arguments):
    return jax.jit(function).lower(*arguments).as_text().count("custom_call @jaxcnn_conv")


def close(found, expected):
    def check(a, b):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * max(1, abs(b).max(initial=0)))

    jax.tree.map(check, found, expected)


@pytest.fixture(params=SHAPES)
def case(request):
    x, kernel, options = SHAPES[request.param]
    return functools.partial(ops.conv, **options), *arrays(x, kernel)


def squares(conv):
    return lambda x, kernel: (conv(x, kernel) ** 2).sum()


def test_the_program_calls_them(case, without):
    conv, x, kernel = case
    assert calls(conv, x, kernel) == 1
    assert without(calls, conv, x, kernel) == 0


@pytest.mark.parametrize(
    ("shape", "kernel", "options", "taken"),
    [
        ((4, 16, 16, 16), (3, 3, 16, 32), {"padding": 1}, True),
        ((4, 6, 16, 16, 16), (1, 3, 3, 16, 32), {}, True),
        ((1, 8, 8, 256), (3, 3, 256, 256), {"padding": 1}, False),  # the weights would cost more
        ((8, 16, 16, 8), (3, 3, 8, 32), {"padding": 1}, False),
        ((8, 16, 16, 16), (3, 3, 16, 32), {"strides": 2}, False),
        ((8, 16, 16, 16), (3, 3, 16, 32), {"dilation": 2, "padding": 2}, True),
        ((8, 16, 16, 16), (3, 5, 16, 32), {}, False),
        ((64, 66, 16), (3, 16, 32), {}, False),
    ],
)
def test_where_winograds_method_is_taken(shape, kernel, options, taken):
    x, kernel = arrays(shape, kernel)
    gradient = jax.grad(squares(functools.partial(ops.conv, **options)), (0, 1))
    text = jax.jit(gradient).lower(x, kernel).as_text()
    assert text.count("winograd = true") == (3 if taken else 0)


def test_gradients_of_two_orders(case, without):
    conv, x, kernel = case

    def both(x, kernel):
        first = jax.grad(squares(conv), (0, 1))(x, kernel)
        second = jax.grad(
            lambda x, kernel: (jax.grad(squares(conv), 1)(x, kernel) ** 2).sum(), (0, 1)
        )(x, kernel)
        return first, jax.tree.map(lambda array: array / 1e3, second)

    assert calls(both, x, kernel) > 4
    found = jax.jit(both)(x, kernel)
    close(found, without(lambda: jax.jit(both)(x, kernel)))


def test_vmap_scan_and_remat(case, without):
    conv, x, kernel = case
    kernels = jnp.stack([kernel, 2 * kernel])

    def mapped(x, kernels):
        over_images = jax.vmap(conv, (0, None))(x[:, None], kernels[0])
        over_kernels = jax.vmap(conv, (None, 0))(x, kernels)
        carried, _ = jax.lax.scan(
            lambda sum, kernel: (sum + jax.checkpoint(conv)(x, kernel), None),
            jnp.zeros_like(over_kernels[0]), kernels,
        )  # fmt: skip
        return over_images, over_kernels, carried

    assert calls(mapped, x, kernels) > 2
    close(jax.jit(mapped)(x, kernels), without(lambda: jax.jit(mapped)(x, kernels)))


def test_shard_map_on_one_device(case, without):
    conv, x, kernel = case
    mesh = jax.make_mesh((1,), ("devices",), axis_types=(AxisType.Auto,))
    split, whole = PartitionSpec("devices"), PartitionSpec()
    gradient = jax.shard_map(
        jax.grad(squares(conv), 1), mesh=mesh, in_specs=(split, whole), out_specs=whole
    )
    close(jax.jit(gradient)(x, kernel), without(lambda: jax.jit(gradient)(x, kernel)))


def test_an_empty_batch(case):
    conv, x, kernel = case
    gradient = jax.jit(jax.grad(squares(conv), 1))(x[:0], kernel)
    np.testing.assert_array_equal(gradient, np.zeros(kernel.shape))


def test_an_exported_program_has_no_call(case):
    conv, x, kernel = case
    program = jax.export.export(jax.jit(conv))(x, kernel)
    assert "jaxcnn_conv" not in program.mlir_module()
    close(program.call(x, kernel), jax.jit(conv)(x, kernel))


def test_several_devices_take_none():
    script = (
        "import jax, jax.numpy as jnp, jaxcnn as cnn\n"
        "from jax.sharding import NamedSharding, PartitionSpec as P, AxisType\n"
        "mesh = jax.make_mesh((2,), ('d',), axis_types=(AxisType.Auto,))\n"
        "x = jax.device_put(jnp.ones((2, 8, 8, 3)), NamedSharding(mesh, P('d')))\n"
        "text = jax.jit(cnn.ops.conv).lower(x, jnp.ones((3, 3, 3, 4))).as_text()\n"
        "print('jaxcnn_conv' in text)\n"
    )
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "2"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )
    assert (done.stdout, done.returncode) == ("False\n", 0), done.stderr


@pytest.mark.implicit_promotion
def test_a_training_with_and_without(without):
    numbers = np.random.default_rng(0)
    data = cnn.Dataset(numbers.integers(0, 256, (32, 12, 12, 3), np.uint8), np.arange(32) % 4)
    network = cnn.serial(
        cnn.conv(16, 3, padding=1), nnx.relu, cnn.depthwise(3, padding=1), nnx.relu,
        cnn.global_avg_pool(), cnn.dense(4),
    )  # fmt: skip

    def train():
        result = cnn.fit(
            network.build((12, 12, 3), rngs=nnx.Rngs(0)), data,
            epochs=2, batch_size=16, optimizer=optax.sgd(0.1), seed=0, progress=False,
        )  # fmt: skip
        return nnx.to_pure_dict(nnx.state(result.model, nnx.Param))

    close(train(), without(train))
    again, first = train(), train()
    jax.tree.map(np.testing.assert_array_equal, again, first)
