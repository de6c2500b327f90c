"""Formulas of the site as MathML, which browsers show without a script.

Docstrings are read in terminals too. Their formulas have characters in place of LaTeX's commands,
and words of several letters are names, upright: ``y = (x − mean) / √{variance + ε}``.
"""

import re

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from docutils.utils.math.unichar2tex import uni2tex_table
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

COMMANDS = uni2tex_table | {
    ord(character): command
    for character, command in {"·": r"\cdot ", "Σ": r"\sum ", "√": r"\sqrt ", "²": "^2"}.items()
}


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer under the name ``mathml``."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _inline(translator: HTML5Translator, node: nodes.math) -> None:
    translator.body.append(tex2mathml(_latex(node)))
    raise nodes.SkipNode


def _display(translator: HTML5Translator, node: nodes.math_block) -> None:
    identifiers = "".join(f'<span id="{name}"></span>' for name in node["ids"])
    translator.body.append(identifiers + tex2mathml(_latex(node), as_block=True))
    raise nodes.SkipNode


def _latex(node: nodes.Element) -> str:
    text = node.astext()
    if "\\" not in text:
        text = re.sub("[A-Za-z]{2,}", r"\\mathrm{\g<0>}", text)
    return text.translate(COMMANDS)
