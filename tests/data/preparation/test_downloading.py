"""A file arrives whole and right, or an error says what went wrong and nothing has its name."""

import hashlib
import os
import socket

import numpy as np
import pytest

from jaxcnn.data.preparation import File, downloading

CONTENTS = np.random.default_rng(0).bytes(100_000)
NAME = "pictures.gz"


@pytest.fixture
def file(server, monkeypatch):
    server.contents[NAME] = CONTENTS
    monkeypatch.setattr(downloading, "_SECONDS_BETWEEN_TRIES", 0)
    url = f"{server.address}/{NAME}"
    return File(url, len(CONTENTS), hashlib.sha256(CONTENTS).hexdigest())


@pytest.fixture
def fetch(file, tmp_path):
    """Downloads the file; returns where it is, and checks what was told on the way."""

    def fetch():
        told = []
        target = tmp_path / NAME
        downloading.download(
            file, target, url=file.url, report=lambda *arguments: told.append(arguments)
        )
        assert target.read_bytes() == CONTENTS
        assert [path.name for path in tmp_path.iterdir()] == [NAME]
        return told

    return fetch


def test_a_file_arrives(fetch, server):
    told = fetch()
    assert told[-1] == ("downloading pictures.gz (0.1 MB)", 100_000, 100_000)
    assert server.asked == [(NAME, 0)]


def test_a_file_that_is_there_is_not_fetched_again(fetch, server):
    fetch()
    fetch()
    assert len(server.asked) == 1


def test_a_file_that_was_damaged_is_fetched_again(fetch, server, tmp_path):
    (tmp_path / NAME).write_bytes(CONTENTS[:-1] + b"x")
    fetch()


def test_a_cut_connection_is_taken_up_where_it_broke(fetch, server):
    server.faults[NAME] = [{"cut": 30_000}, {"cut": 1}, {"cut": 0}, {"cut": 0}]
    fetch()
    assert server.asked == [(NAME, start) for start in (0, 30_000, 30_001, 30_001, 30_001)]


def test_a_cut_answer_without_length_is_taken_up(fetch, server):
    server.faults[NAME] = [{"cut": 30_000, "no_length": True}]
    fetch()
    assert server.asked == [(NAME, 0), (NAME, 30_000)]


def test_a_server_without_ranges_begins_anew(fetch, server):
    server.ranges = False
    server.faults[NAME] = [{"cut": 30_000}]
    fetch()
    assert server.asked == [(NAME, 0), (NAME, 30_000)]


def test_a_slow_answer_is_waited_for(fetch, server, monkeypatch):
    """It takes longer than a server may be silent, but is never silent for so long."""
    monkeypatch.setattr(downloading, "_SECONDS", 1.0)
    server.faults[NAME] = [{"slow": 4_000}]
    fetch()
    assert server.asked == [(NAME, 0)]


def test_a_stalled_connection_is_taken_up(fetch, server, monkeypatch):
    monkeypatch.setattr(downloading, "_SECONDS", 1.0)
    server.faults[NAME] = [{"cut": 30_000, "stall": True}]
    fetch()
    assert server.asked == [(NAME, 0), (NAME, 30_000)]


def test_a_busy_server_is_asked_again_in_mid_way(fetch, server):
    server.faults[NAME] = [{"cut": 30_000}, 503, 429]
    fetch()


def test_an_earlier_run_is_continued(fetch, server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENTS[:70_000])
    fetch()
    assert server.asked == [(NAME, 70_000)]


@pytest.mark.parametrize("size", [70_000, 100_000, 100_001])
def test_what_an_earlier_run_left_of_another_file_is_dropped(fetch, server, tmp_path, size):
    (tmp_path / f"{NAME}.part").write_bytes(bytes(size))
    fetch()
    assert server.asked[-1] == (NAME, 0)


@pytest.mark.parametrize(
    ("faults", "error", "message", "requests"),
    [
        ([{"cut": 9}, *[{"cut": 0}] * 3], ConnectionError, "ended after 9 of 100,000 bytes", 4),
        ([404], ConnectionError, "pictures.gz cannot be downloaded: the server answers 404", 1),
        ([403], ConnectionError, "the server answers 403 Forbidden", 1),
        ([503], ConnectionError, "the server answers 503 Service Unavailable", 1),
        (["silent"], ConnectionError, "no answer within 1 s", 1),
        ([{"replaced": b"<html>"}], ValueError, "must have 100,000 bytes. Received: 6", 1),
        ([{"replaced": b""}], ValueError, "must have 100,000 bytes. Received: 0", 1),
        ([{"replaced": bytes(100_000)}], ValueError, "must have the SHA-256 checksum", 1),
        (
            [{"replaced": bytes(200_000), "no_length": True}],
            ValueError,
            "must have 100,000 bytes. Received: 100,001",
            1,
        ),
    ],
)
def test_failures_are_named(fetch, server, tmp_path, monkeypatch, faults, error, message, requests):
    monkeypatch.setattr(downloading, "_SECONDS", 1.0)
    server.faults[NAME] = faults
    with pytest.raises(error, match=message) as caught:
        fetch()
    assert f"{server.address}/{NAME}" in str(caught.value)
    assert not (tmp_path / NAME).exists()
    assert len(server.asked) == requests
    fetch()  # the fault is over, and so is what it left


def test_a_wrong_file_is_not_kept(fetch, server, tmp_path):
    server.faults[NAME] = [{"replaced": bytes(100_000)}]
    with pytest.raises(ValueError, match=f"expected: .*{NAME}.part' must have the SHA-256"):
        fetch()
    assert not list(tmp_path.iterdir())


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (lambda: f"http://127.0.0.1:{free_port()}/{NAME}", "Connection refused"),
        (lambda: f"http://nowhere.invalid/{NAME}", f"http://nowhere.invalid/{NAME} cannot be"),
    ],
)
def test_a_host_that_cannot_be_reached_is_told_at_once(server, file, tmp_path, url, message):
    with pytest.raises(ConnectionError, match=message):
        downloading.download(file, tmp_path / NAME, url=url(), report=lambda *_: None)
    assert not list(tmp_path.iterdir())


def test_a_look_up_that_takes_too_long_is_given_up(file, tmp_path, monkeypatch, server):
    """The look-up of a host's name knows no timeout."""
    monkeypatch.setattr(downloading, "_SECONDS", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: server.released.wait() or [])
    with pytest.raises(ConnectionError, match="no answer within 0 s"):
        downloading.download(file, tmp_path / NAME, url=file.url, report=lambda *_: None)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_an_error(file, tmp_path):
    (tmp_path / f"{NAME}.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        downloading.download(file, tmp_path / NAME, url=file.url, report=lambda *_: None)
    assert not (tmp_path / NAME).exists()
