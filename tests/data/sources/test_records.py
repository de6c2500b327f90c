"""Arrays and records as sources, including those of Grain and Hugging Face."""

import io
import sys

import datasets
import grain
import numpy as np
import pytest
from PIL import Image

from jaxcnn.data import Dataset, load
from jaxcnn.data.decoding.record_sequences import Joined


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def png(image):
    file = io.BytesIO()
    Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(file, "png")
    return file.getvalue()


IMAGES, LABELS = pixels(12, 5, 4, 3), np.arange(12) % 3


def records(images=IMAGES, labels=LABELS, encode=np.asarray):
    pairs = zip(images, labels, strict=True)
    return [{"image": encode(image), "label": label, "more": None} for image, label in pairs]


def test_arrays_are_one_split_as_they_are():
    for source in [(IMAGES, LABELS), {"images": IMAGES, "labels": LABELS}]:
        data = load(source)
        assert np.shares_memory(data.images, IMAGES)
        np.testing.assert_array_equal(data.labels, LABELS)
        assert len(load(source, split="train")) == 12  # no class has five images
    assert load((IMAGES, LABELS), image_size=8).image_shape == (8, 8, 3)
    named = {"images": IMAGES, "labels": LABELS, "class_names": ["a", "b", "c", "d"]}
    assert load(named).class_names == ("a", "b", "c", "d")


def test_an_open_archive_is_a_mapping(tmp_path):
    np.savez(tmp_path / "set.npz", images=IMAGES, labels=np.array(["x", "y", "z"])[LABELS])
    with np.load(tmp_path / "set.npz") as archive:
        data = load(archive)
    np.testing.assert_array_equal(data.images, IMAGES)
    assert (data.class_names, data.labels.tolist()) == (("x", "y", "z"), LABELS.tolist())
    assert load(tmp_path / "set.npz").class_names == ("x", "y", "z")


def encoded_in_a_mapping(image):
    return {"bytes": png(image), "path": None}


@pytest.mark.parametrize("encode", [np.asarray, png, Image.fromarray, encoded_in_a_mapping])
@pytest.mark.parametrize("keep", [False, True])
def test_records_are_decoded(tmp_path, encode, keep):
    options = {"cache_dir": tmp_path} if keep else {}
    for _ in range(2):
        data = load(records(encode=encode), **options)
        np.testing.assert_array_equal(data.images, IMAGES)
        np.testing.assert_array_equal(data.labels, LABELS)
        assert data.class_names == ("0", "1", "2")
    small = load(records(encode=encode), image_size=(2, 3), **options)
    np.testing.assert_array_equal(small.images, Dataset(IMAGES, LABELS).resize((2, 3)).images)
    gray = load(records(encode=encode), channels=1, **options).images
    expected = [np.asarray(Image.fromarray(image).convert("L")) for image in IMAGES]
    np.testing.assert_array_equal(gray[..., 0], expected)


def test_records_may_be_files(tmp_path):
    paths = [tmp_path / f"{row}.png" for row in range(12)]
    for path, image in zip(paths, IMAGES, strict=True):
        path.write_bytes(png(image))
    for kind in (str, lambda path: path, lambda path: {"bytes": None, "path": str(path)}):
        data = load(records([kind(path) for path in paths], encode=lambda path: path))
        np.testing.assert_array_equal(data.images, IMAGES)


def test_records_have_splits_where_they_are_asked_for():
    labels = np.repeat([0, 1], 6)
    test, train = (load(records(labels=labels), split=split) for split in ("test", "train"))
    np.testing.assert_array_equal(test.images, IMAGES[[4, 10]])
    np.testing.assert_array_equal(train.images, np.delete(IMAGES, [4, 10], axis=0))
    assert len(load(records(labels=labels), split="train[:50%]")) == 5


def test_labels_of_records_may_be_names():
    data = load(records(labels=np.array(["dog", "cat", "été"])[LABELS].tolist()))
    assert data.class_names == ("cat", "dog", "été")
    assert data.labels[:3].tolist() == [1, 0, 2]


@pytest.mark.parametrize("shape", [(12, 9, 2), (12, 3, 5, 4, 1), (12, 5, 4, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_arrays_of_other_ranks_stay_as_they_are(shape, dtype):
    if dtype == np.uint8 and len(shape) == 3:
        pytest.skip("uint8 of these axes are gray pictures")
    images = (pixels(*shape) / 255).astype(dtype)
    data = load(records(images))
    np.testing.assert_array_equal(data.images, images)
    assert data.images.dtype == dtype


def test_a_mapping_of_splits():
    source = {"train": records(), "test": records(IMAGES[:3] + 1, LABELS[:3])}
    np.testing.assert_array_equal(load(source).images, IMAGES)
    np.testing.assert_array_equal(load(source, split="test").images, IMAGES[:3] + 1)
    np.testing.assert_array_equal(load(source, split="test+train[1:]").images[3:], IMAGES[1:])
    with pytest.raises(ValueError, match=r"there is no split 'tests'. Did you mean 'test'?"):
        load(source, split="tests")


def test_splits_agree_on_the_classes_of_labels(tmp_path):
    """Names have the same numbers in all splits, although some are in one split only."""
    names = {"train": ["ant", "bee", "cat"], "test": ["ant", "cat", "dog"], "val": ["cat"] * 3}
    plain = {split: records(IMAGES[:3], each) for split, each in names.items()}
    text = datasets.Value("string")
    tables = datasets.DatasetDict(
        {
            split: table(labels=each, feature=text, images=IMAGES[:3])
            for split, each in names.items()
        }
    )
    for source, options in [(plain, {}), (tables, {}), (tables, {"cache_dir": tmp_path})]:
        for split, each in names.items():
            data = load(source, split=split, **options)
            assert data.class_names == ("ant", "bee", "cat", "dog")
            assert [data.class_names[label] for label in data.labels] == each
    numbers = {"train": records(), "test": records(IMAGES[:2], LABELS[:2])}
    assert load(numbers, split="test").class_names == ("0", "1", "2")


def test_splits_agree_on_color():
    source = {"train": records(), "test": records(pixels(4, 5, 4, 1), LABELS[:4])}
    assert load(source).image_shape == load(source, split="test").image_shape == (5, 4, 3)


def test_splits_whose_numbers_mean_different_classes():
    other = table(feature=datasets.ClassLabel(names=["a", "c", "b"]))
    with pytest.raises(
        ValueError, match=r"same classes. Received: {'train': \('a', 'b', 'c'\), 'te"
    ):
        load(datasets.DatasetDict(train=table(), test=other))


def test_secret_labels_are_an_error_where_they_are_asked_for(tmp_path):
    source = {"train": records(), "test": records(IMAGES[:5], [-1] * 5)}
    for options in ({}, {"cache_dir": tmp_path}, {"cache_dir": tmp_path}):
        assert load(source, **options).labels.tolist() == LABELS.tolist()
        with pytest.raises(ValueError, match=r"labels must be in 0…2, .*: labels from -1 to -1"):
            load(source, split="test", **options)


def test_only_the_requested_split_is_decoded_if_the_classes_are_known():
    damaged = table().cast_column("image", datasets.Image(decode=False))
    damaged = damaged.map(lambda row: {"image": {"bytes": b"words", "path": None}})
    source = datasets.DatasetDict(train=damaged, test=table())
    np.testing.assert_array_equal(load(source, split="test", channels=3).images, IMAGES)
    with pytest.raises(ValueError, match="record 0 of DatasetDict is not a picture"):
        load(source, split="test")


def test_other_records_are_not_mistaken_for_those_that_are_kept(tmp_path):
    load(records(), cache_dir=tmp_path)
    for other in (records(IMAGES + 1), records(labels=(LABELS + 1) % 3), records()[:-1]):
        data = load(other, cache_dir=tmp_path)
        np.testing.assert_array_equal(data.images, [record["image"] for record in other])
        np.testing.assert_array_equal(data.labels, [record["label"] for record in other])
    assert len(list(tmp_path.iterdir())) == 4


def test_damaged_records(tmp_path):
    source = records(encode=png)
    source[2]["image"] = source[2]["image"][:40]
    with pytest.raises(ValueError, match="record 2 of list is not a picture that can be read"):
        load(source)
    for options in ({}, {"cache_dir": tmp_path}, {"cache_dir": tmp_path}):
        with pytest.warns(UserWarning, match="1 of 12 images in list are left out: record 2 of"):
            data = load(source, on_error="skip", **options)
        np.testing.assert_array_equal(data.images, np.delete(IMAGES, 2, axis=0))
        np.testing.assert_array_equal(data.labels, np.delete(LABELS, 2))
    with pytest.raises(ValueError, match="record 2 of list is not"):
        load(source, cache_dir=tmp_path)  # though it is kept without that one


@pytest.mark.parametrize("image", [None, object(), [[1, 2], [3]], {"bytes": None, "path": None}])
def test_records_without_an_image(image):
    source = records()
    for row in (0, 5):
        source[row]["image"] = image
    with pytest.raises(ValueError, match=r"record 0 of list has no (array as its )?image.*'skip'$"):
        load(source)
    with pytest.warns(UserWarning, match="2 of 12 images in list are left out: record 0 of list"):
        data = load(source, on_error="skip")
    np.testing.assert_array_equal(data.images, np.delete(IMAGES, [0, 5], axis=0))


def test_skipping_keeps_splits_apart():
    source = {name: records(encode=png) for name in ("train", "test")}
    source["train"][0]["image"] = b"words"
    with pytest.warns(UserWarning, match="1 of 24"):
        data = load(source, split="train[-1:]+test", on_error="skip")
    np.testing.assert_array_equal(data.images, [IMAGES[-1], *IMAGES])


class Endless(list):
    def __len__(self):
        return sys.maxsize


ERRORS = [
    ([], ValueError, "list has no image in all"),
    (7, TypeError, r"source must be a name, a path, .* Received: int"),
    (iter(records()), TypeError, "Of a PyTorch DataLoader pass .* Received: list_iterator"),
    ((IMAGES,), ValueError, r"the pair \(images, labels\). Received: a tuple of 1"),
    ((IMAGES, LABELS[:3]), ValueError, r"labels must have one row per image"),
    ({"images": IMAGES}, ValueError, r"must hold 'images' .*Received: {'images': \(12, 5, 4, 3\)}"),
    ({}, ValueError, "there is no split 'train'"),
    ([1, 2], TypeError, "each record of list must be a mapping .* Received: 1 as record 0"),
    ([{"img": 1}], TypeError, r"'image' and 'label', .* Received: \['img'\] as record 0"),
    (records(labels=np.eye(12)), ValueError, "a label must be one .* in record 0 of list"),
    (records(labels=[None] * 12), ValueError, "a label must be .* Received: None in record 0"),
    (records(labels=LABELS / 1), ValueError, r"labels must be .* Received: float64 \(12,\)"),
    (records(labels=LABELS - 1), ValueError, "labels from -1 to 1"),
    (records(IMAGES.astype(int)), TypeError, "images must be uint8 pixels.* dtype int64"),
    ([*records(), *records(pixels(1, 6, 4, 3), [0])], ValueError,
     r"Received: uint8 \(5, 4, 3\) in record 0 of list and uint8 \(6, 4, 3\) in record 12 of list"),
    ([*records(), *records(pixels(1, 5, 4, 4), [0])], TypeError,
     r"only uint8 arrays .* of 3 channels. Received: uint8 \(5, 4, 4\) in record 12"),
    ([*records(IMAGES / 256), *records()], ValueError, r"float64 \(5, 4, 3\) .* and uint8"),
    (Endless(), ValueError, "records must end. Received: an endless Endless"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "kind", "message"), ERRORS, ids=[e[-1] for e in ERRORS])
def test_errors(source, kind, message):
    with pytest.raises(kind, match=message):
        load(source)


def test_only_pictures_change_their_form():
    with pytest.raises(TypeError, match="only uint8 images can be resized"):
        load(records(IMAGES / 256), image_size=3)
    with pytest.raises(ValueError, match=r"only images \(N, height, width, channels\)"):
        load(records(pixels(12, 5, 4) / 256), image_size=3)
    with pytest.raises(TypeError, match=r"can be pictures of 1 channels. Received: float64"):
        load(records(IMAGES / 256), channels=1)


def test_gray_and_color_together():
    gray = pixels(200, 5, 4, 1)
    mixed = [*records(gray, [0] * 200), *records()]
    data = load(mixed)
    np.testing.assert_array_equal(data.images[:200], np.repeat(gray, 3, axis=-1))
    np.testing.assert_array_equal(data.images[200:], IMAGES)


def test_joined_sources_are_one():
    joined = Joined([[0, 1], [], [2], [3, 4, 5]])
    assert len(joined) == 6
    assert [joined[row] for row in range(6)] == list(range(6))


def test_grain_sources():
    source = grain.MapDataset.source(records(encode=png))
    data = load(source)
    np.testing.assert_array_equal(data.images, IMAGES)
    changed = source.map(lambda record: {"image": record["image"], "label": 2 - record["label"]})
    assert load(changed).labels.tolist() == (2 - LABELS).tolist()
    with pytest.raises(ValueError, match="an endless RepeatMapDataset"):
        load(source.repeat())


def table(image="image", label="label", labels=LABELS, feature=None, images=IMAGES):
    feature = feature or datasets.ClassLabel(names=["a", "b", "c"])
    pictures = [Image.fromarray(each) for each in images]
    columns = {image: pictures, label: list(labels), "id": range(len(images))}
    features = {image: datasets.Image(), label: feature, "id": datasets.Value("int64")}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def test_hugging_face_tables():
    for names in ({}, {"image": "img", "label": "fine_label"}):
        data = load(table(**names))
        np.testing.assert_array_equal(data.images, IMAGES)
        np.testing.assert_array_equal(data.labels, LABELS)
        assert data.class_names == ("a", "b", "c")
    names = np.array(["x", "y", "z"])[LABELS].tolist()
    data = load(table(labels=names, feature=datasets.Value("string")).with_format("numpy"))
    assert (data.class_names, data.labels.tolist()) == (("x", "y", "z"), LABELS.tolist())


def test_the_mode_of_a_hugging_face_column_is_honored():
    source = table().cast_column("image", datasets.Image(mode="L"))
    expected = np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in IMAGES])
    np.testing.assert_array_equal(load(source).images[..., 0], expected)
    assert load(source, channels=3).image_shape == (5, 4, 3)
    with pytest.raises(ValueError, match=r"must be Image\(mode='L'\).*Image\(mode='CMYK'\)"):
        load(table().cast_column("image", datasets.Image(mode="CMYK")))


def test_the_format_of_a_hugging_face_table_is_honored_or_refused():
    def darken(rows):
        return {
            "img": [np.asarray(image) // 2 for image in rows["img"]],
            "label": [2 - label for label in rows["label"]],
        }

    source = table(image="img")
    for transformed in (source.with_transform(darken), datasets.DatasetDict(train=source)):
        if isinstance(transformed, datasets.DatasetDict):
            transformed["train"].set_transform(darken)
        data = load(transformed)
        np.testing.assert_array_equal(data.images, IMAGES // 2)
        np.testing.assert_array_equal(data.labels, 2 - LABELS)
    np.testing.assert_array_equal(load(table().with_format("numpy")).images, IMAGES)
    with pytest.raises(ValueError, match=r"format would be lost.* use with_format\(None\)"):
        load(table().with_format("numpy", dtype="float32"))
    with pytest.raises(ValueError, match="must have a column 'image'"):
        load(table().with_format(None, columns=["label", "id"]))
    renamed = table().with_transform(lambda rows: {"pixels": rows["image"], "label": rows["label"]})
    with pytest.raises(TypeError, match=r"Received: \['label', 'pixels'\] as record 0"):
        load(renamed)


def test_pictures_that_another_library_opened_are_of_the_listed_formats(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: started.append(1))
    Image.new("RGB", (4, 4)).save(tmp_path / "page.eps")
    rule = r"its format EPS is none of AVIF.*picture\.copy\(\)"
    with Image.open(tmp_path / "page.eps") as page, pytest.raises(ValueError, match=rule):
        load([{"image": page, "label": 0}])
    assert not started


def test_records_that_a_filter_left_out():
    source = grain.MapDataset.source(records()).filter(lambda record: record["label"] != 1)
    with pytest.raises(ValueError, match=r"record \d+ of \w+ is None.*on_error='skip'"):
        load(source)
    with pytest.warns(UserWarning, match="of 12 images in FilterMapDataset are left out"):
        kept = load(source, on_error="skip")
    np.testing.assert_array_equal(kept.images, IMAGES[LABELS != 1])


def test_a_large_hugging_face_table_is_whole():
    """More rows than are decoded at once."""
    images, labels = pixels(300, 5, 4, 3), np.arange(300) % 3
    source = datasets.DatasetDict(train=table(images=images, labels=labels), test=table())
    data = load(source, split="train+test")
    np.testing.assert_array_equal(data.images, [*images, *IMAGES])
    np.testing.assert_array_equal(data.labels, [*labels, *LABELS])


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_hugging_face_arrays(dtype):
    images = (pixels(4, 5, 4, 3) / (1 if dtype == "uint8" else 256)).astype(dtype)
    columns = {"image": images.tolist(), "label": [0, 1, 0, 1]}
    label = datasets.ClassLabel(names=["a", "b"])
    features = datasets.Features({"image": datasets.Array3D((5, 4, 3), dtype), "label": label})
    data = load(datasets.Dataset.from_dict(columns, features=features))
    np.testing.assert_array_equal(data.images, images)
    assert (data.images.dtype, data.class_names) == (dtype, ("a", "b"))
    columns["image"] = images[..., 0].tolist()
    lists = datasets.List(datasets.List(datasets.Value(dtype)))
    features = datasets.Features({"image": lists, "label": datasets.Value("int32")})
    data = load(datasets.Dataset.from_dict(columns, features=features))
    gray = images[..., :1] if dtype == "uint8" else images[..., 0]
    np.testing.assert_array_equal(data.images, gray)
    assert data.images.dtype == dtype


def test_hugging_face_splits(tmp_path):
    source = datasets.DatasetDict(train=table(), test=table().select(range(4)))
    for _ in range(2):
        assert len(load(source, cache_dir=tmp_path)) == 12
        assert len(load(source, split="test", cache_dir=tmp_path)) == 4
    assert load(source, split="test", image_size=3).image_shape == (3, 3, 3)


def test_other_names_of_classes_are_not_mistaken_for_those_that_are_kept(tmp_path):
    for names in (("a", "b", "c"), ("x", "y", "z")):
        source = table(feature=datasets.ClassLabel(names=list(names)))
        assert load(source, cache_dir=tmp_path).class_names == names


def test_hugging_face_tables_that_do_not_fit():
    with pytest.raises(
        ValueError, match=r"a column 'label', or one column of type ClassLabel: use "
    ):
        load(table(label="kind", feature=datasets.Value("int64")))
