"""The report of a run in Chromium, which is driven over the pipes of its DevTools protocol."""

import base64
import contextlib
import fcntl
import io
import json
import os
import select
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from jaxcnn import recipes

CHROMIUM = shutil.which("chromium")

pytestmark = [
    pytest.mark.long,
    pytest.mark.implicit_promotion,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-pipe",
)  # fmt: skip
# The browser reads file descriptor 3 and writes 4, which it finds open.
START = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); "
    "os.execv(sys.argv[3], sys.argv[3:])"
)


class Browser:
    """A connection to a browser: commands with their results, and the events between them."""

    def __init__(self, read, write):
        self.read, self.write = read, write
        self.buffer, self.events, self.number, self.session = b"", [], 0, None

    def receive(self, seconds=60):
        deadline = time.monotonic() + seconds
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.read], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"the browser has sent nothing for {seconds} s"
            chunk = os.read(self.read, 1 << 20)
            assert chunk, "the browser has ended"
            self.buffer += chunk
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session is not None:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while (answer := self.receive()).get("id") != self.number:
            self.events.append(answer)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def evaluate(self, expression):
        found = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def open(self, url):
        self.call("Page.navigate", url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self.receive())

    def screenshot(self):
        size = self.evaluate("[innerWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(shot["data"])


@pytest.fixture(scope="module")
def start_browser(tmp_path_factory):
    """Start a browser with one empty page."""

    @contextlib.contextmanager
    def start():
        folder = tmp_path_factory.mktemp("browser")
        commands, answers = os.pipe(), os.pipe()
        theirs = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (commands[0], answers[1])]
        browser = [CHROMIUM, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        process = subprocess.Popen(
            [sys.executable, "-c", START, *map(str, theirs), *browser],
            pass_fds=theirs,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for fd in (*theirs, commands[0], answers[1]):
            os.close(fd)
        try:
            browser = Browser(answers[0], commands[1])
            target = browser.call("Target.createTarget", url="about:blank")["targetId"]
            attached = browser.call("Target.attachToTarget", targetId=target, flatten=True)
            browser.session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                browser.call(f"{domain}.enable")
            yield browser
        finally:
            process.terminate()
            process.wait(60)
            os.close(answers[0])
            os.close(commands[1])

    return start


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The report of a run of two epochs on small digits."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    changes = ["model.name=tiny_cnn", "data.image_size=[12, 12]", "training.epochs=2"]
    recipes.train("digits", folder, assignments=changes, progress=False)
    return recipes.report(folder, progress=False)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_report_fits_every_screen(start_browser, page, width, height, scheme, tmp_path):
    with start_browser() as browser:
        browser.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=2, mobile=width < 600,
        )  # fmt: skip
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.call("Emulation.setEmulatedMedia", features=features)
        browser.open(page.as_uri())
        pictures = browser.evaluate(
            "Promise.all([...document.images].map(async image => {"
            "  await image.decode();"
            "  const figure = image.parentElement.getBoundingClientRect();"
            "  return [image.complete, image.naturalWidth, figure.right]"
            "}))"
        )
        assert len(pictures) > 10
        for complete, natural, right in pictures:
            assert complete
            assert natural > 0
            assert 0 < right <= width
        sizes = browser.evaluate(
            "[document.documentElement.scrollWidth, innerWidth, document.body.scrollWidth]"
        )
        assert sizes[0] <= sizes[1] == width
        assert sizes[2] <= width
        # The page is dark where the reader's system is, its text is not, and neither is a diagram.
        colors = browser.evaluate(
            "['body', '.diagram svg text', 'td', 'a'].map(name => {"
            "  const style = getComputedStyle(document.querySelector(name));"
            "  return name.includes('svg') ? style.fill : style.color"
            "}).concat(getComputedStyle(document.body).backgroundColor)"
        )
        *texts, background = [brightness(color) for color in colors]
        for text in texts:
            assert abs(text - background) > 80, colors
        assert (background < 128) == (scheme == "dark")
        with Image.open(io.BytesIO(browser.screenshot())) as shot:
            pixels = np.asarray(shot.convert("L"))
        assert pixels.shape[1] == 2 * width
        assert (np.median(pixels) < 128) == (scheme == "dark")
        if folder := os.environ.get("SCREENSHOTS"):
            shot.save(f"{folder}/{width}-{scheme}.png")
    assert_quiet(browser.events)


def test_report_prints(start_browser, page):
    with start_browser() as browser:
        browser.open(page.as_uri())
        printed = browser.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
    data = base64.b64decode(printed["data"])
    assert data.startswith(b"%PDF-")
    assert 3 < data.count(b"/Type /Page\n") < 40
    assert data.count(b"/Subtype /Image") > 10
    assert_quiet(browser.events)


def brightness(color):
    """Return the mean of the red, green and blue of ``rgb(…)``."""
    numbers = color.partition("(")[2].rstrip(")").split(",")
    return sum(float(number) for number in numbers[:3]) / 3


def assert_quiet(events):
    """No error was logged, nothing was thrown, and nothing but the page was asked for."""
    methods = [event["method"] for event in events]
    assert "Runtime.exceptionThrown" not in methods
    assert "Runtime.consoleAPICalled" not in methods
    logged = [event["params"]["entry"] for event in events if event["method"] == "Log.entryAdded"]
    assert not logged
    urls = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert urls
    assert all(url.startswith(("file:", "data:")) for url in urls)
    assert sum(url.startswith("file:") for url in urls) == 1
