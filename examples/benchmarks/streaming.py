"""How fast pictures are decoded as they come, beside the decoder's own speed and PyTorch's loader.

python streaming.py [PICTURES]

ImageNet's training: a random resized crop of 224×224 from JPEGs of 500×375. The goals: 0.9 of the
decoder's own speed on all cores, and memory that stays flat over an epoch.
"""

import io
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from compare import judged
from PIL import Image

import jaxcnn as cnn
from jaxcnn.data.random_crop import RandomCrop
from jaxcnn.data.streaming import Stream

CORES = len(os.sched_getaffinity(0))
SIZE, STORED, BATCH = 224, (500, 375), 64
DISTINCT, ROUNDS = 128, 3


class Pictures:
    """Generated JPEGs by number: a few, again and again."""

    def __init__(self, count: int) -> None:
        """Generate the files."""
        self.count = count
        random = np.random.default_rng(0)
        self.files = [_photo(random) for _ in range(DISTINCT)]

    def __len__(self) -> int:
        """Return the number of pictures."""
        return self.count

    def __getitem__(self, row: int) -> tuple[bytes, int]:
        """Return a file and a class."""
        return self.files[row % DISTINCT], row % 2


def _photo(random: np.random.Generator) -> bytes:
    rough = Image.fromarray(random.integers(0, 256, (24, 32, 3), np.uint8))
    smooth = np.asarray(rough.resize(STORED, Image.Resampling.BICUBIC), int)
    noisy = (smooth + random.normal(0, 8, smooth.shape)).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, "jpeg", quality=90)
    return buffer.getvalue()


def decoder_alone(pictures: Pictures) -> float:
    """Return pictures per second of Pillow in a thread for each core, with nothing around it."""
    crop = RandomCrop()

    def decode(rows: range) -> None:
        for row in rows:
            part = crop.at(0, 0, row)
            with Image.open(io.BytesIO(pictures[row][0])) as picture:
                height, width = part.least(picture.size[::-1], (SIZE, SIZE))
                picture.draft("RGB", (width, height))
                part.picture(picture.convert("RGB"), (SIZE, SIZE)).tobytes()

    start = time.perf_counter()
    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(decode, [range(n, len(pictures), CORES) for n in range(CORES)]))
    return len(pictures) / (time.perf_counter() - start)


def stream(pictures: Pictures) -> Stream:
    """Return the pictures as a stream, as for ImageNet."""
    return cnn.data.load(
        pictures, image_size=SIZE, random_crop=(0.08, 1), class_names=("even", "odd")
    )


def epoch(batches: Iterator[object], count: int) -> float:
    """Return pictures per second of an epoch."""
    start = time.perf_counter()
    for _ in batches:
        pass
    return count / (time.perf_counter() - start)


def torchvision_alone(pictures: Pictures) -> float | None:
    """Return pictures per second of PyTorch's loader with a process for each core, if installed."""
    try:
        from torch.utils.data import DataLoader
        from torchvision import transforms
    except ImportError:
        return None
    change = transforms.Compose([transforms.RandomResizedCrop(SIZE), transforms.PILToTensor()])

    class Decoded:
        def __len__(self) -> int:
            return len(pictures)

        def __getitem__(self, row: int) -> tuple[object, int]:
            file, label = pictures[row]
            return change(Image.open(io.BytesIO(file)).convert("RGB")), label

    loader = DataLoader(Decoded(), batch_size=BATCH, shuffle=True, num_workers=CORES)
    return epoch(iter(loader), len(pictures))


def memory() -> float:
    """Return the memory of the process's own in MB."""
    with open("/proc/self/status") as status:
        return int(status.read().split("RssAnon:")[1].split()[0]) / 1024


def run(count: int) -> dict[str, float]:
    """Measure and print; return the figures."""
    pictures = Pictures(count)
    data = stream(pictures)
    alone, streamed, peer = [], [], []
    for number in range(ROUNDS):
        alone.append(decoder_alone(pictures))
        streamed.append(epoch(cnn.data.batches(data, BATCH, seed=0, epoch=number), count))
        peer.append(torchvision_alone(pictures))
    print(f"{count:,} JPEGs of 500×375, random crops of {SIZE}×{SIZE}, {CORES} cores, pictures/s:")
    figures = {"Pillow alone": max(alone), "stream": max(streamed)}
    if peer[0] is not None:
        figures["torchvision and PyTorch's DataLoader"] = max(filter(None, peer))
    for name, speed in figures.items():
        print(f"  {name:<40} {speed:8,.0f}")
    figures["share"] = figures["stream"] / figures["Pillow alone"]
    goal = judged("at least 0.9 of Pillow alone", figures["share"] >= 0.9)
    print(f"  share of Pillow's speed {figures['share']:.2f} {goal}")
    return figures


def run_memory(count: int) -> tuple[float, float]:
    """Return the memory after a tenth of an epoch, and the most of the rest, in MB."""
    data = stream(Pictures(count))
    used = []
    for _ in cnn.data.batches(data, BATCH, seed=0):
        used.append(memory())
    tenth = len(used) // 10 + 1
    early, late = max(used[:tenth]), max(used[tenth:])
    print(f"memory over {count:,} pictures: {early:.0f} MB in the first tenth, then {late:.0f} MB")
    return early, late


if __name__ == "__main__":
    run(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)
    run_memory(100_000)
