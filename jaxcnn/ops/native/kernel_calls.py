"""Convolutions and their gradients as calls of the compiled library."""

from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from jaxcnn import shapes
from jaxcnn.ops.native import kernel_library


def call(
    name: str,
    shape: shapes.Shape,
    *arrays: ArrayLike,
    windows: shapes.Windows,
    groups: int,
    winograd: bool = False,
    suffix: str = "",
) -> jax.Array:
    """Call one of the functions of the library.

    Args:
      name: One of :data:`kernel_library.NAMES`.
      shape: Shape of the result.
      *arrays: The two arrays, float32, none of them empty.
      windows: The resolved window.
      groups: Number of groups of channels.
      winograd: Whether by Winograd's method: the kernel is 3×3 along the last two axes, strides
        are 1, and each group has 16 inputs and outputs or more.
      suffix: That of :func:`kernel_library.register`; by default that of the library in use.
    """
    attributes: dict[str, Any] = {
        "strides": np.array(windows.strides, np.int64),
        "low": np.array([low for low, _ in windows.padding], np.int64),
        "dilation": np.array(windows.dilation, np.int64),
        "groups": np.int64(groups),
        "winograd": np.bool_(winograd),
    }
    result = jax.ShapeDtypeStruct(shape, np.float32)
    target = f"jaxcnn_{name}_{suffix or kernel_library.key()}"
    return jax.ffi.ffi_call(target, result)(*arrays, **attributes)
