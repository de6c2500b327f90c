"""Refusals of `from_keras` that need no Keras: damaged files, and classes it does not know."""

import json
import sys
import zipfile

import pytest

from jaxcnn.interchange import from_keras


def entry(kind, name, *layers, module="keras.layers"):
    """A layer as Keras's files describe it."""
    config = {"name": name} | ({"layers": layers} if layers else {})
    return {"module": module, "class_name": kind, "config": config}


@pytest.fixture
def write(tmp_path):
    """Write an archive with these members; return its path."""

    def write(members, name="model.keras"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for member, text in members.items():
                archive.writestr(member, text)
        return tmp_path / name

    return write


def members(config):
    return {"config.json": json.dumps(config), "model.weights.h5": "numbers"}


def test_refuses_a_file_that_is_not_whole(write, tmp_path):
    whole = write(members(entry("Sequential", "net")))
    content = whole.read_bytes()
    changed = content.replace(b"numbers", b"numbars")
    for damaged in (b"", b"\x89HDF\r\n", content[:-30], changed):
        whole.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"must be a file in Keras.s format.* and whole"):
            from_keras(whole)
    for wrong in ({"config.json": "{}"}, {"model.weights.h5": ""}, {"config.json": "{"}):
        with pytest.raises(ValueError, match="must be a file in Keras's format"):
            from_keras(str(write(wrong)))
    with pytest.raises(ValueError, match=r"its name must end in \.keras"):
        from_keras(write({}, "model.h5"))
    with pytest.raises(FileNotFoundError, match="there is no file"):
        from_keras(tmp_path / "other.keras")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (entry("Lambda", "f"), r"^net \(Sequential\)/f \(Lambda\): a Lambda holds a program"),
        (entry("Model", "inner", entry("GRU", "memory")), r"inner \(Model\): no layer here comp"),
        (entry("Functional", "inner", entry("GRU", "g")), r"inner \(Functional\)/g \(GRU\): no l"),
        (entry("Conv2D", "mine", module="elsewhere"), r"mine \(Conv2D\): no layer here computes"),
        (entry("Conv2D", "mine", module=None), r"mine \(Conv2D\): no layer here computes"),
        ([], r"net \(Sequential\): a layer of the file has no class"),
    ],
)
def test_refuses_classes_before_anything_is_made_of_them(write, config, message):
    path = write(members(entry("Sequential", "net", entry("ReLU", "relu"), config)))
    with pytest.raises(ValueError, match=message):
        from_keras(path)


def test_says_what_to_install(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ImportError, match=r"pip install keras.*KERAS_BACKEND"):
        from_keras(write(members(entry("Sequential", "net", entry("ReLU", "relu")))))


@pytest.mark.parametrize("wrong", [3, None, from_keras, [1, 2]])
def test_refuses_what_is_no_model(wrong):
    with pytest.raises(TypeError, match=r"model must be a keras\.Sequential or functional model"):
        from_keras(wrong)
