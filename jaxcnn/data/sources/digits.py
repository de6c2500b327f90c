"""The handwritten digits that come with the package, described in ``digits.md``."""

from importlib import resources
from pathlib import Path

import numpy as np

from jaxcnn.data.dataset import Dataset

KIND = "digits"


def open_source(source: str, data_dir: str | Path | None) -> Dataset:
    """Return all 1,797 digits.

    Args:
      source: ``"digits"``.
      data_dir: Not used.
    """
    del source, data_dir
    with resources.files(__package__).joinpath("digits.npz").open("rb") as file:
        archive = np.load(file)
        sixteenths, labels = archive["images"], archive["labels"]
    return Dataset(np.round(sixteenths * (255 / 16)).astype(np.uint8)[..., None], labels)
