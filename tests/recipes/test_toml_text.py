"""The line of every value, in a text that has all that TOML has."""

import time

import pytest

from jaxcnn.recipes import toml_text as toml

# Every whole number is the line on which its statement begins.
TEXT = r"""# seed = 0
first = 2 # [table] "
a.b . "c.d" = 3

"quoted = # [x]" = 5
'é "e"' = 6
text = '''
[table]
key = "1
'' # not the end \
'''
literal = ["second", '''
x = 1
[y]
''', 12]
array = [
  16,  # ]
  16,

  [16, {in = 16}],
]
inline = {x = 22, y.z = 22, w = [22, 22]}
  [ table ] # 23
  key = 24
	tab.key	=	25
[table.sub.'deep one']
key = 27
[[many]]
key = 29
[[many]]
[[many.more]]
key = 32
[[many.more]]
key = 34
[many.one]
key = 36
[table.'[[x]]']
key = 38
[other.before]
key = 40
[other]
key = 42
dates = [1979-05-27, 07:32:00, 43]
basic = ["\"", '''"''', BASIC, 44]
last = 50""".replace("BASIC", '"""\n# \\"""\n\n[x]\n\\\n"""')


def numbers(value, place=()):
    """Yield each whole number with its place."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            yield from numbers(inner, (*place, key))
    elif isinstance(value, int):
        yield place, value


@pytest.mark.parametrize("end", ["", "\n", "\n\n# end\n"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_line_is_found(mark, newline, end):
    text = mark + (TEXT + end).replace("\n", newline)
    expected = dict(numbers(toml.load(text)))
    assert {place: toml.line_of(place, text) for place in expected} == expected
    assert len(expected) == 26


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("table",), 23),
        (("table", "missing"), 23),
        (("table", "sub", "deep one", "missing", "further"), 26),
        (("many", 0, "missing"), 28),
        (("many", 1), 30),
        (("many", 1, "more", 1, "missing"), 33),
        (("many", 2), 28),
        (("first", "missing"), 2),
        (("text", 0, "missing"), 7),
        (("missing", "first"), 0),
        ((), 0),
    ],
)
def test_what_is_not_there_has_the_line_of_what_is_around_it(place, line):
    assert toml.line_of(place, TEXT) == line


def test_a_long_text_by_mistake_takes_no_minutes():
    text = "".join(f"[table{number}]\nkey = {number}\n\n" for number in range(2000))
    started = time.perf_counter()
    assert toml.line_of(("table1500", "key"), text) == 4502
    assert time.perf_counter() - started < 20  # reading it up to every line takes a minute
