"""Options as TOML text: what is read, what every error says, and that all of it can be written.

``pytest -s tests/training/test_configuration.py`` prints the table of errors.
"""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxcnn.recipes import toml_options as configuration


@dataclass(frozen=True)
class Data:
    name: str
    shape: tuple[int, int] = (28, 28)
    shares: tuple[float, ...] = ()
    flip: bool = False
    limit: int | None = None


@dataclass(frozen=True)
class Optimizer:
    name: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = 1e-3
    options: dict[str, Any] = field(default_factory=dict)
    power: Literal[1, 2, 4] = 1


@dataclass(frozen=True)
class Average:
    decay: float = 0.999
    every: int = 1

    def __post_init__(self):
        if not 0 < self.decay < 1:
            raise ValueError(f"decay must be between 0 and 1. Received: decay={self.decay}")
        if self.every > 10 and self.decay > 0.9:
            raise ValueError("a large decay does not go with a large every")


@dataclass(frozen=True)
class Layer:
    kind: str
    rate: float = 0.5


@dataclass(frozen=True)
class Training:
    epochs: int = 1
    warmup: int = 0

    def __post_init__(self):
        if self.warmup > self.epochs:
            raise ValueError(
                "warmup must be at most epochs. "
                f"Received: warmup={self.warmup}, epochs={self.epochs}"
            )
        if self.epochs == 13:
            raise TypeError("epochs must not be\n13")


@dataclass(frozen=True)
class Recipe:
    data: Data
    seed: int = 0
    note: str | None = None
    tags: dict[str, str | float | bool] = field(default_factory=dict)
    optimizer: Optimizer = Optimizer()
    training: Training = Training()
    average: Average | None = None
    layers: tuple[Layer, ...] = ()

    def __post_init__(self):
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0. Received: seed={self.seed}")
        if self.seed == 99:
            raise ValueError("99 is no seed")


VALID = '''# All of it.
seed = 7  # one of many
note = """
first
second"""
optimizer.name = "sgd"
optimizer.options.momentum = 0.9

[data]
name = "digits"
shape = [
  32,  # rows
  30,
]
shares = [1, 0.5]
flip = true

[tags]
"a b" = "é"
share = 0.25

[average]
decay = 0.5

[[layers]]
kind = "conv"

[[layers]]
rate = 1
kind = "dropout"
'''

EXPECTED = Recipe(
    data=Data("digits", (32, 30), (1.0, 0.5), True),
    seed=7,
    note="first\nsecond",
    tags={"a b": "é", "share": 0.25},
    optimizer=Optimizer("sgd", options={"momentum": 0.9}),
    average=Average(0.5),
    layers=(Layer("conv"), Layer("dropout", 1.0)),
)

# Each text with all that is said of it after "digits.toml".
WRONG = [
    # Not TOML
    (
        "data.name = digits",
        ", line 1, column 13: Invalid value: a string needs quotes, and a truth value is true or "
        "false. Received: data.name = digits",
    ),
    (
        "seed = 1\nseed = 2",
        ", line 2, column 9: This option is given a second time. Received: seed = 2",
    ),
    (
        "[data]\nname = 'a'\n[data]",
        ", line 3, column 6: Cannot declare ('data',) twice. Received: [data]",
    ),
    (
        "seed 1",
        ", line 1, column 6: Expected '=' after a key in a key/value pair. Received: seed 1",
    ),
    (
        "seed = 1\n[data]\nshape = [1,\n\n2\n",
        ", line 3: A bracket or a quote is not closed. Received: shape = [1,",
    ),
    (
        'seed = 1\nnote = """\nabc\n',
        ', line 2: A bracket or a quote is not closed. Received: note = """',
    ),
    (
        "seed = 1\nnote = " + "[" * 5000,
        f", line 2: Tables or arrays are nested too deeply. Received: note = {'[' * 72}…",
    ),
    # Names
    (
        "[optimizer]\nlerning_rate = 0.1",
        ", line 2: there is no option optimizer.lerning_rate. Did you mean 'learning_rate'?",
    ),
    ("\n[optimzer]", ", line 2: there is no option optimzer. Did you mean 'optimizer'?"),
    (
        "[data]\nname = 'a'\nsize = 3",
        ", line 3: there is no option data.size. Known: name, shape, shares, flip, limit.",
    ),
    (
        "[data]\nname = 'a'\nepochs = 3",
        ", line 3: there is no option data.epochs: 'epochs' belongs to [training]",
    ),
    ("epochs = 3", ", line 1: there is no option epochs: 'epochs' belongs to [training]"),
    (
        "[data]\nname = 'a'\nseed = 3",
        ", line 3: there is no option data.seed: 'seed' belongs at the top, outside any table",
    ),
    (
        "[training]\nname = 'a'",  # two tables have one
        ", line 2: there is no option training.name. Known: epochs, warmup.",
    ),
    (
        '[data]\n"a\\nb" = 3',
        r""", line 2: there is no option data."a\nb". Known: name, shape, shares, flip, limit.""",
    ),
    ("seed = 1", ": data must be given"),
    ("[data]\nflip = true", ", line 1: data.name must be given"),
    (
        "[[layers]]\nkind = 'a'\n[[layers]]\n[data]\nname = 'a'",
        ", line 3: layers[1].kind must be given",
    ),
    # Types
    (
        '[optimizer]\nlearning_rate = "fast"',
        ', line 2: optimizer.learning_rate must be a number. Received: "fast"',
    ),
    (
        "[optimizer]\nlearning_rate = true",
        ", line 2: optimizer.learning_rate must be a number. Received: true",
    ),
    ("data = {name = 3}", ", line 1: data.name must be a string. Received: 3"),
    ("data.name = 2020-01-01", ", line 1: data.name must be a string. Received: 2020-01-01"),
    ("seed = 1.0\ndata.name = 'a'", ", line 1: seed must be an integer. Received: 1.0"),
    ("seed = true\ndata.name = 'a'", ", line 1: seed must be an integer. Received: true"),
    ("[data]\nname = 'a'\nflip = 1", ", line 3: data.flip must be true or false. Received: 1"),
    (
        "[data]\nname = 'a'\nlimit = 'all'",
        ', line 3: data.limit must be an integer. Received: "all"',
    ),
    ("[data]\nname = 'a'\nshape = 3", ", line 3: data.shape must be an array. Received: 3"),
    (
        "[data]\nname = 'a'\nshape = [1, 2, 3]",
        ", line 3: data.shape must be an array of 2. Received: [1, 2, 3]",
    ),
    (
        "[data]\nname = 'a'\nshares = [0.5,\n  'half']",
        ', line 3: data.shares[1] must be a number. Received: "half"',
    ),
    ("data = 'digits'", ', line 1: data must be a table. Received: "digits"'),
    ("[[data]]\nname = 'a'", ', line 1: data must be a table. Received: [{"name": "a"}]'),
    ("data.name = 'a'\ntags = 3", ", line 2: tags must be a table. Received: 3"),
    (
        "data.name = 'a'\n[tags]\n'a b' = []",
        ', line 3: tags."a b" must be a string or a number or true or false. Received: []',
    ),
    (
        "data.name = 'a'\n[optimizer.options]\na = [1, {b = 10:00:00}]",
        ", line 3: optimizer.options.a[1].b must be a string or an integer or a number or true "
        "or false. Received: 10:00:00",
    ),
    (
        "[layers]\nkind = 'a'\n[data]\nname = 'a'",
        ', line 1: layers must be an array. Received: {"kind": "a"}',
    ),
    # Values
    (
        "data.name = 'a'\noptimizer.name = 'adm'",
        ", line 2: there is no optimizer.name 'adm'. Did you mean 'adam'?",
    ),
    (
        "data.name = 'a'\noptimizer.name = 3",
        ', line 2: optimizer.name must be one of "adam", "adamw", "sgd". Received: 3',
    ),
    (
        "data.name = 'a'\noptimizer.power = 3",
        ", line 2: optimizer.power must be one of 1, 2, 4. Received: 3",
    ),
    (
        "data.name = 'a'\noptimizer.power = true",
        ", line 2: optimizer.power must be one of 1, 2, 4. Received: true",
    ),
    (
        "data.name = 'a'\noptimizer.learning_rate = nan",
        ", line 2: optimizer.learning_rate must be finite. Received: nan",
    ),
    (
        "data.name = 'a'\noptimizer.learning_rate = -1e999",
        ", line 2: optimizer.learning_rate must be finite. Received: -inf",
    ),
    (
        f"data.name = 'a'\nseed = {2**63}",
        f", line 2: seed must be a number of at most 64 bits. Received: {2**63}",
    ),
    (
        f"data.name = 'a'\noptimizer.learning_rate = {10**80}",
        ", line 2: optimizer.learning_rate must be a number of at most 64 bits. "
        f"Received: 1{'0' * 78}…",
    ),
    # What the dataclasses say
    ("seed = -1\ndata.name = 'a'", ", line 1: seed must be at least 0. Received: seed=-1"),
    ("seed = 99\ndata.name = 'a'", ": 99 is no seed"),
    (
        "data.name = 'a'\n[average]\nevery = 2\ndecay = 2",
        ", line 4: average.decay must be between 0 and 1. Received: decay=2.0",
    ),
    (
        "data.name = 'a'\n\n[average]\nevery = 11",
        ", line 3: average: a large decay does not go with a large every",
    ),
    (
        "data.name = 'a'\n[training]\nwarmup = 3",
        ", line 3: training.warmup must be at most epochs. Received: warmup=3, epochs=1",
    ),
    ("data.name = 'a'\n[training]\nepochs = 13", r", line 3: training.epochs must not be\n13"),
]

# The same for assignments on top of EXPECTED; before each message stand those that it quotes.
WRONG_ASSIGNMENTS = [
    (["seed"], "--set seed: an assignment is written option=value"),
    (["=3"], "--set =3: an assignment is written option=value"),
    (["a b=3"], "--set a b=3: an assignment is written option=value"),
    (
        ["data.shape=[a, b]"],
        "--set data.shape=[a, b]: the value is not TOML, where a string needs quotes",
    ),
    (["data.name=7"], "--set data.name=7: data.name must be a string. Received: 7"),
    (["data.flip=True"], '--set data.flip=True: data.flip must be true or false. Received: "True"'),
    (["seed=none"], '--set seed=none: seed must be an integer. Received: "none"'),
    (["seed.x=1"], '--set seed.x=1: seed must be an integer. Received: {"x": 1}'),
    (
        ["seed=1", "optimizer.lerning_rate=0.1"],
        "--set optimizer.lerning_rate=0.1: there is no option optimizer.lerning_rate. "
        "Did you mean 'learning_rate'?",
    ),
    (["epochs=3"], "--set epochs=3: there is no option epochs: 'epochs' belongs to [training]"),
    (
        ["optimizer.name=adm"],
        "--set optimizer.name=adm: there is no optimizer.name 'adm'. Did you mean 'adam'?",
    ),
    (
        ["seed=1", "training.epochs=2", "training.warmup=4", "training.warmup=3"],
        "--set training.warmup=3: training.warmup must be at most epochs. "
        "Received: warmup=3, epochs=2",
    ),
    (
        ["seed=1", "average.every=11", "average.decay=0.95"],
        "--set average.every=11 average.decay=0.95: "
        "average: a large decay does not go with a large every",
    ),
    (["training={warmup=3}"], "--set training={warmup=3}: training.warmup must be at most epochs. "
     "Received: warmup=3, epochs=1"),
    (["layers=[{rate=1}]"], "--set layers=[{rate=1}]: layers[0].kind must be given"),
    (["seed=99", "note=x\ny"], r"--set seed=99 note=x\ny: 99 is no seed"),
]  # fmt: skip


def message_of(function, *arguments, **options):
    with pytest.raises((TypeError, ValueError)) as raised:
        function(*arguments, **options)
    message = str(raised.value)
    assert message.splitlines() == [message]
    return raised.type, message


def test_all_of_it_is_read():
    assert configuration.parse(VALID, Recipe) == EXPECTED
    assert configuration.parse("\ufeff" + VALID.replace("\n", "\r\n"), Recipe) == EXPECTED


def test_types_are_those_that_are_declared():
    recipe = configuration.parse(
        "data.name = 'a'\noptimizer.learning_rate = 1\n[optimizer.options]\na = [1, [2.0]]", Recipe
    )
    assert type(recipe.optimizer.learning_rate) is float
    assert recipe.optimizer.options == {"a": (1, (2.0,))}
    assert recipe == Recipe(Data("a"), optimizer=Optimizer("adam", 1.0, {"a": (1, (2.0,))}))


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_errors(text, message):
    kind, found = message_of(configuration.parse, text, Recipe, source="digits.toml")
    print(f"\n{text}\n    {kind.__name__}: {found}")
    assert found == "digits.toml" + message


@pytest.mark.parametrize(("assignments", "message"), WRONG_ASSIGNMENTS)
def test_errors_of_assignments(assignments, message):
    kind, found = message_of(configuration.override, EXPECTED, assignments)
    print(f"\n{assignments}\n    {kind.__name__}: {found}")
    assert found == message


def test_types_have_type_errors():
    text = "data.name = 'a'\nseed = "
    assert message_of(configuration.parse, text + "'a'", Recipe)[0] is TypeError
    assert message_of(configuration.parse, text + "-1", Recipe)[0] is ValueError
    assert message_of(configuration.override, EXPECTED, ["training.epochs=13"])[0] is TypeError


def test_assignments():
    recipe = configuration.override(
        EXPECTED,
        [
            "optimizer.name = adamw",
            "optimizer.learning_rate=1e-2",
            "optimizer.options.'a b'=[1, 2]",
            "training={epochs=5}",
            "training.warmup=5",
            "note=two words, = and all",
            "data.limit=3",
            "data.limit=4",
            'tags.none="none"',
            "average=none",
            'layers=[{kind="a"}]',
        ],
    )
    assert recipe == Recipe(
        data=dataclasses.replace(EXPECTED.data, limit=4),
        seed=7,
        note="two words, = and all",
        tags={"a b": "é", "share": 0.25, "none": "none"},
        optimizer=Optimizer("adamw", 0.01, {"momentum": 0.9, "a b": (1, 2)}),
        training=Training(5, 5),
        layers=(Layer("a"),),
    )
    assert configuration.override(EXPECTED, []) == EXPECTED


def test_assignments_to_what_is_empty_begin_with_the_defaults():
    recipe = configuration.override(Recipe(Data("a")), ["average.every=2", "data.name=none"])
    assert recipe == Recipe(Data("none"), average=Average(every=2))


@pytest.mark.parametrize("order", [1, -1])
def test_only_the_sum_of_assignments_must_be_valid(order):
    recipe = configuration.override(EXPECTED, ["training.warmup=8", "training.epochs=9"][::order])
    assert recipe.training == Training(9, 8)


def test_a_field_that_may_be_none_defaults_to_it():
    @dataclass(frozen=True)
    class Wrong:
        limit: int | None = 3

    message = "Wrong.limit must default to None, or not take it"
    assert message_of(configuration.parse, "", Wrong) == (TypeError, message)
    assert message_of(configuration.dump, Wrong(None)) == (TypeError, message)


def test_a_type_that_toml_lacks_is_told():
    @dataclass(frozen=True)
    class Wrong:
        number: complex = 1j

    for function, value in (
        (configuration.parse, ("number = 1", Wrong)),
        (configuration.dump, (Wrong(),)),
    ):
        kind, message = message_of(function, *value)
        assert kind is TypeError
        assert "number is of a type that cannot be read: " in message


def test_what_is_written():
    assert configuration.dump(dataclasses.replace(EXPECTED, note=None, tags={})) == (
        """seed = 7

[data]
name = "digits"
shape = [32, 30]
shares = [1.0, 0.5]
flip = true

[tags]

[optimizer]
name = "sgd"
learning_rate = 0.001
power = 1

[optimizer.options]
momentum = 0.9

[training]
epochs = 1
warmup = 0

[average]
decay = 0.5
every = 1

[[layers]]
kind = "conv"
rate = 0.5

[[layers]]
kind = "dropout"
rate = 1.0
"""
    )


def test_only_what_can_be_read_is_written():
    for optimizer, message in (
        (Optimizer("adm"), "there is no optimizer.name 'adm'. Did you mean 'adam'?"),
        (
            Optimizer(learning_rate=math.inf),
            "optimizer.learning_rate must be finite. Received: inf",
        ),
        (Optimizer(learning_rate="1"), 'optimizer.learning_rate must be a number. Received: "1"'),
    ):
        recipe = Recipe(Data("a"), optimizer=optimizer)
        assert message_of(configuration.dump, recipe)[1] == message


STRINGS = st.text(max_size=8)
WHOLE = st.integers(-(2**63), 2**63 - 1)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
ANYTHING = st.recursive(
    STRINGS | WHOLE | NUMBERS | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple) | st.dictionaries(STRINGS, inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def tables(draw, kinds, names=("a", "b", "c_")):
    """A dataclass whose fields are of the given kinds, some optional, and values of it."""
    fields, values = [], {}
    for name in draw(st.lists(st.sampled_from(names), min_size=1, unique=True)):
        annotation, values[name] = draw(kinds)
        if draw(st.booleans()):
            values[name] |= st.none()
            fields.append((name, annotation | None, field(default=None, kw_only=True)))
        else:
            fields.append((name, annotation, field(kw_only=True)))
    kind = dataclasses.make_dataclass("Table", fields, frozen=True)
    return kind, st.builds(kind, **values)


def containers(kinds):
    """What holds values of the given kinds; a kind is a type and values of it."""

    def pair(parts):
        annotations, values = zip(*parts, strict=True)
        return tuple[annotations], st.tuples(*values)

    return st.one_of(
        kinds.map(lambda kind: (tuple[kind[0], ...], st.lists(kind[1], max_size=3).map(tuple))),
        kinds.map(lambda kind: (dict[str, kind[0]], st.dictionaries(STRINGS, kind[1], max_size=3))),
        st.lists(kinds, min_size=1, max_size=3).map(pair),
        tables(kinds),
    )


KINDS = st.recursive(
    st.sampled_from(
        [
            (str, STRINGS),
            (int, WHOLE),
            (float, NUMBERS),
            (bool, st.booleans()),
            (Any, ANYTHING),
            (Literal["a", 2, True], st.sampled_from(["a", 2, True])),
            (str | bool | float, STRINGS | NUMBERS | st.booleans()),
        ]
    ),
    containers,
    max_leaves=8,
)


def exact(value):
    """The text of a value, which tells 1 from 1.0 and from True, and not the order of a dict."""
    if dataclasses.is_dataclass(value):
        return exact(vars(value))
    if isinstance(value, dict):
        return str(sorted((key, exact(inner)) for key, inner in value.items()))
    return str([exact(inner) for inner in value]) if isinstance(value, tuple) else repr(value)


@given(tables(KINDS).flatmap(lambda kind: kind[1]))
def test_what_is_written_is_read_as_it_was(value):
    again = configuration.parse(configuration.dump(value), type(value))
    assert again == value
    assert exact(again) == exact(value) == exact(configuration.override(value, []))


def parse_or_fail(text):
    """Read garbage; what is no error is a recipe, and what is one has one line."""
    try:
        assert isinstance(configuration.parse(text, Recipe, source="a.toml"), Recipe)
    except (TypeError, ValueError) as error:
        message = str(error)
        assert message.splitlines() == [message]
        assert message.startswith(("a.toml: ", "a.toml, line "))


@given(
    st.text() | st.text("[]{}=.\"'\n\r# \\1ae_-") | st.binary().map(lambda b: b.decode("latin-1"))
)
def test_garbage_is_refused_in_one_line(text):
    parse_or_fail(text)


PIECES = ["[", "]", "{", "}", '"', "'", '"""', "=", ".", "\n", "\r", "\x00", "\x85", "\u2028", " ",
          "#", ",", "-", "1", "1e999", "nan", "true", "é", "\ud800", "\\", "\\u", "2020-01-01",
          "[a]\n", "[[layers]]\n", "seed = 1\n", "[" * 2000, "9" * 5000, "{a=" * 2000]  # fmt: skip


@given(
    st.lists(
        st.tuples(st.integers(0, len(VALID)), st.integers(0, 12), st.sampled_from(["", *PIECES])),
        min_size=1,
        max_size=3,
    )
)
def test_a_damaged_text_is_refused_in_one_line(changes):
    text = VALID
    for start, removed, added in changes:
        text = text[:start] + added + text[start + removed :]
    parse_or_fail(text)


@given(
    st.text() | st.tuples(st.sampled_from(["seed", "data.name", "layers"]), st.text()).map("=".join)
)
def test_garbage_is_no_assignment(text):
    try:
        assert isinstance(configuration.override(EXPECTED, [text]), Recipe)
    except (TypeError, ValueError) as error:
        message = str(error)
        assert message.splitlines() == [message]
        assert message.startswith("--set ")
