"""Dense layers."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jaxcnn import arguments, modules, shapes
from jaxcnn.layers.layer import Layer
from jaxcnn.layers.option_checks import check_dtypes, check_flags
from jaxcnn.modules import Initializer
from jaxcnn.modules.linear import check_rngs


@dataclass(frozen=True, repr=False)
class dense(Layer):
    """A dense layer, :math:`y = x·W + b`; see :func:`jaxcnn.ops.dense`.

    >>> dense(10).output_shape((576,))
    (10,)

    Attributes:
      features: Outputs per example, at least 1.
      use_bias: Whether to add a bias.
      kernel_init, bias_init: Functions of ``(key, shape, dtype)``.
      dtype: Dtype of the computation; ``None`` means that of the input.
      param_dtype: Dtype in which the parameters are stored.
    """

    features: int
    _: KW_ONLY
    use_bias: bool = True
    kernel_init: Initializer = modules.he_normal
    bias_init: Initializer = modules.zeros
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = jnp.float32

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        arguments.check_integer("features", self.features, minimum=1)
        check_flags(self, "use_bias")
        check_dtypes(self)
        arguments.check_initializer("kernel_init", self.kernel_init)
        arguments.check_initializer("bias_init", self.bias_init)

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return ``(features,)``; the input must be flat."""
        if len(shapes.check_shape(input_shape)) != 1:
            raise ValueError(
                "input_shape must be flat, (in_features,), for dense. "
                f"Received: input_shape={input_shape!r}. "
                "Put flatten() before it, or use conv(features, 1) at every position."
            )
        return (self.features,)

    def multiply_adds(self, input_shape: Sequence[int]) -> int:
        """Return in_features · features."""
        return int(input_shape[0]) * self.features

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> modules.Dense:
        """Return a :class:`jaxcnn.modules.Dense`."""
        check_rngs(rngs)
        self.output_shape(input_shape)
        return modules.Dense(input_shape[0], rngs=rngs, **vars(self))
