"""The detector as a layer: its rows, its shared head, its place among the other layers."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.layers import conv, detector, group_norm, serial
from jaxcnn.layers.serialization import layer_from_json, layer_to_json
from jaxcnn.layers.weights import array_shapes
from jaxcnn.modules.parameter_tree import arrays_of

SHAPE = (12, 20, 3)
BODY = serial(
    stem=conv(4, 3, strides=2, padding=1),
    stage_1=conv(6, 3, strides=2, padding=1),
    stage_2=conv(8, 3, strides=2, padding=1),
)
HEAD = serial(conv(8, 3, padding=1), group_norm(2), jax.nn.relu, conv(5 + 2, 1))
NET = detector(BODY, HEAD, maps=("stage_1", "stage_2"), features=8, extra_levels=2)


def test_rows_of_all_levels():
    """Maps of 3×5 and 2×3, then 1×2 and 1×1: 15 + 6 + 2 + 1 rows."""
    assert NET.strides(SHAPE) == (4, 8, 16, 32)
    assert NET.output_shape(SHAPE) == (24, 8 + 2)
    model = NET.build(SHAPE, rngs=nnx.Rngs(0))
    rows = np.asarray(model(jax.random.uniform(jax.random.key(0), (2, *SHAPE))))
    assert rows.shape == (2, 24, 10)
    assert rows[0, :6, :3].tolist() == [
        [2, 2, 4], [6, 2, 4], [10, 2, 4], [14, 2, 4], [18, 2, 4], [2, 6, 4],
    ]  # fmt: skip
    assert rows[1, 15:17, :3].tolist() == [[4, 4, 8], [12, 4, 8]]
    assert rows[1, 21:, :3].tolist() == [[8, 8, 16], [24, 8, 16], [16, 16, 32]]
    assert (rows[..., 3:7] > 0).all()


def test_values_are_those_of_the_parts():
    """The same arrays through the parts one by one, with NumPy between them."""
    model = NET.build(SHAPE, rngs=nnx.Rngs(0))
    model.locations.scale[...] = jnp.array([1.0, 2.0, 0.5, 1.0])
    x = jax.random.uniform(jax.random.key(0), (1, *SHAPE))
    large = model.body.stage_1(model.body.stem(x))
    small = model.body.stage_2(large)
    low = model.lateral_2(small)
    doubled = np.asarray(low).repeat(2, axis=1).repeat(2, axis=2)[:, :3]
    # 3 columns enlarged to 5: column c is that of ⌊3c / 5⌋, row r that of ⌊2r / 3⌋.
    nearest = np.asarray(low)[:, [0, 0, 1]][:, :, [0, 0, 1, 1, 2]]
    assert doubled.shape[1] == nearest.shape[1]
    first = model.head(model.output_1(model.lateral_1(large) + nearest))
    second = model.head(model.output_2(low))
    rows = np.asarray(model(x))[0]
    for part, found, scale, stride in ((first, rows[:15], 1, 4), (second, rows[15:21], 2, 8)):
        part = np.asarray(part).reshape(-1, 7)
        assert np.allclose(found[:, 3:7], stride * np.exp(scale * part[:, :4]), rtol=1e-4)
        assert np.allclose(found[:, 7:], part[:, 4:], atol=1e-5)


def test_steps_count_every_array_once():
    model = NET.build(SHAPE, rngs=nnx.Rngs(0))
    own = {name: array.shape for name, array in arrays_of(model).items()}
    assert array_shapes(NET, SHAPE) == own
    assert own["locations.scale"] == (4,)
    assert cnn.summarize(NET, SHAPE).trainable == sum(map(np.prod, own.values()))
    inputs = {step.path: step.inputs for step in NET.walk(SHAPE)}
    assert inputs["head", "conv_1"] == (
        ("output_1",),
        ("output_2",),
        ("extra_1",),
        ("extra_2", "conv_1"),
    )
    assert inputs["add_1",] == (("lateral_1",), ("enlarge_1",))


def test_multiply_adds_count_the_head_at_every_level():
    whole = NET.multiply_adds(SHAPE)
    alone = detector(BODY, conv(7, 1), maps=NET.maps, features=8, extra_levels=2)
    sizes = 15 + 6 + 2 + 1
    per_location = 9 * 8 * 8 + 8 * 7
    assert whole - alone.multiply_adds(SHAPE) == sizes * (per_location - 8 * 7)


def test_text_and_json_give_it_back():
    assert eval(repr(NET), vars(cnn.layers) | {"relu": jax.nn.relu}) == NET
    assert layer_from_json(json.loads(json.dumps(layer_to_json(NET)))) == NET


def test_saved_and_read_again(tmp_path):
    model = NET.build(SHAPE, rngs=nnx.Rngs(0))
    cnn.save(model, tmp_path / "model.safetensors")
    images = np.ones((1, *SHAPE), np.float32)
    read = cnn.load(tmp_path / "model.safetensors")
    assert np.array_equal(read(images), model(images))


def of(body=BODY, head=HEAD, maps=("stem",), features=8):
    return detector(body, head, maps=maps, features=features)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: of(conv(3, 1)), TypeError, "^body must be a serial"),
        (lambda: of(maps=("stag_1",)), ValueError, "Did you mean 'stage_1'"),
        (lambda: of(maps=("stage_2", "stage_1")), ValueError, "in the order"),
        (lambda: of(features=0), ValueError, "^features must be"),
        (
            lambda: of(head=serial(group_norm(3))).output_shape(SHAPE), ValueError,
            "^head/group_norm_1: groups must divide",
        ),
        (
            lambda: cnn.models.create("fcos", levels=(4, 16)), ValueError,
            "^levels must begin with a stride of resnet18, 2, 4, 8, 16, 32, and double",
        ),
        (lambda: cnn.models.create("fcos", num_classes=0), ValueError, "^num_classes must be"),
    ],
)  # fmt: skip
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_fcos_on_an_encoder():
    """Strides 8, 16 and 32 of the encoder, 64 and 128 made of the last map."""
    net = cnn.models.create("fcos", num_classes=4, features=64, depth=1)
    sizes = [64**2, 32**2, 16**2, 8**2, 4**2]
    assert net.output_shape((512, 512, 3)) == (sum(sizes), 8 + 4)
    assert net.maps == ("stage_2", "stage_3", "stage_4")
