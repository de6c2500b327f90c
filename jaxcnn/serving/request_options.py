"""The options of a request, in its query."""

from urllib.parse import parse_qsl

from jaxcnn.serving.answers import DEFAULT_SCORE, DEFAULT_TOP, MOST_TOP, Wanted
from jaxcnn.serving.network import ServedNetwork
from jaxcnn.serving.refusals import Refusal


def wanted_by(query_string: bytes, network: ServedNetwork) -> Wanted:
    """Return the options in the query of a request.

    Args:
      query_string: The query, encoded.
      network: The network, which decides what is allowed.

    Raises:
      Refusal: one is unknown or out of range.
    """
    if not query_string:
        return Wanted()
    query = dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True))
    for name in query:
        if name not in ("top", "score"):
            raise Refusal(400, "the options of a request are top and score")
    top, score = query.get("top", str(DEFAULT_TOP)), query.get("score", str(DEFAULT_SCORE))
    most = len(network.class_names) or MOST_TOP
    if not (top.isascii() and top.isdecimal() and len(top) < 10 and int(top) >= 1):
        raise Refusal(400, f"top must be a number from 1 to {most}")
    if "top" in query and int(top) > most:
        raise Refusal(400, f"top must be a number from 1 to {most}")
    try:
        least = float(score)
    except ValueError:
        least = -1
    if not 0 <= least <= 1:
        raise Refusal(400, "score must be a number from 0 to 1")
    return Wanted(int(top), least)
