"""Sets of series: ``.ts``, ``.arff`` and ``.tsv`` files, with and without splits."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from jaxcnn import data

HEADER = "# a comment\n@problemName Two\n@timeStamps false\n@univariate true\n"


def write(path, header, *rows):
    path.write_text(header + "@data\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def pair(tmp_path):
    header = HEADER + "@classLabel true b a\n"
    write(tmp_path / "Two_TRAIN.ts", header, "1,2,3:b", "4,5,6:a")
    write(tmp_path / "Two_TEST.ts", header, "7,8,9:a")
    return tmp_path


@pytest.mark.parametrize("source", ["", "Two_TRAIN.ts", "Two_TEST.ts", "Two"])
def test_both_parts_are_found_from_either(pair, source):
    train, test = (data.load(pair / source, split=split) for split in ("train", "test"))
    np.testing.assert_array_equal(train.images[..., 0], [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(test.images[..., 0], [[7, 8, 9]])
    assert train.class_names == test.class_names == ("a", "b")
    assert train.labels.tolist() == [1, 0]
    assert train.lengths is None
    assert data.describe(pair / source).splits == {"train": 2, "test": 1}


def test_channels_and_unequal_lengths_are_padded_to_the_longest_of_both(tmp_path):
    header = HEADER + "@dimensions 2\n@equalLength false\n@classLabel true x y\n"
    write(tmp_path / "M_TRAIN.ts", header, "1,2:3,4:x", "5,?:6,NaN:y")
    write(tmp_path / "M_TEST.ts", header, "1,2,3:4,5,6:x")
    both = data.load(tmp_path / "M", split="all")
    assert both.image_shape == (3, 2)
    assert both.lengths.tolist() == [2, 1, 3]
    np.testing.assert_array_equal(both.images[0], [[1, 3], [2, 4], [np.nan, np.nan]])
    assert data.load(tmp_path / "M", length=2, split="all").lengths.tolist() == [2, 1, 2]
    assert data.load(tmp_path / "M", length=1).lengths is None


def test_targets_are_numbers(tmp_path):
    write(tmp_path / "R.ts", HEADER + "@targetlabel true\n", "1,2:0.5", "3,4:-1")
    regression = data.load(tmp_path / "R.ts", split="all")
    assert (regression.kind, regression.labels.tolist()) == ("numbers", [[0.5], [-1.0]])


def test_arff_and_tsv_hold_the_same_series(tmp_path):
    attributes = "".join(f"@attribute t{i} numeric\n" for i in range(3))
    flat = f"% text\n@relation One\n{attributes}@attribute class {{b, 'a'}}\n"
    write(tmp_path / "a.arff", flat, "1,2,3,b", "4,5,?,'a'")
    nested = (
        f"@relation 'Two'\n@attribute both relational\n{attributes}@end both\n"
        "@attribute class {b,a}\n"
    )
    write(tmp_path / "m.arff", nested, r"'1,2,3\n4,5,6',b", r'"7,8,9\n1,1,1",a')
    (tmp_path / "t.tsv").write_text("b\t1\t2\t3\na\t4\t5\tNaN\n")
    one, many = (data.load(tmp_path / name, split="all") for name in ("a.arff", "m.arff"))
    table = data.load(tmp_path / "t.tsv", split="all")
    np.testing.assert_array_equal(one.images[..., 0], [[1, 2, 3], [4, 5, np.nan]])
    np.testing.assert_array_equal(table.images, one.images)
    np.testing.assert_array_equal(many.images[0], [[1, 4], [2, 5], [3, 6]])
    assert one.labels.tolist() == table.labels.tolist() == many.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("header", "row", "problem"),
    [
        ("@classLabel true a\n", "1,?,3:a", "line 7 of .*missing or infinite at step 1 of channel"),
        ("@classLabel true a\n", "1,x,3:a", "line 7 of .*must be numbers, and 'x' is none"),
        ("@classLabel true a\n", "1,2,3", "line 7 of .*must end in a colon and its label"),
        ("@classLabel true a\n", "1,2,3:b", r"class must be declared, \['a'\], not 'b'"),
        ("@classLabel true a\n", "1,2:3:a", r"equally long, not \[1, 2\]"),
        ("@classLabel true a\n", "?,?:a", "a series must have a value"),
        ("@targetLabel true\n", "1,2:much", "target must be a number, not 'much'"),
        ("@classLabel false\n", "1,2", "has no labels: its header must have @classLabel"),
        ("@timeStamps true\n@classLabel true a\n", "(0,1):a", "has time stamps"),
        ("@classLabel true a\nwords\n", "1:a", "line 6 of .*must be lines @name value"),
    ],
)
def test_bad_files_are_errors_that_name_the_line(tmp_path, header, row, problem):
    with pytest.raises(ValueError, match=problem):
        data.load(write(tmp_path / "bad.ts", HEADER + header, row))


def test_what_is_not_there_is_an_error(tmp_path, pair):
    with pytest.raises(ValueError, match="there is no file"):
        data.load(tmp_path / "None_TRAIN.ts")
    write(tmp_path / "Empty.ts", HEADER + "@classLabel true a\n")
    with pytest.raises(ValueError, match="holds no series"):
        data.load(tmp_path / "Empty.ts")
    for part in ("TRAIN", "TEST"):
        write(tmp_path / f"Other_{part}.ts", HEADER + "@classLabel true a\n", "1:a")
    with pytest.raises(ValueError, match=r"several sets of series, \['Other', 'Two'\]"):
        data.load(tmp_path)
    with pytest.raises(ValueError, match="sample_rate belongs to folders of sounds"):
        data.load(tmp_path / "Two", sample_rate=8000)
    with pytest.raises(ValueError, match="length belongs to sequences"):
        data.load("digits", length=3)


@pytest.mark.parametrize(
    ("name", "train", "test", "shape", "classes"),
    [
        ("GunPoint", 50, 150, (150, 1), 2),
        ("ArrowHead", 36, 175, (251, 1), 3),
        ("ItalyPowerDemand", 67, 1029, (24, 1), 2),
        ("BasicMotions", 40, 40, (100, 6), 4),
        ("JapaneseVowels", 270, 370, (29, 12), 9),
        ("PickupGestureWiimoteZ", 50, 50, (361, 1), 10),
        ("Covid3Month", 140, 61, (84, 1), 0),
    ],
)
def test_the_sets_of_aeon(name, train, test, shape, classes):
    """Sizes as timeseriesclassification.com publishes them."""
    spec = importlib.util.find_spec("aeon")
    if spec is None:
        pytest.skip("aeon is not installed")
    folder = Path(spec.origin).parent / "datasets" / "data" / name
    found = data.describe(folder)
    assert found.splits == {"train": train, "test": test}
    assert (found.image_shape, len(found.class_names)) == (shape, classes)
