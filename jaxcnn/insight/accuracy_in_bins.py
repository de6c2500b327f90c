"""Accuracy in bins: of the confidence of a prediction, or of a quantity of the images."""

from dataclasses import dataclass

import numpy as np

from jaxcnn import arguments
from jaxcnn.augment.color import LUMA
from jaxcnn.data.decoding.framing import border_level, subject_box
from jaxcnn.data.images import Images
from jaxcnn.training.forward import to_float

# Images that are converted at a time.
_BLOCK = 1024
_MOST_BINS = 1_000_000


@dataclass(frozen=True)
class Reliability:
    """Confidence and accuracy in bins of equal width of confidence.

    Attributes:
      edges: ``(bins + 1,)`` bounds of the bins; each includes its upper one.
      confidence: ``(bins,)`` mean probability of the predicted class, NaN in an empty bin.
      accuracy: ``(bins,)`` share of correct predictions, NaN in an empty bin.
      counts: ``(bins,)`` number of images.
    """

    edges: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, probabilities: np.ndarray, correct: np.ndarray, bins: int) -> "Reliability":
        """Put predictions into bins; see :meth:`Errors.reliability`.

        Args:
          probabilities: ``(N, classes)``.
          correct: ``(N,)`` whether each prediction is correct.
          bins: Number of bins.
        """
        bins = arguments.check_count("bins", bins, maximum=_MOST_BINS)
        confidence = probabilities.max(axis=1).astype(float)
        # A sum of float32 may be above 1 by rounding.
        if probabilities.min() < 0 or confidence.max() > 1 + 1e-5:
            raise ValueError(
                "probabilities must be in [0, 1] for a reliability diagram; of logits take the "
                f"softmax. Received: numbers from {probabilities.min():g} to {confidence.max():g}"
            )
        edges = np.linspace(0, 1, bins + 1)
        place = np.searchsorted(edges[1:-1], confidence, side="left")
        counts = np.bincount(place, minlength=bins)
        sums, hits = np.bincount(place, confidence, bins), np.bincount(place, correct, bins)
        with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN of an empty bin
            return cls(edges, sums / counts, hits / counts, counts)

    @property
    def expected_calibration_error(self) -> float:
        """Mean over images of :math:`|accuracy − confidence|` of their bin (Guo et al., 2017)."""
        gaps = np.nan_to_num(np.abs(self.accuracy - self.confidence))
        return float((gaps * self.counts).sum() / self.counts.sum())


@dataclass(frozen=True)
class Slices:
    """Accuracy by a quantity of the images, in bins of about equally many images.

    Attributes:
      name: The quantity, such as ``"brightness"``.
      edges: ``(bins + 1,)`` bounds of the bins, in the unit of the quantity. Each includes its
        upper bound, and the first one its lower bound too.
      accuracy: ``(bins,)`` share of correct predictions.
      counts: ``(bins,)`` number of images.
      rows: Rows of the images of each bin.
    """

    name: str
    edges: np.ndarray
    accuracy: np.ndarray
    counts: np.ndarray
    rows: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, values: np.ndarray, correct: np.ndarray, name: str, bins: int) -> "Slices":
        """Put images into bins by their values; see :meth:`Errors.slices`.

        Args:
          values: ``(N,)`` a number per image.
          correct: ``(N,)`` whether each prediction is correct.
          name: The quantity.
          bins: Number of bins.
        """
        bins = arguments.check_count("bins", bins, maximum=_MOST_BINS)
        values = np.asarray(values, float)
        if values.shape != correct.shape or not np.isfinite(values).all():
            state = "" if np.isfinite(values).all() else ", of which some are not finite"
            raise ValueError(
                f"values must be one finite number per image, {correct.shape}. "
                f"Received: shape {values.shape}{state}"
            )
        inner = np.quantile(values, np.arange(1, bins) / bins, method="lower")
        inner = np.unique(inner[inner < values.max()])
        place = np.searchsorted(inner, values, side="left")
        rows = tuple(np.flatnonzero(place == number) for number in range(len(inner) + 1))
        counts = np.array([len(chosen) for chosen in rows])
        accuracy = np.array([correct[chosen].mean() for chosen in rows])
        return cls(name, np.array([values.min(), *inner, values.max()]), accuracy, counts, rows)

    @property
    def intervals(self) -> np.ndarray:
        """``(bins, 2)`` bounds of the accuracy with 95 % confidence, by Wilson (1927)."""
        z, share, count = 1.959964, self.accuracy, self.counts
        center = (share + z**2 / (2 * count)) / (1 + z**2 / count)
        half = np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) * z / (1 + z**2 / count)
        return np.stack([center - half, center + half], axis=1)


def brightness(images: Images) -> np.ndarray:
    """Return the mean brightness of each image, of its luma where it has three channels.

    >>> brightness(np.full((1, 8, 8, 3), 51, np.uint8)).round(3).tolist()
    [0.2]

    Args:
      images: ``(N, *spatial, C)``, uint8 pixels, which are divided by 255, or floating point.

    Returns:
      ``(N,)`` float64.
    """
    means = [np.empty((0, images.shape[-1]))]
    for start in range(0, len(images), _BLOCK):
        block = np.asarray(to_float(images[start : start + _BLOCK]), np.float32)
        means.append(block.mean(axis=tuple(range(1, block.ndim - 1)), dtype=float))
    per_channel = np.concatenate(means)
    return per_channel @ np.array(LUMA) if images.shape[-1] == 3 else per_channel.mean(axis=1)


def subject_size(images: Images) -> np.ndarray:
    """Return the share of each image that its subject takes: the box of what is not background.

    The background is the median gray level of the border; the box holds every pixel that differs
    from it by at least a quarter of the largest difference. Of a photograph it is mostly 1.

    >>> images = np.zeros((1, 10, 10, 1), np.uint8)
    >>> images[0, 2:7, 4:8] = 255
    >>> subject_size(images)
    array([0.2])

    Args:
      images: ``(N, H, W, C)``, uint8 or floating point.

    Returns:
      ``(N,)`` in (0, 1].

    Raises:
      ValueError: the images are not pictures ``(N, H, W, C)``.
    """
    if images.ndim != 4:
        raise ValueError(f"images must be (N, H, W, C). Received: shape {images.shape}")
    levels = np.asarray(images, np.float32).mean(axis=-1)
    boxes = [subject_box(np.abs(image - border_level(image))) for image in levels]
    areas = [(bottom - top) * (right - left) for top, bottom, left, right in boxes]
    return np.array(areas) / (images.shape[1] * images.shape[2])
