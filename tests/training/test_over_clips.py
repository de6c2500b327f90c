"""Evaluation over several clips of a video, against the mean of the clips' predictions."""

import numpy as np
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.training import over_clips
from jaxcnn.training.output_activation import remember_activation

CLIPS, FRAMES = 3, 2


@pytest.fixture(scope="module")
def model():
    network = cnn.serial(cnn.conv(4, (2, 3, 3)), cnn.global_avg_pool(), cnn.dense(4))
    return network.build((FRAMES, 8, 8, 1), rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def videos():
    shape = (7, CLIPS * FRAMES, 8, 8, 1)
    return 30 * np.random.default_rng(0).normal(size=shape).astype(np.float32)


def predictions_of_clips(model, videos, activation):
    clips = videos.reshape(len(videos) * CLIPS, FRAMES, *videos.shape[2:])
    predicted = cnn.predict(model, clips, activation=activation)
    return predicted.astype(np.float64).reshape(len(videos), CLIPS, -1)


@pytest.mark.parametrize(
    "activation",
    ["softmax", *(pytest.param(a, marks=pytest.mark.long) for a in ("sigmoid", "none"))],
)
def test_predictions_are_the_mean_of_the_clips(model, videos, activation):
    expected = predictions_of_clips(model, videos, activation).mean(axis=1)
    several = over_clips(model, CLIPS, activation=activation)
    np.testing.assert_allclose(cnn.predict(several, videos), expected, rtol=2e-5, atol=1e-6)


def test_evaluation_counts_every_video_once(model, videos):
    expected = predictions_of_clips(model, videos, "softmax").mean(axis=1)
    labels = np.arange(7) % 4
    result = cnn.evaluate(over_clips(model, CLIPS), (videos, labels), batch_size=4)
    assert result.examples == 7
    assert result.accuracy == np.mean(expected.argmax(axis=1) == labels)
    loss = -np.log(expected[np.arange(7), labels]).mean()
    np.testing.assert_allclose(result.loss, loss, rtol=1e-5)


def test_the_activation_is_that_of_the_training(model):
    remember_activation(model, "sigmoid")
    assert over_clips(model, CLIPS).activation == "sigmoid"
    assert over_clips(model, CLIPS, activation="none").activation == "none"


def test_errors(model, videos):
    with pytest.raises(ValueError, match=r"multiple of 4 frames, because .*shape \(7, 6, 8"):
        over_clips(model, 4)(videos)
    with pytest.raises(ValueError, match="clips must be at least 1"):
        over_clips(model, 0)
    with pytest.raises(TypeError, match="model must be"):
        over_clips(print, 2)
