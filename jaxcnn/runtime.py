"""Settings that depend on the platform and on the version of JAX."""

import ctypes
import functools
import sys
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


def keep_freed_memory() -> bool:
    """Lets this process keep the memory that it frees, for its next step to use.

    XLA on CPU allocates the intermediate arrays of a program for every run, as one block. By
    default the C library asks the kernel for each large block and gives it back after, and every
    page of 4 KB is then cleared and mapped again: about 2 µs, which is 20 ms for 40 MB. With this a
    training step of ``mnist_cnn``, batch 128, takes 57 ms in place of 85, at the price of memory
    that stays the process's own. The first ten runs or so still ask for more, until the free
    blocks fit.

    It sets ``M_MMAP_THRESHOLD``, ``M_TRIM_THRESHOLD`` and ``M_ARENA_MAX`` of ``mallopt(3)`` for
    the whole process, so it is never done for you, except in the ``jaxcnn`` command, whose
    process is its own. Call it at the top of a script, before the first JAX computation: threads
    that allocated before keep arenas of at most 64 MB.

    Returns:
      Whether the C library took it: ``True`` on Linux with glibc, else ``False``, and nothing
      is changed.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library
        return False
    trim_threshold, mmap_threshold, arena_max = -1, -3, -8
    settings = ((trim_threshold, 2**31 - 1), (mmap_threshold, 2**30), (arena_max, 1))
    taken = [mallopt(setting, value) == 1 for setting, value in settings]
    return all(taken)
