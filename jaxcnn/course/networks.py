"""Exercises on pools, dense layers, whole networks and training."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import relu

from jaxcnn import ops
from jaxcnn.course.exercise import Exercise
from jaxcnn.data import Dataset, steps_per_epoch
from jaxcnn.insight import summarize
from jaxcnn.layers import conv, dense, flatten, max_pool, serial
from jaxcnn.models.course import pets_cnn
from jaxcnn.shapes import Shape
from jaxcnn.training import cross_entropy


def _table() -> jax.Array:
    table = jnp.array([[1.0, 6, 2, 0], [5, 3, 4, 4], [0, 2, 9, 1], [7, 7, 8, 3]])
    return table[None, :, :, None]


def _before_flattening(input_shape: Shape) -> Shape:
    rows = summarize(pets_cnn(), input_shape).rows
    return next(row.output_shape for row in rows if row.name == "max_pool_3")


def _dataset(size: int) -> Dataset:
    return Dataset(np.zeros((size, 1, 1, 1), np.uint8), np.zeros(size, np.int32))


EXERCISES = {
    "pooling/max": Exercise(
        lambda: ops.max_pool(_table(), 2)[0, :, :, 0],
        "max(1, 6, 5, 3), max(2, 0, 4, 4); max(0, 2, 7, 7), max(9, 1, 8, 3)",
    ),
    "pooling/average": Exercise(
        lambda: ops.avg_pool(_table(), 2)[0, :, :, 0],
        "(1 + 6 + 5 + 3) / 4, (2 + 0 + 4 + 4) / 4; (0 + 2 + 7 + 7) / 4, (9 + 1 + 8 + 3) / 4",
    ),
    "pooling/rows": Exercise(
        lambda: max_pool(2).output_shape((13, 13, 1))[0],
        "⌊(13 − 2) / 2⌋ + 1",
        {6.5: "not rounded down: a map has no half row", 7: "rounded up instead of down"},
    ),
    "pooling/values": Exercise(
        lambda: math.prod(max_pool(2).output_shape((26, 26, 64))),
        "⌊(26 − 2) / 2⌋ + 1 rows, as many columns, 64 channels",
        {21_632: "height and width are both halved", 169: "one of the 64 channels"},
    ),
    "dense/unit": Exercise(
        lambda: ops.dense(
            jnp.array([[2.0, 0.0, 1.0]]), jnp.array([[3.0], [5.0], [-1.0]]), jnp.array([4.0])
        )[0, 0],
        "2·3 + 0·5 + 1·(−1) + 4",
        {5: "the bias is missing"},
    ),
    "dense/parameters": Exercise(
        lambda: summarize(dense(50), (4 * 4 * 8,)).parameters,
        "(4·4·8 + 1)·50",
        {6_400: "the biases are missing, one per unit"},
    ),
    "dense/softmax": Exercise(
        lambda: jax.nn.softmax(jnp.array([1.0, 1.0, 0.0])),
        "e¹ / (2·e¹ + e⁰), e¹ / (2·e¹ + e⁰), e⁰ / (2·e¹ + e⁰)",
    ),
    "dense/dropout": Exercise(
        lambda: ops.dropout(jax.random.key(0), jnp.full(100, 8.0), 0.2).max(),
        "8 / (1 − 0.2)",
        {8: "not scaled", 6.4: "multiplied instead of divided", 40: "divided by the rate"},
    ),
    "networks/conv": Exercise(
        lambda: summarize(conv(16, 5), (32, 32, 3)).parameters,
        "(5·5·3 + 1)·16",
        {1_200: "the biases are missing, one per kernel", 416: "RGB has three channels"},
    ),
    "networks/shape": Exercise(
        lambda: _before_flattening((62, 62, 1)),
        "62 → 60 → 30 → 28 → 14 → 12 → 6, and 128 kernels",
    ),
    "networks/total": Exercise(
        lambda: (
            summarize(
                serial(conv(4, 3), relu, max_pool(2), flatten(), dense(10)), (8, 8, 1)
            ).parameters
        ),
        "(3·3·1 + 1)·4 + (3·3·4 + 1)·10",
        {396: "the biases are missing"},
    ),
    "training/loss": Exercise(
        lambda: cross_entropy(jnp.log(jnp.array([[0.25, 0.75]])), jnp.array([0]))[0],
        "−ln 0.25",
        {0.75: "1 − p in place of −ln p"},
    ),
    "training/step": Exercise(
        lambda: 5 - 0.1 * jax.grad(lambda w: (2 * w - 6) ** 2)(5.0),
        "5 − 0.1 · (8·5 − 24)",
        {6.6: "uphill: the gradient is subtracted", -11: "without the learning rate"},
    ),
    "training/steps": Exercise(
        lambda: steps_per_epoch(_dataset(1_000), 64),
        "⌈1,000 / 64⌉ = ⌈15.625⌉",
        {15.625: "no half steps", 15: "the last 40 pictures are a batch, too"},
    ),
}
