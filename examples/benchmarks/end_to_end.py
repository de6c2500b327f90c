"""Compares the time from the start of a process to a network that reads 98.5 % of the digits."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from compare import HERE, ROUNDS, Goal, installed, row, show

import jaxcnn as cnn


def run() -> dict[str, Any]:
    """Measures and prints; returns the row."""
    libraries = ["jaxcnn", *installed(["keras", "torch"])]
    times: dict[str, list[float]] = {library: [] for library in libraries}
    with tempfile.TemporaryDirectory() as folder:
        digits = Path(folder) / "digits.npz"
        train, test = (
            cnn.data.load("digits", image_size=28, split=split) for split in ("train", "test")
        )
        np.savez(
            digits, images=train.images, labels=train.labels,
            test_images=test.images, test_labels=test.labels,
        )  # fmt: skip
        for _ in range(ROUNDS):
            for library in libraries:
                command = [sys.executable, "digits_contender.py", library, str(digits)]
                start = time.perf_counter()
                told = subprocess.run(
                    command, cwd=HERE, check=True, capture_output=True, text=True
                ).stdout  # fmt: skip
                times[library].append(time.perf_counter() - start)
                print(f"{library}: {times[library][-1]:.1f} s, {told.splitlines()[-1]}", flush=True)
    results = {
        library: {"min_ms": 1e3 * min(seconds), "median_ms": 1e3 * sorted(seconds)[ROUNDS // 2]}
        for library, seconds in times.items()
    }
    line = row("digits, process start to 98.5 %", results, Goal(0.5, 1.0))
    show("End to end", [line])
    return {"end_to_end": line}


if __name__ == "__main__":
    run()
