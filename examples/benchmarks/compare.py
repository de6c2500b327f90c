"""Runs contenders in turns and makes a table of ratios, with the goals that are met or missed.

Every contender lives in a process of its own and sleeps while the others run. The times of one
row come from turns that follow each other, several rounds of them, so that a slow minute of the
machine falls on all; the least of each contender's times is compared.

Every process keeps the memory that it frees, as ``jaxcnn.runtime.keep_freed_memory`` does it and
the ``jaxcnn`` command by itself: the libraries are compared, not how the C library was set.
"""

import contextlib
import importlib.util
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from jaxcnn.ops.native import kernel_library

ROUNDS = 5
TURN = 0.4  # seconds that one turn lasts, at least
HERE = Path(__file__).parent
PACKAGES = {"flax": "flax", "keras": "keras", "equinox": "equinox", "torch": "torch"}


class Goal(NamedTuple):
    """The largest ratios that count as met: our time by the peer's.

    Attributes:
      jax: Against the fastest of the peers that run on JAX.
      torch: Against the fastest form of PyTorch.
    """

    jax: float
    torch: float


class Process:
    """A script that answers each line with a line of JSON."""

    def __init__(self, *arguments: str, python: str = sys.executable) -> None:
        """Starts the script with a Python, and waits until it says that it is ready."""
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # `stop` closes it
        self.process = subprocess.Popen(
            [python, *arguments], cwd=HERE, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
        )  # fmt: skip
        self.answer()

    def ask(self, line: str) -> dict[str, Any]:
        """Sends a line and returns the answer."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the answer then says what is the matter
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Return the next line that is JSON: libraries print a word now and then."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        code = self.process.wait()
        self.errors.seek(0)
        raise RuntimeError(f"{self.process.args} ended with {code}: {self.errors.read()[-2000:]}")

    def stop(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        self.errors.close()


def installed(libraries: Any) -> list[str]:
    """Return those libraries that this environment has, and says which it has not."""
    found = []
    for library in libraries:
        package = library.partition(" ")[0].partition(".")[0]
        if importlib.util.find_spec(package) is None:
            print(f"{library}: {package} is not installed, left out", file=sys.stderr)
        else:
            found.append(library)
    return found


def in_turns(processes: dict[str, Process], mode: str) -> dict[str, dict[str, float]]:
    """Runs a mode of every process in rounds.

    Returns:
      For each contender milliseconds (``min_ms``, ``median_ms``), ``compile_s`` and ``peak_mb``.
    """
    counts, times, results = {}, {name: [] for name in processes}, {}
    for name, process in processes.items():
        one = process.ask(f"{mode} 1")["seconds"][0]
        counts[name] = max(1, min(50, round(TURN / one)))
    for _ in range(ROUNDS):
        for name, process in processes.items():
            results[name] = process.ask(f"{mode} {counts[name]}")
            times[name] += results[name].pop("seconds")
            time.sleep(0.02)  # threads that wait for work still spin for a moment
    for name, seconds in times.items():
        results[name]["min_ms"] = 1e3 * min(seconds)
        results[name]["median_ms"] = 1e3 * statistics.median(seconds)
    return results


def row(name: str, results: dict[str, dict[str, float]], goal: Goal) -> dict[str, Any]:
    """Return a row of the table: times, ratios to the fastest peers, and whether goals are met."""
    ours = results["jaxcnn"]["min_ms"]
    line: dict[str, Any] = {"case": name, "goal": goal._asdict(), "results": results}
    for side in ("jax", "torch"):
        peers = {
            n: r
            for n, r in results.items()
            if n != "jaxcnn" and n.startswith("torch") == (side == "torch")
        }
        if peers:
            fastest = min(peers, key=lambda library: peers[library]["min_ms"])
            ratio = ours / peers[fastest]["min_ms"]
            line[side] = {"fastest": fastest, "ratio": ratio, "met": ratio <= getattr(goal, side)}
    return line


def show(title: str, rows: list[dict[str, Any]]) -> None:
    """Print rows as a Markdown table."""
    print(f"\n### {title}\n")
    print("| case | jaxcnn, ms | fastest on JAX | ratio (goal) | fastest PyTorch | ratio (goal) |")
    print("| --- | ---: | --- | --- | --- | --- |")
    for line in rows:
        cells = [line["case"], f"{line['results']['jaxcnn']['min_ms']:.2f}"]
        for side in ("jax", "torch"):
            if side not in line:
                cells += ["–", "–"]
                continue
            peer, goal = line[side], line["goal"][side]
            least = line["results"][peer["fastest"]]["min_ms"]
            ratio = f"{peer['ratio']:.2f} ({goal:g}) {verdict(peer['met'])}"
            cells += [f"{peer['fastest']} {least:.2f}", ratio]
        print("|", " | ".join(cells), "|", flush=True)


def verdict(met: bool) -> str:
    """Return the word for a goal that is met, or stands out where it is not."""
    return "met" if met else "**missed**"


def judged(goal: str, met: bool) -> str:
    """Return what to say of a figure that has a goal of its own."""
    return f"({goal}: {verdict(met)})"


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processor and versions."""
    processor = next(
        (
            line.partition(":")[2].strip()
            for line in _lines("/proc/cpuinfo")
            if "model name" in line
        ),
        platform.processor(),
    )
    versions = {
        package: metadata.version(package)
        for package in ("jax", "jaxlib", "flax", "keras", "equinox", "torch", "numpy")
        if importlib.util.find_spec(package)
    }
    cores = len([line for line in _lines("/proc/cpuinfo") if line.startswith("processor")])
    return {
        "processor": processor, "cores": cores, "python": platform.python_version(),
        "kernels": kernel_library.instruction_set(), **versions,
    }  # fmt: skip


def _lines(path: str) -> Iterator[str]:
    file = Path(path)
    yield from file.read_text(encoding="utf-8").splitlines() if file.exists() else []
