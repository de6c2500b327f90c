"""The bar of long work: on a terminal, after two seconds, and never where output is read."""

import io
import sys

import pytest

from jaxcnn.data import slow_work


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "patience", "shown"),
    [(Terminal(), 0.0, True), (Terminal(), 60.0, False), (io.StringIO(), 0.0, False)],
)
def test_a_bar_is_shown_on_a_terminal_after_a_while(monkeypatch, stream, patience, shown):
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(slow_work, "_PATIENCE", patience)
    blocks = [4, 8, 10]
    assert list(slow_work.show_progress("decoding", blocks, 10, done=int)) == blocks
    assert ("decoding" in stream.getvalue()) == shown
    assert ("10/10" in stream.getvalue()) == shown


def test_an_error_of_the_work_ends_the_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(slow_work, "_PATIENCE", 0.0)

    def work():
        yield from range(3)
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        list(slow_work.show_progress("writing", work(), 9))
    assert terminal.getvalue().endswith("\x1b[?25h\r\x1b[1A\x1b[2K")  # the cursor is shown again
