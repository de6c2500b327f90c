"""Names of arrays in two libraries, translated by rules.

A rule maps the path of a layer here to that of a layer there. In both, ``{i}``, ``{j}`` and ``{k}``
stand for a number; there it may be shifted, ``{i-1}``, and ``{n}`` is the number of the block
``{i}``, ``{j}``, counted through all stages from 0. Other slots stand for a name, ``{path}`` for
several. What stands in brackets may be missing: ``stage_{i}.block_{j}.[body.]conv_1``.
"""

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
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
_FILLING = {"i": r"\d+", "j": r"\d+", "k": r"\d+", "path": r"[A-Za-z0-9_.]+?"}
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
    blocks = sorted({match.block for match in found.values() if match and match.block})
    return {
        name: None if match is None else match.translated(blocks) for name, match in found.items()
    }


def count_unused(names: Iterable[str], rules: Mapping[str, str]) -> int:
    """Return the number of rules that fit no name."""
    compiled = [(_pattern(ours), ours) for ours in rules]
    matches = [_match(name, compiled) for name in names]
    return len(rules.keys() - {match.theirs for match in matches if match is not None})


@dataclass(frozen=True)
class _Match:
    """A name that fits a rule: what fills its slots, the path there, and the end that is added."""

    filled: Mapping[str, str]
    theirs: str
    end: str

    @property
    def block(self) -> tuple[int, int] | None:
        """The numbers of stage and block, if the layer is in one."""
        if not {"i", "j"} <= self.filled.keys():
            return None
        return int(self.filled["i"]), int(self.filled["j"])

    def translated(self, blocks: Sequence[tuple[int, int]]) -> str:
        filled = dict(self.filled)
        if self.block is not None:
            filled["n"] = str(blocks.index(self.block))
        return _SLOT.sub(functools.partial(_shifted, filled), self.theirs) + self.end


def _match(name: str, rules: list[tuple[re.Pattern[str], str]]) -> _Match | None:
    path, _, array = name.rpartition(".")
    for pattern, theirs in rules:
        for tried, end in ((name, ""), (path, f".{ARRAYS.get(array, array)}")):
            match = pattern.fullmatch(tried)
            if match is not None:
                return _Match(match.groupdict(), theirs, end)
    return None


def _pattern(ours: str) -> re.Pattern[str]:
    escaped = re.escape(ours).replace(r"\[", "(?:").replace(r"\]", ")?")
    return re.compile(re.sub(r"\\\{(\w+)\\\}", _slot, escaped))


def _slot(slot: re.Match[str]) -> str:
    name = slot[1]
    return f"(?P<{name}>{_FILLING.get(name, r'[A-Za-z0-9_]+')})"


def _shifted(filled: Mapping[str, str], slot: re.Match[str]) -> str:
    name, sign, shift = slot.groups()
    if not sign:
        return filled[name]
    return str(int(filled[name]) + int(f"{sign}{shift}"))
