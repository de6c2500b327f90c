"""The page in Chromium: every switch changes what it says, and its numbers are the library's."""

import base64
import io
import time

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxcnn import ops, serving
from jaxcnn.insight import filter_steps
from jaxcnn.layers import avg_pool, max_pool
from jaxcnn.ops import KERNELS

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.long

MARKUP = "<img src=x onerror=\"document.title='broken'\"><b>7</b>"


def picture(size=8):
    file = io.BytesIO()
    Image.fromarray(np.arange(size * size, dtype=np.uint8).reshape(size, size)).save(file, "PNG")
    return file.getvalue()


URI = f"data:image/png;base64,{base64.b64encode(picture()).decode()}"
MISTAKES = [
    {
        "picture": URI,
        "heat": URI,
        "truth": MARKUP,
        "predicted": "seven",
        "probability": 0.987,
        "truth_probability": 0.01,
    }
]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("site") / "index.html"
    path.write_text(serving.build_page(title="Digits", mistakes=MISTAKES), encoding="utf-8")
    return path


@pytest.fixture
def opened(open_address, file):
    """Return a function that opens the page."""

    def open_page(**options):
        page = open_address(file.as_uri(), **options)
        wait_until(page, "Jaxcnn.explorer && Jaxcnn.explorer.worked")
        return page

    return open_page


def wait_until(page, condition, seconds=60):
    """Wait for a condition; Playwright's own way needs `eval`, which the policy forbids."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(f"!!({condition})"):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(20)


def read_planes(page, name):
    """Return the planes of the explorer, ``(rows, columns, channels)``."""
    planes = page.evaluate(
        f"Jaxcnn.explorer.{name}.map(p => ({{rows: p.rows, columns: p.columns, "
        "data: Array.from(p.data)}))"
    )
    arrays = [np.reshape(p["data"], (p["rows"], p["columns"])) for p in planes]
    return np.stack(arrays, axis=-1).astype(np.float32)


def choose(page, group, option):
    page.get_by_role("group", name=group, exact=True).get_by_role("radio", name=option).check()


def switch(page, name, on=True):
    page.get_by_role("switch", name=name).set_checked(on, force=True)


def convolve(pixels, kernel, **options):
    planes = jnp.asarray(np.moveaxis(pixels, -1, 0)[..., None])
    weights = jnp.asarray(kernel, jnp.float32)[..., None, None]
    return np.moveaxis(np.asarray(ops.conv(planes, weights, **options))[..., 0], 0, -1)


def test_photograph_is_gray_as_pillow_makes_it(opened):
    page = opened()
    gray = read_planes(page, "planes")
    switch(page, "Three colors")
    colors = read_planes(page, "planes").astype(np.uint8)
    assert colors.shape == (240, 320, 3)
    np.testing.assert_array_equal(gray[..., 0], np.asarray(Image.fromarray(colors).convert("L")))


@pytest.mark.parametrize("name", KERNELS)
def test_presets_give_the_outputs_of_conv(opened, name):
    page = opened()
    page.locator(f"input[name=preset][value={name}]").check()
    expected = convolve(read_planes(page, "planes"), KERNELS[name], padding=1)
    np.testing.assert_allclose(read_planes(page, "convolved"), expected, atol=2e-3, rtol=1e-5)


@pytest.mark.parametrize(
    ("size", "padding", "stride", "flip", "color"),
    [
        (3, 0, 1, True, True),
        (3, 1, 2, False, False),
        (5, 2, 3, True, False),
        (5, 0, 4, False, True),
    ],
)
def test_every_option_is_that_of_conv(opened, size, padding, stride, flip, color):
    page = opened()
    kernel = np.random.default_rng(0).integers(-8, 9, (size, size)) / 4
    choose(page, "Size", f"{size}×{size}")
    for row in range(size):
        for column in range(size):
            label = f"Weight in row {row + 1}, column {column + 1}"
            page.get_by_label(label, exact=True).fill(str(kernel[row, column]))
    choose(page, "Zero padding", str(padding))
    choose(page, "Stride", str(stride))
    switch(page, "Turn the kernel", flip)
    switch(page, "Three colors", color)
    page.get_by_label("Bias").fill("-1/2")
    pixels = read_planes(page, "planes")
    expected = convolve(pixels, kernel, padding=padding, strides=stride, flip_kernel=flip) - 0.5
    found = read_planes(page, "convolved")
    np.testing.assert_allclose(found, expected, atol=2e-3)
    rows, columns, _ = expected.shape
    text = page.locator(".plane .formulas").last.inner_text()
    assert f"n_H = ⌊(240 − {size} + 2·{padding}) / {stride}⌋ + 1 = {rows}" in text
    assert f"n_W = ⌊(320 − {size} + 2·{padding}) / {stride}⌋ + 1 = {columns}" in text
    assert page.locator("input[name=preset][value=own]").is_checked()


@pytest.mark.parametrize(("kind", "layer"), [("Maximum", max_pool), ("Average", avg_pool)])
@pytest.mark.parametrize(("window", "stride"), [(2, 2), (3, 1), (2, 3)])
def test_relu_and_pooling(opened, kind, layer, window, stride):
    page = opened()
    choose(page, "Pooling", kind)
    choose(page, "Window of the pool", f"{window}×{window}")
    choose(page, "Stride of the pool", str(stride))
    pixels = read_planes(page, "planes")
    steps = filter_steps(pixels, "sobel_x", pool=layer(window, strides=stride))
    np.testing.assert_allclose(read_planes(page, "pooled"), steps.pooled, atol=2e-3)
    switch(page, "ReLU")
    rectified = np.maximum(steps.output, 0)
    again = filter_steps(rectified, "identity", pool=layer(window, strides=stride))
    np.testing.assert_allclose(read_planes(page, "pooled"), again.pooled, atol=2e-3)
    assert f"= {steps.pooled.shape[0]}" in page.locator(".formulas").last.inner_text()


def test_window_under_the_pointer_is_that_of_filter_steps(opened):
    page = opened()
    box = page.locator(".stage canvas").first.bounding_box()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.25 * box["height"])
    row, column = page.evaluate("Jaxcnn.explorer.at")
    assert (row, column) == (pytest.approx(60, abs=1), pytest.approx(224, abs=1))
    worked = filter_steps(read_planes(page, "planes"), "sobel_x").window((row, column))

    def table(name):
        cells = page.locator(f".worked .{name} td").all_inner_texts()
        return np.reshape([float(text.replace("−", "-")) for text in cells], (3, 3))

    np.testing.assert_array_equal(table("values"), worked.patch[..., 0])
    np.testing.assert_array_equal(table("weights"), worked.kernel[..., 0])
    np.testing.assert_array_equal(table("products"), worked.products[..., 0])
    total = page.locator(".worked .sum").first.inner_text()
    assert float(total.replace("−", "-")) == worked.values[0]


def test_keys_move_the_window_and_are_announced(opened):
    page = opened()
    choose(page, "Picture", "Letter A")
    wait_until(page, "Jaxcnn.explorer.white === 1")
    stage = page.get_by_role("application", name="Input picture")
    stage.focus()
    for _ in range(5):
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowLeft")
    assert page.evaluate("Jaxcnn.explorer.at") == [0, 0]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("Jaxcnn.explorer.at") == [1, 1]
    live = page.locator("#explorer-live")
    playwright.expect(live).to_have_text("Output in row 1, column 1: 0.6.")
    # The whole output is the one that the course has as an example.
    numbers = page.locator(".numbers").last.locator("span").all_inner_texts()
    expected = "−1.2 −0.6 0.6 1.2 −1.2 0.6 −0.6 1.2 −1.2 1.2 −1.2 1.2 −0.6 1.2 −1.2 0.6"
    assert " ".join(numbers) == expected


def test_window_that_does_not_fit(opened):
    page = opened()
    choose(page, "Picture", "Letter A")
    wait_until(page, "Jaxcnn.explorer.white === 1")
    choose(page, "Size", "5×5")
    choose(page, "Zero padding", "0")
    assert "The window does not fit" in page.locator(".formulas").last.inner_text()
    choose(page, "Zero padding", "1")
    assert "does not fit" not in page.locator(".formulas").last.inner_text()


def test_wrong_weight_is_named_and_changes_nothing(opened):
    page = opened()
    before = read_planes(page, "convolved")
    cell = page.get_by_label("Weight in row 1, column 1", exact=True)
    for text in ("x", "1/0", "", "1e9"):
        cell.fill(text)
        assert cell.get_attribute("aria-invalid") == "true"
        assert "A weight is a number" in page.locator(".editor .warning").inner_text()
    np.testing.assert_array_equal(read_planes(page, "convolved"), before)
    cell.fill("1")
    assert page.locator(".editor .warning").inner_text() == ""


def test_own_picture_and_one_that_is_none(opened):
    page = opened()
    files = page.locator("#picture-file")
    files.set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": picture()})
    wait_until(page, "Jaxcnn.explorer.source === 'upload'")
    np.testing.assert_array_equal(read_planes(page, "planes").ravel(), np.arange(64))
    files.set_input_files({"name": "b.png", "mimeType": "image/png", "buffer": b"no picture"})
    warning = page.get_by_text("not a picture that the browser can read")
    playwright.expect(warning).to_be_visible()
    assert read_planes(page, "planes").shape == (8, 8, 1)


def test_camera_is_filtered_and_ends(opened):
    page = opened()
    choose(page, "Picture", "Camera")
    wait_until(page, "Jaxcnn.explorer.rate > 0")
    print(f"{page.evaluate('Jaxcnn.explorer.rate'):.0f} frames/s at 640×480")
    pixels, output = (read_planes(page, name) for name in ("planes", "convolved"))
    assert pixels.shape == (480, 640, 1)
    assert output.std() > 1
    choose(page, "Picture", "Photograph")
    wait_until(page, "Jaxcnn.explorer.planes[0].columns === 320")
    assert page.evaluate("document.querySelector('video').srcObject") is None


def test_signs_are_shown_in_gray(opened):
    page = opened()
    choose(page, "Picture", "Letter A")
    wait_until(page, "Jaxcnn.explorer.white === 1")
    read = """(() => {
        const copy = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
        copy.drawImage(document.querySelectorAll('.stage canvas')[1], 0, 0);
        return Array.from(copy.getImageData(0, 0, 4, 4).data).filter((_, n) => n % 4 === 0);
    })()"""
    output = read_planes(page, "pooled").ravel()
    signed = np.array(page.evaluate(read))
    np.testing.assert_allclose(signed, (127.5 + 127.5 * output).clip(0, 255), atol=1)
    switch(page, "Show negative values", False)
    plain = np.array(page.evaluate(read))
    np.testing.assert_allclose(plain, (255 * output).clip(0, 255), atol=1)


def test_markup_in_a_class_name_is_text(opened):
    page = opened()
    card = page.locator(".mistakes li")
    assert MARKUP in card.inner_text()
    assert card.locator("b").count() == 2
    assert card.locator("img").count() == 2
    assert page.title() == "Digits"
    assert "98.7 %" in card.inner_text()


def test_heat_can_be_hidden(opened):
    page = opened()
    heat = page.locator(".heat")
    assert heat.is_visible()
    switch(page, "Show the heat", False)
    assert not heat.is_visible()


def test_language_follows_the_browser_and_the_switch(opened):
    page = opened(locale="es-MX")
    heading = page.locator("#explorer h2")
    assert heading.inner_text() == "Explorador de filtros"
    assert page.locator("html").get_attribute("lang") == "es"
    page.get_by_role("button", name="EN").click()
    assert heading.inner_text() == "Kernel explorer"
    assert page.locator("html").get_attribute("lang") == "en"
    untranslated = page.evaluate(
        "[...document.querySelectorAll('[data-word]')].filter(e => e.textContent !== "
        "Jaxcnn.word(e.dataset.word)).length"
    )
    assert untranslated == 0


def test_theme_follows_the_system_and_the_switch(opened):
    page = opened(color_scheme="dark")
    color = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(color)
    page.get_by_role("switch", name="Dark page").click()
    assert page.evaluate(color) != dark
    page.emulate_media(color_scheme="light")
    page.get_by_role("switch", name="Dark page").click()
    assert page.evaluate(color) == dark


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
@pytest.mark.parametrize("locale", ["en-US", "es-ES"])
def test_nothing_is_wider_than_the_screen(opened, width, locale):
    page = opened(width=width, height=844, locale=locale)
    switch(page, page.evaluate("Jaxcnn.word('color')"))
    choose(page, page.evaluate("Jaxcnn.word('size')"), "5×5")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_control_has_a_name_and_texts_have_contrast(opened, theme):
    page = opened(color_scheme=theme)
    unnamed = page.evaluate(
        """[...document.querySelectorAll('button, input:not([type=file]), [role=application]')]
        .filter(e => !(e.getAttribute('aria-label') || e.textContent.trim()
          || (e.labels && [...e.labels].some(l => l.textContent.trim())))).length"""
    )
    assert unnamed == 0
    colors = page.evaluate(
        """['--ink', '--quiet', '--accent', '--ground', '--surface'].map(name =>
        getComputedStyle(document.documentElement).getPropertyValue(name))"""
    )

    def luminance(text):
        text = text.strip().lstrip("#")
        text = "".join(2 * c for c in text) if len(text) == 3 else text
        parts = np.array([int(text[n : n + 2], 16) for n in (0, 2, 4)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    *texts, ground, surface = map(luminance, colors)
    for text in texts:
        for behind in (ground, surface):
            low, high = sorted((text, behind))
            assert (high + 0.05) / (low + 0.05) >= 4.5
