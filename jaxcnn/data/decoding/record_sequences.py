"""Sequences of records made of other sequences."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from jaxcnn.data.decoding.record_decoding import RecordSequence


class Joined(Sequence[Any]):
    """The concatenation of several record sequences."""

    def __init__(self, sources: Sequence[RecordSequence]) -> None:
        """Keep the sequences."""
        self._sources = sources
        self._stops = list(accumulate(map(len, sources)))

    def __len__(self) -> int:
        """Return the number of all records."""
        return self._stops[-1]

    def __getitem__(self, row: Any) -> Any:
        """Return the record with this number."""
        place = bisect_right(self._stops, row)
        return self._sources[place][row - self._stops[place] + len(self._sources[place])]


class Picked(Sequence[Any]):
    """Some records of a record sequence, in any order."""

    def __init__(self, source: RecordSequence, rows: Sequence[int]) -> None:
        """Keep the sequence, and the numbers of the records."""
        self._source, self._rows = source, rows

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._rows)

    def __getitem__(self, row: Any) -> Any:
        """Return the record with this number."""
        return self._source[int(self._rows[row])]
