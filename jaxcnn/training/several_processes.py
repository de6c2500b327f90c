"""Several processes that train together: their start, and their end when one of them is lost.

JAX ends a process by SIGABRT, from a thread of its own and with a page of its log, when the
coordinator or another process no longer answers. Here that is one line and an exit code.
"""

import atexit
import contextlib
import ctypes
import importlib.util
import os
import re
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from jaxcnn import arguments

# As EX_TEMPFAIL of sysexits.h: the same command will succeed later.
LOST = 75
# A process that sends no sign of life for this number of seconds is lost.
_HEARTBEAT = 30
# The last process to end, which writes the run's files, may take this number of seconds more.
_SHUTDOWN = 3600
_FAILED = re.compile(r"gloo|nccl|coordination service|distributed service", re.IGNORECASE)


class _Joined:
    """What the end of this process depends on.

    Attributes:
      processes: Number of processes; 1 before this one has joined others.
      number: Number of this one.
      doing: What they do, for the line about their end.
      folder: The folder of the run that they train.
    """

    def __init__(self) -> None:
        self.processes = 1
        self.number = 0
        self.doing = ""
        self.folder: Path | None = None
        self.terminal = sys.stderr
        self.log: int | None = None
        self.ending = threading.Lock()


_JOINED = _Joined()


def join_processes(
    coordinator: str | None = None,
    processes: int | None = None,
    process_id: int | None = None,
    *,
    timeout: int = 300,
) -> bool:
    """Make this process one of several that train together.

    Call it at the top of a script, before JAX computes anything, in every process. From then on
    :func:`jaxcnn.fit` and :func:`jaxcnn.evaluate` share each batch among the devices of all
    processes, which must make the same calls; process 0 alone writes a run's files.

    Without arguments nothing is done, unless SLURM, Open MPI or a Cloud TPU started several
    processes, as :func:`jax.distributed.initialize` detects them.

    When a process ends by an error or no longer answers for 30 seconds, the others end with a line
    on the standard error and exit code 75. The log that XLA itself writes there is
    shown at the end of the process, and left out in that case.

    Args:
      coordinator: Address of process 0, such as ``"10.0.0.1:1234"``, with a free port.
      processes: Number of processes, at least 1.
      process_id: Number of this process, from 0 to ``processes - 1``.
      timeout: Seconds to wait for the coordinator and for the other processes.

    Returns:
      Whether there are several processes.

    Raises:
      ConnectionError: the coordinator does not answer.
      RuntimeError: JAX has computed something before.
      TypeError: an argument has the wrong type.
      ValueError: one of the three is given and another is not, or one is out of its range.
    """
    given = {"coordinator": coordinator, "processes": processes, "process_id": process_id}
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == len(given):
        if not _several_are_started():
            return False
    elif missing:
        raise ValueError(
            "coordinator, processes and process_id are given together, or none of them. "
            f"Received: no {' and no '.join(missing)}"
        )
    else:
        _check(coordinator, processes, process_id)
        if processes == 1:
            return False
    import jax  # the command line reads this file before it knows that it computes anything

    timeout = arguments.check_integer("timeout", timeout, minimum=1)
    where = coordinator or "the coordinator"
    if coordinator is not None:  # of which JAX makes an abort or a segmentation fault
        if process_id == 0:
            _check_free(coordinator)
        else:
            _wait_for(coordinator, timeout)
    counted = "processes" if processes is None else f"{processes} processes"
    _take_over(
        f"not all of the {counted} came to {where} within {timeout} s, or they were started with "
        "different numbers of processes"
    )
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process_id,
            initialization_timeout=timeout,
            heartbeat_timeout_seconds=_HEARTBEAT,
            shutdown_timeout_seconds=_SHUTDOWN,
        )
    except ValueError as error:  # the environment is incomplete
        raise ValueError(
            f"JAX cannot tell how the processes were started: {error} "
            "Give coordinator, processes and process_id"
        ) from error
    _JOINED.processes, _JOINED.number = jax.process_count(), jax.process_index()
    _JOINED.doing = f"another of the {_JOINED.processes} processes has ended or does not answer"
    return _JOINED.processes > 1


def is_first() -> bool:
    """Return whether this process is the one that prints: number 0, or one alone."""
    return _JOINED.number == 0


def remember_folder(folder: Path | None) -> None:
    """Note the folder of the run that the processes train, for the line about their end."""
    _JOINED.folder = folder


def end_if_lost(error: BaseException) -> None:
    """End this process with a line and code 75, if `error` is that another one is lost."""
    if _JOINED.processes > 1 and _FAILED.search(str(error)):
        _end_lost()


def end_process(code: int) -> NoReturn:
    """End this process; one of several that failed does not wait for the others to end."""
    if code != 0 and _JOINED.processes > 1:
        _flush()
        os._exit(code)
    sys.exit(code)


def _check(coordinator: str | None, processes: int | None, process_id: int | None) -> None:
    host, _, port = str(coordinator).rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ValueError(
            "coordinator must be a host and a port, such as 10.0.0.1:1234. "
            f"Received: coordinator={arguments.shown(coordinator)}"
        )
    count = arguments.check_integer("processes", processes, minimum=1)
    number = arguments.check_integer("process_id", process_id, minimum=0)
    if number >= count:
        raise ValueError(
            f"process_id must be from 0 to {count - 1}, as there are {count} processes. "
            f"Received: process_id={number}"
        )


def _several_are_started() -> bool:
    """Return whether SLURM, Open MPI or a Cloud TPU may have started several processes."""
    slurm = os.environ.get("SLURM_NTASKS", "1") if "SLURM_STEP_NODELIST" in os.environ else "1"
    counts = (slurm, os.environ.get("OMPI_COMM_WORLD_SIZE", "1"))
    if any(count != "1" for count in counts):
        return True
    workers = os.environ.get("TPU_WORKER_HOSTNAMES", "")
    has_tpu = any(Path("/dev").glob("accel*")) or any(Path("/dev").glob("vfio/*"))
    return "," in workers or (has_tpu and importlib.util.find_spec("libtpu") is not None)


def _check_free(coordinator: str) -> None:
    """Check that this process can be the coordinator."""
    try:
        socket.create_server(("", int(coordinator.rpartition(":")[2]))).close()
    except OSError as error:
        raise ConnectionError(
            f"process 0 cannot be the coordinator {coordinator}: {error.strerror}. Choose another "
            "port, for all processes"
        ) from error


def _wait_for(coordinator: str, timeout: int) -> None:
    """Wait until the coordinator accepts connections."""
    host, _, port = coordinator.rpartition(":")
    until = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=timeout).close()
            return
        except OSError as error:
            if time.monotonic() > until:
                raise ConnectionError(
                    f"the coordinator {coordinator} did not answer within {timeout} s: "
                    f"{error.strerror or error}. Start process 0 on that host, and let this one "
                    "reach its port"
                ) from error
            time.sleep(0.2)


def _take_over(doing: str) -> None:
    """Take over how this process ends: aborts, errors, and what XLA writes meanwhile."""
    _JOINED.doing = doing
    if _JOINED.log is not None or sys.platform == "win32":
        return
    sys.stderr.flush()
    _JOINED.terminal = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    _JOINED.log, path = tempfile.mkstemp()
    os.unlink(path)
    os.dup2(_JOINED.log, 2)
    sys.stderr = _JOINED.terminal
    atexit.register(_show_log)
    ctypes.CDLL(None).signal(signal.SIGABRT, _END_ON_ABORT)
    shown = sys.excepthook

    def end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        end_if_lost(error)
        shown(kind, error, trace)
        if _JOINED.processes > 1:
            end_process(1)

    sys.excepthook = end


def _end_on_abort(number: int) -> None:
    """End the process in place of an abort; called in the thread that aborts."""
    if _FAILED.search(_read_log()):
        _end_lost()
    _show_log()
    os._exit(128 + number)


# Kept, because the C library holds no reference to it.
_END_ON_ABORT = ctypes.CFUNCTYPE(None, ctypes.c_int)(_end_on_abort)


def _end_lost() -> NoReturn:
    """End the process with a line; the first of the threads that call it does."""
    from jaxcnn.training.run_folder import describe_resumption

    _JOINED.ending.acquire()
    _flush()
    resumption = "" if _JOINED.folder is None else f". {describe_resumption(_JOINED.folder)}"
    print(f"Error: {_JOINED.doing}{resumption}", file=_JOINED.terminal, flush=True)
    os._exit(LOST)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed by its reader
            stream.flush()


def _read_log() -> str:
    if _JOINED.log is None:
        return ""
    return os.pread(_JOINED.log, os.fstat(_JOINED.log).st_size, 0).decode(errors="replace")


def _show_log() -> None:
    _JOINED.terminal.write(_read_log())
    _JOINED.terminal.flush()
