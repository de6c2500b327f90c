"""What depends on the platform or the version of JAX, beside which way an operation is lowered."""

import functools
from collections.abc import Callable

import jax


def training_options() -> dict[str, str] | None:
    """Compile options for training.

    jaxlib 0.10 on CPU hands single convolutions to a YNNPACK fusion that runs a convolution of
    (128, 13, 13, 64) to 64 in 35 ms, against 7.5 without; inference, where bias, ReLU and pool
    fuse too, is faster with it. Later versions do not know the option.

    It also takes the barriers out that keep one part of a program from being merged with, or begun
    before, another: what :func:`jaxcnn.modules.remat` computes again would be kept after all, and
    micro-batches would be in memory at once. Later versions leave them in.
    """
    if jax.default_backend() == "cpu" and jax.__version_info__[:2] == (0, 10):
        return {
            "xla_cpu_experimental_ynn_fusion_type": "",
            "xla_disable_hlo_passes": "cse_barrier_expander",
        }
    return None


def unroll_scan() -> bool:
    """Whether to write a ``lax.scan`` over convolutions out.

    XLA on CPU runs a convolution in a loop on one thread and by the plain sum. A residual network
    of nine convolutions of (128, 32, 32, 32), gradient in four parts: 200 ms written out, 1,900
    (jax 0.10.2) or 1,300 (0.12) as a loop, and as little memory either way: 114 MB against 430 in
    one part. Elsewhere a loop is compiled once for all its turns.
    """
    return jax.default_backend() == "cpu"


def varying_axes(x: jax.Array) -> frozenset[str]:
    """Returns the mesh axes along which ``x`` differs from device to device in a ``shard_map``."""
    kind = jax.typeof(x)
    manual = getattr(kind, "manual_axis_type", None)  # its first versions called it vma
    return kind.vma if manual is None else manual.varying


def run_once(
    function: Callable[..., jax.Array], *, static_argnums: tuple[int, ...]
) -> Callable[..., jax.Array]:
    """Returns ``function``, compiled for little more than the compilation itself.

    A random kernel takes XLA on CPU 0.7 s to compile for each of its shapes, and 0.25 s at this
    level, to the same bits; the program runs as fast. Under another transformation the function
    is left to that.

    Args:
      function: A pure function whose first argument is an array.
      static_argnums: Positions of the arguments that are compiled in.
    """

    @functools.cache
    def compiled() -> Callable[..., jax.Array]:
        on_cpu = jax.default_backend() == "cpu"
        options = {"xla_backend_optimization_level": "1"} if on_cpu else None
        return jax.jit(function, static_argnums=static_argnums, compiler_options=options)

    @functools.wraps(function)
    def run(first: jax.Array, *others: object) -> jax.Array:
        if isinstance(first, jax.core.Tracer):  # only the outermost program has options
            return function(first, *others)
        return compiled()(first, *others)

    return run
