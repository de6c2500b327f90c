"""One library with one network in a process of its own, driven line by line over its pipes.

    python contender.py LIBRARY CASE

Each line it reads says what to run and how many times: ``train 5``, ``infer 64 5`` for images of
a batch of 64, or ``product 5`` for JAX's product of two matrices of 2048². It answers with JSON:
the seconds of each run, and the peak of its memory.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax.numpy as jnp
from jax_peers import example
from networks import CASES

from jaxcnn.runtime import keep_freed_memory

LIBRARIES = {
    "jaxcnn": ("jax_peers", "JaxCnn"),
    "flax": ("jax_peers", "Flax"),
    "keras": ("jax_peers", "Keras"),
    "equinox": ("jax_peers", "Equinox"),
    "torch": ("torch_peers", "Torch"),
    "torch channels-last": ("torch_peers", "TorchChannelsLast"),
    "torch.compile": ("torch_peers", "TorchCompiled"),
}


def seconds(run: Callable[[], Any]) -> float:
    """Return how long a run takes, its result waited for."""
    start = time.perf_counter()
    result = run()
    for array in result if isinstance(result, list | tuple) else [result]:
        getattr(array, "block_until_ready", lambda: None)()
    return time.perf_counter() - start


def peak_mb() -> float:
    """Return the most memory that the process has held since it was last set back."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def product() -> Any:
    """Multiplies two matrices of 2048² in float32: about the most that the machine can do."""
    matrix = jnp.ones((2048, 2048))
    return matrix @ matrix


def main() -> None:
    """Builds the network, then runs what it is told to until its input ends."""
    keep_freed_memory()
    library, name = sys.argv[1:]
    module, kind = LIBRARIES[library]
    case = CASES[name]
    contender = getattr(importlib.import_module(module), kind)(case)

    @cache
    def images(batch: int) -> Any:
        return contender.given(example(case, batch)[0])

    first_runs: dict[str, float] = {}
    print("{}", flush=True)
    for line in sys.stdin:
        *what, count = line.split()
        mode = " ".join(what)
        run = product if what[0] == "product" else contender.train
        if what[0] == "infer":
            run = partial(contender.infer, images(int(what[1])))
        if mode not in first_runs:
            first, second = seconds(run), seconds(run)
            first_runs[mode] = first - second
            # The peak from here on is that of a step, not of compiling it.
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        times = [seconds(run) for _ in range(int(count))]
        answer = {"seconds": times, "compile_s": first_runs[mode], "peak_mb": peak_mb()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
