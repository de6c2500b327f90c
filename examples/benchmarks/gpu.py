"""Training on one accelerator: ResNet-50 beside PyTorch, and CIFAR-10 to 94 %.

    python gpu.py [--small] [OUT.json]

ResNet-50 trains at 224 in bfloat16 with batches of 256, on a batch that stays on the device and on
JPEG pictures that are streamed from a folder, beside PyTorch with channels last and automatic mixed
precision, eager and compiled, on the same card. The recipe ``cifar10_fast`` trains on CIFAR-10 if
it is prepared. All of it is meant to take less than 10 minutes. ``--small`` runs the same on any
machine, with a small network, few pictures and random ones in place of CIFAR-10; its figures say
nothing.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from compare import Process, installed, judged, machine
from gpu_contender import CASES, LIBRARIES
from image_folder import processes
from PIL import Image

import jaxcnn as cnn
from jaxcnn import recipes
from jaxcnn.runtime import cache_programs, device_name

ROUNDS = 3
MODES = ("synthetic", "streamed")
TARGET = 0.94


def write_pictures(root: Path, count: int, classes: int, size: tuple[int, int]) -> None:
    """Write JPEG pictures with smooth and noisy parts, of the usual size of ImageNet's."""
    for label in range(classes):
        (root / f"class_{label:04}").mkdir()
    with processes() as pool:
        work = [(root / f"class_{n % classes:04}" / f"{n}.jpg", n, size) for n in range(count)]
        list(pool.map(_write, work, chunksize=32))


def _write(work: tuple[Path, int, tuple[int, int]]) -> None:
    path, number, size = work
    random = np.random.default_rng(number)
    coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), np.uint8))
    smooth = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), int)
    pixels = np.clip(smooth + random.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=90)


def train_resnet(name: str, *, pictures: int, size: tuple[int, int], steps: int) -> dict[str, Any]:
    """Train in turns and print images per second and memory; return them."""
    case, figures = CASES[name], {}
    libraries = [
        one for one in installed(LIBRARIES) if one == "jaxcnn" or installed(["torchvision"])
    ]
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(Path(folder), pictures, case.classes, size)
        running = {one: Process("gpu_contender.py", one, name, folder) for one in libraries}
        for mode in MODES:
            answers: dict[str, list[dict[str, Any]]] = {one: [] for one in libraries}
            for _ in range(ROUNDS):
                for one, process in running.items():
                    answers[one].append(process.ask(f"{mode} {steps}"))
            for one, found in answers.items():
                least = min(answer["seconds"] for answer in found)
                figures[f"{mode}, {one}"] = {
                    "images_per_second": case.batch * steps / least,
                    "peak_bytes": found[-1]["peak_bytes"],
                }
        for process in running.values():
            process.stop()
    print(f"\n### {case.network}, batch {case.batch} at {case.side}, bfloat16, {device_name()}\n")
    print("| input | library | images/s | peak memory, GB |")
    print("| --- | --- | ---: | ---: |")
    for row, found in figures.items():
        memory = found["peak_bytes"]
        shown = "–" if memory is None else f"{memory / 1e9:.1f}"
        print("|", " | ".join([*row.split(", "), f"{found['images_per_second']:,.0f}", shown]), "|")
    print()
    for mode in MODES:
        rates = {one: figures[f"{mode}, {one}"]["images_per_second"] for one in libraries}
        ours, peers = rates.pop("jaxcnn"), list(rates.values())
        if peers:
            ratio = ours / max(peers)
            print(f"- {mode}: {ratio:.2f} of PyTorch's rate {judged('at least 1', ratio >= 1)}")
    return figures


def train_cifar(source: str, *assignments: str) -> dict[str, Any]:
    """Train ``cifar10_fast`` with its programs compiled before; print seconds and accuracy."""
    try:
        cnn.data.describe(source)
    except ValueError as error:
        print(f"\nCIFAR-10 is left out: {error}")
        return {}
    changes = [f"data.source={source}", *assignments]
    with tempfile.TemporaryDirectory() as folder:
        cache_programs(Path(folder) / "programs")
        for run in ("compiling", "measured"):
            start = time.perf_counter()
            trained = recipes.train(
                "cifar10_fast", Path(folder) / run, assignments=changes, progress=False
            )
            wall = time.perf_counter() - start
    seconds = sum(epoch.seconds for epoch in trained.history)
    accuracy = trained.evaluation.accuracy
    print(f"\n### cifar10_fast, {len(trained.history)} epochs, {device_name()}\n")
    print(f"- test accuracy: {accuracy:.2%} {judged('at least 94 %', accuracy >= TARGET)}")
    print(
        f"- epochs with their validation: {seconds:.1f} s; with data, plots and files {wall:.1f} s"
    )
    return {"accuracy": accuracy, "epochs_s": seconds, "wall_s": wall}


def write_stand_in(path: Path) -> None:
    """Write random images in the shape of CIFAR-10's."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (48, 32, 32, 3), np.uint8)
    labels = (np.arange(48) % 10).astype(np.int32)
    np.savez(path, images=images[:32], labels=labels[:32],
             test_images=images[32:], test_labels=labels[32:])  # fmt: skip


def run(*, small: bool) -> dict[str, Any]:
    """Measure everything; return the figures."""
    # Several processes use the same card, this one first, and memory is measured.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    figures: dict[str, Any] = {"machine": machine(), "device": device_name()}
    if not small:
        figures["resnet50"] = train_resnet("resnet50", pictures=5120, size=(500, 375), steps=40)
        figures["cifar10"] = train_cifar("cifar10")
        return figures
    figures["resnet"] = train_resnet("small", pictures=16, size=(50, 38), steps=2)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "stand_in.npz"
        write_stand_in(data)
        figures["cifar10"] = train_cifar(
            str(data), "training.batch_size=16", "training.epochs=3",
            "model.options.features=[4, 4, 4]",
        )  # fmt: skip
    return figures


def main() -> None:
    """Measure everything, print the tables and write the figures as JSON."""
    names = [name for name in sys.argv[1:] if name != "--small"]
    out = Path(names[0] if names else "gpu.json")
    figures = run(small="--small" in sys.argv)
    out.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    print(f"\nThe figures are in {out}.")


if __name__ == "__main__":
    main()
