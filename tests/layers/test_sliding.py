"""A fully convolutional classifier gives at each position the answer for one window."""

import jax
import numpy as np
import pytest
from flax import nnx
from jax.nn import relu, softmax

import jaxcnn as cnn
from jaxcnn import fully_convolutional, sliding_windows
from jaxcnn.modules.parameter_tree import arrays_of, with_arrays

WINDOW, PICTURE = (14, 13, 2), (23, 19, 2)
FEATURES = (cnn.conv(4, 3), relu, cnn.max_pool(2), cnn.conv(6, (3, 2)), relu)
HEADS = {
    "dense": (cnn.flatten(), cnn.dropout(0.5), cnn.dense(8), relu, cnn.dense(3)),
    "pool": (cnn.batch_norm(), cnn.global_avg_pool(), cnn.dropout(0.1), cnn.dense(3)),
}
LONG = {
    "max": (cnn.global_max_pool(), cnn.flatten(), cnn.dense(4), cnn.layer_norm(), cnn.dense(3)),
    "nested": (cnn.serial(cnn.flatten(), relu), cnn.remat(cnn.serial(cnn.dense(3), softmax))),
    "kept": (cnn.global_avg_pool(keepdims=True), cnn.conv(3, 1)),
    "adaptive": (cnn.avg_pool((1, 2)), cnn.adaptive_avg_pool((2, 1)), cnn.flatten(), cnn.dense(3)),
    "residual": (
        cnn.residual(cnn.conv(5, 2, strides=2), cnn.avg_pool(2, strides=2)),
        cnn.parallel(cnn.conv(3, 1), cnn.max_pool(1)),
        cnn.flatten(),
        cnn.dense(2, use_bias=False),
    ),
}
LONG["residual"] = (cnn.conv(5, 1), *LONG["residual"])
HEAD = [*HEADS, *(pytest.param(name, marks=pytest.mark.long) for name in LONG)]


def random_model(network, shape, seed=0):
    """Returns a module all of whose arrays are random, biases and statistics too."""
    model = network.build(shape, rngs=nnx.Rngs(0))
    random = np.random.default_rng(seed)
    arrays = {
        name: random.uniform(0.5, 1.5, array.shape).astype(np.float32)
        if name.endswith(("var", "scale"))
        else 0.3 * random.normal(size=array.shape).astype(np.float32)
        for name, array in arrays_of(model).items()
    }
    return with_arrays(model, {name: jax.device_put(array) for name, array in arrays.items()})


def answers_of(model, x):
    graphdef, state = nnx.split(model)
    return np.asarray(jax.jit(lambda state, x: nnx.merge(graphdef, state)(x))(state, x))


def answers_of_crops(model, pictures, windows):
    """Returns the classifier's answers for each window, cut out of the pictures."""
    corners = windows.reshape(-1, 4).astype(int)
    crops = [pictures[:, top:bottom, left:right] for left, top, right, bottom in corners]
    answers = answers_of(model, np.concatenate(crops)).reshape(
        *windows.shape[:2], len(pictures), -1
    )
    return answers.transpose(2, 0, 1, 3)


@pytest.mark.parametrize("name", HEAD)
def test_each_position_is_the_answer_for_its_window(name):
    network = cnn.serial(*FEATURES, *(HEADS | LONG)[name])
    model = random_model(network, WINDOW)
    sliding = fully_convolutional(model)
    pictures = np.random.default_rng(1).normal(size=(2, *PICTURE)).astype(np.float32)
    answers = answers_of(sliding, pictures)
    windows = sliding_windows(sliding, PICTURE)
    assert answers.shape[1:3] == windows.shape[:2]
    assert answers.shape[1:] == sliding.description.output_shape(PICTURE)
    expected = answers_of_crops(model, pictures, windows)
    np.testing.assert_allclose(answers, expected, rtol=1e-5, atol=1e-5)
    assert np.ptp(expected, axis=(1, 2)).min() > 1e-3  # else agreement would say nothing
    description = fully_convolutional(network, input_shape=WINDOW)
    assert description == sliding.description
    assert set(arrays_of(sliding)) == set(arrays_of(model))
    assert description.output_shape(WINDOW)[:2] == (1, 1)


def test_padding_moves_the_windows():
    """A window in a picture that is 0 elsewhere: the classifier alone pads with the same zeros."""
    network = cnn.serial(
        cnn.conv(3, 5, strides=2, padding="SAME", use_bias=False), relu, cnn.flatten(), cnn.dense(2)
    )
    for window, picture in (((8, 7, 1), (20, 21, 1)), ((9, 8, 1), (18, 16, 1))):
        model = random_model(network, window)
        sliding = fully_convolutional(model)
        windows = sliding_windows(sliding, picture)
        inside = (windows[..., :2] >= 0).all(-1) & (windows[..., 2:] <= picture[1::-1]).all(-1)
        row, column = np.argwhere(inside)[len(np.argwhere(inside)) // 2]
        left, top, right, bottom = windows[row, column].astype(int)
        crop = np.random.default_rng(0).normal(size=(1, *window)).astype(np.float32)
        whole = np.zeros((1, *picture), np.float32)
        whole[:, top:bottom, left:right] = crop
        np.testing.assert_allclose(
            np.asarray(sliding(whole))[0, row, column], model(crop)[0], rtol=1e-5, atol=1e-5
        )


@pytest.mark.long
def test_descriptions_with_weights():
    network = cnn.serial(*FEATURES, *HEADS["dense"])
    model = random_model(network, WINDOW)
    arrays = {name: np.asarray(array) for name, array in arrays_of(model).items()}
    described = fully_convolutional(cnn.layers.pretrained(network, arrays), input_shape=WINDOW)
    built = described.build(WINDOW, rngs=nnx.Rngs(5))
    picture = np.random.default_rng(0).normal(size=(1, *PICTURE)).astype(np.float32)
    np.testing.assert_array_equal(built(picture), fully_convolutional(model)(picture))
    cut = fully_convolutional(cnn.models.create("mnist_cnn"), input_shape=(28, 28, 1))
    assert cut.output_shape((60, 28, 1)) == (9, 1, 10)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((cnn.flatten(),), r"must end in a dense layer .*ends in a flattened map of \(5, 5\)"),
        ((cnn.flatten(), cnn.batch_norm(), cnn.dense(2)), "batch_norm_1: batch_norm has no counte"),
        ((cnn.flatten(), cnn.residual(cnn.dense(100)), cnn.dense(2)), "residual has no counterpar"),
        (
            (cnn.squeeze_excite(ratio=2), cnn.flatten(), cnn.dense(2)),
            "reads the whole map, and on a lar",
        ),
        ((cnn.instance_norm(), cnn.flatten(), cnn.dense(2)), "instance_norm reads the whole map"),
        ((cnn.adaptive_avg_pool(2), cnn.flatten(), cnn.dense(2)), "windows have several sizes"),
    ],
)
def test_layers_without_a_counterpart(layers, message):
    with pytest.raises(ValueError, match=message):
        fully_convolutional(cnn.serial(cnn.conv(4, 3), *layers), input_shape=(7, 7, 1))


def test_errors():
    network = cnn.serial(cnn.conv(4, 3), cnn.flatten(), cnn.dense(2))
    with pytest.raises(ValueError, match="input_shape must be the shape that the classifier"):
        fully_convolutional(network)
    with pytest.raises(TypeError, match=r"network must be a description .* Received: 'conv'"):
        fully_convolutional("conv")
    with pytest.raises(TypeError, match="must have been built of a description"):
        fully_convolutional(cnn.modules.Dense(2, 2, rngs=nnx.Rngs(0)))
    with pytest.raises(ValueError, match="must have spatial axes"):
        fully_convolutional(cnn.serial(cnn.dense(2)), input_shape=(4,))
    sliding = fully_convolutional(network, input_shape=(7, 7, 1))
    with pytest.raises(ValueError, match="input_shape must be the shape of a window"):
        sliding_windows(sliding, (9, 9, 1))
    with pytest.raises(ValueError, match=r"flatten|conv|dense"):
        sliding_windows(sliding, (5, 5, 1), input_shape=(7, 7, 1))
    one = fully_convolutional(network, input_shape=(7, 1))
    with pytest.raises(ValueError, match="two spatial axes"):
        sliding_windows(one, (9, 1), input_shape=(7, 1))
