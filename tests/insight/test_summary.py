"""The table of a network, with the numbers that the course works out by hand."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import pytest
from flax import nnx
from jax.nn import relu

from jaxcnn import models
from jaxcnn.insight import summarize
from jaxcnn.layers import Layer, avg_pool, conv, dense, flatten, max_pool, residual, serial

# Name, output shape, parameters and formula of every layer.
COURSE = {
    "pets_cnn": [
        ("conv_1", (28, 28, 32), 320, "n_H = n_W = ⌊(30 − 3 + 2·0) / 1⌋ + 1 = 28"),
        ("relu_1", (28, 28, 32), 0, ""),
        ("max_pool_1", (14, 14, 32), 0, "n_H = n_W = ⌊(28 − 2 + 2·0) / 2⌋ + 1 = 14"),
        ("conv_2", (12, 12, 64), 18_496, "n_H = n_W = ⌊(14 − 3 + 2·0) / 1⌋ + 1 = 12"),
        ("relu_2", (12, 12, 64), 0, ""),
        ("max_pool_2", (6, 6, 64), 0, "n_H = n_W = ⌊(12 − 2 + 2·0) / 2⌋ + 1 = 6"),
        ("conv_3", (4, 4, 128), 73_856, "n_H = n_W = ⌊(6 − 3 + 2·0) / 1⌋ + 1 = 4"),
        ("relu_3", (4, 4, 128), 0, ""),
        ("max_pool_3", (2, 2, 128), 0, "n_H = n_W = ⌊(4 − 2 + 2·0) / 2⌋ + 1 = 2"),
        ("flatten_1", (512,), 0, ""),
        ("dense_1", (100,), 51_300, ""),
        ("relu_4", (100,), 0, ""),
        ("dense_2", (3,), 303, ""),
    ],
    "letters_cnn": [
        ("conv_1", (64, 64, 16), 160, "n_H = n_W = ⌊(128 − 3 + 0 + 1) / 2⌋ + 1 = 64"),
        ("relu_1", (64, 64, 16), 0, ""),
        ("max_pool_1", (32, 32, 16), 0, "n_H = n_W = ⌊(64 − 2 + 2·0) / 2⌋ + 1 = 32"),
        ("flatten_1", (16_384,), 0, ""),
        ("dense_1", (512,), 8_389_120, ""),
        ("relu_2", (512,), 0, ""),
        ("dense_2", (26,), 13_338, ""),
    ],
    "mnist_cnn": [
        ("conv_1", (26, 26, 64), 640, "n_H = n_W = ⌊(28 − 3 + 2·0) / 1⌋ + 1 = 26"),
        ("relu_1", (26, 26, 64), 0, ""),
        ("max_pool_1", (13, 13, 64), 0, "n_H = n_W = ⌊(26 − 2 + 2·0) / 2⌋ + 1 = 13"),
        ("conv_2", (11, 11, 64), 36_928, "n_H = n_W = ⌊(13 − 3 + 2·0) / 1⌋ + 1 = 11"),
        ("relu_2", (11, 11, 64), 0, ""),
        ("max_pool_2", (5, 5, 64), 0, "n_H = n_W = ⌊(11 − 2 + 2·0) / 2⌋ + 1 = 5"),
        ("conv_3", (3, 3, 64), 36_928, "n_H = n_W = ⌊(5 − 3 + 2·0) / 1⌋ + 1 = 3"),
        ("relu_3", (3, 3, 64), 0, ""),
        ("flatten_1", (576,), 0, ""),
        ("dropout_1", (576,), 0, ""),
        ("dense_1", (10,), 5_770, ""),
    ],
}


@pytest.mark.parametrize("name", COURSE)
def test_rows_of_the_course(name):
    summary = summarize(models.create(name), models.input_shape(name))
    rows = [(row.name, row.output_shape, row.parameters, row.formula) for row in summary.rows]
    assert rows == COURSE[name]
    assert [row.kind for row in summary.rows] == [row[0].rpartition("_")[0] for row in rows]
    assert all(row.non_trainable == 0 for row in summary.rows)


def test_table_is_that_of_the_course():
    lines = str(summarize(models.create("mnist_cnn"), (28, 28, 1))).splitlines()
    rule = "─" * 127
    assert [line[:58].rstrip() for line in lines] == [
        "Layer (type)           Output shape        Parameters  Mul",
        rule[:58],
        "input                  (None, 28, 28, 1)",
        "conv_1 (conv)          (None, 26, 26, 64)         640",
        "relu_1 (relu)          (None, 26, 26, 64)           0",
        "max_pool_1 (max_pool)  (None, 13, 13, 64)           0",
        "conv_2 (conv)          (None, 11, 11, 64)      36,928",
        "relu_2 (relu)          (None, 11, 11, 64)           0",
        "max_pool_2 (max_pool)  (None, 5, 5, 64)             0",
        "conv_3 (conv)          (None, 3, 3, 64)        36,928",
        "relu_3 (relu)          (None, 3, 3, 64)             0",
        "flatten_1 (flatten)    (None, 576)                  0",
        "dropout_1 (dropout)    (None, 576)                  0",
        "dense_1 (dense)        (None, 10)               5,770",
        rule[:58],
        "Total parameters: 80,266 (314 KiB)",
        "Trainable parameters: 80,266",
        "Non-trainable parameters: 0",
        "Multiply-adds: 5,187,456",
        "Activations: 338 KiB at inference, 252 KiB in training, fo",
    ]
    assert lines[5].split()[6:] == ["0", "42.2", "KiB", "42.2", "KiB", "4", "2"]
    assert lines[6].split()[6:] == ["36,928", "4,460,544", "30.2", "KiB", "8", "2"]


# Araujo et al. (2019): size + (f − 1) · jump, and jump · stride, layer by layer, by hand.
@pytest.mark.parametrize(
    ("layer", "fields"),
    [
        (serial(conv(1, 3), conv(1, 3, dilation=2), max_pool(2)), [(3, 1), (7, 1), (8, 2)]),
        (
            serial(conv(1, 7, strides=2), max_pool(3, strides=2), conv(1, 3)),
            [(7, 2), (11, 4), (19, 4)],
        ),
        # Of two branches the larger.
        (
            serial(residual(conv(2, 5, padding="SAME"), conv(2, 1)), conv(1, 3)),
            [(5, 1), (1, 1), (7, 1)],
        ),
    ],
)  # fmt: skip
def test_receptive_fields(layer, fields):
    summary = summarize(layer, (64, 64, 2))
    rows = [row for row in summary.rows if row.receptive_field is not None]
    assert [(row.receptive_field, row.jump) for row in rows] == [
        ((size, size), (jump, jump)) for size, jump in fields
    ]


def test_explain_prints_the_formulas():
    layer, shape = models.create("letters_cnn"), (128, 128, 1)
    plain = str(summarize(layer, shape)).splitlines()
    explained = str(summarize(layer, shape, explain=True)).splitlines()
    formulas = [
        "    n_H = n_W = ⌊(128 − 3 + 0 + 1) / 2⌋ + 1 = 64",
        "    parameters = 3·3·1·16 + 16 = 160",
        "    n_H = n_W = ⌊(64 − 2 + 2·0) / 2⌋ + 1 = 32",
        "    parameters = 16384·512 + 512 = 8,389,120",
        "    parameters = 512·26 + 26 = 13,338",
    ]
    assert [line for line in explained if line not in plain] == formulas
    assert [line for line in explained if line not in formulas] == plain
    assert explained[explained.index(formulas[0]) - 1].startswith("conv_1 (conv)")


@pytest.mark.parametrize(
    ("layer", "shape", "formula"),
    [
        (conv(1, 3, padding="CAUSAL", dilation=2), (9, 1),
         "n_L = ⌊(9 − (2·(3 − 1) + 1) + 4 + 0) / 1⌋ + 1 = 9"),
        (conv(15, 12, strides=2), (52, 50, 3),
         "n_H = ⌊(52 − 12 + 2·0) / 2⌋ + 1 = 21, n_W = ⌊(50 − 12 + 2·0) / 2⌋ + 1 = 20"),
        (avg_pool(2, ceil_mode=True), (5, 5, 5, 1),
         "n_D = n_H = n_W = ⌈(5 − 2 + 2·0) / 2⌉ + 1 = 3"),
    ],
)  # fmt: skip
def test_formula_of_one_layer(layer, shape, formula):
    (row,) = summarize(layer, shape, explain=True).rows
    assert (row.name, row.formula) == (layer.kind, formula)


def test_to_dict_is_json():
    summary = summarize(serial(conv(2, 3), flatten(), head=dense(3)), [4, 4, 1])
    read = json.loads(json.dumps(summary.to_dict()))
    assert read == json.loads(summary.to_json())
    layers = read.pop("layers")
    assert read == {
        "input_shape": [4, 4, 1],
        "parameters": 47,
        "trainable": 47,
        "non_trainable": 0,
        "multiply_adds": 2 * 2 * 2 * 9 + 8 * 3,
        "parameter_bytes": 4 * 47,
        "forward_bytes": 4 * (8 + 8),
        "training_bytes": 4 * 8,
    }
    assert layers[0] == {
        "name": "conv_1",
        "kind": "conv",
        "output_shape": [2, 2, 2],
        "trainable": 20,
        "non_trainable": 0,
        "formula": "n_H = n_W = ⌊(4 − 3 + 2·0) / 1⌋ + 1 = 2",
        "receptive_field": [3, 3],
        "jump": [1, 1],
        "multiply_adds": 72,
        "parameter_formula": "3·3·1·2 + 2 = 20",
        "dtype": "float32",
        "parameter_bytes": 80,
        "output_bytes": 32,
        "saved_bytes": 0,
        "inputs": [""],
        "shared_with": None,
        "time_share": None,
    }
    assert [layer["inputs"] for layer in layers] == [[""], ["conv_1"], ["flatten_1"]]


@dataclasses.dataclass(frozen=True, repr=False)
class scale_and_mean(Layer):
    """A layer of one's own that learns a scale and keeps a mean."""

    def output_shape(self, input_shape):
        return tuple(input_shape)

    def build(self, input_shape, *, rngs):
        module = nnx.Module()
        shape = jax.ShapeDtypeStruct(input_shape, jnp.float32)
        module.scale = nnx.Param(shape if rngs is None else jnp.ones(input_shape))
        module.mean = nnx.BatchStat(shape if rngs is None else jnp.zeros(input_shape))
        module.count = nnx.BatchStat(jax.ShapeDtypeStruct((), jnp.int32))
        return module


def test_what_training_does_not_change_is_counted_apart():
    summary = summarize(serial(flatten(), scale_and_mean(), block=serial(dense(2))), (2, 2, 1))
    assert [(row.name, row.trainable, row.non_trainable) for row in summary.rows] == [
        ("flatten_1", 0, 0),
        ("scale_and_mean_1", 4, 5),
        ("block/dense_1", 10, 0),
    ]
    assert (summary.parameters, summary.trainable, summary.non_trainable) == (19, 14, 5)
    assert "scale_and_mean_1 (scale_and_mean)  (None, 4)" in str(summary)
    assert "Trainable parameters: 14\nNon-trainable parameters: 5\n" in str(summary)


def test_summary_allocates_nothing():
    before = jax.live_arrays()  # held, so that none of them can die meanwhile
    summary = summarize(models.create("letters_cnn"), (128, 128, 1), explain=True)
    assert str(summary)
    assert len(jax.live_arrays()) == len(before)


@pytest.mark.parametrize(
    ("layer", "shape", "kind", "message"),
    [
        (relu, (4, 4, 1), TypeError, r"model must be a description such as conv.*Received: <"),
        (serial(flatten()), None, TypeError, "input_shape must be given, such as"),
        (nnx.Linear(2, 3, rngs=nnx.Rngs(0)), (3,), TypeError, "dot_general requires"),
        (models.create("mnist_cnn"), (8, 8, 1), ValueError, "^max_pool_2: window must fit.* n_H ="),
        (serial(max_pool(2)), (8, 8, 0), ValueError, r"input_shape must be at least 1 .*, 0\)"),
        (serial(max_pool(2)), "28", TypeError, "input_shape must be a sequence such as"),
    ],
)
def test_errors(layer, shape, kind, message):
    with pytest.raises(kind, match=message):
        summarize(layer, shape)
