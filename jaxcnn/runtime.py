"""Settings that depend on the platform and on the version of JAX."""

import contextlib
import ctypes
import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path

import jax
from jax.experimental.xla_metadata import set_xla_metadata

from jaxcnn import arguments

__all__ = [
    "cache_programs",
    "cpu_devices",
    "device_name",
    "keep_freed_memory",
    "native",
    "native_is_on",
    "plain_operations",
]

_SETTINGS: dict[str, bool] = {}
_PLAIN: ContextVar[bool] = ContextVar("jaxcnn_plain_operations", default=False)


def training_options() -> dict[str, str] | None:
    """Return the compile options for training.

    jaxlib 0.10 on CPU runs single convolutions in a YNNPACK fusion: (128, 13, 13, 64) to 64 takes
    35 ms, and 7.5 ms without it. Inference, which also fuses bias, ReLU and pool, is faster with
    it. Later versions do not have the option.

    jaxlib 0.10 also removes the optimization barriers of a program. Without them the compiler
    merges what :func:`jaxcnn.modules.remat` computes again with the first computation, and keeps
    all micro-batches in memory at once. Later versions keep the barriers.
    """
    if jax.default_backend() == "cpu" and jax.__version_info__[:2] == (0, 10):
        return {
            "xla_cpu_experimental_ynn_fusion_type": "",
            "xla_disable_hlo_passes": "cse_barrier_expander",
        }
    return None


def unroll_scan() -> bool:
    """Return whether to unroll a ``lax.scan`` over convolutions.

    XLA on CPU runs a convolution in a loop on one thread and by the direct sum. A residual network
    of nine convolutions of (128, 32, 32, 32), gradient in four parts: 200 ms unrolled, 1,900 (jax
    0.10.2) or 1,300 (0.12) as a loop. Both need 114 MB, one part 430 MB. On other platforms a loop
    is as fast and its body is compiled once.
    """
    return jax.default_backend() == "cpu"


@contextlib.contextmanager
def plain_operations() -> Iterator[None]:
    """Trace operations as JAX's own primitives, without those of this library.

    For what interprets a program (an ONNX exporter, ``jax.experimental.jet``) and knows only the
    primitives of JAX. Values are the same to rounding; on CPU they are computed as XLA does, which
    may be slower by far.

    >>> import jaxcnn as cnn
    >>> x, kernel = jax.numpy.ones((1, 4, 1)), jax.numpy.ones((2, 1, 1))
    >>> with cnn.runtime.plain_operations():
    ...     program = jax.make_jaxpr(cnn.ops.conv)(x, kernel)
    >>> "jaxcnn" in str(program), "jaxcnn_conv" in str(jax.make_jaxpr(cnn.ops.conv)(x, kernel))
    (False, True)
    """
    token = _PLAIN.set(True)
    try:
        with set_xla_metadata(jaxcnn="plain"):  # a part of the key of JAX's caches of programs
            yield
    finally:
        _PLAIN.reset(token)


def traces_plain() -> bool:
    """Return whether :func:`plain_operations` is in effect."""
    return _PLAIN.get()


def native(on: bool) -> None:
    """Use compiled kernels where they are built (the default), or do not, from now on.

    ``jaxcnn native build`` compiles them; without them nothing changes. The environment variable
    ``JAXCNN_NATIVE=0`` switches them off from the start. Programs that JAX has compiled are
    forgotten, because they hold what they were compiled with.
    """
    _SETTINGS["native"] = arguments.check_flag("on", on)
    jax.clear_caches()


def native_is_on() -> bool:
    """Return whether compiled kernels may be used.

    Raises:
      ValueError: ``JAXCNN_NATIVE`` is neither 0 nor 1.
    """
    if "native" not in _SETTINGS:
        wanted = os.environ.get("JAXCNN_NATIVE", "1")
        _SETTINGS["native"] = arguments.check_choice("JAXCNN_NATIVE", wanted, ("0", "1")) == "1"
    return _SETTINGS["native"]


def varying_axes(x: jax.Array) -> frozenset[str]:
    """Return the mesh axes of a ``shard_map`` along which ``x`` differs between devices."""
    kind = jax.typeof(x)
    manual = getattr(kind, "manual_axis_type", None)  # vma in earlier versions
    return kind.vma if manual is None else manual.varying


def run_once(
    function: Callable[..., jax.Array], *, static_argnums: tuple[int, ...]
) -> Callable[..., jax.Array]:
    """Compile ``function`` with little optimization, for a program that runs once.

    XLA on CPU takes 0.7 s to compile a random kernel of each shape, and 0.25 s at this level. The
    result is the same bit for bit, and the program is as fast. Under another transformation
    ``function`` is called as it is.

    Args:
      function: A pure function whose first argument is an array.
      static_argnums: Positions of the static arguments.
    """

    @functools.cache
    def compiled() -> Callable[..., jax.Array]:
        on_cpu = jax.default_backend() == "cpu"
        options = {"xla_backend_optimization_level": "1"} if on_cpu else None
        return jax.jit(function, static_argnums=static_argnums, compiler_options=options)

    @functools.wraps(function)
    def run(first: jax.Array, *others: object) -> jax.Array:
        if isinstance(first, jax.core.Tracer):  # only the outermost program takes compile options
            return function(first, *others)
        return compiled()(first, *others)

    return run


def cache_programs(folder: str | Path | None = None) -> Path:
    """Keep compiled programs in a folder, so that a script which runs again starts at once.

    JAX stores only programs that took a second to compile, and a training has a hundred smaller
    ones; here all are stored. The ``jaxcnn`` command calls it; call it at the top of a script.

    Args:
      folder: Folder of the programs; ``None`` means the one of JAX's own setting
        ``jax_compilation_cache_dir``, or ``jaxcnn`` in ``$XDG_CACHE_HOME`` or ``~/.cache``.

    Returns:
      The folder.
    """
    # JAX adds its options while it is imported, unseen by a type checker.
    folder = folder or jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]  # set at run time
    folder = folder or cache_folder()
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    return Path(folder)


def cache_folder() -> Path:
    """Return the user's folder of what can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jaxcnn"


def device_name() -> str:
    """Return the name of the device that JAX uses, such as ``"cpu"`` or ``"NVIDIA H100"``."""
    return str(jax.devices()[0].device_kind)


def cpu_devices(count: int) -> list[jax.Device]:
    """Return devices of the CPU, for which programs are compiled to read them.

    JAX has as many as are set before its first computation, which this function does if it still
    can.

    Raises:
      ValueError: JAX has started with fewer.
    """
    with contextlib.suppress(RuntimeError):  # JAX has started
        if jax.config.jax_num_cpu_devices < count:  # type: ignore[attr-defined]  # set at run time
            jax.config.update("jax_num_cpu_devices", count)
    found = jax.devices("cpu")
    if len(found) < count:
        raise ValueError(
            f"this needs {count} devices of the CPU, and JAX has started with {len(found)}: set "
            f"JAX_NUM_CPU_DEVICES={count}, or call it before the first computation"
        )
    return found[:count]


def printable(text: object) -> str:
    """Return a text with ``?`` in place of what the encoding of the standard output lacks.

    A table or a class name should not end a training because the output is a file in cp1252, as it
    is on Windows, or latin-1.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return str(text).encode(encoding, "replace").decode(encoding)


def keep_freed_memory() -> bool:
    """Keep freed memory in this process, so that its next step can use it.

    XLA on CPU allocates the intermediate arrays of a program as one block on every run. By default
    the C library requests each large block from the kernel and returns it afterwards, and the
    kernel clears and maps every page of 4 KB again: about 2 µs per page, 20 ms for 40 MB. With this
    setting a training step of ``mnist_cnn``, batch 128, takes 57 ms instead of 85, and the process
    does not return its memory. The first ten runs or so still request memory, until the free blocks
    are large enough.

    It sets ``M_MMAP_THRESHOLD``, ``M_TRIM_THRESHOLD`` and ``M_ARENA_MAX`` of ``mallopt(3)`` for
    the whole process; therefore only the ``jaxcnn`` command, which owns its process, calls it. Call
    it at the top of a script, before the first JAX computation: threads that have allocated memory
    keep arenas of at most 64 MB.

    Returns:
      ``True`` on Linux with glibc; ``False`` where the C library does not support the setting, and
      nothing is changed.
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
