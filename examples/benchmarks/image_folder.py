"""How fast a folder of pictures is decoded, opened again and read, beside Pillow's own speed.

python image_folder.py [PICTURES]

The goals: the first load is as fast as Pillow on all cores, the second takes less than a second,
and memory of the process's own is what ``load`` documents.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from compare import judged
from PIL import Image

CORES = len(os.sched_getaffinity(0))
SIZE, CLASSES = 64, 10
SAMPLE = 4_000  # pictures that each process with Pillow alone decodes, to compare with
ROUNDS = 3
# What load documents: MB per core, and names and labels, here in bytes per picture.
MB_OF_A_CORE, BYTES_OF_A_PICTURE = 10, 500
# Loads a folder and draws an epoch from it, in a process of its own; prints seconds and memory.
LOAD = """
import sys, threading, time
import jaxcnn as cnn
def memory():
    with open("/proc/self/status") as status:
        return int(status.read().split("RssAnon:")[1].split()[0]) / 1024
peaks = [memory()]
def watch():
    while True:
        peaks.append(memory())
        time.sleep(0.02)
threading.Thread(target=watch, daemon=True).start()
start = time.perf_counter()
data = cnn.data.load(sys.argv[1], split="all")
loaded, most = time.perf_counter() - start, max(peaks) - peaks[0]
start = time.perf_counter()
for batch in cnn.data.batches(data, 128, seed=0):
    pass
print(len(data), loaded, time.perf_counter() - start, most)
"""


def generate(root: Path, pictures: int) -> None:
    """Write PNG pictures with smooth and noisy parts, as photographs have."""
    for label in range(CLASSES):
        (root / f"class_{label}").mkdir()
    with processes() as pool:
        list(pool.map(_write, [root] * pictures, range(pictures), chunksize=500))


def processes() -> ProcessPoolExecutor:
    """Return a process for each core, which does not share this one's threads."""
    return ProcessPoolExecutor(CORES, multiprocessing.get_context("spawn"))


def _write(root: Path, number: int) -> None:
    random = np.random.default_rng(number)
    coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), np.uint8))
    smooth = np.asarray(coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC), int)
    pixels = np.clip(smooth + random.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(root / f"class_{number % CLASSES}" / f"{number}.png")


def pillow_rate(paths: list[Path]) -> float:
    """Return how many pictures Pillow decodes in a second, in a process on each core."""
    with processes() as pool:
        list(pool.map(_decode, [paths[:1]] * CORES))  # until they have started
        start = time.perf_counter()
        list(pool.map(_decode, [paths] * CORES))
        return len(paths) * CORES / (time.perf_counter() - start)


def _decode(paths: list[Path]) -> None:
    for path in paths:
        with Image.open(path) as picture:
            np.asarray(picture.convert("RGB"))


def run(pictures: int) -> dict[str, float]:
    """Measures and prints; returns seconds, megabytes and the first load by Pillow's speed."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "pictures"
        root.mkdir()
        generate(root, pictures)
        paths = sorted(root.rglob("*.png"))[:SAMPLE]
        rate = max(pillow_rate(paths) for _ in range(ROUNDS))
        print(f"\n### {pictures:,} PNG pictures of {SIZE}×{SIZE}, {CORES} cores\n")
        print(f"- Pillow alone, a process on each core: {rate:,.0f} pictures a second")
        figures = {}
        for name in ("first load", "second load"):
            command = [sys.executable, "-c", LOAD, str(root)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            count, loaded, epoch, memory = map(float, output.split())
            assert count == pictures
            share = pictures / loaded / rate
            most = MB_OF_A_CORE * CORES + BYTES_OF_A_PICTURE * pictures / 1e6
            if name == "first load":
                figures |= {"by Pillow": share}
                told = f"{share:.2f} times Pillow alone {judged('at least 1', share >= 1)}"
            else:
                told = judged("less than 1 s", loaded < 1)
            figures |= {f"{name}, s": loaded, f"{name}, MB": memory, f"{name}, epoch, s": epoch}
            print(f"- {name}: {loaded:.2f} s, {told}")
            told = judged(f"at most {most:.0f}", memory <= most)
            print(f"- its own memory: {memory:.0f} MB {told}")
            print(f"- an epoch in batches after it: {epoch:.2f} s")
    return figures


if __name__ == "__main__":
    run(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
