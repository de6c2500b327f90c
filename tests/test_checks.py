"""The checks before an operation, and what they say."""

import chex
import jax.numpy as jnp
import pytest

from jaxcnn import arguments, checks, ops


@pytest.mark.parametrize(
    ("check", "kind", "message"),
    [
        (
            lambda: checks.rank("x", jnp.zeros((2, 3)), 4),
            ValueError,
            "x must have 4 axes, (batch, height, width, channels). Received: shape (2, 3).",
        ),
        (
            lambda: checks.rank("x", jnp.zeros((28, 28, 1)), 4),
            ValueError,
            "x must have 4 axes, (batch, height, width, channels). Received: shape (28, 28, 1). "
            "For one example, add the batch axis: x[None]; "
            "for one channel, its axis: x[..., None].",
        ),
        (
            lambda: checks.rank("x", jnp.zeros(2), 6),
            ValueError,
            "x must have 6 axes, (batch, *spatial, channels). Received: shape (2,).",
        ),
        (
            lambda: checks.images("x", jnp.zeros((2, 3))),
            ValueError,
            "x must have at least 3 axes, (batch, *spatial, channels). Received: shape (2, 3)",
        ),
        (
            lambda: checks.channels("x", jnp.zeros((8, 5, 5, 4)), 3),
            ValueError,
            "x must have 3 channels on its last axis, as the kernel does. "
            "Received: shape (8, 5, 5, 4).",
        ),
        (
            lambda: checks.channels("x", jnp.zeros((8, 3, 32, 32)), 3),
            ValueError,
            "x must have 3 channels on its last axis, as the kernel does. "
            "Received: shape (8, 3, 32, 32). It looks channels-first: use jnp.moveaxis(x, 1, -1).",
        ),
        (
            lambda: checks.floating("x", jnp.zeros(2, jnp.int32)),
            TypeError,
            "x must be floating point. Received: dtype int32.",
        ),
        (
            lambda: checks.floating("x", jnp.zeros(2, jnp.uint8)),
            TypeError,
            "x must be floating point. Received: dtype uint8. "
            "For pixels 0…255, pass x.astype(jnp.float32) / 255.",
        ),
        (
            lambda: checks.same_dtype(
                x=jnp.zeros(1), kernel=jnp.zeros(1, jnp.bfloat16), bias=None
            ),
            TypeError,
            "x and kernel must have the same dtype. Received: x float32, kernel bfloat16.",
        ),
        (
            lambda: arguments.check_known("model", "mnistcnn", ["pets_cnn", "mnist_cnn"]),
            ValueError,
            "there is no model 'mnistcnn'. Did you mean 'mnist_cnn'?",
        ),
        (
            lambda: arguments.check_known("model", "zebra", ["pets_cnn", "mnist_cnn"]),
            ValueError,
            "there is no model 'zebra'. Known: pets_cnn, mnist_cnn.",
        ),
        (
            lambda: arguments.check_known("set", "zebra", map(str, range(30))),
            ValueError,
            f"there is no set 'zebra'. Known: {', '.join(map(str, range(20)))}, ….",
        ),
    ],
)  # fmt: skip
def test_messages(check, kind, message):
    with pytest.raises(kind) as raised:
        check()
    assert str(raised.value) == message
    assert type(raised.value) is kind  # and not chex's AssertionError under another name


def test_what_fits_passes():
    checks.rank("x", jnp.zeros((1, 2, 3)), 3)
    checks.images("x", jnp.zeros((1, 2, 3)))
    checks.channels("x", jnp.zeros((1, 2, 3)), 3)
    checks.floating("x", jnp.zeros(1, jnp.float16))
    checks.same_dtype(x=jnp.zeros(1), kernel=jnp.ones(2), bias=None)
    arguments.check_known("model", "a", ["a"])


def test_options_stay_checked_when_chex_is_switched_off():
    chex.disable_asserts()
    try:
        with pytest.raises(ValueError, match="strides must be at least 1"):
            ops.max_pool(jnp.zeros((1, 4, 1)), 2, strides=0)
    finally:
        chex.enable_asserts()
