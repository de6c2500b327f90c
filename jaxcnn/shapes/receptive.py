"""Receptive fields: which inputs one output depends on, in a chain of windows."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxcnn import arguments
from jaxcnn.shapes.numbers import Pair, per_axis
from jaxcnn.shapes.window import extent


class ReceptiveField(NamedTuple):
    """What one output of a chain sees along one axis.

    Attributes:
      size: Input positions that an output depends on.
      jump: Input positions between the fields of neighboring outputs.
      start: First position of the first output's field; below 0 in the padding.
    """

    size: int
    jump: int
    start: int

    def through(
        self, window: int, *, stride: int = 1, padding: int | Pair = 0, dilation: int = 1
    ) -> "ReceptiveField":
        """Returns the field after one more window; the options are as in ``output_size``.

        >>> ReceptiveField(1, 1, 0).through(3, padding=1).through(2, stride=2)
        ReceptiveField(size=4, jump=2, start=-1)
        """
        span = extent(
            arguments.check_integer("window", window, minimum=1),
            arguments.check_integer("dilation", dilation, minimum=1),
        )
        low, _ = per_axis("padding", padding, 2, minimum=0)
        return ReceptiveField(
            size=self.size + (span - 1) * self.jump,
            jump=self.jump * arguments.check_integer("stride", stride, minimum=1),
            start=self.start - low * self.jump,
        )


def receptive_field(
    windows: Sequence[tuple[int, int, int | Pair, int]],
) -> ReceptiveField:
    """Returns what one output of a chain of windows sees along one axis.

    Through a window of extent f, stride s and padding p the size grows by (f − 1)·jump, the
    start falls by p·jump, and the jump is multiplied by s (Araujo et al., 2019).

    >>> receptive_field([(3, 1, 0, 1), (2, 2, 0, 1), (3, 1, 0, 1)])  # mnist_cnn's second conv
    ReceptiveField(size=8, jump=2, start=0)

    Args:
      windows: ``(window, stride, padding, dilation)`` of each layer, in order.

    Returns:
      Size, jump and start in input positions.
    """
    field = ReceptiveField(1, 1, 0)
    for window, stride, padding, dilation in windows:
        field = field.through(window, stride=stride, padding=padding, dilation=dilation)
    return field
