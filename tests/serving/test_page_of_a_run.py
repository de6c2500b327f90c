"""The page of a trained network in Chromium, as `jaxcnn serve` serves it."""

import contextlib
import re
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from test_network_view import SEEN
from test_page_in_browser import wait_until

import jaxcnn as cnn
from jaxcnn.data.resizing import SQUASH
from jaxcnn.recipes.exporting import export_run
from jaxcnn.serving import build_page
from jaxcnn.training import run_folder

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.long

# Frames in two seconds in which the drawing grows by a point each.
FRAMES = """(() => new Promise((resolve) => {
  const board = document.querySelector('.nv-board');
  const seen = document.querySelector('.nv-seen');
  const box = board.getBoundingClientRect();
  const put = seen.getContext('2d').putImageData;
  let frames = 0;
  seen.getContext('2d').putImageData = function (...all) { frames += 1; put.apply(this, all); };
  const send = (kind, n) => board.dispatchEvent(new PointerEvent(kind, {
    clientX: box.left + 140 + 90 * Math.cos(n / 9),
    clientY: box.top + 140 + 90 * Math.sin(n / 9),
  }));
  board.setPointerCapture = () => {};
  const start = performance.now();
  send('pointerdown', 0);
  let n = 0;
  const step = () => {
    const passed = performance.now() - start;
    if (passed > 2000) { send('pointerup', n); return resolve(frames * 1000 / passed); }
    send('pointermove', n += 1);
    return requestAnimationFrame(step);
  };
  step();
}))()"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of the recipe `digits`, trained."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    command = [sys.executable, "-m", "jaxcnn", "train", "--seed", "0", "--out", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@contextlib.contextmanager
def served(path):
    """Serve a network; the address."""
    command = [
        sys.executable,
        "-m",
        "jaxcnn",
        "serve",
        str(path),
        "--port",
        "0",
        "--max-batch",
        "1",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def address(run):
    with served(run) as found:
        yield found


@pytest.fixture
def opened(open_address, address):
    def open_page(**options):
        page = open_address(address, **options)
        page.locator(".nv-board").scroll_into_view_if_needed()
        return page

    return open_page


def numbers(texts):
    return np.array([float(text.replace("−", "-")) for text in texts])


def strokes_of(levels):
    """Return lines through the dark pixels of a digit of 8×8: along rows, columns and diagonals."""
    dark = levels >= 128
    lines = []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        for y, x in np.argwhere(dark):
            ahead = y + down, x + right
            if not (ahead[0] < 8 and 0 <= ahead[1] < 8 and dark[ahead]):
                continue
            if not (down and right and (dark[ahead[0], x] or dark[y, ahead[1]])):
                lines.append(((y, x), ahead))
    return lines or [((y, x), (y, x)) for y, x in np.argwhere(dark)]


def draw(page, lines, side=8):
    page.get_by_role("button", name="Clear").click()
    box = page.locator(".nv-board").bounding_box()
    for line in lines:
        points = [
            (
                box["x"] + box["width"] * (x + 0.5) / side,
                box["y"] + box["height"] * (y + 0.5) / side,
            )
            for y, x in line
        ]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point)
        page.mouse.up()
    settle(page)


def settle(page):
    """Wait until the last drawing is computed and shown."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def shares(page):
    return numbers(text.split()[0] for text in page.locator(".nv-bars b").all_inner_texts())


def seen(page):
    return np.array(page.evaluate(SEEN), np.uint8).reshape(1, 28, 28, 1)


def test_a_drawn_digit_of_the_test_set_gives_its_class(opened, run):
    """The first two held-out digits of each class, drawn with the mouse."""
    page, model = opened(), cnn.load(run)
    test = cnn.data.load("digits", split="test")
    answers = []
    for label in range(10):
        for row in np.flatnonzero(np.asarray(test.labels) == label)[:2]:
            draw(page, strokes_of(np.asarray(test.images)[row, ..., 0]))
            expected = np.asarray(cnn.predict(model, seen(page)))[0]
            found = shares(page)
            np.testing.assert_allclose(found, 100 * expected, atol=0.06)
            answers.append((label, int(found.argmax())))
            print(f"{label}: {found.argmax()} with {found.max():.1f} %")
    print(f"{page.evaluate(FRAMES):.0f} frames/s while drawing")
    # A line through every dark pixel is not how the digit was written: 19 of 20.
    assert sum(label == answer for label, answer in answers) >= 18
    assert {label for label, answer in answers if label == answer} == set(range(10))


def test_a_camera_picture_is_prepared_as_the_library_does(opened, run):
    """A thin 3 on gray paper: position, thickness and size are those of `Framing.apply`."""
    page = opened()
    pixels = page.evaluate(
        """(() => {
          const canvas = document.createElement('canvas');
          const paper = canvas.getContext('2d', { willReadFrequently: true });
          canvas.width = canvas.height = 160;
          paper.fillStyle = '#ddd';
          paper.fillRect(0, 0, 160, 160);
          paper.lineWidth = 4;
          paper.beginPath();
          paper.arc(70, 60, 16, -2.5, 1.5);
          paper.arc(70, 94, 18, -1.5, 2.5);
          paper.stroke();
          const text = document.getElementById('network-data').textContent;
          const { signature } = JSON.parse(text);
          const seen = Jaxcnn.pictureFramer(signature.input_shape, signature.framing)(canvas);
          const levels = paper.getImageData(0, 0, 160, 160).data;
          return [Array.from(levels).filter((_, i) => i % 4 === 0), Array.from(seen)];
        })()"""
    )
    paper, found = (np.array(each, np.uint8) for each in pixels)
    framing = run_folder.read_run(run).framing
    framed = framing.apply(Image.fromarray(paper.reshape(160, 160)))
    expected = SQUASH.images(framed[None], (28, 28))
    assert expected.max() > 200
    np.testing.assert_allclose(found.reshape(1, 28, 28, 1), expected, atol=3)
    assert np.asarray(cnn.predict(cnn.load(run), expected)).argmax() == 3


def test_a_finger_draws(opened):
    page = opened(width=390, height=844, has_touch=True, is_mobile=True)
    box, touches = page.locator(".nv-board").bounding_box(), page.context.new_cdp_session(page)
    before = page.evaluate("scrollY")
    for kind, share in (("Start", 0.1), *(("Move", n / 10) for n in range(2, 10)), ("End", None)):
        point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] * (share or 0)}
        points = [] if share is None else [point]
        touches.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})
    settle(page)
    assert page.evaluate("scrollY") == before
    assert shares(page).argmax() == 1


def test_keys_draw(opened):
    page = opened()
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("application", name="Area to draw on").focus()
    for key, count in (("ArrowUp", 8), (" ", 1), ("ArrowDown", 16), (" ", 1), ("ArrowRight", 8)):
        for _ in range(count):
            page.keyboard.press(key)
    settle(page)
    assert shares(page).argmax() == 1
    drawn = seen(page)[0, ..., 0]
    assert (
        np.ptp(np.flatnonzero(drawn.max(axis=1))) > 20 > np.ptp(np.flatnonzero(drawn.max(axis=0)))
    )


def test_tab_reaches_every_control(opened):
    page = opened()
    wanted = page.evaluate(
        """(() => {
          const all = [...document.querySelectorAll('a[href], button, input, [tabindex="0"]')]
            .filter(e => e.checkVisibility() && !(e.type === 'radio' && !e.checked));
          all.forEach((e, n) => { e.dataset.reached = n; });
          return all.length;
        })()"""
    )
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.locator(".skip").focus()
    reached = set()
    for _ in range(wanted + 5):
        reached.add(page.evaluate("document.activeElement.dataset.reached"))
        page.keyboard.press("Tab")
    assert {str(n) for n in range(wanted)} <= reached
    assert wanted > 60


def test_values_are_those_of_conv_and_dense(opened, run):
    page, model = opened(), cnn.load(run)
    page.get_by_role("button", name="Test picture of class 5").first.click()
    settle(page)
    x = jnp.asarray(seen(page), jnp.float32) / 255
    conv = cnn.ops.conv(x, model.conv_1.kernel[...], model.conv_1.bias[...])
    pooled = cnn.ops.max_pool(jnp.maximum(conv, 0), 2)
    outputs = np.asarray(cnn.ops.conv(pooled, model.conv_2.kernel[...], model.conv_2.bias[...]))

    def choose_value(layer, map_, row, column):
        strip = page.get_by_role("group", name=f"Maps of {layer}.")
        strip.focus()
        for _ in range(map_):
            page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        large = page.locator(".nv-large")
        if large.is_visible():
            large.focus()
            for key, count in (("Up", 30), ("Left", 30), ("Down", row), ("Right", column)):
                for _ in range(count):
                    page.keyboard.press(f"Arrow{key}")
        return numbers(re.findall(r"[−-]?\d+(?:\.\d+)?", page.inner_text(".nv-total")))

    # The strips begin before their first map.
    parts = choose_value("conv_2", 3, 4, 6)
    assert page.inner_text(".nv-place") == "conv_2, map 3, row 5, column 7"
    assert parts[-1] == pytest.approx(outputs[0, 4, 6, 2], abs=1e-4)
    shown, count, rest, others, bias, value = parts
    assert (count, others) == (6, 58)
    assert shown + rest + bias == pytest.approx(value, abs=3e-4)
    window = np.asarray(pooled[0, 4:7, 6:9]) * np.asarray(model.conv_2.kernel[..., 2])
    largest = np.argsort(-np.abs(window.sum(axis=(0, 1))))[:6]
    for place, channel in enumerate(largest):
        block = page.locator(".nv-detail .worked-channel").nth(place)
        assert block.locator("h5").inner_text() == f"input map {channel + 1}"
        products = numbers(block.locator(".products td").all_inner_texts())
        np.testing.assert_allclose(products, window[..., channel].ravel(), atol=1e-4)
        total = numbers([block.locator(".sum").inner_text()])
        np.testing.assert_allclose(total, window[..., channel].sum(), atol=1e-4)

    logits = np.log(np.asarray(cnn.predict(model, seen(page)))[0])
    values = [choose_value("dense_1", n, 0, 0)[-1] for n in (1, 1)]
    np.testing.assert_allclose(np.diff(values), np.diff(logits[:2]), atol=1e-3)
    cells = page.locator(".nv-products tr td:last-child").all_inner_texts()[:-1]
    cells = numbers(cell.removeprefix("= ") for cell in cells)
    np.testing.assert_allclose(cells.sum(), values[-1], atol=1e-3)


def test_the_network_is_in_spanish_too(opened):
    page = opened(locale="es-MX")
    page.get_by_role("group", name="Mapas de conv_1.").focus()
    page.keyboard.press("Enter")
    assert "sesgo" in page.inner_text(".nv-total")
    assert page.locator(".nv-detail caption").first.inner_text() == "Ventana"
    assert "fila 14, columna 14" in page.inner_text(".nv-place")
    assert "se dibujan los primeros 256 de 576" in page.inner_text(".nv-strips")
    page.get_by_role("button", name="EN", exact=True).click()
    settle(page)
    assert "bias" in page.inner_text(".nv-total")
    assert page.locator(".nv-detail caption").first.inner_text() == "Window"
    assert "the first 256 of 576 are drawn" in page.inner_text(".nv-strips")


def test_the_camera_is_watched_and_ends(opened):
    page = opened()
    before = seen(page)
    page.get_by_role("button", name="Camera").click()
    wait_until(page, "document.querySelector('.nv-video').videoWidth > 0")
    settle(page)
    assert (seen(page) != before).any()
    answer, best = page.evaluate(
        "['.nv-answer', '.nv-best span'].map((e) => document.querySelector(e).textContent)"
    )
    assert answer.startswith(f"{best}, ")
    page.get_by_role("button", name="Stop the camera").click()
    assert page.evaluate("document.querySelector('.nv-video').srcObject") is None
    assert page.locator(".nv-video").is_hidden()


def test_a_served_file_has_its_network_too(open_address, run, tmp_path):
    path, model = tmp_path / "digits.onnx", cnn.load(run)
    export_run(run_folder.read_run(run), model, path)
    with served(path) as address:
        page = open_address(address)
        page.locator(".nv-board").scroll_into_view_if_needed()
        draw(page, [((1, 2), (1, 5), (6, 3))])
        expected = np.asarray(cnn.predict(model, seen(page)))[0]
        np.testing.assert_allclose(shares(page), 100 * expected, atol=0.06)
        assert page.locator(".nv-example").count() == 0
        page.get_by_role("button", name="conv_2").click()
        page.keyboard.press("Enter")
        assert page.inner_text(".nv-place").startswith("conv_2, map 1, row")


def test_a_network_that_the_page_cannot_compute_is_named(open_address, tmp_path):
    for name, options in {
        "absent": {"absence": "<b>no</b> package onnx"},
        "unknown": {"network": {"format": "jaxcnn-web", "version": 2}},
    }.items():
        file = tmp_path / f"{name}.html"
        file.write_text(build_page(**options), encoding="utf-8")
        page = open_address(file.as_uri())
        text = page.inner_text("#network .body")
        assert text.startswith("This page cannot compute the network: ")
        assert ("<b>no</b> package onnx" in text) or ("version 2" in text)
        assert page.locator("#network b").count() == 0
        assert page.locator("#explorer .stage").count() == 2
