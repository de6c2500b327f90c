"""The lines that ``jaxcnn predict`` prints or writes into a file: text, CSV or JSON."""

import contextlib
import csv
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from jaxcnn.cli.predictions import Answer

FORMATS = ("text", "csv", "jsonl")
_OF_SUFFIX = {".csv": "csv", ".jsonl": "jsonl", ".txt": "text"}


def file_format(out: Path | None) -> str | None:
    """Return the format of a file by its name; ``None`` for what is a folder, or nothing."""
    return None if out is None else _OF_SUFFIX.get(out.suffix.lower())


class AnswerLines:
    """Answers as lines of one format."""

    def __init__(self, file: TextIO, form: str) -> None:
        """Write lines to `file` in a format of :data:`FORMATS`."""
        self._file, self._form = file, form
        self._table: csv.DictWriter[str] | None = None
        self._width = 0

    def write(self, answers: Sequence[Answer]) -> None:
        """Write the answers of a batch, after the names of columns if they are the first."""
        if self._form == "csv":
            for found in answers:
                for cells in found.cells:
                    if self._table is None:
                        self._table = csv.DictWriter(self._file, list(cells), lineterminator="\n")
                        self._table.writeheader()
                    self._table.writerow(cells)
        elif self._form == "jsonl":
            lines = [json.dumps(found.record, ensure_ascii=False) for found in answers]
            self._file.write("".join(f"{line}\n" for line in lines))
        else:
            names = [found.record["file"] for found in answers]
            self._width = max([self._width, *map(len, names)])  # earlier lines are printed already
            lines = [
                found.text  # of boxes it is a JSON object with the name
                if "boxes" in found.record
                else f"{name:<{self._width}}  {found.text}"
                for name, found in zip(names, answers, strict=True)
            ]
            self._file.write("".join(f"{line}\n" for line in lines))
        self._file.flush()


@contextlib.contextmanager
def opened(out: Path | None) -> Iterator[TextIO]:
    """Open a file that appears as a whole at the end; ``None`` is the standard output.

    After an error ``FILE.partial`` keeps the answers so far, which may have taken hours.
    """
    if out is None:
        yield sys.stdout
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    with partial.open("w", encoding="utf-8", newline="") as file:
        yield file
    partial.replace(out)
