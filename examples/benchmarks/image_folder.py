"""How fast a folder of pictures is decoded, opened again and read, beside Pillow's own speed.

python image_folder.py [PICTURES]
"""

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

SIZE, CLASSES = 64, 10
SAMPLE = 4_000  # pictures that Pillow alone decodes, to compare with
# Loads a folder and draws an epoch from it, in a process of its own; prints seconds and memory.
LOAD = """
import resource, sys, time
import jaxcnn as cnn
root = sys.argv[1]
memory = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, start = memory(), time.perf_counter()
data = cnn.data.load(root, split="train")
loaded, after = time.perf_counter() - start, memory()
start = time.perf_counter()
for batch in cnn.data.batches(data, 128, seed=0):
    pass
print(len(data), loaded, time.perf_counter() - start, before, after)
"""


def generate(root: Path, pictures: int) -> None:
    """Writes PNG pictures with smooth and noisy parts, as photographs have."""
    for label in range(CLASSES):
        (root / f"class_{label}").mkdir()
    with ProcessPoolExecutor() as pool:
        list(pool.map(_write, [root] * pictures, range(pictures), chunksize=500))


def _write(root: Path, number: int) -> None:
    random = np.random.default_rng(number)
    coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), np.uint8))
    smooth = np.asarray(coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC), int)
    pixels = np.clip(smooth + random.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(root / f"class_{number % CLASSES}" / f"{number}.png")


def pillow_rate(paths: list[Path]) -> float:
    """Returns how many pictures one thread of Pillow decodes in a second."""
    start = time.perf_counter()
    for path in paths:
        with Image.open(path) as picture:
            np.asarray(picture.convert("RGB"))
    return len(paths) / (time.perf_counter() - start)


def main() -> None:
    """Generates, measures and prints."""
    pictures = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "pictures"
        root.mkdir()
        generate(root, pictures)
        paths = sorted(root.rglob("*.png"))[:SAMPLE]
        rate = max(pillow_rate(paths) for _ in range(3))
        print(f"\n### {pictures:,} PNG pictures of {SIZE}×{SIZE}, {cores} cores\n")
        print(f"- Pillow alone, one thread: {rate:,.0f} pictures a second")
        for name in ("first load", "second load"):
            output = subprocess.run(
                [sys.executable, "-c", LOAD, root], check=True, capture_output=True, text=True
            ).stdout
            train, loaded, epoch, before, after = map(float, output.split())
            print(
                f"- {name}: {loaded:.2f} s, {pictures / loaded / rate / cores:.2f} times Pillow × "
                f"cores; memory {before:.0f} MB before and {after:.0f} MB after; an epoch of "
                f"{train:,.0f} pictures in batches: {epoch:.2f} s"
            )


if __name__ == "__main__":
    main()
