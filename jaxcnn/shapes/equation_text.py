"""The formula of an output size as text, with its numbers."""

from collections.abc import Sequence

from jaxcnn.shapes.numbers import Pair


def axis_names(axes: int) -> tuple[str, ...]:
    """Return what the output sizes of the spatial axes are called: n_H and n_W for images.

    >>> axis_names(2), axis_names(3)
    (('n_H', 'n_W'), ('n_D', 'n_H', 'n_W'))
    """
    letters = {1: "L", 2: "HW", 3: "DHW"}.get(axes)
    return tuple(f"n_{letter}" for letter in letters or map(str, range(1, axes + 1)))


def equations(formulas: Sequence[str]) -> str:
    """Return one equation for each different formula, with the names of its axes."""
    names: dict[str, list[str]] = {}
    for name, formula in zip(axis_names(len(formulas)), formulas, strict=True):
        names.setdefault(formula, []).append(name)
    return ", ".join(f"{' = '.join(axes)} = {formula}" for formula, axes in names.items())


def span_text(window: int, dilation: int) -> str:
    """Return the extent of a window as it stands in the formula.

    >>> span_text(3, 1), span_text(3, 2)
    ('3', '(2·(3 − 1) + 1)')
    """
    return str(window) if dilation == 1 else f"({dilation}·({window} − 1) + 1)"


def both_text(pair: Pair, sign: str) -> str:
    """Return padding on both sides as it stands in the formula, joined by ``sign``.

    >>> both_text((1, 1), "+"), both_text((0, 1), "+")
    ('2·1', '0 + 1')
    """
    low, high = pair
    return f"2·{low}" if low == high else f"{low} {sign} {high}"
