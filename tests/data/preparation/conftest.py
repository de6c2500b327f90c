"""A local server of files, with faults, and small data sets in place of the published ones."""

import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import published
import pytest

from jaxcnn.data.preparation import install


class Server(ThreadingHTTPServer):
    """Serves ``contents`` by name; the next answer for a name is the first of its ``faults``."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.contents, self.faults, self.asked = {}, {}, []
        self.ranges = True
        self.released = threading.Event()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/files"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.rpartition("/")[2]
        start = int(re.findall(r"\d+", self.headers.get("Range", "0"))[0])
        self.server.asked.append((name, start))
        faults = self.server.faults.get(name)
        fault = faults.pop(0) if faults else None
        whole = self.server.contents.get(name)
        if isinstance(fault, int) or whole is None:
            self.send_error(fault or 404)
        elif fault == "silent":
            self.server.released.wait()
        else:
            self.send_part(whole, start if self.server.ranges else 0, fault or {})

    def send_part(self, whole, start, fault):
        rest = fault.get("replaced", whole)[start:]
        self.send_response(206 if start else 200)
        if start:
            last = start + len(rest) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{last + 1}")
        if not fault.get("no_length"):
            self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        for begin in range(0, len(rest), step := fault.get("slow", len(rest) or 1)):
            time.sleep(0.05 if "slow" in fault else 0)
            self.wfile.write(rest[begin : begin + step][: fault.get("cut", len(rest))])
        if fault.get("stall"):
            self.wfile.flush()
            self.server.released.wait()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def small(monkeypatch, server):
    """Put a small set into the catalog and on the server; return its images and labels."""

    def put(name):
        entry, contents, splits = published.publish(name)
        monkeypatch.setattr(install, "CATALOG", {name: entry})
        server.contents |= contents
        return splits

    return put
