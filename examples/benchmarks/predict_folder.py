"""The rate of ``jaxcnn predict`` over a folder beside that of the decoder alone.

The decoder is Pillow, which reads the same files as the command does: a JPEG at the smallest size
that the network's input can be resized from. It runs on one thread and on a thread per processor,
of which the faster counts: small files spend most of their time under the interpreter's lock. All
are timed in turn; the least time of each counts. ``python examples/benchmarks/predict_folder.py``
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from flax import nnx
from PIL import Image

import jaxcnn as cnn
from jaxcnn.data.decoding.framing import Framing
from jaxcnn.training import run_folder

SHAPE = (28, 28, 1)


def write_run(folder: Path) -> Framing:
    """Write an untrained ``mnist_cnn`` as a run; return how it takes pictures."""
    model = cnn.models.create("mnist_cnn").build(SHAPE, rngs=nnx.Rngs(0))
    framing = Framing(SHAPE, any_size=True)
    run = run_folder.Run(
        model="mnist_cnn", options={"num_classes": 10}, input_shape=SHAPE,
        class_names=tuple("0123456789"), framing=framing, data=None, metrics={},
    )  # fmt: skip
    folder.mkdir()
    run_folder.finish_run(folder, run, model)
    return framing


def write_pictures(folder: Path, count: int, size: tuple[int, int], suffix: str) -> None:
    """Write smooth noise of a size, ``(width, height)``, as a number of files."""
    folder.mkdir()
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (8, 12, 16, 3 if suffix == "jpg" else 1)).astype(np.uint8)
    pictures = [Image.fromarray(each.squeeze()).resize(size, Image.BICUBIC) for each in coarse]
    for number in range(count):
        turned = np.roll(pictures[number % len(pictures)], number, axis=1)
        Image.fromarray(turned).save(folder / f"{number:05}.{suffix}")


def least(functions: list[Callable[[], object]], repeats: int) -> list[float]:
    """Return the least wall time of each function, timed in turn."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats):
        for function, taken in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            taken.append(time.perf_counter() - start)
    return [min(each) for each in times]


def compare(name: str, run: Path, folder: Path, framing: Framing, repeats: int) -> None:
    """Print both rates for the pictures of a folder."""
    files = sorted(folder.iterdir())

    def decode(part: list[Path]) -> None:
        for file in part:
            framing.read(file)

    def decode_in_threads() -> None:
        parts = [files[start : start + 32] for start in range(0, len(files), 32)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(decode, parts))

    def predict(path: Path) -> None:
        command = [sys.executable, "-m", "jaxcnn", "predict", str(run), str(path)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    predict(folder)  # compiles
    predict(files[0])
    *decoding, whole, start = least(
        [
            lambda: decode(files),
            decode_in_threads,
            lambda: predict(folder),
            lambda: predict(files[0]),
        ],
        repeats,
    )
    rate, steady = len(files) / min(decoding), (len(files) - 1) / (whole - start)
    print(
        f"{name:<22} decoder {rate:8,.0f}/s   command {len(files) / whole:8,.0f}/s, after its "
        f"start {steady:8,.0f}/s = {steady / rate:.2f} of the decoder   first answer {start:.2f} s"
    )


def main() -> None:
    """Compare on photographs and on digits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=4000, help="Pictures of each kind.")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        framing = write_run(folder / "run")
        for kind, size, suffix in (("photos", (640, 480), "jpg"), ("digits", (28, 28), "png")):
            write_pictures(folder / kind, options.count, size, suffix)
            label = f"{kind} {size[0]}×{size[1]} {suffix}"
            compare(label, folder / "run", folder / kind, framing, options.repeats)


if __name__ == "__main__":
    main()
