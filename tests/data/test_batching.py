"""Every image once, in batches of one shape, in an order that seed and epoch decide."""

import ast
import os
import subprocess
import sys
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxcnn.data import Batch, Dataset, batches, prefetch, steps_per_epoch


def numbered(count):
    """Returns a data set whose image n is filled with n and labeled n."""
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


@given(
    count=st.integers(1, 40),
    per_shard=st.integers(1, 5),
    num_shards=st.sampled_from([1, 2, 4]),
    seed=st.none() | st.integers(0, 9),
    epoch=st.integers(0, 9),
)
def test_shards_side_by_side_are_the_whole_batch(count, per_shard, num_shards, seed, epoch):
    data, options = numbered(count), {"seed": seed, "epoch": epoch}
    whole = list(batches(data, per_shard * num_shards, **options))
    shards = [
        list(batches(data, per_shard * num_shards, shard=n, num_shards=num_shards, **options))
        for n in range(num_shards)
    ]
    for expected, *parts in zip(whole, *shards, strict=True):
        for field, *pieces in zip(expected, *parts, strict=True):
            np.testing.assert_array_equal(np.concatenate(pieces), field)


@given(step=st.integers(0, 30))
def test_a_run_goes_on_from_the_number_of_steps_it_took(step):
    data, size = numbered(23), 4
    steps = steps_per_epoch(data, size)
    undisturbed = [
        batch.label.tolist()
        for epoch in range(6)
        for batch in batches(data, size, seed=1, epoch=epoch)
    ]
    epoch, start = divmod(step, steps)
    rest = [
        batch.label.tolist()
        for number in range(epoch, 6)
        for batch in batches(
            data, size, seed=1, epoch=number, start=start if number == epoch else 0
        )
    ]
    assert rest == undisturbed[step:]


def test_balanced_batches_show_each_class_equally_often():
    labels = np.repeat([0, 1, 2], [90, 9, 1])
    data = Dataset(np.zeros((100, 2, 3, 1), np.uint8), labels)
    seen = [batch.label[batch.mask] for batch in batches(data, 7, seed=0, balanced=True)]
    assert sorted(np.bincount(np.concatenate(seen))) == [33, 33, 34]
    # They are mixed, not class by class.
    assert np.mean(seen[:-1], axis=1) == pytest.approx(np.ones(14), abs=0.9)


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [
        (np.arange(60, dtype=np.uint8).reshape(10, 2, 3) % 5, "i4"),
        (np.arange(60).reshape(10, 2, 3) % 5, "i4"),
        (np.arange(40).reshape(10, 4) % 3 == 0, "?"),
        (np.arange(20).reshape(10, 2) / 7, "f4"),
    ],
)
def test_labels_of_every_kind_stay_with_their_images(labels, dtype):
    data = Dataset(numbered(10).images, labels)
    for batch in batches(data, 4, seed=0):
        assert batch.label.dtype == dtype
        np.testing.assert_array_equal(batch.label, data.labels[batch.image[:, 0, 0, 0]])
    with pytest.raises(ValueError, match="a balanced order needs one class per image"):
        batches(data, 4, seed=0, balanced=True)


def test_prefetched_batches_are_the_same_and_on_the_device():
    direct = list(batches(numbered(10), 4, seed=0))
    fetched = list(prefetch(batches(numbered(10), 4, seed=0)))
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(fetched))
    jax.tree.map(np.testing.assert_array_equal, fetched, direct)


def test_prefetching_draws_only_so_many_ahead_and_stops_with_the_loop():
    drawn = []

    def source():
        for batch in batches(numbered(40), 4):
            drawn.append(batch)
            yield batch

    threads = threading.active_count()
    fetched = prefetch(source(), ahead=3)
    assert drawn == []
    next(fetched)
    deadline = time.monotonic() + 10
    while len(drawn) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(drawn) == 4
    fetched.close()
    assert len(drawn) == 4
    assert threading.active_count() == threads


def test_what_breaks_while_prefetching_is_raised_in_its_place():
    def source():
        yield from batches(numbered(4), 4)
        raise OSError("the disk is gone")

    fetched = prefetch(source())
    assert next(fetched).label.tolist() == [0, 1, 2, 3]
    with pytest.raises(OSError, match="the disk is gone"):
        next(fetched)


# Prints the rows that each of four devices has of every prefetched batch.
ON_FOUR_DEVICES = """
import jax, numpy as np
from jaxcnn.data import Dataset, batches, prefetch
mesh = jax.make_mesh((4,), ("rows",), axis_types=(jax.sharding.AxisType.Auto,))
sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("rows"))
numbers = np.arange(20)
images = np.broadcast_to(numbers[:, None, None, None], (20, 2, 3, 1)).astype("u1")
for batch in prefetch(batches(Dataset(images, numbers), 8), sharding=sharding):
    assert {leaf.sharding for leaf in batch} == {sharding}
    for leaf in (batch.image[:, 0, 0, 0], batch.label, batch.mask):
        print([np.asarray(shard.data).tolist() for shard in leaf.addressable_shards])
"""


def test_prefetched_rows_lie_as_the_sharding_says():
    result = subprocess.run(
        [sys.executable, "-c", ON_FOUR_DEVICES],
        env=os.environ | {"JAX_NUM_CPU_DEVICES": "4"},
        capture_output=True,
        text=True,
        check=True,
    )
    rows = np.resize(np.arange(20), (3, 4, 2)).tolist()  # the last batch is filled with the first
    masks = (np.arange(24) < 20).reshape(3, 4, 2).tolist()
    expected = [
        part for batch, mask in zip(rows, masks, strict=True) for part in (batch, batch, mask)
    ]
    assert [ast.literal_eval(line) for line in result.stdout.splitlines()] == expected


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1. Received: batch_size=0"),
        ({"batch_size": 2.0}, TypeError, "batch_size must be an integer.*batch_size=2.0"),
        ({"seed": -1}, ValueError, "seed must be at least 0. Received: seed=-1"),
        ({"seed": "0"}, TypeError, "seed must be an integer. Received: seed='0'"),
        ({"seed": 0, "epoch": -1}, ValueError, "epoch must be at least 0. Received: epoch=-1"),
        ({"seed": 0, "epoch": 0.5}, TypeError, "epoch must be an integer.*epoch=0.5"),
        ({"epoch": -1}, ValueError, "epoch must be at least 0. Received: epoch=-1"),
        ({"start": 3}, ValueError, "start must be at most the number of batches, 2. Received: 3"),
        ({"num_shards": 0}, ValueError, "num_shards must be at least 1"),
        ({"num_shards": 3}, ValueError, "num_shards must divide batch_size.*num_shards=3 for"),
        ({"num_shards": 2, "shard": 2}, ValueError, "shard must be below num_shards.*shard=2"),
        ({"balanced": True}, ValueError, "balanced needs a seed"),
    ],
)
def test_errors_come_at_once(options, kind, message):
    with pytest.raises(kind, match=message):
        batches(numbered(4), **({"batch_size": 2} | options))


def test_prefetch_says_what_is_wrong_at_once():
    with pytest.raises(ValueError, match=r"ahead must be at least 1. Received: ahead=0"):
        prefetch([], ahead=0)


def test_batches_from_the_device_are_the_same():
    images = np.random.default_rng(0).integers(0, 256, (10, 4, 4, 1), np.uint8)
    data = Dataset(images, np.arange(10))
    for host, device in zip(
        batches(data, 4, seed=1), batches(data.on_device(), 4, seed=1), strict=True
    ):
        assert isinstance(device.image, jax.Array)
        for expected, received in zip(host, device, strict=True):
            np.testing.assert_array_equal(received, expected)


def test_images_on_the_device_are_checked_and_resized():
    data = Dataset(jnp.zeros((3, 4, 4, 1), jnp.uint8), np.zeros(3, int))
    assert data.resize(8).image_shape == (8, 8, 1)
    with pytest.raises(ValueError, match="NaN or infinity in 1 images, the first at row 0"):
        Dataset(jnp.full((1, 4, 4, 1), jnp.nan), np.zeros(1, int))
