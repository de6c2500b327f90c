"""Folders of pictures and masks: their layouts, the meaning of values, and errors."""

import numpy as np
import pytest
from PIL import Image

import jaxcnn as cnn
from jaxcnn.data import describe, load

PALETTE = np.random.default_rng(9).integers(0, 256, 768).tolist()
COUNT, SIZE = 10, (6, 8)


def masks(count=COUNT, classes=3, seed=0):
    found = np.random.default_rng(seed).integers(0, classes, (count, *SIZE)).astype(np.uint8)
    found[:, 0, 0], found[:, 0, 1] = classes - 1, 255
    return found


def write(root, values, pictures="images", folder="masks", *, start=0, save=None, suffix="jpg"):
    (root / pictures).mkdir(parents=True, exist_ok=True)
    (root / folder).mkdir(parents=True, exist_ok=True)
    for row, value in enumerate(values, start):
        Image.new("RGB", SIZE[::-1], (20 * row, 0, 0)).save(root / pictures / f"{row}.{suffix}")
        picture = Image.fromarray(value)
        (save or Image.Image.save)(picture, root / folder / f"{row}.png")


def save_palette(picture, path):
    indexed = Image.frombytes("P", picture.size, picture.tobytes())
    indexed.putpalette(PALETTE)
    indexed.save(path)


@pytest.mark.parametrize("save", [None, save_palette])
def test_numbers_and_palettes(tmp_path, save):
    values = masks()
    write(tmp_path / "set", values, save=save)
    train, test = (load(tmp_path / "set", split=split) for split in ("train", "test"))
    assert (len(train), len(test), train.kind, train.task) == (8, 2, "positions", "segment")
    assert train.class_names == ("0", "1", "2")
    np.testing.assert_array_equal(test.labels, values[[4, 9]])
    assert (np.abs(test.images[..., 0].astype(int) - [[[80]], [[180]]]) < 4).all()
    described = describe(tmp_path / "set")
    assert described.splits == {"train": 8, "test": 2}
    assert (described.kind, described.task) == ("masks", "segment")
    again = load(tmp_path / "set", split="train")  # from the cache
    np.testing.assert_array_equal(again.labels, train.labels)


def test_pictures_and_masks_are_resized_alike(tmp_path):
    values = np.repeat(np.repeat(np.arange(12, dtype=np.uint8).reshape(1, 3, 4), 2, 1), 2, 2)
    write(tmp_path / "set", values)
    data = load(tmp_path / "set", split="all", image_size=(3, 4))
    assert data.images.shape == (1, 3, 4, 3)
    np.testing.assert_array_equal(data.labels[0], np.arange(12).reshape(3, 4))


def test_black_and_white_masks_are_two_classes(tmp_path):
    values = np.where(masks(classes=2) == 1, 255, 0).astype(np.uint8)
    write(tmp_path / "set", values)
    data = load(tmp_path / "set", split="all")
    assert data.class_names == ("0", "1")
    order = [row for row in range(COUNT) if row % 5 != 4] + [4, 9]
    np.testing.assert_array_equal(data.labels, values[order] == 255)
    values[3, 2, 2] = 1  # now 255 is void in every mask
    write(tmp_path / "other", values)
    assert (load(tmp_path / "other", split="all").labels == 255).any()


def test_classes_and_colors_are_read(tmp_path):
    colors = np.array([[0, 0, 0], [128, 64, 128], [0, 200, 0]], np.uint8)
    values = masks()
    values[:, 0, 1] = 0
    write(tmp_path / "set", [colors[value] for value in values])
    with pytest.raises(ValueError, match=r"is of colors .*#000000.* write a file classes.txt"):
        load(tmp_path / "set")
    lines = "void #000000\nthe road #804080\ntree #00c800\n"
    (tmp_path / "set" / "classes.txt").write_text(lines)
    data = load(tmp_path / "set", split="test")
    assert data.class_names == ("the road", "tree")
    np.testing.assert_array_equal(data.labels, np.array([255, 0, 1])[values[[4, 9]]])
    (tmp_path / "set" / "classes.txt").write_text("road #804080\ntree #00c800\n")
    with pytest.raises(ValueError, match=r"must have the colors of classes.txt.*#000000"):
        load(tmp_path / "set")


def test_layouts(tmp_path):
    values = masks()
    for split, rows in (("train", slice(0, 7)), ("val", slice(7, 10))):
        write(tmp_path / "inside" / split, values[rows], "img", "labels")
        write(tmp_path / "below", values[rows], f"images/{split}", f"annotations/{split}")
    for name in ("inside", "below"):
        assert describe(tmp_path / name).splits == {"train": 7, "val": 3}
        np.testing.assert_array_equal(load(tmp_path / name, split="val").labels, values[7:])
    voc = tmp_path / "VOC2012"
    write(voc, values, "JPEGImages", "SegmentationClass", save=save_palette)
    Image.new("RGB", SIZE[::-1]).save(voc / "JPEGImages" / "without.jpg")
    lists = voc / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("3\n1\n")
    (lists / "val.txt").write_text("2\n")
    (lists / "test.txt").write_text("secret\n")
    assert describe(voc).splits == {"train": 2, "val": 1}
    np.testing.assert_array_equal(load(voc, split="train").labels, values[[3, 1]])
    (voc / "Annotations").mkdir()
    (voc / "Annotations" / "1.xml").write_text("<annotation/>")
    assert describe(voc / "SegmentationClass").splits == {"train": 2, "val": 1}


def test_errors(tmp_path):
    root = tmp_path / "set"
    write(root, masks())
    Image.new("L", (5, 5)).save(root / "masks" / "2.png")
    with pytest.raises(ValueError, match=r"2.png.* size of its picture .*2.jpg.*6×8.*5×5"):
        load(root)
    with pytest.warns(UserWarning, match="1 of 10 images .* are left out"):
        assert len(load(root, split="all", on_error="skip")) == 9
    (root / "masks" / "2.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"the mask .*2.png.* cannot be read"):
        load(root)
    (root / "masks" / "2.png").unlink()
    with pytest.raises(ValueError, match=r"must have a mask .*1 of 10 without one, .*'2.jpg'"):
        load(root)
    write(root, masks())
    (root / "classes.txt").write_text("ground\nobject\n")
    with pytest.raises(ValueError, match=r"values in 0…1, or 255 for void.*Received: \[2\]"):
        load(root)
    (root / "classes.txt").write_text("ground #000000\nobject\n")
    with pytest.raises(ValueError, match=r"every line .* must end in a color.*1 of 2 lines"):
        load(root)
    (root / "classes.txt").write_text("ground\nground\n")
    with pytest.raises(ValueError, match="must have its own name"):
        load(root)
    (root / "classes.txt").unlink()
    Image.new("L", SIZE[::-1]).save(root / "masks" / "extra.png")
    with pytest.raises(ValueError, match=r"each mask must have a picture.*extra.png"):
        load(root)
    (root / "masks" / "extra.png").unlink()
    Image.new("L", SIZE[::-1]).save(root / "masks" / "4.jpg")
    with pytest.raises(ValueError, match=r"two files .* have the name '4'"):
        load(root)
    (root / "masks" / "4.png").unlink()
    with pytest.raises(ValueError, match=r"stored without loss, .*4.jpg.*a JPEG"):
        load(root)


def test_a_folder_of_classes_stays_one(tmp_path):
    for name in ("images", "zebras"):
        (tmp_path / name).mkdir()
        for row in range(2):
            Image.new("L", (4, 4)).save(tmp_path / name / f"{row}.png")
    assert describe(tmp_path).task == "classify"
    assert cnn.data.load(tmp_path).class_names == ("images", "zebras")
