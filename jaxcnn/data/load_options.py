"""The options of ``load``, checked, as the form of a data set."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxcnn import arguments, shapes
from jaxcnn.data.decoding.clips import ClipSampling
from jaxcnn.data.decoding.undecoded import Form
from jaxcnn.data.random_crop import RandomCrop
from jaxcnn.data.resizing import Resizing
from jaxcnn.data.series_length import check_series_options


def form_of(
    *,
    image_size: int | Sequence[int] | None = None,
    aspect: str = "squash",
    interpolation: str = "bilinear",
    crop_share: float = 1.0,
    channels: int | None = None,
    on_error: str = "raise",
    value_range: Sequence[float] | None = None,
    sample_rate: int | None = None,
    length: int | None = None,
    frames: int | None = None,
    frame_step: int | None = None,
    clips: int = 1,
    cache_dir: str | Path | None = None,
    random_crop: Sequence[float] | None = None,
    class_names: Sequence[str] = (),
) -> Form:
    """Return the form that is wanted, from the checked options of :func:`jaxcnn.data.load`."""
    resizing = Resizing(aspect, interpolation, crop_share)
    sampling = _check_sampling(frames, frame_step, clips)
    size = None
    if image_size is not None:
        height, width = shapes.per_axis("image_size", image_size, 2)
        size = (height, width)
    if channels not in (None, 1, 3):
        raise ValueError(
            f"channels must be 1, 3 or None. Received: channels={arguments.shown(channels)}"
        )
    skip = arguments.check_choice("on_error", on_error, ("raise", "skip")) == "skip"
    if value_range is not None:
        value_range = arguments.check_interval("value_range", value_range)
        if value_range[0] == value_range[1]:
            raise ValueError(
                f"value_range must have low below high. "
                f"Received: value_range={arguments.shown(value_range)}"
            )
    crop = None
    if random_crop is not None:
        scale = arguments.check_interval("random_crop", random_crop, above=0, maximum=1)
        crop = RandomCrop(scale, interpolation=interpolation)
        if size is None:
            raise ValueError("random_crop needs image_size, to which the part is resized")
    series = check_series_options(sample_rate, length)
    return Form(
        size,
        resizing,
        channels,
        skip,
        value_range,
        cache_dir,
        sampling,
        crop=crop,
        class_names=_check_names(class_names),
        **series,
    )


def _check_names(class_names: Any) -> tuple[str, ...]:
    if not arguments.is_sequence(class_names) or not all(isinstance(n, str) for n in class_names):
        raise TypeError(
            "class_names must be a sequence of names, one per class. "
            f"Received: class_names={arguments.shown(class_names)}"
        )
    return tuple(class_names)


def _check_sampling(frames: Any, frame_step: Any, clips: Any) -> ClipSampling | None:
    if frames is not None:
        return ClipSampling(frames, frame_step, clips)
    if frame_step is not None or clips != 1:
        raise ValueError(
            "frame_step and clips need frames, the number of frames of a clip. "
            f"Received: frame_step={frame_step}, clips={clips}, frames=None"
        )
    return None
