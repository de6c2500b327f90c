"""Folders of pictures, against Pillow."""

import mmap
import os
import time
import unicodedata
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxcnn.data import load
from jaxcnn.data.sources.picture_folder import open_source


def picture(seed, size=(6, 5), mode="RGB"):
    """A picture of noise; size is (width, height)."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(pixels).convert(mode)


def fill(root, classes, count=10, **options):
    """Writes ``count`` pictures into a folder for each class."""
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for place in range(count):
            path = root / name / f"{place:03}.png"
            picture(1000 * number + place, **options).save(path)
    return root


def rows(data):
    """Return every image with the name of its class, sorted."""
    return sorted(
        (data.class_names[label], image.tobytes())
        for image, label in zip(data.images, data.labels, strict=True)
    )


def is_mapped(array):
    """Whether an array is a view of a file."""
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap.mmap)


def expected(root, names, files="*", mode="RGB"):
    """The same, read with Pillow alone."""
    return sorted(
        (name, np.asarray(Image.open(path).convert(mode)).tobytes())
        for name in names
        for path in sorted((root / name).rglob(files))
    )


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_every_picture_has_its_class(tmp_path, kind):
    root = fill(tmp_path / "pets", ["dog", "cat", "bird"])
    data = load(kind(root), split="all")
    assert data.class_names == ("bird", "cat", "dog")
    assert (data.images.dtype, data.image_shape) == (np.uint8, (5, 6, 3))
    assert rows(data) == expected(root, data.class_names)
    # Decoded once: the second time it is read from where it is kept.
    assert rows(load(kind(root), split="all")) == rows(data)


def test_folders_named_by_numbers_are_sorted_by_value(tmp_path):
    fill(tmp_path, ["0", "1", "2", "10", "11"], count=5)
    data = load(str(tmp_path), image_size=4)
    assert data.class_names == ("0", "1", "2", "10", "11")
    assert sorted(set(data.labels.tolist())) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("classes", "reason"),
    [
        (["images/train/ant", "images/train/bee", "images/Test/ant"], "named as splits"),
        (["images/train/ant", "other/ant"], "named as splits"),
        (["images/ant", "images/bee"], r"it alone holds the folders \['ant', 'bee'\]"),
        (["train/images/ant", "train/images/bee"], "it alone holds the folders"),
    ],
)
def test_one_folder_too_many_is_told(tmp_path, classes, reason):
    fill(tmp_path, classes, count=1)
    with pytest.raises(ValueError, match=rf"'images' as a class, but .*{reason}.*Use '.*images'$"):
        load(str(tmp_path), image_size=4)


def test_folders_within_a_class_are_part_of_it(tmp_path):
    fill(tmp_path, ["ant/black", "ant/red", "bee/small", "bee/large"], count=1)
    assert load(str(tmp_path), image_size=4).class_names == ("ant", "bee")


def test_every_fifth_picture_by_name_is_for_testing(tmp_path):
    root = fill(tmp_path / "pets", ["cat", "dog"], count=11)
    test, train = load(root, split="test"), load(root)
    assert (len(test), len(train)) == (4, 18)
    assert rows(test) == expected(root, ["cat", "dog"], "00[49].png")
    assert sorted(rows(train) + rows(test)) == rows(load(root, split="all"))


def test_slices_take_their_share_of_every_class(tmp_path):
    root = fill(tmp_path / "pets", ["cat", "dog"], count=10)
    part, rest = load(root, split="train[:50%]"), load(root, split="train[50%:]")
    assert np.bincount(part.labels).tolist() == np.bincount(rest.labels).tolist() == [4, 4]
    assert sorted(rows(part) + rows(rest)) == rows(load(root))
    # Views of the file, not copies.
    assert is_mapped(part.images)
    assert is_mapped(rest.images)
    assert is_mapped(load(root, split="train[1:]+test").images)
    assert not is_mapped(load(root, split="train[:3]+test").images)


@pytest.mark.parametrize("others", [("test",), ("val",), ("test", "val"), ("validation",), ()])
def test_splits_may_be_folders(tmp_path, others):
    root, splits = tmp_path / "pets", ("train", *others)
    for place, split in enumerate(splits):
        fill(root / split, ["cat", "dog"], count=3 + place)
    (root / "notes").mkdir()
    for split in splits:
        data = load(root, split=split)
        assert rows(data) == expected(root / split, ["cat", "dog"])
    assert len(load(root, split="all")) == sum(2 * (3 + place) for place in range(len(splits)))
    if "test" not in splits:
        known = ", ".join([*splits, "all"])
        with pytest.raises(ValueError, match=f"there is no split 'test'. Known: {known}"):
            load(root, split="test")


def test_a_class_may_be_called_train(tmp_path):
    root = fill(tmp_path / "vehicles", ["bicycle", "train"])
    assert load(root).class_names == ("bicycle", "train")


@pytest.mark.parametrize(
    "parts", [["Train", "TEST"], ["Training", "testing", "Val"], ["test", "Valid"], ["validation"]]
)
def test_folders_of_splits_have_names_of_several_kinds(tmp_path, parts):
    for place, part in enumerate(parts):
        fill(tmp_path / part, ["cat", "dog"], count=1 + place)
    found = open_source(tmp_path, None)
    names = [part.lower().replace("ing", "") for part in parts]
    assert found.class_names == ("cat", "dog")
    assert [*found.sizes.items()] == [(name, 2 + 2 * place) for place, name in enumerate(names)]
    rows = load(tmp_path, split=names[-1])
    assert len(rows) == 2 * len(parts)


def test_splits_without_classes_are_no_classes(tmp_path):
    fill(tmp_path, ["Train", "test"])
    with pytest.raises(ValueError, match=r"must hold a folder .* none in \['Train', 'test'\] in"):
        load(tmp_path)
    twice = tmp_path / "twice"
    fill(twice / "train", ["a"])
    fill(twice / "Training", ["a"])
    with pytest.raises(ValueError, match=r"are the split 'train': '\w+' and '\w+'$"):
        load(twice)


def test_pictures_of_no_class_are_warned_about(tmp_path):
    fill(tmp_path / "train", ["cat", "dog"])
    fill(tmp_path, ["test"])
    with pytest.warns(
        UserWarning, match=r"the pictures in '.*/test' belong to no class and are left out"
    ):
        data = load(tmp_path)
    assert (len(data), data.class_names) == (20, ("cat", "dog"))


def test_classes_of_all_splits_count(tmp_path):
    root = tmp_path / "pets"
    fill(root / "train", ["bird", "dog"], count=1)
    fill(root / "test", ["cat", "dog"], count=1)
    train, test = load(root), load(root, split="test")
    assert train.class_names == test.class_names == ("bird", "cat", "dog")
    assert (sorted(train.labels), sorted(test.labels)) == ([0, 2], [1, 2])


def test_names_beyond_ascii(tmp_path):
    decomposed = unicodedata.normalize("NFD", "été")
    root = fill(tmp_path / "Bilder für später", [decomposed, "猫", "dog"], count=1)
    assert load(root, split="all").class_names == ("dog", "été", "猫")
    (root / "été").mkdir()
    with pytest.raises(ValueError, match=r"two folders in '.*Bilder.*' have the name 'été'"):
        load(root)


def test_names_that_are_not_utf8(tmp_path):
    root = fill(tmp_path / "set", ["dog"], count=1)
    folder = os.fsencode(root) + b"/caf\xe9"
    os.mkdir(folder)
    picture(0).save(os.fsdecode(folder) + "/0.png")
    for _ in range(2):
        assert load(root, split="all").class_names == (r"caf\xe9", "dog")


def test_other_and_hidden_files_are_ignored(tmp_path):
    root = fill(tmp_path / "pets", ["cat", "dog"], count=2)
    (root / "cat" / "notes.txt").write_text("words")
    (root / "cat" / "Thumbs.db").write_bytes(b"\0")
    (root / "cat" / ".hidden.png").write_bytes(b"\0")
    (root / ".ipynb_checkpoints").mkdir()
    (root / "labels.csv").write_text("words")
    assert len(load(root, split="all")) == 4


def test_folders_below_a_class_belong_to_it(tmp_path):
    root = fill(tmp_path / "pets", ["cat/old", "cat/new/er", "dog"], count=2)
    data = load(root, split="all")
    assert np.bincount(data.labels).tolist() == [4, 2]
    (root / "dog" / "up").symlink_to(root, target_is_directory=True)
    assert len(load(root, split="all")) == 6


def test_links_to_classes_and_files_are_followed(tmp_path):
    elsewhere = fill(tmp_path / "elsewhere", ["cat"], count=2)
    root = fill(tmp_path / "pets", ["dog"], count=1)
    (root / "cat").symlink_to(elsewhere / "cat", target_is_directory=True)
    (root / "dog" / "linked.PNG").symlink_to(elsewhere / "cat" / "000.png")
    assert np.bincount(load(root, split="all").labels).tolist() == [2, 2]


MODES = {
    "1": ("png", "tif"), "L": ("png", "jpg", "bmp", "gif", "webp", "pgm"), "LA": ("png",),
    "RGB": ("png", "jpeg", "jfif", "jpe", "webp", "ppm", "tiff", "avif"),
    "P": ("png", "gif", "bmp"), "RGBA": ("png", "webp"), "CMYK": ("jpg", "tif"), "YCbCr": ("jpg",),
}  # fmt: skip


@pytest.mark.parametrize(("mode", "suffix"), [(m, s) for m, each in MODES.items() for s in each])
def test_every_mode_is_read_as_pillow_converts_it(tmp_path, mode, suffix):
    if f".{suffix}" not in Image.registered_extensions():
        pytest.skip(f"this Pillow has no {suffix}")
    root = tmp_path / "set"
    (root / "a").mkdir(parents=True)
    original = picture(0, size=(16, 12), mode="RGB").convert(mode)
    if "A" in mode:
        original.putalpha(Image.new("L", original.size, 255))
    original.save(root / "a" / f"picture.{suffix}")
    with Image.open(root / "a" / f"picture.{suffix}") as read:
        gray = read.mode in ("1", "L", "LA")
        wanted = np.asarray(read.convert("L" if gray else "RGB"))
    image = load(root, split="all").images[0]
    assert image.shape == (12, 16, 1 if gray else 3)
    np.testing.assert_array_equal(image, wanted.reshape(image.shape))


def test_sixteen_bits_are_scaled_to_eight(tmp_path):
    levels = np.linspace(0, 65535, 30).reshape(5, 6).astype(np.uint16)
    (tmp_path / "set" / "a").mkdir(parents=True)
    for suffix in ("png", "tif", "pgm"):
        Image.fromarray(levels).save(tmp_path / "set" / "a" / f"deep.{suffix}")
    for image in load(tmp_path / "set", split="all").images:
        np.testing.assert_array_equal(image[..., 0], levels // 257)


def test_values_of_32_bits_are_refused(tmp_path):
    (tmp_path / "set" / "a").mkdir(parents=True)
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "set" / "a" / "floats.tif")
    with pytest.raises(ValueError, match=r"floats.tif' is not .* 32 bits and no known range"):
        load(tmp_path / "set")


def test_of_an_animation_the_first_frame_counts(tmp_path):
    frames = [Image.new("RGB", (6, 5), color) for color in ("red", "blue")]
    (tmp_path / "set" / "a").mkdir(parents=True)
    for suffix in ("gif", "webp", "png"):
        path = tmp_path / "set" / "a" / f"moving.{suffix}"
        frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    images = load(tmp_path / "set", split="all").images
    assert (images == np.array([255, 0, 0])).all()
    assert len(images) == 3


def test_transparency_is_laid_on_white(tmp_path):
    (tmp_path / "set" / "a").mkdir(parents=True)
    Image.new("RGBA", (2, 2), (0, 0, 0, 0)).save(tmp_path / "set" / "a" / "clear.png")
    assert (load(tmp_path / "set", split="all").images == 255).all()


def test_exif_rotation_is_applied(tmp_path):
    (tmp_path / "set" / "a").mkdir(parents=True)
    original = picture(0, size=(4, 8))
    exif = original.getexif()
    exif[0x0112] = 6  # shown by turning it a quarter clockwise
    original.save(tmp_path / "set" / "a" / "turned.png", exif=exif)
    image = load(tmp_path / "set", split="all").images[0]
    np.testing.assert_array_equal(image, np.rot90(np.asarray(original), k=-1))


def test_color_if_any_picture_has_color(tmp_path):
    root = fill(tmp_path / "set", ["a", "b"], count=150, mode="L")
    assert load(root).image_shape == (5, 6, 1)
    colorful = picture(7)
    colorful.save(root / "b" / "149.png")  # decoded long after the first
    data = load(root, split="all")
    assert data.image_shape == (5, 6, 3)
    assert rows(data) == expected(root, ["a", "b"])
    gray = load(root, split="all", channels=1)
    assert rows(gray) == expected(root, ["a", "b"], mode="L")
    first = fill(tmp_path / "color first", ["a"], count=2)
    picture(1, mode="L").save(first / "a" / "001.png")
    assert rows(load(first, split="all")) == expected(first, ["a"])


def test_one_color_picture_makes_all_splits_color(tmp_path):
    root = fill(tmp_path / "set", ["a"], count=20, mode="L")
    picture(7).save(root / "a" / "000.png")
    assert [load(root, split=split).image_shape for split in ("test", "train")] == [(5, 6, 3)] * 2
    for split, modes in (("train", ["L", "RGB"]), ("test", ["L"])):
        for mode in modes:
            fill(tmp_path / "parts" / split, [f"{mode}"], count=3, mode=mode)
    (tmp_path / "parts" / "test" / "L").rename(tmp_path / "parts" / "test" / "RGB")
    assert load(tmp_path / "parts", split="test").image_shape == (5, 6, 3)


def test_gray_as_color_where_it_is_asked_for(tmp_path):
    root = fill(tmp_path / "set", ["a"], mode="L")
    data = load(root, channels=3)
    assert data.image_shape == (5, 6, 3)
    assert (data.images == data.images[..., :1]).all()


def test_several_sizes_are_resized_as_pillow_does(tmp_path):
    root = fill(tmp_path / "set", ["a"], count=4)
    picture(5, size=(9, 30)).save(root / "a" / "tall.png")
    with pytest.raises(ValueError, match=r"must .* one size, .*image_size=") as raised:
        load(root, split="all")
    received = "Received: uint8 (5, 6, 3) in '{0}/000.png' and uint8 (30, 9, 3) in '{0}/tall.png'"
    assert str(raised.value).endswith(received.format(root / "a"))
    data = load(root, split="all", image_size=(7, 8))
    resized = [
        Image.open(path).resize((8, 7), Image.Resampling.BILINEAR)
        for path in sorted((root / "a").iterdir())
    ]
    np.testing.assert_array_equal(data.images, np.stack(resized))
    assert load(root, image_size=16).image_shape == (16, 16, 3)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-40])


def fake(path):
    path.write_text("words")


def empty(path):
    path.write_bytes(b"")


def bomb(path):
    """A few bytes that say they are 100,000 × 100,000 pixels."""
    data = bytearray(path.read_bytes())
    data[16:24] = (100_000).to_bytes(4, "big") * 2
    path.write_bytes(data)


@pytest.mark.parametrize("spoil", [truncate, fake, empty, bomb])
def test_pictures_that_cannot_be_read(tmp_path, spoil):
    root = fill(tmp_path / "set", ["a", "b"], count=5, size=(20, 20))
    for name in ("a/000.png", "b/002.png"):
        spoil(root / name)
    refused = r"'.*/set/a/000.png' is not a picture that can be read: .*. with on_error='skip'$"
    with pytest.raises(ValueError, match=refused):
        load(root)
    left_out = r"2 of 10 images in .*/set are left out: '.*/a/000.png' is not .*; '.*/b/002.png' is"
    for _ in range(2):  # from the files, and from what is kept
        with pytest.warns(UserWarning, match=left_out):
            data = load(root, split="all", on_error="skip")
        good = [*expected(root, ["a"], "00[1-4].png"), *expected(root, ["b"], "00[0134].png")]
        assert rows(data) == good
    with pytest.raises(ValueError, match=refused):
        load(root)


def test_a_broken_link_is_named(tmp_path):
    root = fill(tmp_path / "set", ["a"])
    (root / "a" / "linked.png").symlink_to(root / "missing")
    with pytest.raises(ValueError, match=r"there is no file '.*linked\.png'"):
        load(root, split="all")
    with pytest.warns(UserWarning, match=r"1 of 11 images .* no file '.*linked\.png'"):
        assert len(load(root, split="all", on_error="skip")) == 10


def test_temporary_errors_are_not_cached(tmp_path):
    root = fill(tmp_path / "set", ["a"])
    (root / "a" / "loop.png").symlink_to(root / "a" / "loop.png")
    with pytest.raises(OSError, match=r"loop\.png"):
        load(root, on_error="skip", split="all")
    assert [path.name for path in root.with_name(".set.jaxcnn-cache").iterdir()] == [".lock"]


def test_no_picture_can_be_read(tmp_path):
    root = fill(tmp_path / "set", ["a"], count=3)
    for path in (root / "a").iterdir():
        fake(path)
    with pytest.raises(ValueError, match=r"must have an image that can be read. Received: none"):
        load(root, on_error="skip")


@settings(max_examples=10)
@given(st.binary(max_size=200), st.integers(0, 10_000))
def test_any_damage_is_named_or_harmless(tmp_path_factory, noise, place):
    root = tmp_path_factory.mktemp("damage") / "set"
    fill(root, ["a"], count=2, size=(40, 40))
    for suffix in ("png", "jpg", "gif", "bmp", "tif", "webp"):
        path = root / "a" / f"000.{suffix}"
        picture(0, size=(40, 40)).save(path)
        data = bytearray(path.read_bytes())
        start = place % len(data)
        data[start : start + len(noise)] = noise
        path.write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about damage that it can read past
            error = None
            try:
                load(root, image_size=40)
            except ValueError as raised:
                error = raised
        assert error is None or f"000.{suffix}" in str(error)
        path.unlink()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda root: root.mkdir(),
            "must have a folder of pictures for each class. Received: 0 files",
        ),
        (
            lambda root: (root.mkdir(), picture(0).save(root / "a.png")),
            "for each class. Received: 1 files and no folder",
        ),
        (
            lambda root: (fill(root, ["a"]), (root / "b").mkdir()),
            r"the class folder '.*/set/b' has no picture in it: no file that ends in .*, jpg,",
        ),
        (lambda root: fill(root / "train", ["a", "b"], count=0), "'.*/set/train/a' has no picture"),
    ],
)
def test_folders_without_pictures(tmp_path, make, message):
    make(tmp_path / "set")
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "set")


def test_no_folder(tmp_path):
    with pytest.raises(
        ValueError, match=r"there is no folder, .npz archive or data set '.*/nowhere'"
    ):
        load(tmp_path / "nowhere")


def test_too_few_pictures_for_testing(tmp_path):
    root = fill(tmp_path / "set", ["a", "b"], count=4)
    assert len(load(root)) == 8
    with pytest.raises(ValueError, match="has no image in test"):
        load(root, split="test")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 2}, "channels must be 1, 3 or None. Received: channels=2"),
        ({"on_error": "ignore"}, "on_error must be 'raise' or 'skip'. Received: on_error='ignore'"),
        ({"image_size": 0}, "image_size must be at least 1"),
        ({"split": "trian"}, "there is no split 'trian'. Did you mean 'train'?"),
        ({"split": "train[3:3]"}, "the split holds none of the 10 images of .*/set"),
    ],
)
def test_options_that_are_not_allowed(tmp_path, options, message):
    root = fill(tmp_path / "set", ["a"])
    with pytest.raises(ValueError, match=message):
        load(root, **options)


def test_the_digest_changes_with_the_contents(tmp_path):
    root = fill(tmp_path / "set", ["a", "b"], count=2)
    seen = [open_source(root, None).content]
    assert open_source(root, None).content == seen[0]
    changes = [
        lambda: (root / "a" / "000.png").rename(root / "a" / "009.png"),
        lambda: (root / "a" / "001.png").rename(root / "b" / "009.png"),
        lambda: os.utime(root / "b" / "000.png", ns=(0, 1)),
        # Written again, with as many bytes and the time of writing set back.
        lambda: (
            (root / "b" / "000.png").write_bytes((root / "b" / "000.png").read_bytes()),
            os.utime(root / "b" / "000.png", ns=(0, 1)),
        ),
        lambda: (root / "b" / "001.png").unlink(),
    ]
    for change in changes:
        time.sleep(0.02)  # a tick of the clock of the file system
        change()
        seen.append(open_source(root, None).content)
    assert len(set(seen)) == len(seen)
    (root / "a" / "notes.txt").write_text("words")
    assert open_source(root, None).content == seen[-1]


def test_folders_that_a_system_adds_are_no_classes(tmp_path):
    for name in ("cat", "dog"):
        for folder in (tmp_path / name, tmp_path / "__MACOSX" / name, tmp_path / name / "@eaDir"):
            folder.mkdir(parents=True)
            for number in range(5):
                hidden = "._" if "__MACOSX" in folder.parts else ""
                Image.new("L", (3, 3)).save(folder / f"{hidden}{number}.png")
    data = load(tmp_path, split="all")
    assert (len(data), data.class_names) == (10, ("cat", "dog"))
