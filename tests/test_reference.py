"""The pages of docs/api name every public name once, under its shortest name."""

import collections
import importlib
import inspect
import re
from pathlib import Path

import jaxcnn

API = Path(__file__).parent.parent / "docs" / "api"
NAMES = re.compile(r"^\.\. names:: (\S+)\n\n((?:   .+\n)+)", re.MULTILINE)
ROOMS = ["jaxcnn.serving"] + [
    f"jaxcnn.{name}" for name in jaxcnn.__all__ if inspect.ismodule(getattr(jaxcnn, name))
]


def public_names():
    """Return the public names of all rooms; one that the index has too is the index's."""
    names = {f"jaxcnn.{name}" for name in jaxcnn.__all__ if f"jaxcnn.{name}" not in ROOMS}
    for room in [*ROOMS, "jaxcnn.insight.plots"]:
        module = importlib.import_module(room)
        for name in module.__all__:
            value = getattr(module, name)
            if not inspect.ismodule(value) and getattr(jaxcnn, name, None) is not value:
                names.add(f"{room}.{name}")
    return names


def test_every_public_name_stands_on_one_page():
    texts = [page.read_text(encoding="utf-8") for page in API.glob("*.md")]
    blocks = [block for text in texts for block in NAMES.findall(text)]
    named = collections.Counter(f"{room}.{name}" for room, body in blocks for name in body.split())
    assert set(named) == public_names()
    assert set(named.values()) == {1}


def test_every_page_is_in_a_table_of_contents():
    tables = "".join(page.read_text(encoding="utf-8") for page in API.glob("*.md"))
    names = re.findall(r"^([\w-]+)$", tables, re.MULTILINE)
    assert sorted(names) == sorted(page.stem for page in API.glob("*.md") if page.stem != "index")
