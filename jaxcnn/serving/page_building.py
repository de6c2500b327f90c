"""The page of a network: one HTML file with its scripts, pictures and data inside."""

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from jaxcnn.ops.filters import KERNELS

# In this order: a file uses at its start only names of files before it.
SCRIPTS = (
    "elements.js",
    "words.js",
    "network_words.js",
    "languages.js",
    "windows.js",
    "camera.js",
    "pictures.js",
    "kernel_editor.js",
    "worked_window.js",
    "kernels.js",
    "tensors.js",
    "window_operators.js",
    "operators.js",
    "gathering_operators.js",
    "digit_canvas.js",
    "framing.js",
    "feature_maps.js",
    "value_detail.js",
    "network_view.js",
    "errors_view.js",
    "start.js",
)
STYLES = ("style.css", "network_view.css")
DEFAULT_TITLE = "Convolutional networks"


def build_page(
    network: Mapping[str, Any] | None = None,
    *,
    title: str = DEFAULT_TITLE,
    examples: Sequence[Mapping[str, Any]] = (),
    mistakes: Sequence[Mapping[str, Any]] | None = None,
    absence: str | None = None,
) -> str:
    """Return the page of a network: an HTML file that loads nothing and works without a server.

    It holds the kernel explorer; with a network also the view of its layers; with mistakes also
    these. Texts from data, such as class names, are shown as text and never as HTML.

    >>> page = build_page(title="Digits")
    >>> "<title>Digits</title>" in page, "connect-src 'none'" in page
    (True, True)

    Args:
      network: The object in a file of ``jaxcnn export --format web``, or ``None``.
      title: Title of the page.
      examples: Inputs to show in the network: ``{"pixels": base64 of uint8, "shape": [H, W, C],
        "label": name of the class}``.
      mistakes: Pictures that were predicted wrongly, the worst first: ``{"picture": data URI,
        "heat": data URI, "truth": name, "predicted": name, "probability": number,
        "truth_probability": number}``; ``None`` for no such section.
      absence: Why the page has no network, which it says; ``None`` for no such section.

    Raises:
      ValueError: the network is not that of a web export, or data has a number that is not finite.
    """
    if network is not None and network.get("format") != "jaxcnn-web":
        raise ValueError(
            "network must be the object in a file of `jaxcnn export --format web`. "
            f"Received: format={network.get('format')!r}"
        )
    data = {
        "title": title,
        "filters": [{"name": name, "kernel": rows} for name, rows in KERNELS.items()],
        "photograph": _photograph(),
        "examples": list(examples),
        "mistakes": None if mistakes is None else list(mistakes),
        "absence": absence,
    }
    style = "\n".join(_texts(STYLES))
    script = "\n".join(_texts(SCRIPTS))
    values = {
        "title": html.escape(title),
        "style": style,
        "script": script,
        "policy": _policy(script, style),
        "page_data": _json(data),
        "network_data": _json(network),
    }
    # The template is cut once: a text with braces in it is data, not a place to fill.
    page, *parts = _text("page.html").split("{")
    for part in parts:
        name, _, rest = part.partition("}")
        page += values[name] + rest
    return page


def _json(data: Any) -> str:
    """Return JSON that may stand within a script element: it ends none and opens no comment."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _policy(script: str, style: str) -> str:
    """Return the policy of the page: its own script and style, and nothing from elsewhere."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_digest(script)}'",
            f"style-src '{_digest(style)}'",
            "img-src data: blob:",
            "media-src blob:",
            "connect-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _photograph() -> str:
    picture = _folder().joinpath("cat.jpg").read_bytes()
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"


def _texts(names: Sequence[str]) -> list[str]:
    return [_text(name) for name in names]


def _text(name: str) -> str:
    return _folder().joinpath(name).read_text(encoding="utf-8")


def _folder() -> Any:
    return resources.files("jaxcnn.serving") / "page"
