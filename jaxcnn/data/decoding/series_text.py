"""Text files of series, as the UCR and UEA archives publish them: ``.ts``, ``.arff``, ``.tsv``."""

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxcnn import arguments

# Both mean that a value is missing, or, after the end of a series, that there is none.
_MISSING = {"?": "nan", "": "nan"}


@dataclass(frozen=True)
class SeriesText:
    """The series of a file and their labels.

    Attributes:
      series: Arrays ``(time, channels)``, float32, of any lengths.
      labels: ``(N,)`` class names; floating point for the targets of a regression.
      class_names: The names that the file declares; empty if it declares none.
    """

    series: list[np.ndarray]
    labels: np.ndarray
    class_names: tuple[str, ...] = ()


def read_series(path: Path) -> SeriesText:
    """Read a file, whose suffix tells its form.

    Args:
      path: A path that ends in one of :data:`READERS`.

    Raises:
      ValueError: It is no readable file of that form, has time stamps, no labels or no series, or
        a value is missing within a series; the message names the file and the line.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    return READERS[path.suffix.lower()](path, text)


def _read_ts(path: Path, text: str) -> SeriesText:
    header: dict[str, str] = {}
    rows = _lines(text)
    for number, line in rows:
        if line.lower() == "@data":
            break
        if not line.startswith("@"):
            raise _problem(path, number, "the header must be lines @name value and end in @data")
        name, _, value = line[1:].partition(" ")
        header[name.lower()] = value.strip()
    if header.get("timestamps", "false").lower() == "true":
        raise ValueError(
            f"{str(path)!r} has time stamps (@timeStamps true), which are not read: write the "
            "values alone, at equal distances in time"
        )
    declares, *names = header.get("classlabel", "false").split() or ["false"]
    is_regression = header.get("targetlabel", "false").lower() == "true"
    if declares.lower() != "true" and not is_regression:
        raise ValueError(
            f"{str(path)!r} has no labels: its header must have @classLabel true and the names of "
            "the classes, or @targetLabel true"
        )
    series, labels = [], []
    for number, line in rows:
        *channels, label = line.split(":")
        if not channels:
            raise _problem(path, number, "a series must end in a colon and its label")
        series.append(_stack(path, number, [_numbers(path, number, each) for each in channels]))
        labels.append((number, label.strip()))
    return _labeled(path, series, labels, None if is_regression else names)


def _read_arff(path: Path, text: str) -> SeriesText:
    attributes: list[str] = []
    rows, is_nested = _lines(text), False
    for number, line in rows:
        word = line.split()[0].lower()
        if word == "@data":
            break
        if word == "@attribute" and not (is_nested and attributes):
            attributes.append(line)
            is_nested = line.lower().endswith("relational")
        elif word == "@end":
            is_nested = False
        elif word not in ("@relation", "@attribute"):
            raise _problem(path, number, "the header must be @attribute lines and end in @data")
    if not attributes:
        raise ValueError(f"{str(path)!r} is not a file of series: it has no @attribute")
    nominal = re.search(r"\{(.*)\}\s*$", attributes[-1])
    names = next(csv.reader([nominal[1]], skipinitialspace=True)) if nominal else None
    is_multivariate = attributes[0].lower().endswith("relational")
    series, labels = [], []
    for number, line in rows:
        values, _, label = line.rpartition(",")
        # The channels of a series of several are one quoted text, separated by a written \n.
        channels = values.strip().strip("\"'").split("\\n") if is_multivariate else [values]
        series.append(_stack(path, number, [_numbers(path, number, each) for each in channels]))
        labels.append((number, label.strip().strip("\"'")))
    unquoted = None if names is None else [name.strip().strip("\"'") for name in names]
    return _labeled(path, series, labels, unquoted)


def _read_tsv(path: Path, text: str) -> SeriesText:
    series, labels = [], []
    for number, line in _lines(text):
        label, _, values = line.partition("\t")
        series.append(_stack(path, number, [_numbers(path, number, values, "\t")]))
        labels.append((number, label.strip()))
    return _labeled(path, series, labels, [])


# The readers by suffix, in order of preference where a folder has one set in several forms.
READERS: dict[str, Callable[[Path, str], SeriesText]] = {
    ".ts": _read_ts,
    ".arff": _read_arff,
    ".tsv": _read_tsv,
}


def without_padding(values: np.ndarray) -> np.ndarray:
    """Return a series ``(time, channels)`` without its last steps that are NaN in every channel.

    >>> without_padding(np.array([[1.0], [np.nan], [2.0], [np.nan]])).shape
    (3, 1)
    """
    present = np.flatnonzero(~np.isnan(values).all(axis=1))
    return values[: present[-1] + 1 if len(present) else 0]


def pad_series(series: list[np.ndarray], length: int | None = None) -> np.ndarray:
    """Return series of several lengths as one float32 array, with NaN after the end of each.

    >>> pad_series([np.ones((2, 1)), np.ones((3, 1))])[..., 0]
    array([[ 1.,  1., nan],
           [ 1.,  1.,  1.]], dtype=float32)

    Args:
      series: Arrays ``(time, channels)`` of the same number of channels.
      length: Steps of the result; longer series lose their end. ``None`` means the longest.

    Returns:
      ``(N, length, channels)``.
    """
    steps = max(map(len, series)) if length is None else length
    padded = np.full((len(series), steps, series[0].shape[1]), np.nan, np.float32)
    for row, values in zip(padded, series, strict=True):
        row[: len(values)] = values[:steps]
    return padded


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines that are neither empty nor comments."""
    for number, line in enumerate(text.splitlines(), 1):
        plain = line.strip().lstrip("\ufeff")
        if plain and not plain.startswith(("#", "%")):
            yield number, plain


def _numbers(path: Path, number: int, text: str, separator: str = ",") -> np.ndarray:
    values = [_MISSING.get(value.strip(), value) for value in text.split(separator)]
    try:
        return np.array(values, np.float32)
    except ValueError:
        wrong = next(value for value in values if not _is_number(value))
        raise _problem(path, number, f"values must be numbers, and {wrong!r} is none") from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _stack(path: Path, number: int, channels: list[np.ndarray]) -> np.ndarray:
    """Return the channels of a series as ``(time, channels)``, checked."""
    lengths = {len(without_padding(channel[:, None])) for channel in channels}
    if len(lengths) > 1:
        raise _problem(
            path, number, f"the channels of a series must be equally long, not {sorted(lengths)}"
        )
    values = np.stack([channel[: max(lengths)] for channel in channels], axis=1)
    if not len(values):
        raise _problem(path, number, "a series must have a value")
    if not np.isfinite(values).all():
        step, channel = np.argwhere(~np.isfinite(values))[0]
        raise _problem(
            path,
            number,
            f"a value is missing or infinite at step {step} of channel {channel}. Fill it in "
            "first, such as by numpy.interp: only the end of a series may be missing",
        )
    return values


def _labeled(
    path: Path,
    series: list[np.ndarray],
    labels: list[tuple[int, str]],
    names: list[str] | None,
) -> SeriesText:
    """Return series and labels; without `names` they are numbers of a regression."""
    if not series:
        raise ValueError(f"{str(path)!r} holds no series")
    counts = {values.shape[1] for values in series}
    if len(counts) > 1:
        raise ValueError(
            f"the series of {str(path)!r} must have one number of channels, not {sorted(counts)}"
        )
    if names is None:
        for number, label in labels:
            if not _is_number(label):
                raise _problem(path, number, f"the target must be a number, not {label!r}")
        return SeriesText(series, np.array([[float(label)] for _, label in labels], np.float32))
    for number, label in labels:
        if names and label not in names:
            shown = arguments.shown(names)
            raise _problem(path, number, f"the class must be declared, {shown}, not {label!r}")
    return SeriesText(series, np.array([label for _, label in labels]), tuple(names))


def _problem(path: Path, number: int, text: str) -> ValueError:
    return ValueError(f"line {number} of {str(path)!r}: {text}")
