"""What is published agrees: versions, and the targets, extras and paths that the workflow names."""

import re
import tomllib
from pathlib import Path

import yaml

import jaxcnn

ROOT = Path(__file__).parent.parent


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


PROJECT = tomllib.loads(text_of("pyproject.toml"))
WORKFLOW = yaml.safe_load(text_of(".github/workflows/tests.yml"))
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]


def test_the_version_is_the_same_everywhere():
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "jaxcnn/__init__.py"
    assert yaml.safe_load(text_of("CITATION.cff"))["version"] == jaxcnn.__version__
    newest, *_ = re.findall(r"^## \[(.+?)\]", text_of("CHANGELOG.md"), re.MULTILINE)
    assert newest == jaxcnn.__version__


def test_the_workflow_names_what_exists():
    commands = [step["run"] for step in STEPS if "run" in step]
    targets = {name for line in commands for name in re.findall(r"^make ([\w-]+)", line)}
    assert targets == {"docs", "dist-check"}
    assert targets <= set(re.findall(r"^([\w-]+):", text_of("Makefile"), re.MULTILINE))
    extras = {name for line in commands for name in re.findall(r"\[(\w+)\]", line)}
    assert extras == {"test"}
    assert extras <= PROJECT["project"]["optional-dependencies"].keys()
    # What the commands write: docs/build.py the site, hatch the distributions.
    uploaded = {step["with"]["path"] for step in STEPS if "upload" in step.get("uses", "")}
    assert uploaded == {"docs/_build/html", "dist"}
    assert 'DOCS / "_build" / "html"' in text_of("docs/build.py")
    assert "dist/*" in text_of("Makefile")


def test_the_workflow_waits_and_tests_the_declared_versions():
    jobs = WORKFLOW["jobs"]
    assert set(jobs["release"]["needs"]) == jobs.keys() - {"release"}
    classifiers = PROJECT["project"]["classifiers"]
    declared = [found[1] for each in classifiers if (found := re.search(r":: (3\.\d+)$", each))]
    tested = jobs["tests"]["strategy"]["matrix"]["python"]
    assert tested[: len(declared)] == declared  # then newer ones, which may fail


def test_the_sdist_has_what_it_names():
    included = PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert [name for name in included if not (ROOT / name).exists()] == []


def test_checked_files_of_the_distributions_exist():
    script = text_of(".ci/check-dist")
    paths = re.findall(r"(?:tests|examples)/[\w/]+\.py", script)
    assert len(paths) > 5
    assert [path for path in paths if not (ROOT / path).is_file()] == []
