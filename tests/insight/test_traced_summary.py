"""Summaries of modules that were not built from a description, and of ones that were, by tracing.

The rows of a description are computed by its layers in integers, those of a module are read off the
program that it traces to: two ways that share no code.
"""

import dataclasses
import io
import math

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from jaxcnn import models, modules
from jaxcnn.insight import summarize
from jaxcnn.insight.traced_rows import traced_rows
from jaxcnn.layers import batch_norm, conv, dense, flatten, max_pool, remat, residual, serial
from jaxcnn.runtime import plain_operations


def without(row, *names):
    fields = dataclasses.asdict(row)
    return {name: value for name, value in fields.items() if name not in names}


def assert_traced_equals_described(name, *left_out):
    network, shape = models.create(name), models.input_shape(name)
    described = summarize(network, shape).rows
    traced = traced_rows(network.abstract(shape), shape, ())
    for ours, theirs in zip(described, traced, strict=True):
        fields = ["formula", "kind", *left_out]
        if not ours.formula:
            fields += ["receptive_field", "jump"]
        assert without(ours, *fields) == without(theirs, *fields)


@pytest.mark.parametrize("name", ["mnist_cnn", "resnet18_small", "inception_time", "vgg11"])
def test_program_has_the_rows_of_the_description(name):
    assert_traced_equals_described(name)


@pytest.mark.long
@pytest.mark.parametrize("name", ["resnet50", "inception_v3", "mobilenetv2_100", "r3d_18"])
def test_large_programs_have_the_rows_of_the_description(name):
    assert_traced_equals_described(name)


@pytest.mark.long
@pytest.mark.parametrize("name", ["mobilenetv3_small_100", "densenet121", "shufflenet_v2_x1_0"])
def test_programs_with_other_estimates(name):
    # Reshapes and squeeze-and-excitation hide the field, and what their gradient reads.
    assert_traced_equals_described(name, "receptive_field", "jump", "saved_bytes")


# Araujo et al. (2019), table 1: the field of the last feature maps, and their jump.
@pytest.mark.parametrize(
    ("name", "row", "field"),
    [
        ("vgg16", "max_pool", 212),
        ("inception_v3", "concat", 1311),
    ],
)
def test_published_receptive_fields(name, row, field):
    network, shape = models.create(name), models.input_shape(name)
    last = [step for step in network.walk(shape) if step.layer.kind == row][-1]
    assert [(f.size, f.jump) for f in last.receptive_field] == [(field, 32)] * 2


class Block(nnx.Module):
    def __init__(self, features, rngs):
        self.conv = nnx.Conv(features, features, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(features, rngs=rngs)

    def __call__(self, x):
        return nnx.relu(self.norm(self.conv(x)) + x)


class Own(nnx.Module):
    """A module with a list of blocks, one module called twice, and a product of its own."""

    def __init__(self, rngs):
        self.stem = nnx.Conv(3, 8, (3, 3), strides=2, rngs=rngs)
        self.blocks = nnx.List([Block(8, rngs) for _ in range(2)])
        self.head = nnx.Linear(8, 8, rngs=rngs)
        self.spare = nnx.Linear(8, 2, rngs=rngs)
        self.weights = nnx.Param(jnp.ones((8, 4)))

    def __call__(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        x = self.head(self.head(x.mean((1, 2))))
        return x @ self.weights[...]


def test_rows_of_a_module():
    summary = summarize(Own(nnx.Rngs(0)), (16, 16, 3))
    rows = [
        (row.name, row.kind, row.output_shape, row.parameters, row.multiply_adds, row.inputs)
        for row in summary.rows
    ]
    conv = 8 * 8 * 8 * 3 * 3 * 8
    assert rows == [
        ("stem", "Conv", (8, 8, 8), 3 * 3 * 3 * 8 + 8, 8 * 8 * 8 * 3 * 3 * 3, ("",)),
        ("blocks/0/conv", "Conv", (8, 8, 8), 3 * 3 * 8 * 8 + 8, conv, ("stem",)),
        ("blocks/0/norm", "BatchNorm", (8, 8, 8), 4 * 8, 0, ("blocks/0/conv",)),
        ("blocks/0", "Block", (8, 8, 8), 0, 0, ("blocks/0/norm", "stem")),
        ("blocks/1/conv", "Conv", (8, 8, 8), 3 * 3 * 8 * 8 + 8, conv, ("blocks/0",)),
        ("blocks/1/norm", "BatchNorm", (8, 8, 8), 4 * 8, 0, ("blocks/1/conv",)),
        ("blocks/1", "Block", (8, 8, 8), 0, 0, ("blocks/1/norm", "blocks/0")),
        ("head", "Linear", (8,), 8 * 8 + 8, 8 * 8, ("blocks/1",)),
        ("head#2", "Linear", (8,), 0, 8 * 8, ("head",)),
        ("output", "Own", (4,), 8 * 4, 8 * 4, ("head#2",)),
        ("spare", "Linear, not called", (), 8 * 2 + 2, 0, ()),
    ]
    fields = [row.receptive_field for row in summary.rows if row.receptive_field]
    assert fields == [(3, 3), (7, 7), (11, 11)]
    assert summary.rows[8].shared_with == "head"
    assert "as head" in str(summary)
    count = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(Own(nnx.Rngs(0)))))
    assert summary.parameters == count


def test_frozen_parameters_are_not_trainable():
    model = Own(nnx.Rngs(0))
    summary = summarize(model, (16, 16, 3), frozen=["blocks.*", "stem.bias"])
    assert summary.trainable == 3 * 3 * 3 * 8 + 8 * 8 + 8 + 8 * 2 + 2 + 8 * 4
    network = serial(conv(2, 3), flatten(), dense(1))
    assert summarize(network, (4, 4, 1), frozen="conv_1.*").non_trainable == 20


def test_changed_model_is_traced():
    network = serial(conv(4, 3), flatten(), dense(3))
    model = network.build((6, 6, 1), rngs=nnx.Rngs(0))
    assert summarize(model).rows == summarize(network, (6, 6, 1)).rows
    model.dense_1 = nnx.Linear(64, 7, rngs=nnx.Rngs(0))
    rows = summarize(model).rows
    assert [row.output_shape for row in rows] == [(4, 4, 4), (64,), (7,)]
    assert rows[-1].kind == "Linear"


def test_half_precision_takes_half_the_bytes():
    network = serial(conv(4, 3, dtype=jnp.bfloat16), jax.nn.relu, flatten(), dense(3))
    described = summarize(network, (6, 6, 1)).rows
    traced = traced_rows(network.abstract((6, 6, 1)), (6, 6, 1), ())
    assert [row.dtype for row in described] == [row.dtype for row in traced]
    assert [(row.dtype, row.output_bytes) for row in described[:2]] == [("bfloat16", 128)] * 2


# XLA counts two operations for a product with its sum, and one for each activation and comparison.
# It leaves out products with padding, so that it is right where there is none.
@pytest.mark.parametrize("name", ["mnist_cnn", "pets_cnn"])
def test_multiply_adds_are_those_of_xla(name):
    network, shape = models.create(name), models.input_shape(name)
    graphdef, state = nnx.split(network.abstract(shape))

    def run(state, x):
        return nnx.merge(graphdef, state)(x, train=False)

    with plain_operations():
        lowered = jax.jit(run).lower(state, jax.ShapeDtypeStruct((1, *shape), jnp.float32))
    flops = lowered.cost_analysis()["flops"]
    outputs = sum(4 * math.prod(row.output_shape) for row in summarize(network, shape).rows)
    assert 0 <= flops - 2 * network.multiply_adds(shape) <= outputs


def test_gradient_keeps_what_it_reads():
    net = serial(conv(4, 3), batch_norm(), jax.nn.relu, max_pool(2), flatten(), dense(2))
    rows = {row.name: row for row in summarize(net, (8, 8, 1)).rows}
    kept = [name for name, row in rows.items() if row.saved_bytes]
    # conv: its input; batch norm: its input; ReLU: its output, which the pool reads too.
    assert kept == ["conv_1", "relu_1", "flatten_1"]
    block = residual(serial(conv(4, 3, padding="SAME"), batch_norm(), jax.nn.relu))
    plain, recomputed = (
        summarize(serial(conv(4, 3), layer, layer, flatten(), dense(1)), (8, 8, 1)).training_bytes
        for layer in (block, remat(block))
    )
    array = 4 * 6 * 6 * 4
    # The input of each block and of the last layer; within a block the conv's and ReLU's outputs.
    assert (plain, recomputed) == (7 * array, 3 * array)


def test_forward_memory_counts_outputs_that_are_still_read():
    net = serial(conv(2, 1), residual(serial(conv(2, 1), conv(2, 1))), flatten(), dense(1))
    # Input, first output of the body and the second one: three arrays at once.
    assert summarize(net, (4, 4, 2)).forward_bytes == 3 * 4 * 4 * 2 * 4


def test_folded_blocks():
    network, shape = models.create("resnet20"), models.input_shape("resnet20")
    whole = summarize(network, shape)
    for depth in (1, 2):
        folded = summarize(network, shape, depth=depth)
        rows = folded.shown_rows()
        assert len(rows) < len(whole.rows)
        assert max(row.name.count("/") for row in rows) == depth - 1
        for name in ("parameters", "multiply_adds", "saved_bytes", "parameter_bytes"):
            assert sum(getattr(row, name) for row in rows) == sum(
                getattr(row, name) for row in whole.rows
            )
        assert folded.to_dict()["parameters"] == whole.parameters
    first = summarize(network, shape, depth=1).shown_rows()
    assert [row.inputs for row in first][1:] == [(row.name,) for row in first][:-1] or first


def test_shares_of_time_add_up():
    network = serial(
        conv(4, 3), jax.nn.relu, residual(conv(4, 3, padding="SAME")), flatten(), dense(2)
    )
    rows = summarize(network, (8, 8, 1), profile=True).rows
    assert sum(row.time_share for row in rows) == pytest.approx(1)
    assert all(row.time_share > 0 for row in rows)


def test_forms():
    summary = summarize(serial(conv(2, 3), flatten(), dense(1)), (4, 4, 1), explain=True)
    markdown = summary.to_markdown().splitlines()
    assert markdown[0].startswith("| Layer (type) | Output shape | Parameters |")
    assert markdown[1].startswith("| :--- | :--- | ---: |")
    assert markdown[3].startswith("| conv_1 (conv)<br>*n_H = n_W = ⌊(4 − 3 + 2·0) / 1⌋ + 1 = 2*")
    assert {line.count(" | ") for line in markdown[:6]} == {7}
    page = summary.to_html()
    assert page == summary._repr_html_()
    assert page.count("<tr>") == page.count("</tr>") == 5 + 3
    assert "<td style='text-align: right'>72</td>" in page


@pytest.mark.parametrize(("width", "columns"), [(60, 3), (92, 4), (200, 8)])
def test_rich_shows_what_the_terminal_has_room_for(width, columns):
    from rich.console import Console

    console = Console(width=width, record=True, file=io.StringIO())
    console.print(summarize(serial(conv(2, 3), flatten(), dense(1)), (4, 4, 1)))
    head = console.export_text().splitlines()[1]
    titles = ("Layer (type)", "Output shape", "Parameters", "Multiply-adds", "Output memory",
              "Kept in training", "Receptive field", "Jump")  # fmt: skip
    assert sum(title in head for title in titles) == columns


def test_branches_on_values_are_explained():
    class Branching(nnx.Module):
        def __init__(self):
            self.inner = nnx.Linear(3, 3, rngs=nnx.Rngs(0))

        def __call__(self, x):
            return x if x.sum() > 0 else self.inner(x)

    with pytest.raises(TypeError, match=r"the model branches on the values of an array.*jnp.where"):
        summarize(Branching(), (3,))


def test_modules_of_this_library_by_hand():
    model = modules.Residual(modules.Dense(4, 4, rngs=nnx.Rngs(0)))
    rows = summarize(model, (4,)).rows
    assert [(row.name, row.kind, row.inputs) for row in rows] == [
        ("body", "Dense", ("",)),
        ("add", "add", ("body", "")),
    ]
