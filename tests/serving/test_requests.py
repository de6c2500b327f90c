"""Requests to a served network: answers, batches, limits and errors, without a socket."""

import asyncio
import base64
import contextlib
import io
import json
import re
import struct
import threading
import zlib

import httpx
import numpy as np
import pytest
from PIL import Image

from jaxcnn.data.decoding.framing import Framing
from jaxcnn.serving import ServedNetwork, create_app

MARKUP = "<script>alert(1)</script>"
NAMES = ("dark", "light", MARKUP)
FRAMING = Framing((8, 8, 1), any_size=True)


def levels(images):
    """The mean level as the probability of each of three classes, by hand."""
    light = images.mean((1, 2, 3)) / 255
    return np.stack([0.75 * (1 - light), 0.75 * light, np.full(len(images), 0.25)], axis=1)


NETWORK = ServedNetwork(levels, (8, 8, 1), FRAMING, NAMES)


def png(level, size=(8, 8)):
    file = io.BytesIO()
    Image.new("L", size, level).save(file, "PNG")
    return file.getvalue()


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def huge_png(side):
    """A PNG of many black pixels in few bytes: each row of gray is repeated by zlib."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


IMAGE = {"content-type": "image/png"}
JSON = {"content-type": "application/json"}
FORM = {"content-type": "multipart/form-data; boundary=xx"}


@contextlib.asynccontextmanager
async def client_of(app):
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://served") as client,
    ):
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.005)
        yield client


def call(*requests, network=NETWORK, **options):
    """Return the answers to requests, each a method, a path and options of httpx, in order."""

    async def run():
        async with client_of(create_app(network, **options)) as client:
            return [await client.request(verb, path, **more) for verb, path, more in requests]

    return asyncio.run(run())


def post(network=NETWORK, path="/predict", **more):
    (response,) = call(("POST", path, more), network=network)
    return response


def light_of(prediction):
    return {row["class"]: row["probability"] for row in prediction["classes"]}["light"]


def test_the_forms_of_a_request_give_the_same_answers():
    pictures = [png(51), png(204), png(102, size=(30, 20))]
    expected = [0.15, 0.6, 0.3]
    texts = [base64.b64encode(picture).decode() for picture in pictures]
    texts[0] = "data:image/png;base64," + texts[0]
    files = [("pictures", (f"{n}.png", picture)) for n, picture in enumerate(pictures)]
    single, form, text, plain = call(
        ("POST", "/predict", {"content": pictures[0], "headers": IMAGE}),
        ("POST", "/predict", {"files": files}),
        ("POST", "/predict", {"json": {"images": texts}}),
        ("POST", "/predict", {"content": pictures[1]}),  # of no stated type
    )
    assert single.json() == {
        "predictions": [
            {
                "classes": [
                    {"class": "dark", "probability": 0.6},
                    {"class": MARKUP, "probability": 0.25},
                    {"class": "light", "probability": 0.15},
                ]
            }
        ]
    }
    assert single.headers["content-type"] == "application/json"
    assert single.headers["x-content-type-options"] == "nosniff"
    for many in (form, text):
        assert [light_of(row) for row in many.json()["predictions"]] == pytest.approx(expected)
    assert light_of(plain.json()["predictions"][0]) == pytest.approx(0.6)


def test_top_limits_the_classes():
    (row,) = post(path="/predict?top=1", content=png(255)).json()["predictions"]
    assert row == {"classes": [{"class": "light", "probability": 0.75}]}


def test_numbers_shares_and_boxes():
    picture = {"content": png(0, size=(80, 40))}
    numbers = ServedNetwork(lambda x: np.full((len(x), 2), 1.5), (8, 8, 1), FRAMING, task="regress")
    assert post(numbers, **picture).json()["predictions"] == [
        {"numbers": [{"name": "number 0", "value": 1.5}, {"name": "number 1", "value": 1.5}]}
    ]
    mask = np.repeat([0, 0, 2, 2, 2, 2, 2, 2], 8).reshape(1, 8, 8)
    segments = ServedNetwork(
        lambda x: mask.repeat(len(x), 0), (8, 8, 1), FRAMING, NAMES, task="segment"
    )
    assert post(segments, **picture).json()["predictions"] == [
        {"shares": [{"class": MARKUP, "share": 0.75}, {"class": "dark", "share": 0.25}]}
    ]
    rows = np.array([[[1, 2, 3, 4, 0.9, 1], [0, 0, 8, 8, 0.2, 0], [0, 0, 0, 0, 0, -1]]])
    boxes = ServedNetwork(
        lambda x: rows.repeat(len(x), 0), (8, 8, 1), FRAMING, NAMES, task="detect",
        activation="boxes",
    )  # fmt: skip
    # The picture is ten times as wide and five times as high as the input.
    found = [{"class": "light", "score": 0.9, "box": [10.0, 10.0, 30.0, 20.0]}]
    assert post(boxes, **picture).json()["predictions"] == [{"boxes": found}]
    every = post(boxes, path="/predict?score=0.1", **picture).json()["predictions"][0]["boxes"]
    assert every == [*found, {"class": "dark", "score": 0.2, "box": [0.0, 0.0, 80.0, 40.0]}]


GOOD = png(9)
PARTS = b'--xx\r\ncontent-disposition: form-data; name="a"\r\n\r\n' + GOOD
MANY = json.dumps({"images": ["AAAA"] * 65}).encode()
BAD = {
    "empty": (400, "", b"", IMAGE),
    "text": (400, "", b"no picture at all", IMAGE),
    "truncated header": (400, "", GOOD[:20], IMAGE),
    "truncated pixels": (400, "", png(3, size=(99, 99))[:60], IMAGE),
    "damaged pixels": (400, "", GOOD.replace(b"IDAT", b"IDAX"), IMAGE),
    "program in PostScript": (400, "", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", IMAGE),
    "too many pixels": (413, "", huge_png(20_000), IMAGE),
    "more pixels than allowed": (413, "", png(0, size=(400, 300)), IMAGE),
    "together too many pixels": (413, "", json.dumps(
        {"images": [base64.b64encode(png(0, size=(250, 250))).decode()] * 2}).encode(), JSON),
    "too long": (413, "", bytes(200_001), IMAGE),
    "another type": (415, "", b"a=b", {"content-type": "application/x-www-form-urlencoded"}),
    "a type of nonsense": (415, "", GOOD, {"content-type": "=\x7f/;;"}),
    "form without boundary": (400, "", PARTS, {"content-type": "multipart/form-data"}),
    "form of another boundary": (400, "", PARTS + b"\r\n--yy--\r\n", FORM),
    "form that does not end": (400, "", PARTS, FORM),
    "form without parts": (400, "", b"--xx--\r\n", FORM),
    "part without header": (400, "", b"--xx\r\nabc\r\n--xx--\r\n", FORM),
    "form of many parts": (413, "", b"--xx\r\n\r\n\r\n\r\n" * 80 + b"--xx--", FORM),
    "no JSON": (400, "", b"{", JSON),
    "no UTF-8": (400, "", b"\xff\xfe{}", JSON),
    "deep JSON": (400, "", b"[" * 100_000, JSON),
    "long number": (400, "", b"1" * 10_000, JSON),
    "JSON of another form": (400, "", b"[1]", JSON),
    "images of another type": (400, "", b'{"images": [1]}', JSON),
    "further fields": (400, "", b'{"images": [], "top": 1}', JSON),
    "no images": (400, "", b'{"images": []}', JSON),
    "no base64": (400, "", b'{"images": ["*"]}', JSON),
    "text beyond ASCII": (400, "", '{"images": ["é"]}'.encode(), JSON),
    "an empty picture": (400, "", b'{"images": [""]}', JSON),
    "many pictures": (413, "", MANY, JSON),
    "top of 0": (400, "?top=0", GOOD, IMAGE),
    "top of 4": (400, "?top=4", GOOD, IMAGE),
    "top of a word": (400, "?top=many", GOOD, IMAGE),
    "a long top": (400, "?top=" + "9" * 5_000, GOOD, IMAGE),
    "empty top": (400, "?top=", GOOD, IMAGE),
    "score of NaN": (400, "?score=nan", GOOD, IMAGE),
    "another option": (400, "?tops=1", GOOD, IMAGE),
}  # fmt: skip


def test_bad_requests_get_one_line():
    requests = [
        ("POST", f"/predict{query}", {"content": content, "headers": headers})
        for _, query, content, headers in BAD.values()
    ]
    good = ("POST", "/predict", {"content": GOOD})
    limits = {"max_body_mb": 0.2, "max_pixels": 100_000}
    *answers, last = call(*requests, good, **limits)
    for name, answer in zip(BAD, answers, strict=True):
        assert answer.status_code == BAD[name][0], (name, answer.text)
        assert list(answer.json()) == ["error"], name
        line = answer.json()["error"]
        assert 5 < len(line) < 400, (name, line)
        assert not re.search(r"\n|Traceback|site-packages|/tmp|/usr|\.py\b|object at 0x", line), (
            line
        )
    assert last.status_code == 200


def test_other_paths_and_methods():
    for verb, path, status in (
        ("GET", "/predict", 405), ("POST", "/healthz", 405), ("PUT", "/predict", 405),
        ("GET", "/nothing", 404), ("GET", "/predict/", 404), ("GET", "/../../etc/passwd", 404),
    ):  # fmt: skip
        (answer,) = call((verb, path, {}))
        assert (answer.status_code, list(answer.json())) == (status, ["error"]), path
    assert answer.headers["content-type"] == "application/json"


def test_a_body_is_refused_while_it_arrives():
    sent = []

    async def endless():
        while True:
            sent.append(1)
            yield bytes(10_000)

    (answer,) = call(("POST", "/predict", {"content": endless()}), max_body_mb=0.1)
    assert answer.status_code == 413
    assert len(sent) <= 12


def test_a_slow_body_is_refused():
    async def slow():
        yield GOOD[:10]
        await asyncio.sleep(30)
        yield GOOD[10:]

    (answer,) = call(("POST", "/predict", {"content": slow()}), timeout_s=0.05)
    assert answer.status_code == 408
    assert answer.headers["connection"] == "close"


def test_pictures_of_several_requests_form_batches():
    """While one batch is computed, the next ones wait; none is larger than allowed."""
    sizes, free = [], threading.Event()

    def compute(images):
        sizes.append(len(images))
        assert free.wait(30)
        return levels(images)

    network = ServedNetwork(compute, (8, 8, 1), FRAMING, NAMES)

    async def run():
        app = create_app(network, max_batch=4, max_wait_ms=0)
        free.set()
        async with client_of(app) as client:
            sizes.clear()
            free.clear()
            requests = [
                asyncio.create_task(client.post("/predict", content=png(20 * number)))
                for number in range(12)
            ]
            while not sizes:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.05)
            assert len(sizes) == 1
            free.set()
            answers = await asyncio.gather(*requests)
            metrics = (await client.get("/metrics")).text
        return answers, metrics

    answers, metrics = asyncio.run(run())
    for number, answer in enumerate(answers):
        expected = 0.75 * 20 * number / 255
        assert light_of(answer.json()["predictions"][0]) == pytest.approx(expected, abs=1e-6)
    assert max(sizes) == 4
    assert sum(sizes) == 12
    assert len(sizes) <= 5
    assert 'jaxcnn_requests_total{path="/predict",status="200"} 12.0' in metrics
    assert f"jaxcnn_batch_size_count {len(sizes)}.0" in metrics
    assert "jaxcnn_batch_size_sum 12.0" in metrics
    assert "jaxcnn_queue_length 0.0" in metrics
    assert "jaxcnn_request_seconds_count 12.0" in metrics


def test_more_requests_than_allowed_are_told_to_come_again():
    free = threading.Event()

    def compute(images):
        assert free.wait(30)
        return levels(images)

    async def run():
        free.set()
        network = ServedNetwork(compute, (8, 8, 1), FRAMING, NAMES)
        async with client_of(create_app(network, max_concurrency=2)) as client:
            free.clear()
            first = [asyncio.create_task(client.post("/predict", content=GOOD)) for _ in range(2)]
            await asyncio.sleep(0.05)
            refused = await client.post("/predict", content=GOOD)
            health = await client.get("/healthz")
            free.set()
            return refused, health, await asyncio.gather(*first)

    refused, health, answers = asyncio.run(run())
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert health.status_code == 200
    assert [answer.status_code for answer in answers] == [200, 200]


def test_a_network_that_fails_or_takes_too_long():
    """The next request is answered; the reason stays in the log."""
    fails, slow = np.full((8, 8), 1), threading.Event()

    def compute(images):
        if (images[0, ..., 0] == fails).all():
            raise RuntimeError("/secret/path")
        if images.max() == 2:
            slow.wait(0.5)
        return np.full((len(images), 3), np.nan if images.max() == 3 else 0.5)

    network = ServedNetwork(compute, (8, 8, 1), FRAMING, NAMES)
    requests = [("POST", "/predict", {"content": png(level)}) for level in (1, 2, 3, 4)]
    failed, late, nan, good = call(*requests, network=network, timeout_s=0.3)
    assert (failed.status_code, late.status_code, nan.status_code) == (500, 503, 500)
    assert "secret" not in failed.text
    assert "too long" in late.json()["error"]
    assert good.status_code == 200


def test_until_the_network_is_compiled_the_server_is_alive_and_not_ready():
    ready = threading.Event()

    def compute(images):
        assert ready.wait(30)
        return levels(images)

    async def run():
        app = create_app(ServedNetwork(compute, (8, 8, 1), FRAMING, NAMES))
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://served") as client,
        ):
            early = [
                await client.get("/healthz"),
                await client.get("/readyz"),
                await client.post("/predict", content=GOOD),
            ]
            ready.set()
            return early

    assert [each.status_code for each in asyncio.run(run())] == [200, 503, 503]


def test_pages_load_nothing_and_show_no_markup_of_names():
    """The page is the caller's; the documentation has no address but those of the server."""
    home, docs, described = call(
        ("GET", "/", {}), ("GET", "/docs", {}), ("GET", "/openapi.json", {}), page="<p>mine</p>"
    )
    assert home.text == "<p>mine</p>"
    assert "default-src 'self'" in home.headers["content-security-policy"]
    assert not re.search(r"https?:|src=|href=|<script", docs.text)
    operation = described.json()["paths"]["/predict"]["post"]
    assert described.json()["openapi"] == "3.1.0"
    assert operation["parameters"][0]["schema"]["maximum"] == 3
    assert set(operation["responses"]) >= {"200", "400", "408", "413", "415", "503"}
    (plain,) = call(("GET", "/", {}))
    assert plain.text == docs.text


@pytest.mark.parametrize("made", ["<p>mine</p>", None])
def test_a_page_is_made_once_when_it_is_asked_for(made):
    calls = []
    page = lambda: calls.append("made") or made  # noqa: E731  # one line, used once
    call(("GET", "/healthz", {}), page=page)
    assert not calls
    docs, first, second = call(*[("GET", path, {}) for path in ("/docs", "/", "/")], page=page)
    assert first.text == second.text == (made or docs.text)
    assert calls == ["made"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_batch": 0}, "max_batch must be at least 1"),
        ({"max_wait_ms": -1}, "max_wait_ms must be"),
        ({"max_body_mb": 0}, "max_body_mb must be"),
        ({"timeout_s": float("nan")}, "timeout_s must be"),
    ],
)
def test_limits_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        create_app(NETWORK, **options)
