"""The site, as Sphinx builds it: `make docs`."""

import sys
import zlib
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

import jaxcnn

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))
import pages  # noqa: E402

project = "jaxcnn"
author = "The authors of jaxcnn"
version = release = jaxcnn.__version__
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "formulas",
]
exclude_patterns = ["_build"]
nitpicky = True

# Pages: each is a notebook, which `pages.read` makes of it.
source_suffix = {".md": "myst-nb"}
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "cache"
nb_execution_cache_path = str(DOCS / "_build" / "executed")  # shared by the languages
nb_execution_excludepatterns = ["api/*", "*index.md"]  # without code: each would start a kernel
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

# The reference, from the docstrings.
autodoc_member_order = "groupwise"
autodoc_default_options = {"members": True, "undoc-members": True}
python_maximum_signature_line_length = 80
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = "jaxcnn"
html_math_renderer = "mathml"
html_static_path = ["static"]
html_css_files = ["site.css"]
templates_path = ["templates"]
html_show_sourcelink = False
html_show_copyright = False
html_copy_source = False
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "languages.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}

# What the pages and docstrings name of other projects, by inventories written from a short list,
# so that the build needs no network.
INVENTORIES = DOCS / "_build" / "inventories"
OTHER_PROJECTS = {
    "jax": "https://docs.jax.dev/en/latest/",
    "flax": "https://flax.readthedocs.io/en/stable/",
    "optax": "https://optax.readthedocs.io/en/latest/",
    "numpy": "https://numpy.org/doc/stable/",
    "python": "https://docs.python.org/3/",
}
intersphinx_mapping = {
    name: (address, str(INVENTORIES / f"{name}.inv")) for name, address in OTHER_PROJECTS.items()
}


def write_inventories() -> None:
    """Write the lines of `inventories.txt` in the format of Sphinx's ``objects.inv``."""
    INVENTORIES.mkdir(parents=True, exist_ok=True)
    lines = (DOCS / "inventories.txt").read_text(encoding="utf-8").splitlines()
    for project in OTHER_PROJECTS:
        own = [line for line in lines if line.startswith(f"{project} ")]
        entries = [
            f"{name} py:{role} 1 {page}#{name} -"
            for _, name, role, page in (line.split() for line in own)
        ]
        head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
        head += "# The remainder of this file is compressed using zlib.\n"
        body = zlib.compress("\n".join([*entries, ""]).encode())
        (INVENTORIES / f"{project}.inv").write_bytes(head.encode() + body)


def translate_pages(app: Sphinx, config: Config) -> None:
    """Read the pages in the language that ``sphinx-build -D language=…`` names."""
    translations = pages.read_translations(DOCS / "course" / config.language)
    config.nb_custom_formats = {".md": ["pages.read", {"translations": translations}]}


def require_docstring(
    app: Sphinx, what: str, name: str, member: object, options: object, lines: list[str]
) -> None:
    """Warn of a name in the reference that has no docstring; a warning fails the build."""
    if not any(lines):
        logging.getLogger("reference").warning("%s has no docstring.", name)


def setup(app: Sphinx) -> None:
    """Connect the functions above."""
    write_inventories()
    app.connect("config-inited", translate_pages)
    app.connect("autodoc-process-docstring", require_docstring)
