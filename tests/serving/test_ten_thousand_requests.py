"""Ten thousand good and bad requests to the real process: it answers all, and stays small."""

import asyncio
import base64
import collections
import io
import json
import os
import socket
import struct
import subprocess
import sys

import numpy as np
import pytest
from flax import nnx
from PIL import Image
from test_requests import huge_png, png

import jaxcnn as cnn
from jaxcnn.data.decoding.framing import Framing
from jaxcnn.training import run_folder

COUNT, CLIENTS, SLOW = 10_000, 24, 60
# A tenth of the requests come before memory is measured: caches and pools are then full.
WARM = COUNT // 10
GROWTH_MB = 25
NAMES = tuple("abcde")


@pytest.fixture
def served(tmp_path):
    """A server process of a small network: its process, its port and the model."""
    folder = tmp_path / "run"
    folder.mkdir()
    network = cnn.serial(cnn.conv(4, 3), cnn.flatten(), cnn.dense(5))
    model = network.build((12, 12, 1), rngs=nnx.Rngs(0))
    framing = Framing((12, 12, 1), any_size=True)
    described = run_folder.Run(None, {}, (12, 12, 1), NAMES, framing, None, {})
    run_folder.finish_run(folder, described, model)
    limits = ["--timeout-s", "1.5", "--max-body-mb", "0.3", "--max-pixels", "500000"]
    command = [sys.executable, "-c", "from jaxcnn.cli.app import main; main()"]
    log = (tmp_path / "log").open("w+")
    process = subprocess.Popen(
        [*command, "serve", folder, "--port", "0", *limits],
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache"), "XLA_FLAGS": ""},
        stdout=subprocess.PIPE, stderr=log, text=True,
    )  # fmt: skip
    yield process, int(process.stdout.readline().rsplit(":", 1)[1]), model, log
    process.kill()
    process.wait()
    process.stdout.close()
    log.close()


def memory_mb(process):
    with open(f"/proc/{process.pid}/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))


def request(body, kind="image/png", *, path="/predict", verb="POST", length=None):
    length = len(body) if length is None else length
    head = f"{verb} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Length: {length}\r\nConnection: close\r\n\r\n".encode() + body


class Requests:
    """Requests of each kind, with the statuses that their answers may have."""

    def __init__(self, model, seed):
        self.rng = np.random.default_rng(seed)
        levels = np.arange(0, 256, 5, dtype=np.uint8)
        images = np.broadcast_to(levels[:, None, None, None], (len(levels), 12, 12, 1))
        self.rows = cnn.predict(model, images.copy(), activation="softmax")
        self.levels = levels.tolist()
        self.huge = huge_png(20_000)
        self.samples = [self.sample(kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")]

    def sample(self, kind):
        file = io.BytesIO()
        pixels = self.rng.integers(0, 256, (40, 30, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(file, kind)
        return file.getvalue()

    def good(self):
        number = int(self.rng.integers(len(self.levels)))
        size = [(12, 12), (40, 30), (300, 200)][int(self.rng.integers(3))]
        return request(png(self.levels[number], size)), {200}, [number]

    def several(self):
        numbers = self.rng.integers(len(self.levels), size=5).tolist()
        pictures = [png(self.levels[number], (20, 20)) for number in numbers]
        if self.rng.random() < 0.5:
            texts = [base64.b64encode(picture).decode() for picture in pictures]
            body, kind = json.dumps({"images": texts}).encode(), "application/json"
        else:
            parts = [b"--xy\r\nContent-Type: image/png\r\n\r\n" + each for each in pictures]
            body, kind = b"\r\n".join([*parts, b"--xy--\r\n"]), "multipart/form-data; boundary=xy"
        return request(body, kind), {200}, numbers

    def fuzzed(self):
        """Bytes of pictures, some of them changed: what can still be decoded is answered."""
        data = bytearray(self.samples[int(self.rng.integers(len(self.samples)))])
        first = 0 if self.rng.random() < 0.5 else 100
        for at in self.rng.integers(first, len(data), size=int(self.rng.integers(1, 9))):
            data[at] = int(self.rng.integers(256))
        return request(bytes(data)), {200, 400, 413}, None

    def truncated(self):
        data = self.samples[int(self.rng.integers(len(self.samples)))]
        return request(data[: int(self.rng.integers(len(data) - 900))]), {200, 400}, None

    def noise(self):
        kinds = ["image/png", "application/json", "multipart/form-data; boundary=xy", "text/x", ""]
        kind = kinds[int(self.rng.integers(len(kinds)))]
        return request(self.rng.bytes(int(self.rng.integers(500))), kind), {400, 415}, None

    def oversize(self):
        if self.rng.random() < 0.5:
            return request(bytes(301_000)), {413}, None
        head = b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        chunks = b"186a0\r\n" + bytes(100_000) + b"\r\n"
        return head + b"Connection: close\r\n\r\n" + 4 * chunks + b"0\r\n\r\n", {413}, None

    def bomb(self):
        return request(self.huge), {413}, None

    def misplaced(self):
        verb, path, status = [
            ("GET", "/predict", 405), ("POST", "/nowhere", 404), ("POST", "/predict?top=0", 400),
            ("POST", "/predict?x=1", 400), ("DELETE", "/", 405), ("POST", "/%00%ff", 404),
        ][int(self.rng.integers(6))]  # fmt: skip
        return request(png(5), path=path, verb=verb), {status}, None

    def no_http(self):
        return self.rng.bytes(int(self.rng.integers(1, 300))) + b"\r\n\r\n", {None, 400}, None

    def aborted(self):
        """An upload that ends early, or a client that goes before the answer."""
        whole = request(png(100, (300, 200)))
        return whole[: int(self.rng.integers(1, len(whole) + 1))], "reset", None

    def slow(self):
        return request(png(5), length=5_000), {408}, None


SHARES = {
    "good": 50, "several": 6, "fuzzed": 15, "truncated": 6, "noise": 6, "oversize": 2, "bomb": 2,
    "misplaced": 5, "no_http": 3, "aborted": 5,
}  # fmt: skip


async def send(port, data, statuses):
    """Return the status and the body of the answer; of a client that goes, nothing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        if statuses == "reset":
            await asyncio.sleep(0.002)
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            return "reset", b""
        answer = b""
        try:
            while part := await reader.read(65_536):
                answer += part
        except ConnectionResetError:  # after the answer, while the rest of an upload was on its way
            pass
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return (int(head.split()[1]) if head else None), body


async def attack(port, made, count):
    kinds = list(SHARES)
    shares = np.array(list(SHARES.values())) / sum(SHARES.values())
    plan = [kinds[number] for number in made.rng.choice(len(kinds), count, p=shares)]
    plan[:: count // SLOW] = ["slow"] * len(plan[:: count // SLOW])
    seen, left = collections.Counter(), iter(plan)

    async def work():
        for kind in left:
            data, statuses, numbers = getattr(made, kind)()
            status, body = await asyncio.wait_for(send(port, data, statuses), 60)
            seen[kind, status] += 1
            if statuses == "reset":
                continue
            assert status in statuses, (kind, status, body[:200], data[:200])
            if status is not None and status != 200:
                assert list(json.loads(body)) == ["error"], (kind, body)
                assert b"\n" not in body
            if numbers is not None:
                predictions = json.loads(body)["predictions"]
                for number, prediction in zip(numbers, predictions, strict=True):
                    found = {row["class"]: row["probability"] for row in prediction["classes"]}
                    values = [found[name] for name in NAMES]
                    np.testing.assert_allclose(values, made.rows[number], rtol=0, atol=2e-6)

    await asyncio.gather(*(work() for _ in range(CLIENTS)))
    return seen


@pytest.mark.long
def test_good_and_bad_requests(served):
    process, port, model, log = served
    seen = asyncio.run(attack(port, Requests(model, 0), WARM))
    before = memory_mb(process)
    seen += asyncio.run(attack(port, Requests(model, 1), COUNT - WARM))
    after = memory_mb(process)
    print(f"memory {before:.0f} → {after:.0f} MB", dict(sorted(seen.items(), key=str)))
    assert process.poll() is None
    assert sum(seen.values()) >= COUNT
    assert after - before < GROWTH_MB
    assert seen["slow", 408] >= SLOW
    log.seek(0)
    assert "Traceback" not in log.read()
