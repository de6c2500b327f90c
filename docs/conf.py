"""The site, as Sphinx builds it: `make docs`."""

import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

import jaxcnn

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))
import pages  # noqa: E402  # found by the path above

project = "jaxcnn"
author = "The authors of jaxcnn"
version = release = jaxcnn.__version__
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "formulas",
    "reference",
]
exclude_patterns = ["_build"]
nitpicky = True

# Pages: each is a notebook, which `pages.read` makes of it.
source_suffix = {".md": "myst-nb"}
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "cache"
nb_execution_cache_path = str(DOCS / "_build" / "executed")  # shared by the languages
nb_execution_excludepatterns = ["api/*", "*index.md"]  # without code: each would start a kernel
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

# The reference, from the docstrings.
autodoc_member_order = "bysource"
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_numpy_docstring = False
python_maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"
# Types in annotations without an entry: those that are no public names, by their file; and those
# that a file imports for type checkers only.
nitpick_ignore_regex = [("py:class", r"jaxcnn(\.\w+){3,}|Starlette|Path|Normalization")]

html_theme = "furo"
html_title = "jaxcnn"
html_math_renderer = "mathml"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_favicon = "static/favicon.svg"
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


def translate_pages(app: Sphinx, config: Config) -> None:
    """Read the pages in the language that ``sphinx-build -D language=…`` names."""
    translations = pages.read_translations(DOCS / config.language)
    config.nb_custom_formats = {".md": ["pages.read", {"translations": translations}]}
    if config.language == "es":
        config.nb_code_prompt_show = "Mostrar el código"
        config.nb_code_prompt_hide = "Ocultar el código"


def setup(app: Sphinx) -> None:
    """Connect the functions above."""
    app.connect("config-inited", translate_pages)
