"""The interface of the server: as OpenAPI, and as a page for readers."""

import html
from typing import Any

from jaxcnn.serving.answers import DEFAULT_SCORE, DEFAULT_TOP, MOST_TOP
from jaxcnn.serving.limits import Limits
from jaxcnn.serving.network import ServedNetwork
from jaxcnn.serving.request_bodies import MOST_PICTURES

_TEXT, _NUMBER = {"type": "string"}, {"type": "number"}
_ERRORS = {
    "400": "The body is not of its form, or a picture cannot be read.",
    "408": "The body has not arrived in time.",
    "413": "The body or a picture is larger than allowed.",
    "415": "The content type is not read.",
    "503": "Too many requests at a time, or the network is not ready.",
}
_BOX = {"type": "array", "items": _NUMBER, "description": "x1, y1, x2, y2 in pixels"}
_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
pre, code { font: 14px/1.5 ui-monospace, monospace; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid #8886; border-radius: 6px; }
h2 { margin-top: 2rem; } h2 code { font-size: 18px; }
dt { font-weight: 600; } dd { margin: 0 0 .5rem 1.5rem; }
"""


def openapi(network: ServedNetwork, limits: Limits) -> dict[str, Any]:
    """Return the interface as OpenAPI 3.1.

    Args:
      network: The network.
      limits: The limits of the server.
    """
    picture = {"schema": {"type": "string", "format": "binary"}}
    files = {"type": "array", "items": picture["schema"]}
    texts = {"type": "array", "items": {"type": "string", "contentEncoding": "base64"}}
    error = {"type": "object", "required": ["error"], "properties": {"error": _TEXT}}
    operation: dict[str, Any] = {
        "summary": "Predict pictures",
        "description": f"One picture as the body, or up to {MOST_PICTURES} as form data or JSON; "
        f"at most {limits.body_bytes:,} bytes and {limits.max_pixels:,} pixels in all.",
        "parameters": _parameters(network),
        "requestBody": {
            "required": True,
            "content": {
                "image/*": picture,
                "multipart/form-data": {
                    "schema": {"type": "object", "properties": {"pictures": files}}
                },
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["images"],
                        "properties": {"images": texts},
                    }
                },
            },
        },
        "responses": {
            "200": {
                "description": "A prediction for each picture, in the order of the request.",
                "content": {"application/json": {"schema": _answer(network)}},
            }
        }
        | {
            status: {
                "description": text,
                "content": {"application/json": {"schema": error}},
            }
            for status, text in _ERRORS.items()
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "A network of jaxcnn", "version": "1"},
        "paths": {
            "/predict": {"post": operation},
            "/healthz": {"get": _plain("Whether the process runs")},
            "/readyz": {"get": _plain("Whether the network is compiled; 503 until then")},
            "/metrics": {"get": _plain("The metrics for Prometheus")},
            "/openapi.json": {"get": _plain("This description")},
        },
    }


def _parameters(network: ServedNetwork) -> list[dict[str, Any]]:
    most = len(network.class_names) or MOST_TOP
    top = {"type": "integer", "minimum": 1, "maximum": most, "default": min(DEFAULT_TOP, most)}
    score = {"type": "number", "minimum": 0, "maximum": 1, "default": DEFAULT_SCORE}
    return {
        "classify": [_parameter("top", "Number of the likeliest classes.", top)],
        "segment": [_parameter("top", "Number of the largest classes.", top)],
        "detect": [_parameter("score", "Boxes of a lower score are left out.", score)],
        "regress": [],
    }[network.task]


def _parameter(name: str, text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "schema": schema}


def _plain(summary: str) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": "It is so."}}}


def _answer(network: ServedNetwork) -> dict[str, Any]:
    key, fields = {
        "classify": (
            "classes",
            {
                "class": _TEXT,
                ("output" if network.activation == "none" else "probability"): _NUMBER,
            },
        ),
        "regress": ("numbers", {"name": _TEXT, "value": _NUMBER}),
        "segment": ("shares", {"class": _TEXT, "share": _NUMBER}),
        "detect": ("boxes", {"class": _TEXT, "score": _NUMBER, "box": _BOX}),
    }[network.task]
    rows = {"type": "array", "items": {"type": "object", "properties": fields}}
    prediction = {"type": "object", "properties": {key: rows, "note": _TEXT}}
    return {
        "type": "object",
        "properties": {"predictions": {"type": "array", "items": prediction}},
    }


def docs_page(description: dict[str, Any]) -> str:
    """Return the description as one page of HTML that loads nothing.

    Args:
      description: As :func:`openapi` returns it.
    """
    title = html.escape(description["info"]["title"])
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main><h1>{title}</h1>",
    ]
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            parts.append(f"<h2><code>{method.upper()} {html.escape(path)}</code></h2>")
            parts.append(f"<p>{html.escape(operation['summary'])}.</p>")
            if path == "/predict":
                parts += _details(operation)
    return "".join([*parts, "</main></body></html>"])


def _details(operation: dict[str, Any]) -> list[str]:
    lines = [f"<p>{html.escape(operation['description'])}</p>"]
    lines.append(
        "<pre>curl -H 'Content-Type: image/png' --data-binary @picture.png ADDRESS/predict\n"
        "curl -F pictures=@one.png -F pictures=@two.jpg ADDRESS/predict</pre><dl>"
    )
    for parameter in operation["parameters"]:
        schema = parameter["schema"]
        lines.append(f"<dt><code>?{html.escape(parameter['name'])}=</code></dt>")
        text = (
            f"{parameter['description']} From {schema['minimum']} to {schema['maximum']}; "
            f"{schema['default']} by default."
        )
        lines.append(f"<dd>{html.escape(text)}</dd>")
    for status, answer in operation["responses"].items():
        lines.append(f"<dt>{status}</dt><dd>{html.escape(answer['description'])}</dd>")
    return [*lines, "</dl>"]
