"""The examples run; test_documents.py runs the one of the README."""

import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.implicit_promotion
EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.long
@pytest.mark.parametrize(("name", "epochs"), [("own_training_loop", 2), ("own_module", 4)])
def test_example_learns(name, epochs):
    module = runpy.run_path(str(EXAMPLES / f"{name}.py"))
    assert module["main"](epochs=epochs) > 0.8


def test_every_example_is_run():
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    # tests/peers/test_faces.py compares the faces with those that facenet-pytorch finds.
    assert names == {"digits", "own_training_loop", "own_module", "faces", "fine_tune"}
