"""The page as a file: it holds everything, and texts of data stay texts."""

import base64
import hashlib
import html.parser
import json
import re
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import ops, serving
from jaxcnn.ops import KERNELS
from jaxcnn.serving import page_building, run_pages

FOLDER = Path(page_building.__file__).parent / "page"
MARKUP = "</script><img src=x onerror=alert(1)><!-- & {script}"
MISTAKE = {
    "picture": "data:image/png;base64,",
    "heat": "data:image/png;base64,",
    "truth": MARKUP,
    "predicted": "7",
    "probability": 0.9,
    "truth_probability": 0.1,
}


class Elements(html.parser.HTMLParser):
    """The elements of a page as a browser reads them, and the text of each script and style."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts, self.open = [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.open = tag

    def handle_endtag(self, tag):
        self.open = ""

    def handle_data(self, data):
        self.texts.append((self.open, data))

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def data(self, name):
        """Return the JSON of a script element."""
        places = [n for n, (tag, a) in enumerate(self.tags) if tag == "script" and a.get("id")]
        scripts = [self.tags[place][1]["id"] for place in places]
        texts = [text for tag, text in self.texts if tag == "script"]
        return json.loads(texts[scripts.index(name)])


@pytest.fixture(scope="module")
def page():
    return serving.build_page(title=MARKUP, mistakes=[MISTAKE])


def test_nothing_is_loaded(page):
    assert not re.search(r"(src|href)=.?https?:", page)
    urls = [a.get("src") or a.get("href") for _, a in Elements(page).tags]
    assert {url.partition(":")[0] for url in urls if url and url[0] != "#"} == {"data"}
    source = "".join(path.read_text("utf-8") for path in FOLDER.iterdir() if path.suffix != ".jpg")
    # The one address is the namespace of SVG, which is a name.
    assert set(re.findall(r"https?://[^'\"\s)]+", source)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon|@import|\beval\(", source)


def test_policy_allows_only_the_own_script(page):
    elements = Elements(page)
    (policy,) = [a["content"] for a in elements.of("meta") if "http-equiv" in a]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["connect-src"] == "'none'"
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        text = [text for name, text in elements.texts if name == tag][-1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    # A style attribute, which the policy would refuse, stands nowhere.
    assert not any("style" in attributes for _, attributes in elements.tags)


def test_markup_in_data_stays_text(page):
    elements = Elements(page)
    assert elements.of("img") == []
    assert len(elements.of("script")) == 3
    assert elements.data("page-data")["mistakes"][0]["truth"] == MARKUP
    assert elements.data("page-data")["title"] == MARKUP
    texts = [text for tag, text in elements.texts if tag == "title"]
    assert "".join(texts) == MARKUP


def test_no_script_makes_html():
    for path in FOLDER.glob("*.js"):
        source = path.read_text("utf-8")
        found = re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", source)
        assert not found, path.name


def test_kernels_are_those_of_the_library(page):
    filters = Elements(page).data("page-data")["filters"]
    assert [each["name"] for each in filters] == list(KERNELS)
    for each in filters:
        np.testing.assert_allclose(each["kernel"], KERNELS[each["name"]])


def keys_of(language):
    """Return the keys of a language and the places to fill in its texts."""
    found = {}
    for path in sorted(FOLDER.glob("*words.js")):
        source = path.read_text("utf-8")
        blocks = re.split(r"\b(en|es)\b\s*[=:,]\s*\{", source)
        for name, block in zip(blocks[1::2], blocks[2::2], strict=True):
            if name == language:
                texts = re.findall(r"^\s+'?(\w+)'?:\s+['\"`](.*)['\"`],?$", block, re.MULTILINE)
                found |= {key: sorted(re.findall(r"\{\w+\}", text)) for key, text in texts}
    return found


def test_both_languages_have_the_same_words():
    english, spanish = keys_of("en"), keys_of("es")
    assert len(english) > 50
    assert english == spanish


def test_each_word_of_the_page_exists():
    source = (FOLDER / "page.html").read_text("utf-8")
    assert set(re.findall(r'data-word(?:-label)?="(\w+)"', source)) <= set(keys_of("en"))
    assert set(KERNELS) <= set(keys_of("es"))


def test_scripts_are_in_the_page_once():
    names = {path.name for path in FOLDER.glob("*.js")}
    assert names <= set(page_building.SCRIPTS)
    assert {path.name for path in FOLDER.glob("*.css")} <= set(page_building.STYLES)
    assert all(
        len(path.read_text("utf-8").splitlines()) <= 350
        for path in FOLDER.iterdir()
        if path.suffix in (".js", ".css")
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": {"format": "onnx"}}, "network must be the object in a file of"),
        ({"mistakes": [{**MISTAKE, "probability": float("nan")}]}, "not JSON compliant"),
    ],
)
def test_wrong_data_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        serving.build_page(**options)


def test_heat_is_opaque_where_the_map_is_largest():
    heat = run_pages._heat(np.array([[0.0, 2.0], [1.0, 0.5]]))
    opacity = heat[..., 3].astype(float)
    assert heat.shape == (2, 2, 4)
    np.testing.assert_allclose(opacity / opacity.max(), [[0, 1], [0.5, 0.25]], atol=0.01)
    assert not run_pages._heat(np.zeros((2, 2)))[..., 3].any()


def test_letter_of_the_course_gives_its_numbers():
    """The picture that the page has as numbers is the course's, whose Sobel output is known."""
    rows = re.search(r"LETTER = (\[\[.*\]\])", (FOLDER / "pictures.js").read_text("utf-8"))
    letter = jnp.asarray(json.loads(rows[1]))[None, ..., None]
    kernel = jnp.asarray(KERNELS["sobel_x"], jnp.float32)[..., None, None]
    expected = [[-1.2, -0.6, 0.6, 1.2], [-1.2, 0.6, -0.6, 1.2]]
    expected += [[-1.2, 1.2, -1.2, 1.2], [-0.6, 1.2, -1.2, 0.6]]
    found = ops.conv(letter, kernel, padding=1)[0, ..., 0]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_no_script_replaces_a_function_of_another():
    files = {}
    for script in page_building.SCRIPTS:
        text = (FOLDER / script).read_text(encoding="utf-8")
        for name in set(re.findall(r"^ *Jaxcnn\.(\w+) = (?:async )?function", text, re.MULTILINE)):
            files.setdefault(name, []).append(script)
    assert len(files) > 20
    assert {name: found for name, found in files.items() if len(found) > 1} == {}
