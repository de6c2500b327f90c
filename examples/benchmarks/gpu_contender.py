"""One library that trains a network on the accelerator, in a process of its own, driven by lines.

    python gpu_contender.py LIBRARY CASE FOLDER

Each line it reads says an input and a number of steps: ``synthetic 20`` trains on one batch that
stays on the device, ``streamed 20`` on JPEG pictures of a folder, decoded and randomly cropped as
they come. It answers with JSON: the seconds of all steps, and the peak of the device's memory.
"""

import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

WARM_UP = 3  # steps, of which the first one compiles
CROPS = (0.08, 1.0)  # shares of the area, as for ImageNet


class Case(NamedTuple):
    """A training.

    Attributes:
      network: Name of the network, in jaxcnn and in torchvision.
      side: Height and width of an image.
      batch: Images per step.
      classes: Number of classes; of the folder, too.
    """

    network: str
    side: int
    batch: int
    classes: int


CASES = {"resnet50": Case("resnet50", 224, 256, 1000), "small": Case("squeezenet1_1", 64, 4, 2)}


def example(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return random images and labels."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (case.batch, case.side, case.side, 3), np.uint8)
    return images, random.integers(0, case.classes, case.batch).astype(np.int32)


class JaxCnn:
    """This library, in bfloat16."""

    def __init__(self, case: Case, folder: Path) -> None:
        import jax
        import optax
        from flax import nnx

        import jaxcnn as cnn

        self.jax, self.case, self.folder = jax, case, folder
        network = cnn.models.create(case.network, num_classes=case.classes)
        model = network.build((case.side, case.side, 3), rngs=nnx.Rngs(0))
        optimizer = optax.sgd(0.1, momentum=0.9)
        init, self.step = cnn.make_training(model, optimizer, precision="bfloat16", on_nan="ignore")
        self.state = init(jax.random.key(0))
        images, labels = example(case)
        self.batch = jax.device_put(cnn.Batch(images, labels, np.ones(case.batch, bool)))
        self.stream = self.streamed()

    def synthetic(self) -> Iterator[Any]:
        return itertools.repeat(self.batch)

    def streamed(self) -> Iterator[Any]:
        import jaxcnn as cnn

        data = cnn.data.load(
            self.folder, split="all", image_size=self.case.side, stream=True, random_crop=CROPS
        )
        for epoch in itertools.count():
            yield from cnn.data.batches(data, self.case.batch, seed=0, epoch=epoch)

    def train(self, batches: Iterator[Any]) -> None:
        for batch in batches:
            self.state, metrics = self.step(self.state, batch)
        self.jax.block_until_ready((self.state, metrics))

    def peak_bytes(self) -> int | None:
        statistics = self.jax.devices()[0].memory_stats()
        return None if statistics is None else statistics["peak_bytes_in_use"]


class Torch:
    """PyTorch with channels last and automatic mixed precision in bfloat16, eager."""

    def __init__(self, case: Case, folder: Path) -> None:
        import torch

        try:
            import torchvision
        except RuntimeError:  # its compiled operations are for another build of PyTorch
            from torchvision_operations import declare_operations

            self.declarations = declare_operations()
            import torchvision

        self.torch, self.case, self.folder = torch, case, folder
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.backends.cudnn.benchmark = True
        torch.manual_seed(0)
        model = torchvision.models.get_model(case.network, num_classes=case.classes)
        self.model = model.to(self.device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.run = self.loss
        images, labels = example(case)
        self.batch = self.put(torch.tensor(images).permute(0, 3, 1, 2), torch.tensor(labels))
        self.stream = self.streamed()

    def put(self, images: Any, labels: Any) -> tuple[Any, Any]:
        images = images.to(self.device, memory_format=self.torch.channels_last, non_blocking=True)
        return images, labels.to(self.device, self.torch.int64, non_blocking=True)

    def loss(self, images: Any, labels: Any) -> Any:
        with self.torch.autocast(self.device, self.torch.bfloat16):
            logits = self.model(images.float() / 255)
        return self.torch.nn.functional.cross_entropy(logits.float(), labels)

    def synthetic(self) -> Iterator[Any]:
        return itertools.repeat(self.batch)

    def streamed(self) -> Iterator[Any]:
        from torchvision.datasets import ImageFolder
        from torchvision.transforms import Compose, PILToTensor, RandomResizedCrop

        crop = Compose([RandomResizedCrop(self.case.side, scale=CROPS), PILToTensor()])
        loader = self.torch.utils.data.DataLoader(
            ImageFolder(str(self.folder), crop), self.case.batch, shuffle=True, drop_last=True,
            num_workers=len(os.sched_getaffinity(0)), persistent_workers=True,
            pin_memory=self.device == "cuda",
        )  # fmt: skip
        while True:
            for images, labels in loader:
                yield self.put(images, labels)

    def train(self, batches: Iterator[Any]) -> None:
        self.model.train()
        for images, labels in batches:
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.run(images, labels)
            loss.backward()
            self.optimizer.step()
        loss.item()  # waits
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def peak_bytes(self) -> int | None:
        return self.torch.cuda.max_memory_allocated() if self.device == "cuda" else None


class TorchCompiled(Torch):
    """The same, compiled."""

    def __init__(self, case: Case, folder: Path) -> None:
        super().__init__(case, folder)
        self.run = self.torch.compile(self.loss)


LIBRARIES = {"jaxcnn": JaxCnn, "torch": Torch, "torch.compile": TorchCompiled}


def main() -> None:
    """Build the network, then train as the lines say until they end."""
    library, name, folder = sys.argv[1:]
    contender = LIBRARIES[library](CASES[name], Path(folder))
    print("{}", flush=True)
    warm: set[str] = set()
    for line in sys.stdin:
        mode, steps = line.split()
        batches = contender.stream if mode == "streamed" else contender.synthetic()
        if mode not in warm:
            contender.train(itertools.islice(batches, WARM_UP))
            warm.add(mode)
        start = time.perf_counter()
        contender.train(itertools.islice(batches, int(steps)))
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "peak_bytes": contender.peak_bytes()}), flush=True)


if __name__ == "__main__":
    main()
