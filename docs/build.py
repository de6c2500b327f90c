"""Builds the site: both languages, the notebooks of the course, and a check of every link.

python docs/build.py [OUT]
"""

import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pages

DOCS = Path(__file__).parent
LANGUAGES = ("en", "es")
START = """<!doctype html>
<meta charset="utf-8"><meta http-equiv="refresh" content="0; url=en/index.html">
<title>jaxcnn</title>
<a href="en/index.html">English</a> <a href="es/index.html" lang="es">Español</a>
"""


class Page(HTMLParser):
    """The identifiers of a page, and what it links to or shows."""

    def __init__(self, text: str) -> None:
        """Read the text of a page."""
        super().__init__()
        self.identifiers: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what a tag names."""
        for name, value in attrs:
            if value and name in ("id", "name"):
                self.identifiers.add(value)
            elif value and name in ("href", "src"):
                self.links.append(value)


def broken_links(folder: Path) -> list[str]:
    """Return ``page: link`` of each link to a file or an anchor that is not in the folder."""
    read = {
        path.resolve(): Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")
    }
    broken = []
    for path, page in read.items():
        for link in page.links:
            address, anchor = urldefrag(link)
            if urlsplit(link).scheme or address.startswith("//"):
                continue
            target = (path.parent / unquote(urlsplit(address).path)).resolve() if address else path
            found = read[target].identifiers if target in read else None
            if not target.exists() or (
                anchor and found is not None and unquote(anchor) not in found
            ):
                broken.append(f"{path.relative_to(folder.resolve())}: {link}")
    return broken


def main() -> None:
    """Build, and exit with an error at a warning or a broken link."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else DOCS / "_build" / "html")
    for language in LANGUAGES:
        site = out / language
        options = ["--fail-on-warning", "--keep-going", "--jobs=2", "--quiet"]
        options += [
            "-D",
            f"language={language}",
            "-d",
            str(DOCS / "_build" / "doctrees" / language),
        ]
        subprocess.run([sys.executable, "-m", "sphinx", *options, str(DOCS), str(site)], check=True)
        translations = pages.read_translations(DOCS / language)
        pages.write_notebooks(DOCS / "course", translations, site / "course" / "notebooks")
    shutil.rmtree(out / "jupyter_execute")  # pictures, which MyST-NB has copied into the pages
    (out / "index.html").write_text(START, encoding="utf-8")
    broken = broken_links(out)
    if broken:
        sys.exit("\n".join(["Links that lead nowhere:", *broken]))
    print(f"The site is in {out / 'index.html'}.")


if __name__ == "__main__":
    main()
