"""Primitives with a fast lowering on CPU and XLA's own lowering on every other platform.

The platform is known when a program is lowered, not when it is traced, so that one trace serves
every platform, including several at once in a ``jax.export``.
"""

import contextlib
import functools
from collections.abc import Callable, Hashable, Sequence
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

from jaxcnn import shapes
from jaxcnn.runtime import traces_plain, varying_axes

_SPLIT: ContextVar[bool] = ContextVar("jaxcnn_split_batch", default=False)
_EXPORTED: ContextVar[bool] = ContextVar("jaxcnn_exported", default=False)
# Up to this many mapped computations are unrolled.
_FEW = 8


def primitive(
    name: str,
    *,
    plain: Callable[..., jax.Array],
    on_cpu: Callable[..., jax.Array] | None = None,
    examples: Sequence[bool],
    few: bool = False,
) -> Primitive:
    """Make a primitive of several arrays and one hashable parameter, ``params``.

    Both functions take the arrays and then the parameter. The caller defines the derivatives.

    Args:
      name: Name in a jaxpr, after ``jaxcnn_``.
      plain: The definition in XLA's own operations, which also gives the type of the result.
      on_cpu: The lowering for CPU; ``None`` means ``plain``. It receives non-empty arrays of known
        sizes. Empty arrays, symbolic sizes and arrays of explicit sharding are lowered by
        ``plain``.
      examples: For each array, whether its first axis is the batch. The first axis of the result
        is the batch too, unless no array has one.
      few: Whether a vmap over a few arrays without a batch, such as kernels, computes one by one.
    """
    made = _Primitive(f"jaxcnn_{name}", plain)

    @functools.cache
    def compiled(params: Hashable) -> Callable[..., jax.Array]:
        return jax.jit(functools.partial(made.bind, params=params))

    def run_plain(*arrays: jax.Array, params: Hashable) -> jax.Array:
        with _mesh_of(arrays):
            return plain(*arrays, params)

    def run_on_cpu(*arrays: jax.Array, params: Hashable) -> jax.Array:
        sizes = [size for array in arrays for size in array.shape]
        known = all(isinstance(size, int) and size > 0 for size in sizes)
        whole = not any(sharding(jax.typeof(array)) for array in arrays)
        if on_cpu and known and whole:
            return on_cpu(*arrays, params)
        return run_plain(*arrays, params=params)

    def vmap(arrays: Any, axes: Any, *, params: Hashable) -> tuple[jax.Array, int]:
        mapped = [axis is not None for axis in axes]
        count = next(
            a.shape[axis] for a, axis in zip(arrays, axes, strict=True) if axis is not None
        )
        if any(m and not e for m, e in zip(mapped, examples, strict=True)) or not count:
            # For example, a different kernel for each example. A few, such as the members of an
            # ensemble, are computed one by one: XLA's convolution in groups takes twice as long on
            # CPU (gradients of 5 FCN, 16 series of 150 steps: 690 and 310 ms of CPU time).
            if few and 0 < count <= _FEW:
                each = [
                    [
                        lax.index_in_dim(a, index, axis, keepdims=False) if m else a
                        for a, axis, m in zip(arrays, axes, mapped, strict=True)
                    ]
                    for index in range(count)
                ]
                return jnp.stack([made.bind(*one, params=params) for one in each]), 0
            in_axes = [axis if m else None for axis, m in zip(axes, mapped, strict=True)]
            return jax.vmap(functools.partial(run_plain, params=params), in_axes)(*arrays), 0
        # Merge the mapped axis into the batch.
        flat = []
        for array, axis, has_examples in zip(arrays, axes, examples, strict=True):
            if has_examples:
                array = (
                    jnp.broadcast_to(array, (count, *array.shape))
                    if axis is None
                    else jnp.moveaxis(array, axis, 0)
                )
                array = array.reshape(count * array.shape[1], *array.shape[2:])
            flat.append(array)
        result = made.bind(*flat, params=params)
        return result.reshape(count, result.shape[0] // count, *result.shape[1:]), 0

    def run(*arrays: jax.Array, params: Hashable) -> jax.Array:
        with jax.disable_jit(False):  # under disable_jit this function would call itself
            return compiled(params)(*arrays)

    made.def_impl(run)

    @functools.cache
    def type_of(*arrays: Any, params: Hashable) -> Any:
        return jax.make_jaxpr(functools.partial(run_plain, params=params))(*arrays).out_avals[0]

    made.def_abstract_eval(type_of)
    batching.primitive_batchers[made] = vmap
    mlir.register_lowering(made, mlir.lower_fun(run_plain, False))
    lower_on_cpu = mlir.lower_fun(run_on_cpu, False)

    def lower(context: Any, *arrays: Any, params: Hashable) -> Any:
        module = context.module_context
        split = _SPLIT.set(getattr(module.axis_context, "num_devices", 1) > 1)
        exported = _EXPORTED.set(module.lowering_parameters.for_export)
        try:
            return lower_on_cpu(context, *arrays, params=params)
        finally:
            _EXPORTED.reset(exported)
            _SPLIT.reset(split)

    mlir.register_lowering(made, lower, platform="cpu")
    return made


def may_be_split() -> bool:
    """Return whether the program being lowered is for several devices, which may share a batch.

    A loop over examples would collect the whole batch on each of them.
    """
    return _SPLIT.get()


def runs_here() -> bool:
    """Return whether the program being lowered is for one device of this process.

    An exported one runs where the libraries of this process are not, and XLA cannot divide a call
    of one among devices: it would collect the arrays on each.
    """
    return not _SPLIT.get() and not _EXPORTED.get()


class _Primitive(Primitive):
    """A primitive that :func:`jaxcnn.runtime.plain_operations` replaces by its definition."""

    def __init__(self, name: str, plain: Callable[..., jax.Array]) -> None:
        super().__init__(name)
        self.plain = plain

    def bind(self, *arrays: Any, params: Hashable) -> Any:
        if traces_plain():
            return self.plain(*arrays, params)
        return super().bind(*arrays, params=params)


def compile_separately(function: Callable[..., jax.Array], *arrays: jax.Array) -> jax.Array:
    """Compute ``function(*arrays)`` without fusing it with the surrounding program.

    XLA on CPU fuses a value into every operation that reads it and computes it again for each: two
    stages of Winograd's convolution take 32 ms fused and 10 ms separately, and padding fused into
    the slices of the padded array is a branch in the inner loop.
    """
    with set_xla_metadata(inlineable="false"):
        return jax.jit(function)(*arrays)


def _mesh_of(arrays: Sequence[jax.Array]) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which new arrays are on the mesh of explicit axes that arrays are on.

    Without ``jax.set_mesh`` only the types of the arrays know it.
    """
    for array in arrays:
        found = sharding(jax.typeof(array))
        if found is not None:
            return jax.sharding.use_abstract_mesh(found.mesh.abstract_mesh)
    return contextlib.nullcontext()


def sharding(kind: Any) -> jax.sharding.NamedSharding | None:
    """Return the sharding of an array type on a mesh of explicit axes, or ``None``."""
    return kind.sharding if any(kind.sharding.spec) else None


def match_varying_axes(*arrays: jax.Array) -> list[jax.Array]:
    """Make each array vary over all mesh axes over which any of them varies.

    In a ``jax.shard_map`` JAX's own operations do this implicitly; the transpose of the cast sums
    the gradients of an array that the devices share.
    """
    union = frozenset().union(*map(varying_axes, arrays))
    missing = [tuple(union - varying_axes(array)) for array in arrays]
    return [
        lax.pcast(array, axes, to="varying") if axes else array
        for array, axes in zip(arrays, missing, strict=True)
    ]


def transpose(
    linear: Callable[[jax.Array], jax.Array], shape: shapes.Shape, y: jax.Array
) -> jax.Array:
    """Apply the transpose of ``linear``, a function of an array of ``shape``, to ``y``."""
    template, _ = match_varying_axes(jnp.zeros(shape, y.dtype), y)
    return jax.linear_transpose(linear, template)(y)[0]
