"""Pools: over windows, over all positions, to a given size."""

import dataclasses
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

from jaxcnn import ops, shapes
from jaxcnn.layers.layer import OpLayer, WindowLayer
from jaxcnn.layers.option_checks import check_flags, check_padding, check_per_axis, count_axes
from jaxcnn.ops.pooling import check_order
from jaxcnn.shapes.pooling import check_pool_padding
from jaxcnn.shapes.receptive import Fields


@dataclass(frozen=True, repr=False)
class _WindowPool(OpLayer, WindowLayer):
    """The options that all pools over a moving window share."""

    window: shapes.PerAxis
    _: KW_ONLY
    strides: shapes.PerAxis | None = None
    padding: shapes.Padding = "VALID"
    dilation: shapes.PerAxis = 1
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        """Check the options that do not depend on the input's shape."""
        super().__post_init__()
        check_per_axis(self, "window", "dilation")
        check_padding(self)
        check_flags(self, "ceil_mode")
        if self.strides is not None:
            check_per_axis(self, "strides")
        axes = count_axes(self, "window", "strides", "padding", "dilation")
        check_pool_padding(self.padding, self.window, self.dilation, axes)

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return ``(*output_sizes, channels)``; see :func:`jaxcnn.shapes.pool_shape`."""
        *_, channels = shapes.image_shape(input_shape)
        return (*self.windows(input_shape).output_sizes, channels)

    def windows(self, input_shape: Sequence[int]) -> shapes.Windows:
        """Return the window with every option resolved for inputs of ``input_shape``."""
        *spatial, _ = shapes.image_shape(input_shape)
        fields = dataclasses.fields(_WindowPool)
        return shapes.pool_windows(spatial, **{f.name: getattr(self, f.name) for f in fields})


@dataclass(frozen=True, repr=False)
class max_pool(_WindowPool):
    """The largest value of each window; see :func:`jaxcnn.ops.max_pool`.

    >>> max_pool(2).output_shape((13, 13, 64))
    (6, 6, 64)

    Attributes:
      window: Extent of the window: an int or one per spatial axis, at least 1.
      strides: Step of the window; ``None`` means the window's own size.
      padding: ``"VALID"``, ``"SAME"``, ``"SAME_LOWER"``, ``"CAUSAL"``, an int, one int per spatial
        axis, or one ``(low, high)`` per spatial axis; below the window's extent.
      dilation: Distance between the positions that the window reads, at least 1.
      ceil_mode: Whether a last, partly filled window counts.
    """

    op = staticmethod(ops.max_pool)


@dataclass(frozen=True, repr=False)
class avg_pool(_WindowPool):
    """The mean of each window; see :func:`jaxcnn.ops.avg_pool`.

    >>> avg_pool(2).output_shape((13, 13, 64))
    (6, 6, 64)

    Attributes:
      window, strides, padding, dilation, ceil_mode: The window, with the meaning of
        :class:`max_pool`.
      count_include_pad: Whether padding counts in the divisor.
    """

    _: KW_ONLY
    count_include_pad: bool = False

    op = staticmethod(ops.avg_pool)
    saved = ()

    def __post_init__(self) -> None:
        """Check the options that do not depend on the input's shape."""
        super().__post_init__()
        check_flags(self, "count_include_pad")


@dataclass(frozen=True, repr=False)
class sum_pool(_WindowPool):
    """The sum of each window; see :func:`jaxcnn.ops.sum_pool`.

    >>> sum_pool(2).output_shape((13, 13, 64))
    (6, 6, 64)

    Attributes:
      window, strides, padding, dilation, ceil_mode: The window, with the meaning of
        :class:`max_pool`.
    """

    op = staticmethod(ops.sum_pool)
    saved = ()


@dataclass(frozen=True, repr=False)
class lp_pool(_WindowPool):
    """The p-norm of each window; see :func:`jaxcnn.ops.lp_pool`.

    >>> lp_pool(2, 3).output_shape((13, 13, 64))
    (6, 6, 64)

    Attributes:
      window, strides, padding, dilation, ceil_mode: The window, with the meaning of
        :class:`max_pool`.
      p: Order of the norm, at least 1.
    """

    p: float

    op = staticmethod(ops.lp_pool)

    def __post_init__(self) -> None:
        """Check the options that do not depend on the input's shape."""
        super().__post_init__()
        check_order(self.p)


@dataclass(frozen=True, repr=False)
class _GlobalPool(OpLayer):
    """A pool over all positions."""

    _: KW_ONLY
    keepdims: bool = False

    def __post_init__(self) -> None:
        """Check the option."""
        super().__post_init__()
        check_flags(self, "keepdims")

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return ``(channels,)``, preceded by ones for the spatial axes if they are kept."""
        *spatial, channels = shapes.image_shape(input_shape)
        return (*(1 for _ in spatial if self.keepdims), channels)

    def receptive_field(self, input_shape: Sequence[int]) -> Fields:
        """Return the whole input along each spatial axis that is kept."""
        *spatial, _ = shapes.image_shape(input_shape)
        return tuple(shapes.ReceptiveField(n, n, 0) for n in spatial if self.keepdims)


@dataclass(frozen=True, repr=False)
class global_max_pool(_GlobalPool):
    """The largest value of each channel; see :func:`jaxcnn.ops.global_max_pool`.

    >>> global_max_pool().output_shape((7, 7, 512))
    (512,)

    Attributes:
      keepdims: Whether the spatial axes stay, with size 1.
    """

    op = staticmethod(ops.global_max_pool)


@dataclass(frozen=True, repr=False)
class global_avg_pool(_GlobalPool):
    """The mean of each channel; see :func:`jaxcnn.ops.global_avg_pool`.

    >>> global_avg_pool(keepdims=True).output_shape((7, 7, 512))
    (1, 1, 512)

    Attributes:
      keepdims: Whether the spatial axes stay, with size 1.
    """

    op = staticmethod(ops.global_avg_pool)
    saved = ()


@dataclass(frozen=True, repr=False)
class _AdaptivePool(OpLayer):
    """A pool to a given size."""

    output_size: shapes.PerAxis

    def __post_init__(self) -> None:
        """Check the size."""
        super().__post_init__()
        check_per_axis(self, "output_size")

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return ``(*output_size, channels)``."""
        return shapes.adaptive_shape(input_shape, self.output_size)


@dataclass(frozen=True, repr=False)
class adaptive_max_pool(_AdaptivePool):
    """The largest values of evenly spread windows; see :func:`jaxcnn.ops.adaptive_max_pool`.

    >>> adaptive_max_pool(7).output_shape((13, 17, 64))
    (7, 7, 64)

    Attributes:
      output_size: An int or one per spatial axis, at least 1.
    """

    op = staticmethod(ops.adaptive_max_pool)


@dataclass(frozen=True, repr=False)
class adaptive_avg_pool(_AdaptivePool):
    """The means of evenly spread windows; see :func:`jaxcnn.ops.adaptive_avg_pool`.

    >>> adaptive_avg_pool((7, 5)).output_shape((13, 17, 64))
    (7, 5, 64)

    Attributes:
      output_size: An int or one per spatial axis, at least 1.
    """

    op = staticmethod(ops.adaptive_avg_pool)
    saved = ()
