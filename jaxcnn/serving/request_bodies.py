"""The pictures in the body of a request: one as it is, several as form data or as JSON."""

import asyncio
import base64
import binascii
import json
import re
from typing import TYPE_CHECKING

from jaxcnn import arguments
from jaxcnn.serving.limits import Limits
from jaxcnn.serving.refusals import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

# Pictures of one request.
MOST_PICTURES = 64
_FORMS = (
    "send one picture as image/*, or several as multipart/form-data or as application/json "
    '{"images": ["<base64>", …]}'
)
_BOUNDARY = re.compile(r"""boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))""", re.IGNORECASE)


async def read_body(request: "Request", limits: Limits) -> bytes:
    """Return the body; it is never longer in memory than the limit and one part of it.

    Args:
      request: The request.
      limits: The limits of the server.

    Raises:
      ConnectionResetError: the client has gone.
      Refusal: it is too long, or it arrives too slowly.
    """
    most = limits.body_bytes
    too_long = Refusal(413, f"the body is longer than the {most:,} bytes allowed")
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and (len(stated) > 18 or int(stated) > most):
        raise too_long
    body = bytearray()
    try:
        async with asyncio.timeout(limits.timeout_s):
            while True:
                event = await request.receive()
                if event["type"] == "http.disconnect":
                    raise ConnectionResetError
                body += event.get("body", b"")
                if len(body) > most:
                    raise too_long
                if not event.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        close = {"Connection": "close"}
        message = f"the body has not arrived within {limits.timeout_s:g} seconds"
        raise Refusal(408, message, close) from None


def pictures_of(body: bytes, content_type: str) -> list[bytes]:
    """Return the bytes of each picture in the body of a request.

    >>> pictures_of(b"...", "image/png"), pictures_of(b'{"images": ["Li4u"]}', "application/json")
    ([b'...'], [b'...'])

    Args:
      body: The body.
      content_type: The request's header, or an empty text.

    Raises:
      Refusal: the body has another form, or no picture.
    """
    kind = content_type.split(";")[0].strip().lower()
    if not body:
        raise Refusal(400, f"the body is empty: {_FORMS}")
    if kind == "application/json":
        found = _of_json(body)
    elif kind == "multipart/form-data":
        found = _of_form(body, content_type)
    elif kind.startswith("image/") or kind in ("", "application/octet-stream"):
        found = [body]
    else:
        raise Refusal(415, f"the content type {arguments.shown(kind)} is not read: {_FORMS}")
    if not found:
        raise Refusal(400, f"the body holds no picture: {_FORMS}")
    if len(found) > MOST_PICTURES:
        raise Refusal(413, f"a request holds at most {MOST_PICTURES} pictures: {len(found):,}")
    return found


def _of_json(body: bytes) -> list[bytes]:
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "the body is not JSON") from None
    images = values.get("images") if isinstance(values, dict) else None
    if not isinstance(images, list) or not all(isinstance(image, str) for image in images):
        raise Refusal(400, 'the body must be {"images": ["<base64>", …]}')
    if set(values) != {"images"}:
        raise Refusal(400, 'the body must have no other field than "images"')
    found = []
    for number, text in enumerate(images):
        if text.startswith("data:"):  # a URL, as a canvas of a page gives it
            text = text.partition(",")[2]
        try:
            found.append(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError):
            raise Refusal(400, f"images[{number}] is not base64") from None
    return found


def _of_form(body: bytes, content_type: str) -> list[bytes]:
    """Return the contents of the parts; the boundary is in none of them, by the rules of forms."""
    match = _BOUNDARY.search(content_type)
    if match is None:
        raise Refusal(400, "the content type multipart/form-data has no boundary")
    line = b"--" + (match[1] or match[2]).encode("latin-1", "replace")
    _, *parts = (b"\r\n" + body).split(b"\r\n" + line, MOST_PICTURES + 2)
    if not parts or not parts[-1].startswith(b"--"):
        if len(parts) > MOST_PICTURES + 1:
            raise Refusal(413, f"a request holds at most {MOST_PICTURES} pictures")
        raise Refusal(400, "the multipart body is damaged: it has no closing boundary")
    found = []
    for part in parts[:-1]:
        head, blank, content = part.partition(b"\r\n\r\n")
        if not blank or not head.startswith(b"\r\n"):
            raise Refusal(400, "the multipart body is damaged: a part has no header")
        found.append(content)
    return found
