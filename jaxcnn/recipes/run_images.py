"""The data set of a finished run, as its model takes it."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from flax import nnx

from jaxcnn import data as datasets
from jaxcnn.data import Dataset
from jaxcnn.data.images import Images
from jaxcnn.data.loading import load_named
from jaxcnn.training import over_clips, run_folder
from jaxcnn.training.run_description import Run

# Options of a run's data for series, sounds and videos, as `load` takes them.
_FORMS = ("frames", "frame_step", "clips", "sample_rate", "length")


class NamedImages(NamedTuple):
    """Images of a data set, as the model of a run takes them.

    Attributes:
      data: The images, their labels, and the classes of the run.
      name_of: Returns the name of an image by its row.
      source: Name or path of the data set.
      split: The split.
    """

    data: Dataset
    name_of: Callable[[int], str]
    source: str
    split: str


def load_images(
    described: Run,
    run: Path | None,
    *,
    source: str | None = None,
    split: str | None = None,
    on_error: str | None = None,
    data_dir: str | Path | None = None,
    cache_dir: str | Path | None = None,
) -> NamedImages:
    """Load images for the model of a run, by default those that were held out for testing.

    Args:
      described: Description of the run, or of weights as if of one.
      run: Folder of the run; ``None`` for weights.
      source: Another data set; ``None`` means that of the run.
      split: As for :func:`jaxcnn.data.load`; ``"training"`` and ``None`` mean the images that the
        run was trained on and held out, of another data set its own splits.
      on_error: As for :func:`jaxcnn.data.load`; ``None`` means as in the run.
      data_dir: As for :func:`jaxcnn.data.load`.
      cache_dir: As for :func:`jaxcnn.data.load`.

    Raises:
      ValueError: no data is named, or it cannot be read or does not fit the model.
    """
    own: dict[str, Any] = described.data or {}
    if source is not None:  # another set of the same form
        own = {name: own[name] for name in _FORMS if name in own}
    if run is not None and own.get("source"):
        source = run_folder.locate_data(own["source"], run)
    if source is None:
        named = f"the run in {str(run)!r} does not name its" if run else "weights do not name their"
        raise ValueError(f"{named} data: give --data")
    folder = data_dir or own.get("data_dir")
    if split in (None, "training"):
        part = "test" if split is None else "train"
        known = datasets.describe(source, data_dir=folder, frames=own.get("frames"))
        split = own.get(part) or getattr(known, part)
    *sides, channels = described.input_shape
    images, name_of = load_named(
        source,
        split=split,
        image_size=sides[-2:] if len(sides) > 1 else None,
        **asdict(described.framing.resizing),
        channels=channels if channels in (1, 3) else None,
        on_error=on_error or own.get("on_error", "raise"),
        value_range=described.framing.value_range,
        data_dir=folder,
        cache_dir=cache_dir,
        **{name: own[name] for name in _FORMS if name in own},
    )
    matched = datasets.match_classes(images, described.class_names)
    return NamedImages(matched, name_of, source, split)


def over_clips_of(clips: int, model: nnx.Module) -> nnx.Module:
    """Return the model that predicts videos by a number of clips."""
    return model if clips == 1 else over_clips(model, clips)


def first_clips(described: Run, images: Images) -> Images:
    """Return images as a layer of the run's model takes them: of several clips the first each."""
    return images if described.clips == 1 else images[:, : described.input_shape[0]]
