"""The Spanish pages: each message is translated, with its numbers and code."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS))
import pages  # noqa: E402  # found by the path above
from translate import TRANSLATED  # noqa: E402  # found by the path above

SPANISH = pages.read_translations(DOCS / "es")


def held(text):
    """Return what a translation has in common with its message: numbers, code, targets of links."""
    code = re.findall(r"`[^`]+`", text)
    numbers = re.findall(r"\d+(?:[.,]\d+)*", re.sub(r"`[^`]+`", "", text))
    return sorted(code), sorted(numbers), sorted(re.findall(r"\]\(([^)]+)\)", text))


@pytest.mark.parametrize("page", TRANSLATED, ids=lambda page: page.stem)
def test_every_message_is_translated(page):
    text = page.read_text(encoding="utf-8")
    found = list(pages.messages(text))
    assert found
    for message in found:
        assert SPANISH.get(message), message
        assert held(SPANISH[message]) == held(message)
    cells = [
        [cell.source for cell in pages.read(text, translations).cells if cell.cell_type == "code"]
        for translations in ({}, SPANISH)
    ]
    assert cells[0] == cells[1]


def test_nothing_is_translated_that_no_page_has():
    found = {message for page in TRANSLATED for message in pages.messages(page.read_text("utf-8"))}
    assert set(SPANISH) <= found


def test_a_page_is_read_as_cells():
    text = "# Title\n\nWords.\n\n```python hide-input\n1 + 1\n```\n\n```text\n2\n```\n\nEnd.\n"
    notebook = pages.read(text, {"Words.": "Palabras.", "End.": "Fin."})
    kinds = [(cell.cell_type, cell.source) for cell in notebook.cells]
    assert kinds == [
        ("markdown", "# Title\n\nPalabras."),
        ("code", "1 + 1"),
        ("markdown", "Fin."),
    ]
    assert notebook.cells[1].metadata.tags == ["hide-input"]
