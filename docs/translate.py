"""Brings the translations up to date with the pages: the course, and the way to it.

    python docs/translate.py LANGUAGE

Messages that a page no longer has are left out, new ones are added empty; `git diff` shows both.
"""

import sys
from pathlib import Path

import pages
from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po

DOCS = Path(__file__).parent
TRANSLATED = (DOCS / "index.md", DOCS / "start.md", *sorted(DOCS.glob("course/*.md")))


def update(page: Path, language: str) -> None:
    """Write the translations of one page, with those that are known."""
    known = pages.read_translations(DOCS / language)
    catalog = Catalog(locale=language, project="jaxcnn", fuzzy=False)
    for message in pages.messages(page.read_text(encoding="utf-8")):
        catalog.add(message, known.get(message, ""))
    path = (DOCS / language / page.relative_to(DOCS)).with_suffix(".po")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, catalog, width=100, omit_header=True)


def main() -> None:
    """Update every page that is translated."""
    for page in TRANSLATED:
        update(page, sys.argv[1])


if __name__ == "__main__":
    main()
