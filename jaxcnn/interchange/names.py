"""Names of arrays in two libraries, translated by rules.

A rule maps the path of a layer here to that of a layer there. In both, ``{i}`` stands for a number;
there it may be shifted, ``{i-1}``, and ``{n}`` is the number of the block, counted through all
stages from 0. What stands in brackets may be missing: ``stage_{i}.block_{j}.[body.]conv_1``.
"""

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# What the arrays of a layer are called in PyTorch.
ARRAYS = {
    "kernel": "weight",
    "scale": "weight",
    "slope": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
_SLOT = re.compile(r"\{(\w+)(?:([+-])(\d+))?\}")


def translate(names: Iterable[str], rules: Mapping[str, str]) -> dict[str, str | None]:
    """Return what arrays are called there, by their names here.

    >>> translate(["stage_1.residual_2.body.conv_1.kernel", "tail.bias"],
    ...           {"stage_{i}.residual_{j}.body.conv_{k}": "layer{i}.{j-1}.conv{k}"})
    {'stage_1.residual_2.body.conv_1.kernel': 'layer1.1.conv1.weight', 'tail.bias': None}

    Args:
      names: Dotted names of arrays.
      rules: Paths there by paths here; one that ends in the name of an array maps that array alone.

    Returns:
      The names there; ``None`` where no rule fits.
    """
    compiled = [(_pattern(ours), theirs) for ours, theirs in rules.items()]
    found = {name: _match(name, compiled) for name in names}
    blocks = sorted({match.block for match in found.values() if match is not None})
    return {
        name: None if match is None else match.translated(blocks) for name, match in found.items()
    }


@dataclass(frozen=True)
class _Match:
    """A name that fits a rule: the numbers in it, the path there, and the end that is added."""

    numbers: Mapping[str, int]
    theirs: str
    end: str

    @property
    def block(self) -> tuple[int, int]:
        """The numbers of stage and block; all that is in no block counts as one before them."""
        return self.numbers.get("i", -1), self.numbers.get("j", -1)

    def translated(self, blocks: list[tuple[int, int]]) -> str:
        inner = [block for block in blocks if -1 not in block]
        numbers = dict(self.numbers)
        if self.block in inner:
            numbers["n"] = inner.index(self.block)
        return _SLOT.sub(functools.partial(_shifted, numbers), self.theirs) + self.end


def _match(name: str, rules: list[tuple[re.Pattern[str], str]]) -> _Match | None:
    path, _, array = name.rpartition(".")
    for pattern, theirs in rules:
        for tried, end in ((name, ""), (path, f".{ARRAYS.get(array, array)}")):
            match = pattern.fullmatch(tried)
            if match is not None:
                numbers = {slot: int(number) for slot, number in match.groupdict().items()}
                return _Match(numbers, theirs, end)
    return None


def _pattern(ours: str) -> re.Pattern[str]:
    escaped = re.escape(ours).replace(r"\[", "(?:").replace(r"\]", ")?")
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>\\d+)", escaped))


def _shifted(numbers: Mapping[str, int], slot: re.Match[str]) -> str:
    name, sign, shift = slot.groups()
    by = int(shift or 0)
    return str(numbers[name] + (-by if sign == "-" else by))
