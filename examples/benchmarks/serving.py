"""Compare servers of mnist_cnn: single-picture requests from another process, 32 connections.

``python examples/benchmarks/serving.py [--seconds 5] [--litserve-python PATH]``: requests per
second, latency, and the processor time of the server per request, which other programs of the
machine change less. The rounds of the servers alternate.
"""

import argparse
import asyncio
import base64
import contextlib
import gc
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from flax import nnx
from PIL import Image

import jaxcnn as cnn
from jaxcnn.data.decoding.framing import Framing
from jaxcnn.training import run_folder

FOLDER = Path(__file__).parent
COMMAND = (sys.executable, "-c", "from jaxcnn.cli.app import main; main()", "serve")
ROUNDS, START_SECONDS = 3, 120
GOAL = "at least 500 requests/s, p99 at most 50 ms"


class Server(NamedTuple):
    """A server of the table: its name, its command, and whether pictures are sent as JSON."""

    name: str
    command: Sequence[str]
    as_json: bool = True


class Load(NamedTuple):
    """Latencies of the requests of a round in seconds, its seconds, and the server's own."""

    latencies: np.ndarray
    seconds: float
    processor_seconds: float


def servers(run: str, litserve_python: str) -> list[Server]:
    """Return the servers to compare; ``PORT`` stands for the port."""
    own = [*COMMAND, run, "--port", "PORT"]
    plain, litserve = (str(FOLDER / f"serving_{name}.py") for name in ("contender", "litserve"))
    return [
        Server("jaxcnn, image/png", own, as_json=False),
        Server("jaxcnn", own),
        Server("jaxcnn, no batches", [*own, "--max-batch", "1"]),
        Server("LitServe + PyTorch", [litserve_python, litserve, "PORT", "batched"]),
        Server("LitServe + PyTorch, no batches", [litserve_python, litserve, "PORT", "single"]),
        Server("Starlette + PyTorch, no batches", [litserve_python, plain, "PORT"]),
    ]


def requests(as_json: bool) -> list[bytes]:
    """Return 64 requests, each a picture of its own."""
    rng, made = np.random.default_rng(0), []
    for pixels in rng.integers(0, 256, (64, 28, 28)).astype(np.uint8):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        body, kind = file.getvalue(), "image/png"
        if as_json:
            text = base64.b64encode(body).decode()
            body, kind = json.dumps({"images": [text]}).encode(), "application/json"
        head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n"
        made.append(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return made


class _Connection(asyncio.Protocol):
    """A connection that sends a request whenever the last one is answered, until a time."""

    def __init__(self, sent: list[bytes], until: float, latencies: list[float]) -> None:
        self._sent, self._until, self._latencies = sent, until, latencies
        self.done = asyncio.get_running_loop().create_future()
        self._number, self._buffer = 0, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._start = time.perf_counter()
        self._transport.write(self._sent[self._number % len(self._sent)])
        self._number += 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, blank, body = self._buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if len(body) < int(fields[b"content-length"]):
            return
        if not head.startswith(b"HTTP/1.1 200"):  # such as 503 before the network is ready
            self.done.set_exception(ConnectionError(self._buffer.decode()))
            self._transport.close()
            return
        assert len(json.loads(body)["predictions"][0]["classes"]) == 5
        now, self._buffer = time.perf_counter(), b""
        self._latencies.append(now - self._start)
        if now < self._until:
            self._send()
        else:
            self._transport.close()
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or EOFError("the server closed the connection"))


async def load(port: int, sent: list[bytes], connections: int, seconds: float) -> list[float]:
    """Return the latency of each request of a round."""
    loop, latencies = asyncio.get_running_loop(), []
    until = time.perf_counter() + seconds
    made = [
        await loop.create_connection(lambda: _Connection(sent, until, latencies), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.done for _, protocol in made))
    return latencies


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process and its children, from Linux's files."""
    parents, times = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:  # it has ended
            continue
        number = int(path.parent.name)
        parents[number], times[number] = int(fields[1]), int(fields[11]) + int(fields[12])
    family, size = {pid}, 0
    while size < len(family):
        size = len(family)
        family |= {number for number, parent in parents.items() if parent in family}
    return sum(times.get(number, 0) for number in family) / os.sysconf("SC_CLK_TCK")


def start(server: Server) -> tuple[subprocess.Popen[bytes], int]:
    """Start a server; return its process and port once it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(port) if word == "PORT" else word for word in server.command]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            asyncio.run(load(port, requests(server.as_json), 1, 0))
            return process, port
        except (OSError, EOFError):
            time.sleep(0.2)
    stop(process)
    raise TimeoutError(f"{server.name} has not started")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a server, and the processes that it has started: LitServe's outlive it."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def measure(server: Server, connections: int, seconds: float) -> Load:
    """Start a server and return the load of a round, after a second that is not counted."""
    process, port = start(server)
    try:
        sent = requests(server.as_json)
        asyncio.run(load(port, sent, connections, 1))
        used, began = processor_seconds(process.pid), time.perf_counter()
        latencies = asyncio.run(load(port, sent, connections, seconds))
        elapsed = time.perf_counter() - began
        return Load(np.array(latencies), elapsed, processor_seconds(process.pid) - used)
    finally:
        stop(process)


def row(name: str, rounds: list[Load]) -> str:
    """Return a row of the table: the best round, as others share the machine."""
    best = max(rounds, key=lambda each: len(each.latencies) / each.seconds)
    p50, p99 = np.percentile(best.latencies * 1e3, [50, 99])
    used = min(each.processor_seconds / len(each.latencies) for each in rounds) * 1e3
    rate = len(best.latencies) / best.seconds
    return f"| {name} | {rate:,.0f} | {p50:.1f} | {p99:.1f} | {used:.2f} |"


def write_run(folder: Path) -> None:
    """Write a run of mnist_cnn; its weights are random, which take as long."""
    shape = (28, 28, 1)
    model = cnn.models.create("mnist_cnn").build(shape, rngs=nnx.Rngs(0))
    described = run_folder.Run(
        "mnist_cnn", {"num_classes": 10}, shape, tuple("0123456789"), Framing(shape), None, {}
    )
    folder.mkdir()
    run_folder.finish_run(folder, described, model)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--litserve-python", default=sys.executable)
    options = parser.parse_args()
    gc.freeze()  # a collection that walks through all of JAX would count as a latency
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        write_run(run)
        compared = servers(str(run), options.litserve_python)
        found: dict[str, list[Load]] = {server.name: [] for server in compared}
        for _ in range(options.rounds):
            for server in compared:
                try:
                    load = measure(server, options.connections, options.seconds)
                    found[server.name].append(load)
                except TimeoutError as error:
                    print(error, file=sys.stderr)
    print(f"{options.connections} connections, {os.cpu_count()} cores; goal: {GOAL}\n")
    print("| server | requests/s | p50 ms | p99 ms | server's CPU ms/request |")
    print("| --- | --- | --- | --- | --- |")
    for name, rounds in found.items():
        print(row(name, rounds) if rounds else f"| {name} | – | – | – | – |")


if __name__ == "__main__":
    main()
