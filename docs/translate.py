"""Brings the translations of the course up to date with its pages.

    python docs/translate.py LANGUAGE

Messages that a page no longer has are left out, new ones are added empty; `git diff` shows both.
"""

import sys
from pathlib import Path

import pages
from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po

COURSE = Path(__file__).parent / "course"


def update(page: Path, folder: Path) -> None:
    """Write the file of one page into the folder of a language."""
    known = pages.read_translations(folder)
    catalog = Catalog(locale=folder.name, project="jaxcnn", fuzzy=False)
    for message in pages.messages(page.read_text(encoding="utf-8")):
        catalog.add(message, known.get(message, ""))
    folder.mkdir(exist_ok=True)
    with (folder / f"{page.stem}.po").open("wb") as file:
        write_po(file, catalog, width=100, omit_header=True)


def main() -> None:
    """Update every page of the course."""
    for page in sorted(COURSE.glob("*.md")):
        update(page, COURSE / sys.argv[1])


if __name__ == "__main__":
    main()
