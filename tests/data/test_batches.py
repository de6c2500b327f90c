"""Every image once, in batches of one shape, in an order that seed and epoch decide."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxcnn.data import Batch, Dataset, batches


def numbered(count):
    """Returns a data set whose image n is filled with n and labelled n."""
    numbers = np.arange(count)
    return Dataset(
        np.broadcast_to(numbers[:, None, None, None], (count, 2, 3, 1)).astype("u1"), numbers
    )


def order(count, batch_size, **options):
    return [
        int(label)
        for batch in batches(numbered(count), batch_size, **options)
        for label in batch.label[batch.mask]
    ]


@given(
    count=st.integers(1, 40),
    batch_size=st.integers(1, 50),
    seed=st.none() | st.integers(0, 2**40),
    epoch=st.integers(0, 1000),
)
def test_every_image_counts_once(count, batch_size, seed, epoch):
    seen = list(batches(numbered(count), batch_size, seed=seed, epoch=epoch))
    assert len(seen) == int(np.ceil(count / batch_size))
    for batch in seen:
        assert isinstance(batch, Batch)
        assert batch.image.shape == (batch_size, 2, 3, 1)
        assert batch.label.shape == batch.mask.shape == (batch_size,)
        assert (batch.image.dtype, batch.label.dtype, batch.mask.dtype) == ("u1", "i4", "?")
        # Filled rows are real images too, each with its own label.
        np.testing.assert_array_equal(batch.image[:, 1, 2, 0], batch.label)
    assert all(batch.mask.all() for batch in seen[:-1])
    real = count - batch_size * (len(seen) - 1)
    assert seen[-1].mask.tolist() == [True] * real + [False] * (batch_size - real)
    labels = np.concatenate([batch.label[batch.mask] for batch in seen])
    assert sorted(labels) == list(range(count))
    if seed is None:
        assert labels.tolist() == list(range(count))


def test_seed_and_epoch_decide_the_order():
    assert order(50, 8, seed=1, epoch=2) == order(50, 8, seed=1, epoch=2)
    orders = [order(50, 8, seed=seed, epoch=epoch) for seed in range(3) for epoch in range(3)]
    assert len(set(map(tuple, orders))) == 9
    assert list(range(50)) not in orders


def test_order_does_not_depend_on_the_batch_size():
    assert order(50, 8, seed=3) == order(50, 50, seed=3)


def test_shuffling_is_even():
    """Over many epochs, each image comes first about equally often."""
    first = [order(4, 1, seed=0, epoch=epoch)[0] for epoch in range(400)]
    assert np.bincount(first, minlength=4) == pytest.approx(np.full(4, 100), abs=35)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1. Received: batch_size=0"),
        ({"batch_size": 2.0}, TypeError, "batch_size must be a whole number.*batch_size=2.0"),
        ({"seed": -1}, ValueError, "seed must be at least 0. Received: seed=-1"),
        ({"seed": "0"}, TypeError, "seed must be a whole number. Received: seed='0'"),
        ({"seed": 0, "epoch": -1}, ValueError, "epoch must be at least 0. Received: epoch=-1"),
        ({"seed": 0, "epoch": 0.5}, TypeError, "epoch must be a whole number.*epoch=0.5"),
        ({"epoch": -1}, ValueError, "epoch must be at least 0. Received: epoch=-1"),
    ],
)
def test_errors_come_at_once(options, kind, message):
    with pytest.raises(kind, match=message):
        batches(numbered(4), **({"batch_size": 2} | options))
