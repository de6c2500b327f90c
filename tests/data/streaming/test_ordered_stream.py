"""Records that are read in order: shuffled within a window, with a state that can be kept."""

import json

import datasets
import grain
import numpy as np
import pytest

import jaxcnn as cnn
from jaxcnn.data import batches, load


def records(count=50):
    """Records whose number is the value of their pixels."""
    return [{"image": np.full((4, 4, 1), n, np.uint8), "label": n % 2} for n in range(count)]


def table(count=50):
    """The same as a streamed table of three shards."""

    def generate(shards):
        for shard in shards:
            yield from records(count)[shard::3]

    return datasets.IterableDataset.from_generator(generate, gen_kwargs={"shards": [0, 1, 2]})


def iterator(count=50):
    return grain.MapDataset.source(records(count)).to_iter_dataset()


def opened(source, **options):
    return load(source, class_names=["even", "odd"], **options)


def numbers(drawn, count):
    """The numbers of the records of the next batches."""
    read = [next(drawn) for _ in range(count)]
    for batch in read:
        assert np.array_equal(batch.label, batch.image[:, 0, 0, 0] % 2)
    return [batch.image[:, 0, 0, 0].tolist() for batch in read]


@pytest.mark.parametrize("make", [table, iterator])
def test_it_goes_on_from_its_state(make):
    drawn = batches(opened(make()), 8, seed=3)
    before, state = numbers(drawn, 5), json.loads(json.dumps(drawn.state))
    after = numbers(drawn, 9)  # beyond the end of the records, which begin anew
    again = batches(opened(make()), 8, seed=3, epoch=1, start=5, state=state)
    assert numbers(again, 9) == after
    seen = np.concatenate(before + after + numbers(drawn, 125 - 14))
    assert np.bincount(seen).tolist() == [1_000 // 50] * 50  # the window
    assert (seen[:50] != np.arange(50)).any()
    halves = [batches(opened(make()), 8, seed=3, shard=n, num_shards=2) for n in (0, 1)]
    assert [a + b for a, b in zip(*(numbers(half, 5) for half in halves), strict=True)] == before


@pytest.mark.parametrize("make", [table, iterator])
def test_without_a_seed_each_record_comes_once(make):
    read = list(batches(opened(make()), 8))
    assert [batch.mask.sum() for batch in read] == [8] * 6 + [2]
    seen = np.concatenate([batch.image[batch.mask, 0, 0, 0] for batch in read])
    assert sorted(seen.tolist()) == list(range(50))


def test_a_table_tells_its_classes_and_columns():
    features = datasets.Features(
        {"picture": datasets.Image(), "kind": datasets.ClassLabel(names=["even", "odd"])}
    )
    rows = [
        {"picture": record["image"].repeat(3, axis=-1), "kind": record["label"]}
        for record in records(9)
    ]
    whole = datasets.Dataset.from_list(rows, features=features)
    stream = load({"train": whole.to_iterable_dataset()}, channels=1)
    assert stream.sample.class_names == ("even", "odd")
    (batch,) = batches(stream, 9)
    assert batch.image[:, 0, 0, 0].tolist() == list(range(9))
    assert repr(stream).startswith("OrderedStream(images (4, 4, 1) uint8 of IterableDataset, 2")


def test_mistakes():
    with pytest.raises(ValueError, match="a stream needs class_names"):
        load(iterator())
    with pytest.raises(ValueError, match=r"streamed, not decoded once.*stream=False"):
        opened(iterator(), stream=False)
    with pytest.raises(ValueError, match=r"no splits and no slices.*train\[:10\]"):
        opened(iterator(), split="train[:10]")
    with pytest.raises(ValueError, match="must have a record"):
        opened(grain.MapDataset.source([]).to_iter_dataset())
    bad = [*records(40), {"image": np.zeros((4, 4, 1), np.uint8), "label": 2}]
    stream = opened(grain.MapDataset.source(bad).to_iter_dataset())
    with pytest.raises(ValueError, match="labels must be among the 2 classes"):
        list(batches(stream, 8))
    with pytest.raises(ValueError, match=r"needs steps_per_epoch.*OrderedStream"):
        cnn.data.steps_per_epoch(opened(iterator()), 8)
