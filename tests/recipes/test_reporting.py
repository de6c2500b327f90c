"""The report of a run: its sections and pictures in one file, and the reasons for missing ones."""

import base64
import io
import re
import shutil
import warnings
from html.parser import HTMLParser

import numpy as np
import optax
import pytest
from flax import nnx
from PIL import Image
from safetensors.numpy import load_file

import jaxcnn as cnn
from jaxcnn import recipes
from jaxcnn.training import run_folder

pytestmark = pytest.mark.implicit_promotion

SECTIONS = (
    "Configuration", "Network", "Diagram", "Learning curves", "Confusion", "Classes",
    "Most confident mistakes", "Reliability", "Slices", "Explained images",
    "Nearest training images", "Embedding", "Kernels", "Feature maps", "Augmentation",
    "Times", "How to repeat it",
)  # fmt: skip
# Those that need no images.
WITHOUT_DATA = {"Network", "Diagram", "Learning curves", "Kernels", "Times", "How to repeat it"}
NAMES = ("<b>", "a & b", "cat")
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """The elements of a page; a tag that is not closed in order is an error."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.sections, self.title = [], [], {}, None
        self.feed(text)
        self.close()
        assert not self.open
        self.sections = {title: content.strip() for title, content in self.sections.items()}

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.title = data
            self.sections[data] = ""
        elif self.title is not None:
            self.sections[self.title] += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Three classes of noise that differ in brightness."""
    path = tmp_path_factory.mktemp("data") / "noise.npz"
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1)).astype(np.uint8)
    labels = np.arange(60) % 3
    images[labels == 1] //= 2
    np.savez(path, images=images, labels=labels, class_names=NAMES)
    return path


@pytest.fixture(scope="module")
def run(archive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "noise & co"
    changes = [
        "model.name=tiny_cnn", f"data.source={archive}", "data.image_size=[8, 8]",
        "data.augment=digits", "training.batch_size=16", "training.epochs=2",
    ]  # fmt: skip
    recipes.train("digits", folder, assignments=changes, progress=False)
    return folder


@pytest.fixture(scope="module")
def text(run):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = recipes.report(run, images=2, progress=False)
    assert path == run / "report.html"
    return path.read_text(encoding="utf-8")


def test_page_has_every_section(text, run):
    page = Page(text)
    assert tuple(page.sections) == SECTIONS
    assert "could not be made" not in text
    assert page.sections["Configuration"] == (run / "recipe.toml").read_text().strip()
    metrics = run_folder.read_run(run).metrics
    shown = f"{metrics['accuracy']:.2%} of {metrics['examples']} held-out images"
    assert shown in text
    assert "tiny_cnn trained on" in text
    parameters = sum(array.size for array in load_file(run / "model.safetensors").values())
    assert f"Total parameters: {parameters:,}" in page.sections["Network"]
    assert "Policy: digits." in page.sections["Augmentation"]


def test_contents_lead_to_the_sections(text):
    page = Page(text)
    identities = [attributes["id"] for attributes in page.all("section")]
    assert [link["href"] for link in page.all("a")] == [f"#{name}" for name in identities]
    assert len(set(identities)) == len(SECTIONS)


def test_page_needs_no_other_file(text):
    page = Page(text)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "video", "audio", "base"}
    for _, attributes in page.elements:
        for name in ("src", "srcset", "data", "action", "poster", "background"):
            assert attributes.get(name, "data:").startswith("data:")
        for name in ("href", "xlink:href"):
            assert attributes.get(name, "#").startswith("#")
        assert not any(name.startswith("on") for name in attributes)
    style = text[text.index("<style>") : text.index("</style>")]
    for styles in (style, *(attributes.get("style", "") for _, attributes in page.elements)):
        assert "url(" not in styles
        assert "@import" not in styles


def test_pictures_are_in_the_page(text):
    pictures = Page(text).all("img")
    assert len(pictures) >= 12
    for attributes in pictures:
        assert attributes["alt"]
        kind, _, data = attributes["src"].partition(",")
        assert kind == "data:image/png;base64"
        with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as picture:
            assert picture.format == "PNG"
            picture.load()
            width = float(re.fullmatch(r"width: (\d+)px", attributes["style"])[1])
            assert picture.width / width == pytest.approx(150 / 96, rel=0.01)


def test_names_are_escaped(text):
    page = Page(text)
    assert not page.all("b")
    assert "<b>" not in text
    assert {"<b>", "a & b", "cat"} <= set(re.findall(r"<b>|a & b|cat", page.sections["Classes"]))
    assert "<title>Run noise &amp; co</title>" in text


def test_classes_have_their_scores(text, run, archive):
    data = cnn.data.load(archive, image_size=8, split=run_folder.read_run(run).data["test"])
    predicted = cnn.predict(cnn.load(run), data.images).argmax(-1)
    for number, name in enumerate(data.class_names):
        chosen = data.labels == number
        recall = np.mean(predicted[chosen] == number)
        row = f"{name}{chosen.sum()}{recall:.1%}"
        assert row in Page(text).sections["Classes"]


def test_report_replaces_a_file(run, tmp_path, monkeypatch):
    # The parts are not looked at here.
    monkeypatch.setattr(
        "jaxcnn.recipes.reporting.sections_of", lambda run: {"Times": lambda run: ["text"]}
    )
    path = tmp_path / "page.html"
    path.write_text("before" * 10_000)
    assert recipes.report(run, path, progress=False) == path
    assert Page(path.read_text()).sections == {"Times": "text"}
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
    with pytest.raises(OSError, match=r"page\.html"):
        recipes.report(run, tmp_path / "no" / "page.html", progress=False)


def test_part_that_fails_says_why_and_the_others_follow(run, tmp_path, monkeypatch):
    def fail(run):
        raise MemoryError

    parts = {"One": fail, "Two": lambda run: ["text"], "Three": lambda run: []}
    monkeypatch.setattr("jaxcnn.recipes.reporting.sections_of", lambda run: parts)
    page = Page(recipes.report(run, tmp_path / "a.html", progress=False).read_text())
    assert page.sections == {"One": "One could not be made: MemoryError", "Two": "text"}


def test_run_whose_data_is_gone(run, archive, tmp_path):
    moved = shutil.copytree(run, tmp_path / "run")
    description = moved / "run.json"
    gone = str(tmp_path / "gone.npz")
    description.write_text(description.read_text().replace(str(archive), gone))
    page = Page(recipes.report(moved, progress=False).read_text())
    failed = {name for name, content in page.sections.items() if "could not be made" in content}
    assert failed == set(SECTIONS) - WITHOUT_DATA - {"Configuration"}
    for name in failed:
        assert gone in page.sections[name]
    assert len(page.all("img")) == 2


def test_run_made_by_fit(tmp_path):
    model = cnn.serial(cnn.conv(2, 3), cnn.flatten(), cnn.dense(3)).build(
        (8, 8, 1), rngs=nnx.Rngs(0)
    )
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 1)).astype(np.uint8)
    data = cnn.data.Dataset(images, np.arange(12, dtype=np.int32) % 3, NAMES)
    cnn.fit(
        model, data, validation=data, run=tmp_path / "run", epochs=1, batch_size=12,
        optimizer=optax.sgd(0.1), progress=False,
    )  # fmt: skip
    page = Page(recipes.report(tmp_path / "run", into=model, progress=False).read_text())
    assert "has no recipe" in page.sections["Configuration"]
    failed = {name for name, content in page.sections.items() if "could not be made" in content}
    assert failed == set(SECTIONS) - WITHOUT_DATA - {"Configuration", "Augmentation"}
    for name in failed:
        assert "does not name its data" in page.sections[name]
    assert "recipe.toml" not in page.sections["How to repeat it"]
    assert "Versions: jaxcnn" in page.sections["How to repeat it"]


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (0, ValueError, "images must be at least 1. Received: images=0"),
        (2.0, TypeError, "images must be an integer. Received: images=2.0"),
    ],
)
def test_number_of_images(images, error, message, tmp_path):
    with pytest.raises(error, match=message):
        recipes.report(tmp_path, images=images)


def test_folder_without_a_run(tmp_path):
    with pytest.raises(ValueError, match=re.escape(str(tmp_path))):
        recipes.report(tmp_path)
