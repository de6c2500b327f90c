"""Text that the font of a plot can draw."""

import warnings
from collections.abc import Sequence

import matplotlib
from matplotlib import font_manager

# Letters of a name in a plot.
_LONGEST = 22


def drawable(class_names: Sequence[str]) -> list[str]:
    """Return class names for a plot: ``class 3`` for one in a script that its fonts lack.

    Matplotlib would draw empty boxes, and warn of each character.

    >>> drawable(["cat", "été"])
    ['cat', 'été']
    """
    known = _characters()
    lacking = [name for name in class_names if not known.issuperset(map(ord, name))]
    if not lacking:
        return list(class_names)
    warnings.warn(
        f"the plot's font has no characters for {len(lacking)} class names, such as "
        f"{lacking[0]!r}; they are drawn as numbers. Install a font that has them, such as Noto "
        "Sans CJK, and name it in matplotlib.rcParams['font.family'] = ['DejaVu Sans', 'Noto Sans "
        "CJK JP'], or in the file matplotlibrc",
        stacklevel=3,
    )
    replaced = set(lacking)
    return [
        f"class {number}" if name in replaced else name for number, name in enumerate(class_names)
    ]


def shortened(names: Sequence[str]) -> list[str]:
    """Return names of at most 22 letters; longer ones end in an ellipsis.

    >>> shortened(["cat", "a name of more than twenty letters"])
    ['cat', 'a name of more than t…']
    """
    return [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in names]


def _characters() -> set[int]:
    """Return the code points that the fonts of plots have."""
    found: set[int] = set()
    for family in matplotlib.rcParams["font.family"]:
        properties = font_manager.FontProperties(family=[family])  # alone it would be a pattern
        try:
            path = font_manager.findfont(properties, fallback_to_default=False)
        except ValueError:  # it is not installed, and Matplotlib says so
            continue
        found |= font_manager.get_font(path).get_charmap().keys()
    return found
