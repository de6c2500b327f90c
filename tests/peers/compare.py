"""How an op of ours is compared with a peer's: values, and gradients of every array."""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st

# For one of several tests of a family, and for Keras, which runs eagerly.
fewer = settings(max_examples=settings.default.max_examples // 4)

# With whole numbers as inputs, products and sums are exact in float32 whatever their order, so that
# peers agree to the last bit; what divides or takes roots agrees to rounding. In bfloat16 the
# gradient of a long sum may be rounded more than once.
EXACT = {"float32": 0.0, "bfloat16": 2**-7, "float16": 2**-10}
ROUNDED = {"float32": 2e-5, "bfloat16": 2**-6, "float16": 2**-9}


def whole_numbers(seed, shape, dtype="float32", most=3):
    """Whole numbers in −most…most; few enough that ties are common."""
    values = np.random.default_rng(seed).integers(-most, most, shape, endpoint=True)
    return jnp.asarray(values, dtype)


def run_ours(function, *arrays, options=None):
    """Value, and gradients of the value times whole numbers, in one program."""

    def program(*arrays):
        value, pull_back = jax.vjp(function, *arrays)
        return value, pull_back(cotangent(value.shape, value.dtype))

    # Compiled by hand: what `jit` compiles it keeps, and thousands of programs fill the memory.
    compiled = jax.jit(program).lower(*arrays).compile(compiler_options=options)
    value, gradients = compiled(*arrays)
    return [np.asarray(array, np.float32) for array in (value, *gradients)]


def run_torch(function, *arrays):
    """The same for a PyTorch function of tensors that are channels last at both ends."""
    leaves = [to_torch(array).requires_grad_() for array in arrays]
    value = function(*leaves)
    dtype = str(value.dtype).removeprefix("torch.")
    value.backward(to_torch(cotangent(tuple(value.shape), dtype)))
    gradients = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]
    return [array.detach().float().numpy() for array in (value, *gradients)]


def assert_same(ours, theirs, tolerance):
    for our, their in zip(ours, theirs, strict=True):
        assert our.shape == their.shape
        scale = np.abs(their).max(initial=1.0)
        np.testing.assert_allclose(our, their, rtol=tolerance, atol=tolerance * scale)


def cotangent(shape, dtype):
    return whole_numbers(1234, shape, dtype, most=2)


def to_torch(array):
    return torch.from_numpy(np.array(array, np.float32)).to(getattr(torch, str(array.dtype)))


def first(tensor):
    """Channels first."""
    return tensor.movedim(-1, 1).contiguous()


def last(tensor):
    """Channels last."""
    return tensor.movedim(1, -1)


def torch_kernel(kernel):
    """``(*size, in // groups, out)`` as PyTorch's ``(out, in // groups, *size)``."""
    return kernel.movedim((-1, -2), (0, 1)).contiguous()


def per_axis(draw, axes, low, high):
    return tuple(draw(st.integers(low, high)) for _ in range(axes))


def pairs(draw, axes, high):
    return tuple((draw(st.integers(0, high)), draw(st.integers(0, high))) for _ in range(axes))


def torch_widths(widths):
    """``(low, high)`` per axis in the order of ``torch.nn.functional.pad``: last axis first."""
    return [n for pair in reversed(widths) for n in pair]


ranks = st.integers(1, 3)
dtypes = st.sampled_from(["float32", "float32", "float32", "bfloat16", "float16"])
seeds = st.integers(0, 2**16)
batches = st.sampled_from([1, 2, 2, 3, 0])
