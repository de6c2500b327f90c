"""The code in README.md, CONTRIBUTING.md and docs/ runs; commands, links and paths exist."""

import itertools
import operator
import re
import runpy
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest

import jaxcnn as cnn
from jaxcnn import recipes

pytestmark = pytest.mark.implicit_promotion
ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
IN_ROOT = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG", "SECURITY")]
# The page of the changelog includes that in the root.
GUIDES = [*IN_ROOT, *sorted(set(DOCS.glob("*.md")) - {DOCS / "changelog.md"})]
PAGES = [*GUIDES, *sorted(DOCS.glob("course/*.md")), *sorted(DOCS.glob("api/*.md"))]
FENCED = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A fenced block of a page; `line` is the number of its first line of code."""

    language: str
    code: str
    line: int


def blocks_of(page):
    text = page.read_text(encoding="utf-8")
    return [
        Block(match[1], match[2], text.count("\n", 0, match.start()) + 2)
        for match in FENCED.finditer(text)
    ]


def prose_of(page):
    """Return the text of a page without its fenced blocks."""
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def anchors_of(page):
    """Return the anchors that GitHub derives from the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


BLOCKS = {page: blocks_of(page) for page in PAGES}
# `make docs` alone runs the chapters of the course and the gallery, which show values without
# printing them, and these, which need peers.
BUILT = ("coming-from-keras.md", "coming-from-pytorch.md", "gallery.md")
WITH_PYTHON = [
    page
    for page in GUIDES
    if page.name not in BUILT and any(block.language == "python" for block in BLOCKS[page])
]
SHELL_LINES = list(
    dict.fromkeys(
        line
        for page in PAGES
        for block in BLOCKS[page]
        if block.language == "sh"
        for line in block.code.splitlines()
    )
)
COMMANDS = [
    shlex.split(line, comments=True)[1:] for line in SHELL_LINES if line.startswith("jaxcnn ")
]


@pytest.fixture
def short_training(monkeypatch):
    """Train for one epoch on the first images, whatever options a page gives."""
    fit, train = cnn.fit, cnn.recipes.train
    fewer = ["training.epochs=1", 'data.train="train[:128]"']

    def fit_shortly(model, data, **options):
        if isinstance(data, cnn.Dataset):
            data = data[:128]
        return fit(model, data, **options | {"epochs": 1})

    def train_shortly(recipe, folder, *, assignments=()):
        return train(recipe, folder, assignments=[*assignments, *fewer])

    monkeypatch.setattr(cnn, "fit", fit_shortly)
    monkeypatch.setattr(cnn.recipes, "train", train_shortly)


# Those of the other pages are run by `make test-long`.
QUICK = ("README.md", "layers.md")


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=name_of(page), marks=[pytest.mark.long] * (page.name not in QUICK))
        for page in WITH_PYTHON
    ],
)
@pytest.mark.usefixtures("short_training")
def test_python_runs_and_prints_what_the_page_shows(page, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for block, following in itertools.zip_longest(BLOCKS[page], BLOCKS[page][1:]):
        if block.language != "python":
            continue
        # Empty lines before the code give tracebacks the line numbers of the page.
        code = "\n" * (block.line - 1) + block.code
        exec(compile(code, page, "exec"), namespace)
        printed = capsys.readouterr().out
        assert printed
        if following is not None and following.language == "text":
            assert printed == following.code


def test_outputs_are_shown():
    pairs = [pair for page in PAGES for pair in itertools.pairwise(BLOCKS[page])]
    shown = [pair for pair in pairs if [b.language for b in pair] == ["python", "text"]]
    assert len(shown) >= 4


def test_first_block_is_the_example():
    example = (ROOT / "examples" / "digits.py").read_text(encoding="utf-8")
    first = next(block.code for block in BLOCKS[PAGES[0]] if block.language == "python")
    assert example.endswith(first)


def test_readme_is_short():
    assert len(PAGES[0].read_text(encoding="utf-8").splitlines()) <= 250


PHRASES = r"\b(so many|told of|shall|amid|alike|takes? hold of|whilst|what is none)\b"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_phrases_that_a_technical_writer_would_not_use_are_absent(page):
    assert re.findall(PHRASES, prose_of(page), re.IGNORECASE) == []


def test_these_phrases_are_absent_from_the_source():
    files = [path for folder in ("jaxcnn", "examples") for path in (ROOT / folder).rglob("*.py")]
    found = [path for path in files if re.search(PHRASES, path.read_text("utf-8"), re.IGNORECASE)]
    assert len(files) > 400
    assert found == []


def test_every_language_is_checked():
    languages = {block.language for page in PAGES for block in BLOCKS[page]}
    directives = {"{toctree}", "{include}", "{eval-rst}"}  # of the site
    assert languages - directives == {"python", "sh", "toml", "text"}
    programs = {line.split()[0] for line in SHELL_LINES}
    assert programs == {"jaxcnn", "make", "pip", "python", ".venv/bin/python", ".venv/bin/ruff"}


def test_make_targets_exist():
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    used = {line.split()[1] for line in SHELL_LINES if line.startswith("make ")}
    used |= {name for page in PAGES for name in re.findall(r"`make ([\w-]+)`", prose_of(page))}
    assert used
    assert used <= set(targets)


def test_scripts_and_test_files_exist():
    calls = [shlex.split(line, comments=True) for line in SHELL_LINES if "python " in line]
    paths = {word.partition("::")[0] for call in calls for word in call if "/" in word[1:]}
    paths -= {".venv/bin/python"}
    assert paths
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


@pytest.fixture(scope="module")
def help_texts():
    return {}


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_commands_exist(arguments, help_texts, call_cli, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    command = " ".join(arguments[: 2 if arguments[0] == "data" else 1])
    if command not in help_texts:
        help_texts[command] = call_cli(*command.split(), "--help", cwd=tmp_path).stdout
    assert f" {command} " in help_texts[command]
    for option in (argument for argument in arguments if argument.startswith("--")):
        assert option in help_texts[command]


@pytest.mark.parametrize("arguments", [c for c in COMMANDS if "--set" in c], ids=" ".join)
def test_assignments_name_options_of_recipes(arguments):
    pairs = itertools.pairwise(arguments)
    recipes.read("digits", assignments=[value for option, value in pairs if option == "--set"])


def test_recipes_can_be_read(tmp_path):
    blocks = [b.code for page in PAGES for b in BLOCKS[page] if b.language == "toml"]
    assert blocks
    for number, recipe in enumerate(blocks):
        path = tmp_path / f"{number}.toml"
        path.write_text(recipe, encoding="utf-8")
        recipes.read(path)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", prose_of(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors_of(target), link


def test_index_lists_every_page():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    names = {page.name for page in DOCS.glob("*.md")} - {"index.md"}
    assert names
    assert [name for name in sorted(names) if f"]({name})" not in index] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_paths_in_the_text_exist(page):
    paths = re.findall(r"`((?:jaxcnn|tests|examples|docs)/[\w./-]*)`", prose_of(page))
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_names_in_the_text_exist(page):
    for name in re.findall(r"`cnn\.([\w.]+)", prose_of(page)):
        assert operator.attrgetter(name)(cnn), name


def test_drawing_shows_every_room():
    drawing = next(block.code for block in BLOCKS[PAGES[1]] if block.language == "text")
    rooms = {path.stem for path in (ROOT / "jaxcnn").iterdir() if path.suffix in ("", ".py")}
    assert rooms - {"__init__", "__main__", "__pycache__"} <= set(re.findall(r"\w+", drawing))


def test_picture_shows_the_network_as_it_is():
    script = runpy.run_path(str(DOCS / "images" / "draw_mnist_cnn.py"))
    assert script["FILE"].read_text(encoding="utf-8") == script["draw"]()
