"""The window of a pool, which never lies in the padding."""

from collections.abc import Sequence

from jaxcnn.shapes.numbers import Padding, PerAxis, padding_of, per_axis
from jaxcnn.shapes.window import Windows, extent, windows


def pool_windows(
    spatial: Sequence[int],
    window: PerAxis,
    *,
    strides: PerAxis | None = None,
    padding: Padding = "VALID",
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
) -> Windows:
    """Return :func:`windows` for a pool, whose padding must be below the window's extent.

    >>> pool_windows((8,), 3, strides=2, padding=1).output_sizes
    (4,)

    Args:
      spatial: Input size of each spatial axis.
      window: Extent of the window: an int or one per spatial axis, at least 1.
      strides: Step of the window; ``None`` means the window's own size.
      padding: As in :func:`windows`.
      dilation: Distance between the positions that the window reads, at least 1.
      ceil_mode: Whether a last, partly filled window counts.

    Raises:
      TypeError: as :func:`windows`.
      ValueError: as :func:`windows`, and for padding in which a whole window would lie.
    """
    resolved = windows(
        spatial,
        window,
        strides=window if strides is None else strides,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
    )
    check_pool_padding(padding, window, dilation, len(spatial))
    return resolved


def check_pool_padding(padding: Padding, window: PerAxis, dilation: PerAxis, axes: int) -> None:
    """Check that no window of a pool lies in the padding, which needs no input size.

    Raises:
      TypeError: a number is not whole.
      ValueError: the padding is not smaller than the window's extent.
    """
    pairs = padding_of(padding, axes)
    spans = map(extent, per_axis("window", window, axes), per_axis("dilation", dilation, axes))
    if not isinstance(pairs, str) and any(
        max(pair) >= span for pair, span in zip(pairs, spans, strict=True)
    ):
        raise ValueError(
            "padding must be smaller than the window's extent, else a window lies in the padding. "
            f"Received: padding={padding!r}, window={window!r}, dilation={dilation!r}"
        )
