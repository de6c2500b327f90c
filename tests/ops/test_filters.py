"""The classic kernels on pictures, against sums of shifted copies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import ops
from jaxcnn.ops.filters import KERNELS

MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@pytest.mark.parametrize(
    ("size", "channels", "mode"),
    [
        ((4, 5), (), "zeros"),
        ((7, 2), (1,), "reflect"),
        ((2, 6), (3,), "replicate"),
        ((3, 3), (3,), "circular"),
    ],
)
def test_each_kernel_filters_each_channel(mode, size, channels):
    picture = np.random.default_rng(0).random((*size, *channels)).astype(np.float32)
    padded = np.pad(picture, ((1, 1), (1, 1), *((0, 0) for _ in channels)), mode=MODES[mode])

    @jax.jit
    def filter_by_each(picture):
        return {name: ops.filter_image(picture, name, padding_mode=mode) for name in KERNELS}

    for name, filtered in filter_by_each(picture).items():
        expected = sum(
            KERNELS[name][row][column] * padded[row : row + size[0], column : column + size[1]]
            for row in range(3)
            for column in range(3)
        )
        np.testing.assert_allclose(filtered, expected, rtol=1e-5, atol=1e-5, err_msg=name)


def test_a_kernel_of_ones_own():
    picture = jnp.arange(20.0).reshape(4, 5)
    shifted = ops.filter_image(picture, [[0, 0, 1]])
    np.testing.assert_array_equal(shifted[:, :-1], picture[:, 1:])
    np.testing.assert_array_equal(shifted[:, -1], np.zeros(4))


def test_blurs_keep_the_mean_and_edges_answer_to_nothing_flat():
    flat = jnp.full((5, 5), 0.5)
    for name in KERNELS:
        kept = sum(map(sum, KERNELS[name]))
        filtered = ops.filter_image(flat, name, padding_mode="replicate")
        np.testing.assert_allclose(filtered, np.full((5, 5), 0.5 * round(kept)), atol=1e-6)
