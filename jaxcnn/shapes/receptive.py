"""Receptive fields: the inputs that one output depends on, in a chain of windows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from jaxcnn import arguments
from jaxcnn.shapes.numbers import Pair, per_axis
from jaxcnn.shapes.window import Windows, extent


@dataclass(frozen=True)
class ReceptiveField:
    """The receptive field of the outputs of a chain of windows along one axis.

    Attributes:
      size: Number of input positions that an output depends on.
      jump: Number of input positions between the fields of neighboring outputs.
      start: First position of the first output's field; negative in the padding.
    """

    size: int
    jump: int
    start: int

    def then(self, following: "ReceptiveField") -> "ReceptiveField":
        """Return the field of a second chain, `following`, that reads the outputs of this one.

        >>> ReceptiveField(3, 2, -1).then(ReceptiveField(3, 1, -1))
        ReceptiveField(size=7, jump=2, start=-3)

        Args:
          following: The field of the second chain in positions of its own input.
        """
        return ReceptiveField(
            size=self.size + (following.size - 1) * self.jump,
            jump=self.jump * following.jump,
            start=self.start + following.start * self.jump,
        )

    def through(
        self, window: int, *, stride: int = 1, padding: int | Pair = 0, dilation: int = 1
    ) -> "ReceptiveField":
        """Return the field after one more window.

        >>> ReceptiveField(1, 1, 0).through(3, padding=1).through(2, stride=2)
        ReceptiveField(size=4, jump=2, start=-1)

        Args:
          window: Positions that the window reads, at least 1.
          stride: Step of the window, at least 1.
          padding: Positions added on both sides, or ``(low, high)``; at least 0.
          dilation: Distance between the positions that the window reads, at least 1.

        Raises:
          TypeError: an argument is not an integer.
          ValueError: an argument is below its minimum.
        """
        span = extent(
            arguments.check_integer("window", window, minimum=1),
            arguments.check_integer("dilation", dilation, minimum=1),
        )
        low, _ = per_axis("padding", padding, 2, minimum=0)
        stride = arguments.check_integer("stride", stride, minimum=1)
        return self.then(ReceptiveField(span, stride, -low))


# One field per spatial axis of the output; None where the field is not known.
Fields: TypeAlias = tuple[ReceptiveField, ...] | None


def receptive_field(
    windows: Sequence[tuple[int, int, int | Pair, int]],
) -> ReceptiveField:
    """Return the receptive field of a chain of windows along one axis.

    A window of extent f, stride s and padding p increases the size by (f − 1)·jump, decreases the
    start by p·jump, and multiplies the jump by s (Araujo et al., 2019).

    >>> receptive_field([(3, 1, 0, 1), (2, 2, 0, 1), (3, 1, 0, 1)])  # mnist_cnn's second conv
    ReceptiveField(size=8, jump=2, start=0)

    Args:
      windows: ``(window, stride, padding, dilation)`` of each layer, in order.

    Returns:
      Size, jump and start in input positions.

    Raises:
      TypeError: a number is not an integer.
      ValueError: a number is below its minimum.
    """
    field = ReceptiveField(1, 1, 0)
    for window, stride, padding, dilation in windows:
        field = field.through(window, stride=stride, padding=padding, dilation=dilation)
    return field


def pointwise_fields(axes: int) -> tuple[ReceptiveField, ...]:
    """Return the fields of a layer that computes each position from that position alone."""
    return (ReceptiveField(1, 1, 0),) * axes


def window_fields(windows: Windows) -> tuple[ReceptiveField, ...]:
    """Return the fields of a layer whose outputs each read one window."""
    columns = windows.window, windows.strides, windows.padding, windows.dilation
    return tuple(receptive_field([column]) for column in zip(*columns, strict=True))


def chain_fields(first: Fields, second: Fields) -> Fields:
    """Return the fields of two layers, one after the other."""
    if second == ():
        return ()
    if first is None or second is None:
        return None
    return tuple(one.then(other) for one, other in zip(first, second, strict=True))


def combine_fields(branches: Sequence[Fields]) -> Fields:
    """Return the fields of branches that are combined position by position: the largest ones."""
    known = [fields for fields in branches if fields is not None]
    if len(known) < len(branches):
        return None
    return tuple(
        ReceptiveField(
            size=max(field.size for field in axis),
            # Branches with another jump are global pools, broadcast to the size of the others.
            jump=min(field.jump for field in axis),
            start=min(field.start for field in axis),
        )
        for axis in zip(*known, strict=True)
    )
