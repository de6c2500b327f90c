"""The networks that are served: runs and ONNX files give what `jaxcnn predict` gives."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict

import httpx
import numpy as np
import onnx
import pytest
from flax import nnx
from test_requests import call, png

import jaxcnn as cnn
from jaxcnn.data.decoding.framing import Framing
from jaxcnn.interchange.signature import Signature
from jaxcnn.serving import ServedNetwork, open_network
from jaxcnn.training import run_folder

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 6, 6, 1)).astype(np.uint8)
FRAMING = Framing((6, 6, 1), any_size=True)
NAMES = ("low", "high")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    network = cnn.serial(cnn.flatten(), cnn.dense(2))
    model = network.build((6, 6, 1), rngs=nnx.Rngs(0))
    described = run_folder.Run(
        model=None, options={}, input_shape=(6, 6, 1), class_names=NAMES, framing=FRAMING,
        data=None, metrics={},
    )  # fmt: skip
    folder.mkdir()
    run_folder.finish_run(folder, described, model)
    return folder, model


def write_onnx(path, *, signature=None, batch=None, dtype="uint8"):
    """Write the mean level and the rest of it to one as an ONNX file, by its operators."""
    helper, types = onnx.helper, onnx.TensorProto
    kind = types.UINT8 if dtype == "uint8" else types.FLOAT
    scale = 255.0 if dtype == "uint8" else 1.0
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=types.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["means"], keepdims=0),
        helper.make_node("Div", ["means", "scale"], ["light"]),
        helper.make_node("Sub", ["one", "light"], ["dark"]),
        helper.make_node("Concat", ["dark", "light"], ["outputs"], axis=1),
    ]
    constants = [
        onnx.numpy_helper.from_array(np.array([1, 2]), "axes"),
        onnx.numpy_helper.from_array(np.float32(scale), "scale"),
        onnx.numpy_helper.from_array(np.float32(1), "one"),
    ]
    size = batch or "batch"
    graph = helper.make_graph(
        nodes, "levels", [helper.make_tensor_value_info("images", kind, [size, 6, 6, 1])],
        [helper.make_tensor_value_info("outputs", types.FLOAT, [size, 2])], constants,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    if signature is not None:
        helper.set_model_props(model, {"jaxcnn": signature})
    path.write_bytes(model.SerializeToString())
    return path


def signature(**changes):
    values = {"input_dtype": "uint8", "activation": "softmax", "class_names": NAMES}
    return Signature((6, 6, 1), **(values | {"framing": asdict(FRAMING)} | changes)).to_json()


def test_a_run_is_served_as_predict_predicts(run):
    """Batches of every size are filled up to powers of two."""
    folder, model = run
    network = open_network(folder)
    expected = cnn.predict(model, IMAGES, activation="softmax")
    for count in (1, 2, 3, 5, 12):
        found = network.predict(IMAGES[:count], most=12)
        np.testing.assert_allclose(found, expected[:count], rtol=0, atol=1e-6)
    picture = png(77, size=(31, 17))
    (answer,) = call(("POST", "/predict", {"content": picture}), network=network, max_batch=2)
    (row,) = cnn.predict(model, np.full((1, 6, 6, 1), 77, np.uint8), activation="softmax")
    classes = answer.json()["predictions"][0]["classes"]
    assert {each["class"]: each["probability"] for each in classes} == pytest.approx(
        dict(zip(NAMES, row.tolist(), strict=True)), abs=1e-5
    )


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("batch", [None, 4])
def test_an_onnx_file_is_served(tmp_path, dtype, batch):
    text = signature(input_dtype=dtype)
    network = open_network(
        write_onnx(tmp_path / "n.onnx", signature=text, batch=batch, dtype=dtype)
    )
    assert network.class_names == NAMES
    network.warm_up(8)
    light = IMAGES[:7].mean((1, 2, 3), dtype=np.float64) / 255
    found = network.predict(IMAGES[:7], most=8)
    np.testing.assert_allclose(found, np.stack([1 - light, light], 1), rtol=0, atol=1e-6)


def test_a_network_warms_up_once():
    sizes = []
    network = ServedNetwork(
        lambda images: sizes.append(len(images)), (4, 4, 1), Framing((4, 4, 1)), fills_batches=True
    )
    network.warm_up(6)
    network.warm_up(6)
    assert sizes == [1, 2, 4, 6]


def test_files_that_cannot_be_served(tmp_path, run):
    folder, _ = run
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "run.json").write_text((folder / "run.json").read_text()[:-9])
    (tmp_path / "text.onnx").write_text("no network")
    write_onnx(tmp_path / "unsigned.onnx")
    write_onnx(tmp_path / "damaged.onnx", signature='{"input_shape": [6, 6, 1]}')
    write_onnx(tmp_path / "task.onnx", signature=signature(task="sing"))
    write_onnx(tmp_path / "boxes.onnx", signature=signature(task="detect"))
    write_onnx(tmp_path / "framing.onnx", signature=signature(framing={"shape": [6, 6, 1]}))
    shape = signature().replace("[6, 6, 1]", "[6, 6]", 1)
    write_onnx(tmp_path / "series.onnx", signature=shape)
    for path, message in {
        tmp_path / "none": "there is no run in",
        damaged: "is damaged",
        tmp_path / "text.onnx": "is not an ONNX file",
        tmp_path / "unsigned.onnx": "has no signature",
        tmp_path / "damaged.onnx": "is damaged: its signature",
        tmp_path / "task.onnx": "task must be",
        tmp_path / "boxes.onnx": "must be exported with its boxes",
        tmp_path / "framing.onnx": "is damaged: its signature",
        tmp_path / "series.onnx": "only networks of pictures",
    }.items():
        with pytest.raises(ValueError, match=message) as raised:
            open_network(path)
        assert "\n" not in str(raised.value)
    with pytest.raises(FileNotFoundError):
        open_network(tmp_path / "none.onnx")


def test_the_command_says_what_is_wrong(call_cli, tmp_path, run):
    """A port in use is said before the run is read."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = call_cli("serve", tmp_path / "none", "--port", port)
        assert (result.returncode, result.stderr.count("\n")) == (2, 1)
        assert f"port {port} of 127.0.0.1 cannot be used" in result.stderr
    for arguments, message in (
        ((tmp_path / "none", "--port", 0), "there is no run in"),
        ((tmp_path / "none.onnx", "--port", 0), "No such file"),
        ((run[0], "--port", 0, "--host", "no.such.host.invalid"), "--host must be"),
        ((run[0], "--port", 0, "--timeout-s", 0), "timeout_s must be"),
    ):
        result = call_cli("serve", *arguments)
        assert result.returncode == 2, message
        assert message in result.stderr
        assert result.stderr.count("\n") == 1


@pytest.fixture
def served(run, cache_folder):
    """A server process of the run: its address and the process."""
    command = [sys.executable, "-c", "from jaxcnn.cli.app import main; main()", "serve"]
    process = subprocess.Popen(
        [*command, run[0], "--port", "0", "--timeout-s", "1", "--max-batch", "16"],
        env=os.environ | {"XDG_CACHE_HOME": str(cache_folder)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    line = process.stdout.readline()
    assert line.startswith(f"Serving {run[0]} at http://127.0.0.1:"), line
    yield line.split()[-1], process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.long
def test_a_process_answers_requests_in_progress_when_it_is_stopped(served):
    address, process = served
    host, port = address.removeprefix("http://").split(":")
    picture = png(200)
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(picture)}\r\n\r\n".encode()
    with socket.create_connection((host, int(port))) as sent:
        sent.sendall(head + picture[:30])
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        sent.sendall(picture[30:])
        answer = b"".join(iter(lambda: sent.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert "high" in answer.decode()
    assert process.wait(20) == 0


@pytest.mark.long
def test_slow_and_large_headers_are_closed(served):
    address, _ = served
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(b"GET /healthz HTTP/1.1\r\n")
        slow.settimeout(10)
        start = time.monotonic()
        assert slow.recv(100) == b""
        assert time.monotonic() - start < 5
    with socket.create_connection((host, int(port))) as large:
        large.sendall(b"GET /healthz HTTP/1.1\r\nA: " + b"x" * 60_000)
        assert large.recv(1_000).startswith(b"HTTP/1.1 400")
    assert httpx.get(f"{address}/healthz").status_code == 200


def test_no_thread_is_left(run):
    """An application that has ended leaves no thread of its own."""
    before = threading.active_count()
    call(("GET", "/healthz", {}), network=open_network(run[0]), max_batch=1)
    assert threading.active_count() <= before + 1  # of asyncio's own pool
