"""Single operations in one library, in a process of its own, driven line by line over its pipes.

    python op_contender.py jaxcnn|xla|torch|torch channels-last

Each line it reads is a case, ``forward`` or ``gradient``, and how many times; see
:mod:`contender`. A gradient is the forward pass and the gradient of every array.
"""

import json
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from contender import seconds
from flax import nnx
from jax import lax

import jaxcnn as cnn
from jaxcnn.runtime import training_options


class Op(NamedTuple):
    """An operation and its sizes.

    Attributes:
      kind: ``"conv"``, ``"conv_transpose"``, ``"max_pool"``, ``"avg_pool"`` or ``"resize"``.
      shape: Of the input.
      size: Kernel size, window, or size of the result along each axis.
      features: Output channels of a convolution.
      strides: Along each axis.
      padding: On both sides of each axis.
      groups: Of channels.
      dilation: Along each axis.
    """

    kind: str
    shape: tuple[int, ...]
    size: int
    features: int = 0
    strides: int = 1
    padding: int = 0
    groups: int = 1
    dilation: int = 1

    @property
    def arrays(self) -> list[np.ndarray]:
        """The input and, where there is one, the kernel: random numbers."""
        rng, axes = np.random.default_rng(0), len(self.shape) - 2
        kernel = (self.size,) * axes + (self.shape[-1] // self.groups, self.features)
        made = [self.shape, kernel] if self.features else [self.shape]
        return [rng.normal(size=shape).astype(np.float32) for shape in made]


OPS = {
    "conv 3x3, 1 channel": Op("conv", (128, 28, 28, 1), 3, 64),
    "conv 3x3, 3 channels": Op("conv", (32, 32, 32, 3), 3, 64, padding=1),
    "conv 3x3, 64 channels": Op("conv", (32, 32, 32, 64), 3, 64, padding=1),
    "conv 3x3, 256 channels": Op("conv", (32, 8, 8, 256), 3, 256, padding=1),
    "conv 3x3, stride 2": Op("conv", (32, 32, 32, 64), 3, 128, strides=2, padding=1),
    "conv 3x3, dilation 2": Op("conv", (16, 32, 32, 64), 3, 64, padding=2, dilation=2),
    "conv 3x3, 32 groups": Op("conv", (16, 28, 28, 128), 3, 128, padding=1, groups=32),
    "conv 3x3, 32 groups of 16": Op("conv", (8, 14, 14, 512), 3, 512, padding=1, groups=32),
    "conv 3x3, 2 groups of 64": Op("conv", (8, 28, 28, 128), 3, 128, padding=1, groups=2),
    "conv 1x1": Op("conv", (32, 14, 14, 256), 1, 256),
    "conv 1x1, stride 2": Op("conv", (32, 32, 32, 64), 1, 128, strides=2),
    "depthwise 3x3": Op("conv", (16, 48, 48, 96), 3, 96, padding=1, groups=96),
    "depthwise 3x3, stride 2": Op("conv", (16, 48, 48, 96), 3, 96, strides=2, padding=1, groups=96),
    "depthwise 7x7": Op("conv", (8, 28, 28, 96), 7, 96, padding=3, groups=96),
    "depthwise 9x9": Op("conv", (4, 28, 28, 96), 9, 96, padding=4, groups=96),
    "depthwise 5x5x5": Op("conv", (2, 8, 16, 16, 16), 5, 16, padding=2, groups=16),
    "conv of size 9, 1-D": Op("conv", (64, 1024, 16), 9, 64, padding=4),
    "conv 3x3x3, 3 channels": Op("conv", (8, 16, 32, 32, 3), 3, 16, padding=1),
    "conv 3x3x3, 32 channels": Op("conv", (4, 8, 16, 16, 32), 3, 32, padding=1),
    "conv_transpose 4x4, stride 2": Op("conv_transpose", (16, 16, 16, 64), 4, 32, strides=2),
    "max_pool 2x2": Op("max_pool", (128, 26, 26, 64), 2, strides=2),
    "max_pool 3x3, stride 2": Op("max_pool", (32, 56, 56, 64), 3, strides=2, padding=1),
    "max_pool 9x9, stride 1": Op("max_pool", (8, 13, 13, 256), 9, padding=4),
    "avg_pool 2x2": Op("avg_pool", (128, 26, 26, 64), 2, strides=2),
    "avg_pool 3x3, stride 1": Op("avg_pool", (32, 28, 28, 64), 3, padding=1),
    "resize 28 to 56": Op("resize", (32, 28, 28, 64), 56),
    "resize 224 to 64": Op("resize", (16, 224, 224, 3), 64),
}
Run = Callable[[], Any]


def ours(op: Op) -> Callable[..., jax.Array]:
    """Return the operation as this library's."""
    if op.kind == "resize":
        return lambda x: cnn.ops.resize(x, op.size)
    window = {"strides": op.strides, "padding": op.padding}
    if op.kind.endswith("pool"):
        return lambda x: getattr(cnn.ops, op.kind)(x, op.size, **window)
    options = {**window, "groups": op.groups, "dilation": op.dilation}
    return lambda x, kernel: getattr(cnn.ops, op.kind)(x, kernel, **options)


def xla(op: Op) -> Callable[..., jax.Array]:
    """Return the operation as Flax, and the others that run on JAX, compute it."""
    axes = len(op.shape) - 2
    if op.kind == "resize":
        shape = (op.shape[0], *(op.size,) * axes, op.shape[-1])
        return lambda x: jax.image.resize(x, shape, "linear")
    window, strides, padding = (op.size,) * axes, (op.strides,) * axes, ((op.padding,) * 2,) * axes
    if op.kind.endswith("pool"):
        return lambda x: getattr(nnx, op.kind)(x, window, strides=strides, padding=padding)
    if op.kind == "conv_transpose":
        return lambda x, kernel: lax.conv_transpose(
            x, kernel, strides, "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
    letters = "DHW"[3 - axes :]
    return lambda x, kernel: lax.conv_general_dilated(
        x, kernel, strides, padding, rhs_dilation=(op.dilation,) * axes,
        dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
        feature_group_count=op.groups,
    )  # fmt: skip


def in_jax(op: Op, function: Callable[..., jax.Array], options: Any) -> tuple[Run, Run]:
    """Return the compiled forward pass, and the gradient with options of its own."""
    arrays = [jnp.asarray(array) for array in op.arrays]
    forward = jax.jit(function)

    def loss(*arrays: jax.Array) -> Any:
        y, pull_back = jax.vjp(function, *arrays)
        return pull_back(y)

    gradient = jax.jit(loss, compiler_options=options)
    return lambda: forward(*arrays), lambda: gradient(*arrays)


def in_torch(op: Op, channels_last: bool) -> tuple[Run, Run]:
    """Return the forward pass and the gradient in PyTorch."""
    import torch
    from torch.nn import functional

    axes = len(op.shape) - 2
    tensors = [torch.tensor(op.arrays[0]).movedim(-1, 1)]
    if op.features:
        # (*size, in, out) to (out, in, *size), or (in, out, *size) for the transposed one.
        kernel = torch.tensor(op.arrays[1])
        last = (-2, -1) if op.kind == "conv_transpose" else (-1, -2)
        tensors.append(kernel.movedim(last, (0, 1)))
    memory = torch.contiguous_format
    if channels_last and axes > 1:
        memory = torch.channels_last if axes == 2 else torch.channels_last_3d
    tensors = [t.contiguous(memory_format=memory).requires_grad_() for t in tensors]
    options: dict[str, Any] = {"stride": op.strides, "padding": op.padding}
    name = f"{op.kind}{axes}d"
    if op.kind == "avg_pool":
        options["count_include_pad"] = False
    if op.kind == "conv_transpose":
        name = f"conv_transpose{axes}d"
    if op.kind.endswith("pool"):
        options["kernel_size"] = op.size
    else:
        options |= {"groups": op.groups, "dilation": op.dilation}

    def run() -> Any:
        if op.kind == "resize":
            return functional.interpolate(*tensors, op.size, mode="bilinear", antialias=True)
        return getattr(functional, name)(*tensors, **options)

    def forward() -> Any:
        with torch.inference_mode():
            return run()

    def gradient() -> Any:
        y = run()
        return torch.autograd.grad(y, tensors, y.detach())

    return forward, gradient


def main() -> None:
    """Runs what it is told to until its input ends."""
    cnn.runtime.keep_freed_memory()
    library = sys.argv[1]

    @cache
    def runs(case: str) -> tuple[Run, Run]:
        op = OPS[case]
        if library.startswith("torch"):
            return in_torch(op, "channels" in library)
        if library == "jaxcnn":
            return in_jax(op, ours(op), training_options())
        return in_jax(op, xla(op), None)

    warm = set()
    print("{}", flush=True)
    for line in sys.stdin:
        case, mode, count = line.rsplit(maxsplit=2)
        run = runs(case)[mode == "gradient"]
        if (case, mode) not in warm:
            warm.add((case, mode))
            seconds(run)
        print(json.dumps({"seconds": [seconds(run) for _ in range(int(count))]}), flush=True)


if __name__ == "__main__":
    main()
