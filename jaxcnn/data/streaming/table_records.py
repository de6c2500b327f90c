"""Hugging Face's streamed tables as Grain iterators, whose state is that of the table."""

import copy
from typing import Any

import grain


class TableRecords(grain.IterDataset):  # type: ignore[misc]  # Grain has no types
    """The rows of a ``datasets.IterableDataset``."""

    def __init__(self, table: Any) -> None:
        """Keep the table."""
        super().__init__()
        self._table = table

    def __iter__(self) -> "_Rows":
        """Return an iterator with a position of its own."""
        return _Rows(copy.deepcopy(self._table))


class _Rows(grain.DatasetIterator):  # type: ignore[misc]  # Grain has no types
    def __init__(self, table: Any) -> None:
        super().__init__()
        self._table = table
        self._rows: Any = None

    def __next__(self) -> Any:
        if self._rows is None:
            self._rows = iter(self._table)
        return next(self._rows)

    def get_state(self) -> Any:
        if self._rows is None:
            self._rows = iter(self._table)
        return copy.deepcopy(self._table.state_dict())

    def set_state(self, state: Any) -> None:
        self._table.load_state_dict(copy.deepcopy(state))
        self._rows = None
