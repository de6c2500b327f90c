"""A browser, and pages in it that may neither print a message nor load anything from elsewhere."""

import shutil
from urllib.parse import urlsplit

import pytest

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
    "--use-fake-device-for-media-stream=fps=60", "--use-fake-ui-for-media-stream",
)  # fmt: skip


# Not longer than a module: while it is open, no other test can run an event loop.
@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def open_address(browser):
    """Yields a function that opens an address; no message or request elsewhere may follow."""
    found, contexts = [], []

    def open_page(address, *, width=1280, height=900, **options):
        options = {"locale": "en-US", "color_scheme": "light"} | options
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        own = (address, "data:", "blob:")
        page.on("console", lambda message: found.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: found.append(f"error: {error}"))
        page.on("request", lambda sent: sent.url.startswith(own) or found.append(sent.url))
        page.goto(address)
        assert urlsplit(page.url).netloc == urlsplit(address).netloc
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert found == []
