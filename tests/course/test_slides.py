"""The table of docs/course/deck.md: every part of the slides has its chapter and its test."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
COURSE = ROOT / "docs" / "course"
ROWS = re.findall(r"^\| (?!slides|---)(.+) \|$", (COURSE / "deck.md").read_text("utf-8"), re.M)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split(" |")[0])
def test_no_cell_is_empty(row):
    part, facts, chapter, test = (cell.strip() for cell in row.split(" | "))
    assert part
    assert facts
    number, page = re.fullmatch(r"\[(\d+)\]\((\d+_\w+\.md)\)", chapter).groups()
    assert page.startswith(f"{int(number):02}_")
    assert (COURSE / page).exists()
    path, name = re.fullmatch(r"`(tests/[\w/]+\.py)::(test_\w+)`", test).groups()
    assert f"\ndef {name}(" in (ROOT / path).read_text("utf-8")


def test_every_chapter_is_in_the_table():
    chapters = {page.name for page in COURSE.glob("[0-9]*.md")}
    assert chapters == set(re.findall(r"\]\((\d\d_\w+\.md)\)", "\n".join(ROWS)))
