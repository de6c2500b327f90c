"""The best epochs of a history, and when a training without improvement stops."""

import math

import hypothesis.strategies as st
import pytest
from hypothesis import given

from jaxcnn.training import Epoch, TrainingOptions
from jaxcnn.training.early_stopping import Monitor, should_stop


def rows(*losses):
    return tuple(Epoch(n, loss, 1 - loss, 100.0, 1.0) for n, loss in enumerate(losses, 1))


@pytest.mark.parametrize(
    ("metric", "better"),
    [
        ("loss", "smaller"),
        ("ema_loss", "smaller"),
        ("calibration_error", "smaller"),
        ("accuracy", "larger"),
        ("top-5", "larger"),
    ],
)
def test_losses_and_errors_shall_be_small(metric, better):
    assert Monitor.of(metric) == Monitor(metric, better)
    assert Monitor.of(metric, "smaller") == Monitor(metric, "smaller")


def test_numbers_are_what_has_a_value():
    row = Epoch(2, 0.5, 0.75, 10.0, 1.0, metrics={"top-2": 0.9, "matrix": [[1, 2], [0, 3]]})
    assert row.numbers() == {
        "epoch": 2, "loss": 0.5, "accuracy": 0.75, "images_per_second": 10.0, "seconds": 1.0,
        "skipped": 0, "top-2": 0.9,
    }  # fmt: skip


def test_best_first():
    history = rows(0.5, 0.1, math.nan, 0.3, 0.1)
    assert [row.epoch for row in Monitor.of("loss").best_first(history)] == [2, 5, 4, 1, 3]
    assert [row.epoch for row in Monitor("loss", "larger").best_first(history)] == [1, 4, 2, 5, 3]


def keras_stops(losses, patience, min_delta):
    """After how many epochs ``keras.callbacks.EarlyStopping`` stops, in a loop of its own."""
    best, wait = math.inf, 0
    for epoch, loss in enumerate(losses, 1):
        wait += 1
        if loss + min_delta < best:
            best, wait = loss, 0
        if wait >= patience:
            return epoch
    return None


@given(
    st.lists(st.integers(0, 9).map(float), max_size=20),
    st.integers(1, 5),
    st.sampled_from([0.0, 1.0, 2.5]),
)
def test_is_over_as_early_stopping_in_keras(losses, patience, min_improvement):
    history = rows(*losses)
    over = [
        should_stop(
            history[:count], Monitor.of("loss"), patience=patience, min_improvement=min_improvement
        )
        for count in range(1, len(history) + 1)
    ]
    expected = keras_stops(losses, patience, min_improvement)
    assert (over.index(True) + 1 if True in over else None) == expected


def test_nan_is_no_improvement():
    history = rows(math.nan, math.nan)
    assert should_stop(history, Monitor.of("loss"), patience=2)
    assert not should_stop(history, Monitor.of("loss"), patience=3)


def test_errors():
    with pytest.raises(TypeError, match=r"monitor must be the name.*Received: monitor=3"):
        TrainingOptions(monitor=3)
    with pytest.raises(
        ValueError, match=r"better must be 'smaller' or 'larger'. .*Did you mean 's"
    ):
        TrainingOptions(monitor="loss", better="smal")
    row = Epoch(1, 0.5, 0.5, 1.0, 1.0, metrics={"matrix": [[1]]})
    with pytest.raises(ValueError, match=r"monitor must be a quantity.*Received: monitor='matrix'"):
        Monitor.of("matrix").value(row)
