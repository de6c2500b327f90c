"""Networks that read series of several lengths, padded by NaN."""

import functools
from typing import Any

import jax
from flax import nnx

from jaxcnn.modules.combinators import call
from jaxcnn.modules.masking import Masked, read_mask


def masked(module: nnx.Module) -> nnx.Module:
    """Return ``module`` for series of several lengths, each computed as if it were alone.

    The last steps of a series that are NaN in every channel are padding; see
    :class:`jaxcnn.masked`. The names of parameters are unchanged: the result is an instance of a
    subclass of the module's class and shares its variables.

    >>> import jax.numpy as jnp
    >>> from jaxcnn import ops
    >>> from jaxcnn.modules import Function, Serial
    >>> model = masked(Serial(pool=Function(ops.global_avg_pool)))
    >>> model(jnp.array([[[1.0], [3.0]], [[5.0], [jnp.nan]]]))
    Array([[2.],
           [5.]], dtype=float32)

    Args:
      module: A module of this library, or one that calls its modules by
        :func:`jaxcnn.modules.call`.
    """
    changed = object.__new__(_masked_class(type(module)))
    vars(changed).update(vars(module))
    return changed


def reads_padding(model: nnx.Module) -> bool:
    """Return whether a model, or a module within it, is masked."""
    return any(getattr(module, "reads_padding", False) for _, module in nnx.iter_modules(model))


@functools.cache  # so that two builds of one layer compare equal
def _masked_class(module_class: type[nnx.Module]) -> type[nnx.Module]:
    class MaskedNetwork(module_class):  # type: ignore[misc,valid-type]  # known only at run time
        reads_padding = True

        def __call__(
            self, x: jax.Array, *, train: bool | None = None, key: jax.Array | None = None
        ) -> Any:
            series = x if isinstance(x, Masked) else read_mask(x)
            plain = object.__new__(module_class)
            vars(plain).update(vars(self))
            outputs = call(plain, series, train=train, key=key)
            return jax.tree.map(
                lambda each: each.values if isinstance(each, Masked) else each,
                outputs,
                is_leaf=lambda each: isinstance(each, Masked),
            )

    return MaskedNetwork
