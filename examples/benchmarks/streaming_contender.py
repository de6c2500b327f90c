"""Generated JPEGs, and their epochs by PyTorch's DataLoader with timm's transforms.

``python streaming_contender.py PICTURES`` answers each line "epoch" with pictures per second.
"""

import io
import json
import os
import sys
import time
from collections.abc import Iterable

import numpy as np
from PIL import Image

CORES = len(os.sched_getaffinity(0))
SIZE, STORED, BATCH = 224, (500, 375), 64
DISTINCT = 128


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


def epoch(batches: Iterable[object], count: int) -> float:
    """Return pictures per second of an epoch."""
    start = time.perf_counter()
    for _ in batches:
        pass
    return count / (time.perf_counter() - start)


class Decoded:
    """The pictures as a data set of PyTorch: random crops, as uint8 arrays with channels first."""

    def __init__(self, pictures: Pictures) -> None:
        """Make the transforms: as ours without the flip, which is left to the device."""
        from timm.data import create_transform

        self.pictures = pictures
        self.change = create_transform(
            SIZE, is_training=True, use_prefetcher=True, hflip=0, color_jitter=None,
            interpolation="bilinear",
        )  # fmt: skip

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.pictures)

    def __getitem__(self, row: int) -> tuple[object, int]:
        """Return a crop and a class."""
        file, label = self.pictures[row]
        return self.change(Image.open(io.BytesIO(file)).convert("RGB")), label


def main(count: int) -> None:
    """Answer lines, as compare.py asks."""
    from timm.data.loader import fast_collate
    from torch.utils.data import DataLoader

    loader = DataLoader(
        Decoded(Pictures(count)), batch_size=BATCH, shuffle=True, num_workers=CORES,
        persistent_workers=True, collate_fn=fast_collate,
    )  # fmt: skip
    epoch(loader, count)
    print("{}", flush=True)
    for _ in sys.stdin:
        print(json.dumps({"speed": epoch(loader, count)}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
