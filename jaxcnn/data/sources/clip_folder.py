"""Folders of clips: one folder per class, optionally inside ``train``, ``test`` and ``val``."""

from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

from jaxcnn import arguments
from jaxcnn.data.decoding.clips import ANIMATIONS, VIDEOS, Clip, ClipSampling
from jaxcnn.data.decoding.record_decoding import RecordSequence
from jaxcnn.data.decoding.undecoded import Undecoded
from jaxcnn.data.sources import picture_folder
from jaxcnn.data.sources.picture_folder import is_picture, picture_files, visible_entries

KIND = "folder"

_SUFFIXES = (*ANIMATIONS, *VIDEOS)


@dataclass(frozen=True)
class ClipRecords:
    """Records whose images are clips that have not been decoded.

    Attributes:
      files: Records whose images are the paths of the videos.
      sampling: The frames that are taken.
    """

    files: RecordSequence
    sampling: ClipSampling

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self.files)

    def __getitem__(self, row: int, /) -> dict[str, Any]:
        """Return the clip and the class number of a video."""
        record = self.files[row]
        return {**record, "image": Clip(record["image"], self.sampling)}


def open_clips(source: Any, sampling: ClipSampling) -> Undecoded:
    """Return the clips in a folder, without decoding one.

    Classes and splits are folders as those of :func:`picture_folder.open_source`. A clip is a file
    with the suffix of a video or of an animation, or a folder of pictures, its frames, ordered by
    the numbers in their names.

    Args:
      source: Path of the folder, which may start with ``~``.
      sampling: The frames that are taken of each video.

    Raises:
      TypeError: `source` is not a path.
      ValueError: There is no such folder, or as for pictures.
    """
    if not isinstance(source, str | Path):
        raise TypeError(
            "frames needs the path of a folder of clips; arrays of video (N, time, height, width, "
            f"channels) need no option. Received: {arguments.shown(source)}"
        )
    if not picture_folder.is_folder(source, None):
        raise ValueError(
            "frames needs the path of a folder of clips, with a folder for each class. "
            f"Received: {arguments.shown(str(source))}, which is not a folder"
        )
    missing = (
        f"clip in it: no video file (one that ends in {', '.join(sorted(_SUFFIXES))}) and no "
        "folder of frames"
    )
    opened = picture_folder.open_class_folders(source, _clips, missing)

    def open_split(split: str) -> ClipRecords:
        return ClipRecords(opened.open_split(split), sampling)

    return replace(opened, open_split=open_split, variant=repr(astuple(sampling)))


def _clips(folder: str, prefix: str, digest: Any) -> Iterator[str]:
    """Yield the paths of the clips in a folder, and add the status of their files to `digest`."""
    for entry in visible_entries(folder):
        path = f"{prefix}/{entry.name}"
        # A link to a folder may lead to a parent; links to class folders and to files are followed.
        if entry.is_dir(follow_symlinks=False):
            if _holds_frames(entry.path):
                for _ in picture_files(entry.path, path, digest):
                    pass
                yield path
            else:
                yield from _clips(entry.path, path, digest)
        elif _is_video(entry.name):
            digest.update(picture_folder.status_line(entry, path))
            yield path


def _holds_frames(folder: str) -> bool:
    """Return whether a folder holds pictures, and neither videos nor animations."""
    inside = [entry for entry in visible_entries(folder) if not entry.is_dir()]
    return any(map(is_picture, inside)) and not any(_is_video(entry.name) for entry in inside)


def _is_video(name: str) -> bool:
    return name.rpartition(".")[2].lower() in _SUFFIXES
