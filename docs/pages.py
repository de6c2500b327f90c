"""Pages of the site as notebooks, and the translation of the course.

A Python block of a page is a code cell, all other text is Markdown. Words after the language are
tags of the cell, as MyST-NB knows them: ``python hide-input`` folds the code, ``python
remove-cell`` runs it unseen, ``python raises-exception`` expects an error. A ``text`` block behind
a Python block shows its output to readers of the source; a notebook has the output itself, so it is
left out.

A message, as gettext calls what is translated, is the text between two empty lines outside of code.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import nbformat
from babel.messages.pofile import read_po
from nbformat import v4

PYTHON = re.compile(
    r"^```python(?P<tags>[^\n]*)\n(?P<code>.*?)^```\n(?:\n*```text\n.*?^```\n)?",
    re.DOTALL | re.MULTILINE,
)
# Between messages: code, and empty lines outside of it.
APART = re.compile(r"(^```.*?^```\n|\n\s*\n)", re.DOTALL | re.MULTILINE)
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
INSTALL = '%pip install --quiet "jaxcnn[course]"'


def read(text: str, translations: Mapping[str, str] | None = None) -> nbformat.NotebookNode:
    """Return the notebook of a page's text, its prose translated where a translation is known."""
    text = translate(text, translations or {})
    cells, position = [], 0
    for block in PYTHON.finditer(text):
        _add_markdown(cells, text[position : block.start()])
        metadata = {"tags": block["tags"].split()}
        cells.append(v4.new_code_cell(block["code"].rstrip("\n"), metadata=metadata))
        position = block.end()
    _add_markdown(cells, text[position:])
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"  # random ones would make each build differ from the last
    return v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


def messages(text: str) -> Iterable[str]:
    """Yield what there is to translate in a page's text."""
    for block in APART.split(text)[::2]:
        message = block.strip("\n")
        if message.strip() and not (message.startswith("$$") and message.endswith("$$")):
            yield message


def translate(text: str, translations: Mapping[str, str]) -> str:
    """Return a page's text with the messages that ``translations`` has in place of its own."""
    parts = APART.split(text)
    for number in range(0, len(parts), 2):
        message = parts[number].strip("\n")
        if message in translations:
            parts[number] = parts[number].replace(message, translations[message])
    return "".join(parts)


def read_translations(folder: Path) -> dict[str, str]:
    """Return the messages and their translations of all ``.po`` files below a folder."""
    translations = {}
    for path in sorted(folder.rglob("*.po")):
        with path.open("rb") as file:
            translations |= {entry.id: entry.string for entry in read_po(file) if entry.id}
    return translations


def write_notebooks(pages: Path, translations: Mapping[str, str], out: Path) -> None:
    """Write the pages of a folder as ``.ipynb`` files, which install the package first."""
    out.mkdir(parents=True, exist_ok=True)
    for page in sorted(pages.glob("[0-9]*.md")):
        notebook = read(page.read_text(encoding="utf-8"), translations)
        notebook.cells.insert(1, v4.new_code_cell(INSTALL, id="install"))
        nbformat.write(notebook, out / f"{page.stem}.ipynb")


def _add_markdown(cells: list[nbformat.NotebookNode], text: str) -> None:
    if text.strip():
        cells.append(v4.new_markdown_cell(text.strip("\n")))
