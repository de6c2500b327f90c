"""Files of one series each: tables of numbers and sounds."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from jaxcnn import arguments
from jaxcnn.data.decoding.series_text import without_padding

TABLES = (".csv", ".tsv", ".txt")
SOUNDS = (".aif", ".aiff", ".flac", ".mp3", ".ogg", ".wav")


def read_tables(paths: Sequence[Path]) -> list[np.ndarray]:
    """Return the series ``(time, channels)`` of text files, with a row per step.

    Columns are channels, separated by commas, semicolons, tabs or spaces. A first row that is not
    of numbers names them and is left out.

    Args:
      paths: The files.

    Raises:
      ValueError: A file has no numbers, rows of several lengths, or missing values; or another
        number of columns than the first file.
    """
    series = [_read_table(path) for path in paths]
    _check_channels(paths, series, "columns")
    return series


def _read_table(path: Path) -> np.ndarray:
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    separator = next((each for each in ",;\t" if lines and each in lines[0]), None)
    rows = [[value.strip() for value in line.split(separator)] for line in lines]
    if rows and not all(map(_is_number, rows[0])):
        del rows[0]
    if not rows:
        raise ValueError(f"{str(path)!r} is empty: a series must have a row of numbers per step")
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        raise ValueError(f"the rows of {str(path)!r} must be equally long. Received: {lengths}")
    try:
        values = np.array(rows, np.float32)
    except ValueError:
        wrong = next(value for row in rows for value in row if not _is_number(value))
        raise ValueError(
            f"the values of {str(path)!r} must be numbers. Received: {wrong!r}. A column of dates "
            "or names must be left out"
        ) from None
    values = without_padding(values)
    if not len(values) or not np.isfinite(values).all():
        raise ValueError(
            f"a value of {str(path)!r} is missing or infinite. Fill it in first, such as by "
            "numpy.interp: only the end of a series may be missing"
        )
    return values


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_sounds(
    paths: Sequence[Path], *, sample_rate: int | None, channels: int | None
) -> list[np.ndarray]:
    """Return the sounds ``(time, channels)`` of files, in −1…1, at one rate.

    Args:
      paths: The files.
      sample_rate: Steps per second to which other sounds are resampled; ``None`` means the rate of
        the first file, with a warning if others differ.
      channels: 1 takes the mean of the channels; ``None`` keeps them.

    Raises:
      ImportError: soundfile is not installed.
      ValueError: A file is no sound or is empty, or has other channels than the first.
    """
    soundfile = import_soundfile()
    series, resampled = [], []
    for path in paths:
        values, rate = _read_sound(soundfile, path)
        sample_rate = sample_rate or rate
        if channels == 1:
            values = values.mean(axis=1, keepdims=True)
        if rate != sample_rate:
            values = resample(values, rate, sample_rate)
            resampled.append((path, rate))
        series.append(values)
    if resampled:
        path, rate = resampled[0]
        warnings.warn(
            f"{len(resampled)} of {len(paths)} sounds were resampled to {sample_rate} Hz, such as "
            f"{str(path)!r} of {rate} Hz",
            stacklevel=2,
        )
    _check_channels(paths, series, "channels", ", or pass channels=1 to take their mean")
    return series


def resample(values: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Return a series ``(time, …)`` at another rate, by SciPy's polyphase filter.

    >>> resample(np.zeros((8, 1), np.float32), 8000, 16000).shape
    (16, 1)

    Args:
      values: Steps along the first axis.
      rate: Steps per second.
      new_rate: Steps per second of the result.
    """
    from scipy.signal import resample_poly

    common = math.gcd(rate, new_rate)
    changed: np.ndarray = resample_poly(values, new_rate // common, rate // common, axis=0)
    return changed.astype(np.float32)


def import_soundfile() -> ModuleType:
    """Return the package that reads sounds.

    Raises:
      ImportError: It is not installed, or its library is missing.
    """
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: without libsndfile
        raise ImportError(
            f"sounds are read by the package soundfile: pip install 'jaxcnn[audio]' ({error})"
        ) from error
    return soundfile


def sound_rate(path: Path) -> int:
    """Return the steps per second of a sound.

    Raises:
      ImportError: soundfile is not installed.
      ValueError: The file is no sound.
    """
    return _read_sound(import_soundfile(), path)[1]


def _read_sound(soundfile: ModuleType, path: Path) -> tuple[np.ndarray, int]:
    try:
        values, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise ValueError(f"{str(path)!r} is not a readable sound: {error}") from error
    if not len(values):
        raise ValueError(f"the sound {str(path)!r} is empty: it has no samples")
    if not np.isfinite(values).all():
        raise ValueError(f"the sound {str(path)!r} has samples that are NaN or infinite")
    return values, rate


def _check_channels(
    paths: Sequence[Path], series: Sequence[np.ndarray], word: str, hint: str = ""
) -> None:
    first = series[0].shape[1]
    for path, values in zip(paths, series, strict=True):
        if values.shape[1] != first:
            raise ValueError(
                f"all series must have the {word} of the first, {first}{hint}. "
                f"Received: {values.shape[1]} in {arguments.shown(str(path))}"
            )
