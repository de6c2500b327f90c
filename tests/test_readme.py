"""The README's Python is run, its commands exist, and what it prints is what it says."""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

import jaxcnn as cnn

pytestmark = pytest.mark.implicit_promotion
ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]


@pytest.fixture
def short_fit(monkeypatch):
    """Trains for one epoch, whatever the example asks for."""
    fit = cnn.fit
    monkeypatch.setattr(cnn, "fit", lambda *args, **options: fit(*args, **options | {"epochs": 1}))


@pytest.mark.usefixtures("short_fit")
@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_python_runs(code, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out


def test_python_prints_what_the_readme_shows(capsys):
    shown = [
        (code, text)
        for (before, code), (language, text) in pairwise(BLOCKS)
        if (before, language) == ("python", "text")
    ]
    assert shown
    for code, text in shown:
        exec(compile(code, "README.md", "exec"), {})
        assert capsys.readouterr().out == text


def test_first_block_is_the_example():
    example = (ROOT / "examples" / "digits.py").read_text(encoding="utf-8")
    assert example.endswith(PYTHON[0])


def test_make_targets_exist():
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    used = re.findall(r"^make ([\w-]+)", README, re.MULTILINE)
    assert used
    assert set(used) <= set(targets)


def command_lines():
    lines = [line for language, code in BLOCKS if language == "sh" for line in code.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("jaxcnn")]


@pytest.mark.parametrize("arguments", command_lines(), ids=" ".join)
def test_commands_exist(arguments, run_cli):
    command = arguments[: 2 if arguments[0] == "data" else 1]
    help_text = run_cli(*command, "--help").stdout
    assert f" {' '.join(command)} " in help_text
    for option in (argument for argument in arguments if argument.startswith("--")):
        assert option in help_text


def test_linked_files_exist():
    links = re.findall(r"\]\((?!http)([^)]+)\)", README)
    assert links
    assert all((ROOT / link).exists() for link in links)
