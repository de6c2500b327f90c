"""How fast pictures are decoded as they come, beside the decoder alone and PyTorch's loader.

``python streaming.py [PICTURES] [--torch-python PATH] [--memory PICTURES]``

ImageNet's training: a random resized crop of 224×224 from JPEGs of 500×375. The goals: 0.9 of the
decoder's own speed on all cores, as fast as PyTorch's DataLoader with timm's transforms, and memory
that stays flat over an epoch. PATH is a Python that has torch, torchvision and timm.
"""

import argparse
import io
import time
from concurrent.futures import ThreadPoolExecutor

from compare import Process, judged
from PIL import Image
from streaming_contender import BATCH, CORES, SIZE, Pictures, epoch

import jaxcnn as cnn
from jaxcnn.data.random_crop import RandomCrop
from jaxcnn.data.streaming import Stream

ROUNDS = 5


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


def memory() -> float:
    """Return the memory of the process's own in MB."""
    with open("/proc/self/status") as status:
        return int(status.read().split("RssAnon:")[1].split()[0]) / 1024


def run(count: int, torch_python: str = "") -> dict[str, float]:
    """Measure in turns and print; return the figures."""
    pictures = Pictures(count)
    data = stream(pictures)
    peer = (
        Process("streaming_contender.py", str(count), python=torch_python) if torch_python else None
    )
    alone, streamed, loaded = [], [], []
    for number in range(ROUNDS):
        alone.append(decoder_alone(pictures))
        streamed.append(epoch(cnn.data.batches(data, BATCH, seed=0, epoch=number), count))
        if peer is not None:
            loaded.append(peer.ask("epoch")["speed"])
    print(f"{count:,} JPEGs of 500×375, random crops of {SIZE}×{SIZE}, {CORES} cores, pictures/s:")
    figures = {"Pillow alone": max(alone), "stream": max(streamed)}
    if peer is not None:
        peer.stop()
        figures["PyTorch's DataLoader with timm's transforms"] = max(loaded)
    for name, speed in figures.items():
        print(f"  {name:<44} {speed:8,.0f}")
    goals = {"Pillow alone": 0.9, "PyTorch's DataLoader with timm's transforms": 1.0}
    for name in goals.keys() & figures.keys():
        share, goal = figures["stream"] / figures[name], goals[name]
        print(f"  stream by {name}: {share:.2f} {judged(f'at least {goal}', share >= goal)}")
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
    parser = argparse.ArgumentParser()
    parser.add_argument("pictures", nargs="?", type=int, default=2_000)
    parser.add_argument("--torch-python", default="")
    parser.add_argument("--memory", type=int, default=100_000)
    options = parser.parse_args()
    run(options.pictures, options.torch_python)
    if options.memory:
        run_memory(options.memory)
