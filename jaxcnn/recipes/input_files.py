"""Files that a user names for a model: folders, patterns, lists and frames of videos."""

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path

from jaxcnn.data.decoding.clips import VIDEOS, read_frames
from jaxcnn.data.decoding.series_files import SOUNDS, TABLES
from jaxcnn.data.decoding.series_text import READERS
from jaxcnn.recipes.run_inputs import Source

LIST = "-"  # the argument that stands for a list on the standard input
_PATTERN = set("*?[")


def find_files(arguments: Iterable[str], *, axes: int, listed: Iterable[str]) -> Iterator[Path]:
    """Yield the files that arguments name, one by one, in their order and sorted within a folder.

    Args:
      arguments: Files; folders, whose files of the model's kind are taken at any depth; patterns
        such as ``photos/**/*.jpg``, unless there is a file of that name; or ``-``.
      axes: Axes of an input of the model: 3 for pictures, 4 for clips, 2 for series.
      listed: The lines that ``-`` stands for, one argument each; they are read as they are needed.
    """
    for argument in arguments:
        if argument == LIST:
            lines = (line.rstrip("\r\n") for line in listed)
            yield from find_files((line for line in lines if line), axes=axes, listed=listed)
            continue
        path = Path(argument)
        if _PATTERN & set(argument) and not path.exists():
            found = sorted(glob.iglob(argument, recursive=True))
            for name in found or [argument]:  # one that nothing matches is a file that is missing
                yield from _expanded(Path(name), axes)
        else:
            yield from _expanded(path, axes)


def is_video(path: Path) -> bool:
    """Return whether the name of a file ends as that of a video."""
    return path.suffix.lower().removeprefix(".") in VIDEOS


def open_source(path: Path, *, axes: int, frame_step: int = 1) -> Iterator[Source]:
    """Yield a file, or the frames of a video for a model of pictures.

    Args:
      path: The file.
      axes: As for :func:`find_files`.
      frame_step: Distance between the frames that are taken, at least 1.

    Raises:
      ImportError: the package that reads videos is not installed.
      UnreadablePicture: as for :func:`jaxcnn.data.decoding.clips.read_frames`.
    """
    if axes == 3 and is_video(path):
        for number, picture in read_frames(str(path), step=frame_step):
            yield Source(f"{path}[{number}]", picture)
    else:
        yield Source(str(path), path)


def _expanded(path: Path, axes: int) -> Iterator[Path]:
    """Yield a file, or the files of a folder."""
    if not path.is_dir():
        yield path
        return
    # Imported here, as it brings every source of data.
    from jaxcnn.data.sources.picture_folder import is_picture, visible_entries

    entries = visible_entries(path)
    files = [entry for entry in entries if not entry.is_dir()]
    videos = {entry.name for entry in files if is_video(Path(entry.name))}
    if axes == 4 and not videos and any(map(is_picture, files)):
        animations = [entry for entry in files if entry.name.lower().endswith(".gif")]
        if not animations:
            yield path  # a folder of frames is a clip
            return
        videos = {entry.name for entry in animations}
    for entry in entries:
        taken = entry.name in videos
        if axes == 3:
            taken = taken or is_picture(entry)
        elif axes == 2:
            suffix = Path(entry.name).suffix.lower()
            taken = suffix in READERS or suffix in SOUNDS or suffix in TABLES
        if entry.is_dir():
            yield from _expanded(Path(entry.path), axes)
        elif taken:
            yield Path(entry.path)
