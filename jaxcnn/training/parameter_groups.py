"""Groups of parameters by patterns of their names: their learning rates, and when they begin."""

import difflib
import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxcnn import arguments


class _State(NamedTuple):
    step: jax.Array


def scale_groups(
    factors: Mapping[str, float], starts: Mapping[str, int]
) -> optax.GradientTransformation:
    """Return a transformation that scales the updates of groups, by 0 until their first step.

    The optimizer before it follows the gradients of a group from the beginning, so that its
    averages are right when the group begins. A parameter that several patterns match is of the last
    of them.

    Args:
      factors: Factors by patterns, above 0.
      starts: Steps by patterns, at least 0.

    Returns:
      An Optax transformation. Its ``init`` raises a ValueError where a pattern matches nothing.

    Raises:
      TypeError: an argument is not of its type.
      ValueError: a number is out of range.
    """
    _check("learning_rates", factors, above=0)
    _check("unfreeze", starts, minimum=0)

    def init(params: Any) -> _State:
        _by_leaf(params, factors, "learning_rates")
        _by_leaf(params, starts, "unfreeze")
        return _State(jnp.zeros((), jnp.int32))

    def update(updates: Any, state: _State, params: Any = None) -> tuple[Any, _State]:
        leaves, structure = jax.tree.flatten(updates)
        scales = _by_leaf(updates, factors, "learning_rates")
        begins = _by_leaf(updates, starts, "unfreeze")
        scaled = []
        for leaf, factor, start in zip(leaves, scales, begins, strict=True):
            factor = jnp.asarray(1 if factor is None else factor, leaf.dtype)
            if start is not None:
                factor = jnp.where(state.step < start, jnp.zeros_like(factor), factor)
            scaled.append(leaf * factor)
        return jax.tree.unflatten(structure, scaled), _State(state.step + 1)

    return optax.GradientTransformation(init, update)


def _check(name: str, given: Any, **bounds: float) -> None:
    if not isinstance(given, Mapping):
        raise TypeError(
            f"{name} must be numbers by patterns, such as {{'stem.*': 0.1}}. "
            f"Received: {name}={arguments.shown(given)}"
        )
    for pattern, number in given.items():
        arguments.check_number(f"{name}[{pattern!r}]", number, **bounds)  # type: ignore[arg-type]  # no text is among them


def match_patterns(params: Any, patterns: Sequence[str], argument: str) -> list[str | None]:
    """Return the last pattern that matches each parameter, in the order of the leaves.

    Raises:
      ValueError: a pattern matches nothing; the message has the nearest name.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    paths = [jax.tree_util.keystr(keys, simple=True, separator=".") for keys, _ in leaves]
    last: dict[str, str] = {}
    for pattern in patterns:
        found = fnmatch.filter(paths, pattern)
        if not found:
            (nearest,) = difflib.get_close_matches(pattern, paths, n=1, cutoff=0)
            raise ValueError(
                f"a pattern of {argument} must match the path of a parameter, of which the nearest "
                f"is {nearest!r}. Received: {arguments.shown(pattern)}"
            )
        last |= dict.fromkeys(found, pattern)
    return [last.get(path) for path in paths]


def _by_leaf(params: Any, given: Mapping[str, Any], argument: str) -> list[Any]:
    matched = match_patterns(params, tuple(given), argument)
    return [None if pattern is None else given[pattern] for pattern in matched]
