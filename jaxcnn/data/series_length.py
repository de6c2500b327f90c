"""The options of loading that concern series: their rate and their length."""

import dataclasses
from typing import Any

import numpy as np

from jaxcnn import arguments
from jaxcnn.data.dataset import Dataset


def check_series_options(sample_rate: Any, length: Any) -> dict[str, Any]:
    """Return the two options as integers or ``None``.

    Raises:
      TypeError: One is not an integer.
      ValueError: One is below 1.
    """
    given = {"sample_rate": sample_rate, "length": length}
    return {
        name: None if value is None else arguments.check_integer(name, value, minimum=1)
        for name, value in given.items()
    }


def with_length(data: Dataset, length: int) -> Dataset:
    """Return a set of sequences cut or padded to a number of steps."""
    if len(data.image_shape) != 2:
        raise ValueError(
            "length belongs to sequences (N, time, channels). "
            f"Received: length={length} for images {data.images.shape}"
        )
    images = np.asarray(data.images)[:, :length]
    missing = length - images.shape[1]
    images = np.pad(images, ((0, 0), (0, missing), (0, 0)), constant_values=np.nan)
    return dataclasses.replace(data, images=images)
