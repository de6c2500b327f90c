"""Clips of video files and of folders of frames: which frames, and their decoding."""

import contextlib
import os
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageSequence, UnidentifiedImageError

from jaxcnn import arguments
from jaxcnn.data.decoding.pictures import UnreadablePicture, ValueRange, plain, read_picture

# Files of an animation, which Pillow decodes.
ANIMATIONS = ("gif",)
VIDEOS = ("3gp", "avi", "flv", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "ogv", "webm", "wmv")
# The only formats that are opened, whatever a file is called: a playlist in the place of a video
# would make FFmpeg open the files and addresses in it.
_FORMATS = "mov,mp4,matroska,webm,avi,asf,flv,mpeg,mpegts,mpegvideo,ogg"


@dataclass(frozen=True)
class ClipSampling:
    """The frames that are taken of a video.

    Attributes:
      frames: Number of frames of a clip, at least 1.
      frame_step: Distance between neighboring frames of a clip, at least 1; ``None`` spreads a clip
        over the whole video.
      clips: Number of clips of a video, at least 1.
    """

    frames: int
    frame_step: int | None = None
    clips: int = 1

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
          TypeError: One is not an integer.
          ValueError: One is below 1.
        """
        arguments.check_integer("frames", self.frames, minimum=1)
        arguments.check_integer("clips", self.clips, minimum=1)
        if self.frame_step is not None:
            arguments.check_integer("frame_step", self.frame_step, minimum=1)

    @property
    def least(self) -> int:
        """The least number of frames of a video."""
        return (self.frames - 1) * (self.frame_step or 1) + 1

    def numbers(self, count: int) -> np.ndarray:
        """Return the numbers of the frames of all clips, clip after clip.

        With a step, the first clip begins with the video and the last one ends with it; a single
        clip is in the middle. Without one, a video is divided into as many equal parts as a clip
        has frames, and each clip takes one frame of each part: a single clip the middle one.

        >>> ClipSampling(4).numbers(20), ClipSampling(3, 2, clips=2).numbers(9)
        (array([ 2,  7, 12, 17]), array([0, 2, 4, 4, 6, 8]))

        Args:
          count: Number of frames of the video, at least :attr:`least`.
        """
        clips, frames = np.arange(self.clips)[:, None], np.arange(self.frames)
        if self.frame_step is None:
            # In integers: a quotient that rounds down would repeat a frame.
            numbers = (2 * self.clips * frames + 2 * clips + 1) * count
            return (numbers // (2 * self.clips * self.frames)).ravel()
        room = count - self.least
        starts = clips * room // (self.clips - 1) if self.clips > 1 else clips + room // 2
        return np.ravel(starts + frames * self.frame_step)


@dataclass(frozen=True)
class Clip:
    """The clips of a video that has not been decoded.

    Attributes:
      path: Path of a video file, or of a folder with the frames as pictures.
      sampling: The frames that are taken.
    """

    path: str
    sampling: ClipSampling


def read_clip(
    clip: Clip, fit: Callable[[Image.Image], Image.Image], value_range: ValueRange = None
) -> np.ndarray:
    """Return ``(clips · frames, H, W, 1 or 3)`` uint8, gray if all frames are.

    Args:
      clip: The video and its frames.
      fit: Gives each frame its size.
      value_range: As for :func:`jaxcnn.data.decoding.pictures.plain`.

    Raises:
      ImportError: PyAV is not installed.
      UnreadablePicture: There is no such file, it is damaged, its codec is not known, or it is
        too short; the message names it.
    """
    name = arguments.shown(clip.path)
    if os.path.isdir(clip.path):
        files = frame_files(clip.path)
        numbers = _numbers(clip, len(files))
        pictures = {
            number: fit(read_picture(files[number], value_range=value_range))
            for number in np.unique(numbers).tolist()
        }
    elif clip.path.rpartition(".")[2].lower() in ANIMATIONS:
        numbers, pictures = _read_animation(clip, fit)
    else:
        numbers, pictures = _read_video(clip, fit)
    sizes = {picture.size for picture in pictures.values()}
    if len(sizes) > 1:
        raise UnreadablePicture(
            f"the frames of {name} must have one size, or be resized to one by "
            f"image_size=(height, width). Received: {arguments.shown(sorted(sizes))}"
        )
    mode = "L" if all(picture.mode == "L" for picture in pictures.values()) else "RGB"
    arrays = {
        number: np.asarray(picture.convert(mode)).reshape(picture.height, picture.width, -1)
        for number, picture in pictures.items()
    }
    return np.stack([arrays[number] for number in numbers.tolist()])


def read_frames(path: str, *, step: int = 1) -> Iterator[tuple[int, Image.Image]]:
    """Yield the number and the picture of every `step`-th frame of a video file, in order.

    Args:
      path: The file.
      step: Distance between the frames, at least 1.

    Raises:
      ImportError: PyAV is not installed.
      UnreadablePicture: There is no such file, it is damaged, or its codec is not known; frames
        before the damage are yielded.
    """
    av, name = _import_av(path), arguments.shown(path)
    with _video_errors(av, name), _opened(av, path) as container:
        for number, frame in enumerate(container.decode(_video_stream(container, path))):
            if number % step == 0:
                yield number, _picture(frame)


def frame_files(folder: str) -> list[str]:
    """Return the paths of the frames in a folder, ordered by the numbers in their names."""
    names = [name for name in os.listdir(folder) if not name.startswith(".")]
    return [f"{folder}/{name}" for name in sorted(names, key=_by_number)]


def _by_number(name: str) -> list[tuple[int, str]]:
    """Return a key that puts ``frame_2`` before ``frame_10``."""
    return [
        (int(part), "") if part.isascii() and part.isdecimal() else (-1, part)
        for part in re.split(r"([0-9]+)", name)
    ]


def _numbers(clip: Clip, count: int) -> np.ndarray:
    """Return the numbers of the frames to take of a video of `count` frames."""
    sampling = clip.sampling
    if count < sampling.least:
        step = "" if sampling.frame_step is None else f" with frame_step={sampling.frame_step}"
        raise UnreadablePicture(
            f"{arguments.shown(clip.path)} has {count} frames, and frames={sampling.frames}{step} "
            f"needs {sampling.least}: load fewer frames"
        )
    return sampling.numbers(count)


def _read_animation(
    clip: Clip, fit: Callable[[Image.Image], Image.Image]
) -> tuple[np.ndarray, dict[int, Image.Image]]:
    name = arguments.shown(clip.path)
    try:
        with Image.open(clip.path, formats=("GIF",)) as picture:
            numbers = _numbers(clip, getattr(picture, "n_frames", 1))
            wanted = set(numbers.tolist())
            frames = enumerate(ImageSequence.Iterator(picture))
            return numbers, {at: fit(plain(frame.copy())) for at, frame in frames if at in wanted}
    except UnreadablePicture:
        raise
    except FileNotFoundError:
        raise UnreadablePicture(f"there is no file {name}") from None
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        known = not isinstance(error, UnidentifiedImageError)
        reason = str(error) if known else "it is not a GIF"
        raise UnreadablePicture(f"{name} is not an animation that can be read: {reason}") from error


def _read_video(
    clip: Clip, fit: Callable[[Image.Image], Image.Image]
) -> tuple[np.ndarray, dict[int, Image.Image]]:
    av, name = _import_av(clip.path), arguments.shown(clip.path)
    with _video_errors(av, name):
        # A file may hold fewer frames that can be decoded than it says; then they are counted.
        numbers = _numbers(clip, _count_packets(av, clip.path))
        pictures = dict(_decode(av, clip.path, numbers.tolist(), fit))
        if len(pictures) < len(np.unique(numbers)):
            numbers = _numbers(clip, sum(1 for _ in _decode(av, clip.path, (), fit)))
            pictures = dict(_decode(av, clip.path, numbers.tolist(), fit))
    return numbers, pictures


def _import_av(path: str) -> Any:
    try:
        import av
    except ImportError as error:
        raise ImportError(
            "video files are decoded by PyAV: pip install av, or pip install 'jaxcnn[video]'. "
            f"Received: {arguments.shown(path)}"
        ) from error
    return av


@contextlib.contextmanager
def _video_errors(av: Any, name: str) -> Iterator[None]:
    """Raise an error that names the video in place of PyAV's."""
    try:
        yield
    except UnreadablePicture:
        raise
    except FileNotFoundError:
        raise UnreadablePicture(f"there is no file {name}") from None
    except av.error.DecoderNotFoundError:
        raise UnreadablePicture(_no_decoder(name)) from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise UnreadablePicture(f"{name} is not a video that can be read: {error}") from error


def _count_packets(av: Any, path: str) -> int:
    """Return the number of frames that a file says it holds, without decoding one."""
    with _opened(av, path) as container:
        stream = _video_stream(container, path)
        return sum(1 for packet in container.demux(stream) if packet.size)


def _decode(
    av: Any, path: str, wanted: Collection[int], fit: Callable[[Image.Image], Image.Image]
) -> Iterator[tuple[int, Image.Image]]:
    """Yield the numbers and pictures of the frames `wanted`; of all, without pictures, if none."""
    last = max(wanted, default=None)
    chosen = set(wanted)
    with _opened(av, path) as container:
        stream = _video_stream(container, path)
        for number, frame in enumerate(container.decode(stream)):
            if number in chosen:
                yield number, fit(_picture(frame))
            elif last is None:
                yield number, Image.new("L", (1, 1))
            if number == last:
                return


def _picture(frame: Any) -> Image.Image:
    """Return a frame upright."""
    gray = frame.format.name.startswith("gray")
    array = frame.to_ndarray(format="gray" if gray else "rgb24")
    turns = round(getattr(frame, "rotation", 0) / 90) % 4  # of a phone's video
    return Image.fromarray(np.ascontiguousarray(np.rot90(array, turns)))


def _opened(av: Any, path: str) -> Any:
    return av.open(path, options={"format_whitelist": _FORMATS})


def _video_stream(container: Any, path: str) -> Any:
    name = arguments.shown(path)
    if not container.streams.video:
        raise UnreadablePicture(f"{name} holds no video")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise UnreadablePicture(_no_decoder(name))
    stream.codec_context.thread_count = 1  # files are decoded in several threads already
    return stream


def _no_decoder(name: str) -> str:
    return (
        f"the codec of {name} has no decoder in the installed PyAV: install another build of it "
        "(pip install --upgrade av), or convert the file, such as by "
        "ffmpeg -i FILE -c:v libx264 NEW.mp4"
    )
