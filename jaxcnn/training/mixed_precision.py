"""Mixed precision: half-precision computation with float32 parameters."""

from collections.abc import Hashable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcnn import arguments
from jaxcnn.modules.parameter_tree import ArrayTree

Path: TypeAlias = tuple[Hashable, ...]

PRECISIONS = {"float32": None, "bfloat16": jnp.bfloat16, "float16": jnp.float16}
_NORMS = (nnx.BatchNorm, nnx.LayerNorm, nnx.GroupNorm, nnx.InstanceNorm, nnx.RMSNorm)

# As Micikevicius et al. choose them; PyTorch's GradScaler too, but for the first scale (2¹⁶).
_FIRST_SCALE = 2.0**15
_GOOD_STEPS_TO_DOUBLE = 2000


class LossScale(NamedTuple):
    """The factor of the loss that keeps float16 gradients from underflow and overflow.

    It is halved when a gradient overflows, and doubled after 2,000 steps without (Micikevicius
    et al., 2018, arXiv 1710.03740).

    Attributes:
      value: The factor, float32, at least 1.
      good_steps: Steps since it last changed, int32.
    """

    value: jax.Array
    good_steps: jax.Array

    @classmethod
    def create(cls) -> "LossScale":
        """Return the scale before the first step."""
        return cls(jnp.array(_FIRST_SCALE, jnp.float32), jnp.zeros((), jnp.int32))

    def after(self, finite: jax.Array) -> "LossScale":
        """Return the scale after a step whose gradients were ``finite`` or were not."""
        good_steps = jnp.where(finite, self.good_steps + 1, 0)
        double = good_steps == _GOOD_STEPS_TO_DOUBLE
        value = jnp.where(finite, self.value, jnp.maximum(self.value / 2, 1))
        return LossScale(jnp.where(double, value * 2, value), jnp.where(double, 0, good_steps))


class Computation(NamedTuple):
    """The structure of a model, and the dtype that it computes in.

    Attributes:
      graphdef: Flax's.
      dtype: Half precision, or ``None`` for the dtypes of the modules.
      uncast: Paths of the modules whose parameters are not cast.
    """

    graphdef: Any
    dtype: Any
    uncast: frozenset[Path]

    @classmethod
    def of(cls, model: nnx.Module, precision: str) -> "Computation":
        """Return the computation of a model.

        In half precision, parameters and images are cast first. A module that sets a
        ``dtype`` keeps its float32 parameters and computes as it says, and Flax's normalizations
        are set to return half precision; they compute their statistics in float32.

        Args:
          model: Any module.
          precision: ``"float32"``, which does not cast, ``"bfloat16"`` or ``"float16"``.

        Raises:
          ValueError: ``precision`` is another word.
        """
        arguments.check_choice("precision", precision, PRECISIONS)
        dtype = PRECISIONS[precision]
        if dtype is None:
            return cls(nnx.graphdef(model), None, frozenset())
        model = nnx.merge(*nnx.split(model))  # modules of its own, to be changed
        uncast = []
        for path, module in nnx.iter_modules(model):
            if isinstance(module, _NORMS) and module.dtype is None:
                module.dtype = dtype
            if getattr(module, "dtype", None) is not None:
                uncast.append(path)
        return cls(nnx.graphdef(model), dtype, frozenset(uncast))

    def model(self, params: ArrayTree, statistics: ArrayTree) -> nnx.Module:
        """Return the model with these arrays, parameters cast."""
        if self.dtype is not None:
            params = jax.tree_util.tree_map_with_path(self._cast_parameter, params)
        return nnx.merge(self.graphdef, params, statistics)

    def cast(self, array: jax.Array) -> jax.Array:
        """Return floating-point values in half precision, others as they are."""
        if self.dtype is None or not jnp.issubdtype(array.dtype, jnp.floating):
            return array
        return array.astype(self.dtype)

    def _cast_parameter(self, keys: Any, parameter: jax.Array) -> jax.Array:
        owner = tuple(key.key for key in keys)[:-1]
        return parameter if owner in self.uncast else self.cast(parameter)
