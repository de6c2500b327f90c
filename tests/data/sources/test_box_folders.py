"""Boxes in COCO's JSON, YOLO's text and Pascal VOC's XML: the same pictures, and what is wrong."""

import json

import numpy as np
import pytest
from PIL import Image

from jaxcnn.data import Dataset, box_labels, describe, load
from jaxcnn.data import write_coco as write
from jaxcnn.data.decoding.pictures import UnreadablePicture
from jaxcnn.data.sources.switch import find_source
from jaxcnn.data.sources.yolo_boxes import _plain_names

# Width and height of pictures, and the white rectangle in each: x1, y1, x2, y2.
PICTURES = [
    ((60, 40), (3, 5, 20, 17)),
    ((40, 60), (10, 30, 30, 58)),
    ((64, 64), (0, 0, 15, 9)),
    ((100, 50), (80, 20, 100, 50)),
    ((50, 70), (20, 20, 31, 40)),
]
CATEGORIES = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]


def draw(path, size, box):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    x1, y1, x2, y2 = box
    pixels[y1:y2, x1:x2] = 255
    Image.fromarray(pixels).save(path)


def coco(images=PICTURES, *, categories=CATEGORIES, **changes):
    """The content of a file; ``changes`` replace values of the first annotation."""
    content = {
        "images": [{"id": 10 + n, "file_name": f"{n}.png"} for n in range(len(images))],
        "categories": categories,
        "annotations": [
            {
                "id": n, "image_id": 10 + n, "category_id": 7 if n % 2 else 3,
                "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]], "iscrowd": int(n == 3),
            }
            for n, (_, box) in enumerate(images)
        ],
    }  # fmt: skip
    content["annotations"][0] |= changes
    return content


def write_coco(root, content, json_name="annotations.json", pictures="."):
    for number, (size, box) in enumerate(PICTURES):
        draw(root / pictures / f"{number}.png", size, box)
    (root / json_name).parent.mkdir(parents=True, exist_ok=True)
    (root / json_name).write_text(json.dumps(content))


def line(number):
    (width, height), (x1, y1, x2, y2) = PICTURES[number]
    values = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height
    return f"{number % 2} {' '.join(map(str, values))}\n"


def write_yolo(root, images="images", labels="labels"):
    (root / labels).mkdir(parents=True)
    for number, (size, box) in enumerate(PICTURES):
        draw(root / images / f"{number}.png", size, box)
        (root / labels / f"{number}.txt").write_text(line(number))
    (root / "data.yaml").write_text("train: images\nnames: [cat, dog]\n")


def xml(number, **changes):
    _, (x1, y1, x2, y2) = PICTURES[number]
    values = {"xmin": x1 + 1, "ymin": y1 + 1, "xmax": x2, "ymax": y2} | changes
    sides = "".join(f"<{name}>{value}</{name}>" for name, value in values.items())
    return (
        f"<annotation><folder>x</folder><filename>{number}.png</filename><object><name>"
        f"{'dog' if number % 2 else 'cat'}</name><difficult>{int(number == 3)}</difficult>"
        f"<bndbox>{sides}</bndbox></object></annotation>"
    )


def write_voc(root):
    (root / "Annotations").mkdir(parents=True)
    for number, (size, box) in enumerate(PICTURES):
        draw(root / "JPEGImages" / f"{number}.png", size, box)
        (root / "Annotations" / f"{number}.xml").write_text(xml(number))


FORMS = {
    "coco": lambda root: write_coco(root, coco()),
    "coco with folders": lambda root: write_coco(
        root, coco(), "annotations/instances_train2017.json", "train2017"
    ),
    "coco of a split": lambda root: write_coco(
        root, coco(), "train/_annotations.coco.json", "train"
    ),
    "yolo": write_yolo,
    "yolo with folders": lambda root: write_yolo(root, "images/train", "labels/train"),
    "yolo of a split": lambda root: write_yolo(root, "train/images", "train/labels"),
    "voc": write_voc,
}


@pytest.fixture(params=FORMS)
def folder(request, tmp_path):
    root = tmp_path / "set"
    root.mkdir()
    FORMS[request.param](root)
    return root


def white(image):
    rows, columns = np.nonzero(image[..., 0] > 127)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_boxes_hold_their_object(folder):
    """The white rectangle of each resized picture is where its box is, to the pixel."""
    assert find_source(folder).KIND == "boxes"
    for aspect in ("squash", "pad"):
        data = load(folder, split="all", image_size=(48, 64), aspect=aspect)
        assert (data.kind, data.task, data.class_names) == ("boxes", "detect", ("cat", "dog"))
        assert (len(data), data.labels.shape) == (5, (5, 1))
        assert data.labels["label"][:, 0].tolist() == [0, 1, 0, 1, 0]
        for image, box in zip(data.images, data.labels["corners"][:, 0], strict=True):
            np.testing.assert_allclose(box, white(image), atol=0.51)
    crowds = data.labels["crowd"][:, 0].tolist()
    assert crowds == [False, False, False, not (folder / "data.yaml").exists(), False]


def test_a_crop_cuts_boxes_and_drops_those_whose_center_is_cut_off(folder):
    data = load(folder, split="all", image_size=(32, 32), aspect="crop")
    kept = data.labels["label"][:, 0] >= 0
    assert kept.tolist() == [True, True, True, False, True]
    for image, box in zip(data.images[kept], data.labels["corners"][kept, 0], strict=True):
        np.testing.assert_allclose(box, white(image), atol=0.51)
    again = load(folder, split="all", image_size=(48, 64)).resize((24, 32))
    for image, box in zip(again.images, again.labels["corners"][:, 0], strict=True):
        np.testing.assert_allclose(box, white(image), atol=1.01)


def test_splits(tmp_path):
    root = tmp_path / "set"
    for name in ("train", "valid"):
        write_coco(root, coco(), f"{name}/_annotations.coco.json", name)
    assert [len(load(root, split=name, image_size=8)) for name in ("train", "valid")] == [5, 5]
    assert describe(root).splits == {"train": 5, "valid": 5}
    assert (describe(root).kind, describe(root).task) == ("boxes", "detect")
    write_voc(tmp_path / "voc")
    lists = tmp_path / "voc" / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("0\n2\n")
    (lists / "val.txt").write_text("3\n")
    assert [len(load(tmp_path / "voc", split=s, image_size=8)) for s in ("train", "val")] == [2, 1]


def test_files_of_coco_beside_those_of_boxes(tmp_path):
    write_coco(tmp_path, coco(), "annotations/instances_val2017.json", "val2017")
    (tmp_path / "annotations" / "captions_val2017.json").write_text('{"images": []}')
    assert describe(tmp_path).splits == {"val": 5}
    (tmp_path / "annotations" / "instances_val2014.json").write_text('{"images": []}')
    with pytest.raises(ValueError, match="a split must have one annotation file"):
        describe(tmp_path)


def test_pictures_without_boxes(tmp_path):
    content = coco()
    content["annotations"] = content["annotations"][:2]
    write_coco(tmp_path / "coco", content)
    write_yolo(tmp_path / "yolo")
    (tmp_path / "yolo" / "labels" / "2.txt").unlink()
    (tmp_path / "yolo" / "labels" / "3.txt").write_text("\n")
    counts = [
        (load(tmp_path / form, split="all", image_size=8).labels["label"] >= 0).sum()
        for form in ("coco", "yolo")
    ]
    assert counts == [2, 3]


def test_several_boxes_of_a_picture_and_the_cache(tmp_path):
    content = coco()
    for annotation in content["annotations"]:
        annotation["image_id"] = 12
        annotation["bbox"] = [1, 2, 3, 4]
    write_coco(tmp_path / "set", content)
    first, second = (load(tmp_path / "set", split="all", image_size=64) for _ in range(2))
    assert first.labels.shape == (5, 5)
    assert (first.labels["label"] >= 0).sum(axis=1).tolist() == [0, 0, 5, 0, 0]
    assert first.labels["corners"][2, 0].tolist() == [1, 2, 4, 6]
    np.testing.assert_array_equal(first.labels, second.labels)
    content["annotations"][0]["bbox"] = [1, 2, 3, 5]
    (tmp_path / "set" / "annotations.json").write_text(json.dumps(content))
    changed = load(tmp_path / "set", split="all", image_size=64)
    assert changed.labels["corners"][2, 0].tolist() == [1, 2, 4, 7]


WRONG_COCO = {
    "corners given as a size": (coco(bbox=[40, 5, 55, 17]), "within its picture of 60×40"),
    "outside": (coco(bbox=[-5, 5, 10, 10]), "within its picture"),
    "without area": (coco(bbox=[5, 5, 0, 10]), "have an area"),
    "negative size": (coco(bbox=[5, 5, -2, 10]), "have an area"),
    "three numbers": (coco(bbox=[5, 5, 10]), "bbox must be x, y, width, height"),
    "text": (coco(bbox=["5", 5, 1, 1]), "bbox must be"),
    "unknown picture": (coco(image_id=99), "an annotation without a picture"),
    "unknown class": (coco(category_id=1), "an unknown class"),
    "the same name": (coco(categories=[*CATEGORIES, {"id": 9, "name": "cat"}]), "different ids"),
    "no list": ({"images": {}}, "must have the lists"),
    "a path outside": (
        coco() | {"images": [{"id": n, "file_name": "../0.png"} for n in range(10, 15)]},
        "within the folder",
    ),
}


@pytest.mark.parametrize("case", WRONG_COCO)
def test_wrong_coco(case, tmp_path):
    content, message = WRONG_COCO[case]
    write_coco(tmp_path / "set", content)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "set", image_size=8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 30 20 10 10", "They look like pixels"),
        ("0 0.5 0.5 1.2 0.5", r"in \[0, 1\]"),
        ("0 0.5 0.5 -0.2 0.5", r"in \[0, 1\]"),
        ("0 0.9 0.5 0.9 0.5", "within its picture"),
        ("0 0.5 0.5 0 0.5", "have an area"),
        ("2 0.5 0.5 0.1 0.1", "an unknown class"),
        ("cat 0.5 0.5 0.1 0.1", "must be a class number"),
        ("0 0.5 0.5 0.1", "must be a class number"),
        ("0 0.1 0.1 0.2 0.1 0.2 0.2", "a polygon"),
    ],
)
def test_wrong_yolo(text, message, tmp_path):
    write_yolo(tmp_path / "set")
    (tmp_path / "set" / "labels" / "0.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "set", image_size=8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (xml(0, xmin=40, xmax=20), "have an area"),
        (xml(0, xmax=90), "within its picture"),
        (xml(0, xmax="wide"), "must be numbers"),
        ("<annotation><object/></annotation>", "a name and a bndbox"),
        ("<html/>", "annotation of Pascal VOC"),
        ("<annotation>", "cannot be read|can be read"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "a document type or an entity"),
        (xml(0).replace("0.png", "90.png"), None),
    ],
)
def test_wrong_voc(text, message, tmp_path):
    write_voc(tmp_path / "set")
    (tmp_path / "set" / "Annotations" / "0.xml").write_text(text)
    if message is None:  # the picture of the same name is meant
        assert len(load(tmp_path / "set", split="all", image_size=8)) == 5
        return
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "set", image_size=8)


def test_annotations_without_pictures(tmp_path):
    for form, make in (("yolo", write_yolo), ("voc", write_voc)):
        make(tmp_path / form)
        next((tmp_path / form).rglob("0.png")).unlink()
        with pytest.raises(ValueError, match="an annotation without a picture"):
            load(tmp_path / form, image_size=8)
    write_coco(tmp_path / "coco", coco())
    (tmp_path / "coco" / "0.png").unlink()
    with pytest.raises(UnreadablePicture, match="there is no file"):
        load(tmp_path / "coco", image_size=8)
    with pytest.warns(UserWarning, match="1 of 5 images"):
        assert len(load(tmp_path / "coco", split="all", image_size=8, on_error="skip")) == 4


def test_pictures_with_wrong_boxes_can_be_left_out(tmp_path):
    write_coco(tmp_path / "set", coco(bbox=[5, 5, 0, 10]))
    with pytest.raises(UnreadablePicture, match=r"annotation 0 in annotations.json.*on_error"):
        load(tmp_path / "set", image_size=8)
    with pytest.warns(UserWarning, match="1 of 5 images"):
        assert len(load(tmp_path / "set", split="all", image_size=8, on_error="skip")) == 4


def test_a_corner_beyond_by_a_pixel_is_rounding(tmp_path):
    write_coco(tmp_path / "set", coco(bbox=[-0.5, 5, 61.2, 10]))
    corners = load(tmp_path / "set", split="all", image_size=(40, 60)).labels["corners"][0, 0]
    assert corners.tolist() == [0, 5, 60, 15]


@pytest.mark.parametrize(
    "text",
    [
        "nc: 2\nnames: ['cat', \"dog\"]  # two\n",
        "names:\n- cat\n- dog\npath: x\n",
        "names:\n  - cat # a cat\n  - dog\n",
        "# comment\nnames:\n  0: cat\n\n  1: 'dog'\nnc: 2\n",
        "names: [\n  cat,\n  dog\n]\n",
    ],
)
def test_names_without_pyyaml(text):
    found = _plain_names(text)
    assert (found if isinstance(found, list) else [*found.values()]) == ["cat", "dog"]


def test_names_of_a_text_file_or_none(tmp_path):
    write_yolo(tmp_path / "set")
    (tmp_path / "set" / "data.yaml").unlink()
    assert load(tmp_path / "set", image_size=8).class_names == ("0", "1")
    (tmp_path / "set" / "classes.txt").write_text("cat\ndog\nbird\n")
    assert load(tmp_path / "set", image_size=8).class_names == ("cat", "dog", "bird")


def test_what_is_written_is_read_again(tmp_path):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (12, 20, 24, 3), np.uint8)
    low = random.uniform(0, 10, (12, 3, 2))
    corners = np.concatenate([low, low + random.uniform(0.1, 10, low.shape)], axis=-1)
    counts = random.integers(0, 4, 12)
    labels = box_labels(
        [box[:n] for box, n in zip(corners, counts, strict=True)],
        [random.integers(0, 3, n) for n in counts],
        crowd=[random.random(n) < 0.3 for n in counts],
    )
    data = Dataset(images, labels, ("b", "a", "c"))
    write(tmp_path / "set", data)
    again = load(tmp_path / "set", split="all")
    rows = [*np.flatnonzero(np.arange(12) % 5 != 4), *np.flatnonzero(np.arange(12) % 5 == 4)]
    assert again.class_names == data.class_names
    np.testing.assert_array_equal(again.images, images[rows])
    np.testing.assert_array_equal(again.labels["label"], labels["label"][rows])
    np.testing.assert_array_equal(again.labels["crowd"], labels["crowd"][rows])
    np.testing.assert_allclose(again.labels["corners"], labels["corners"][rows], atol=1e-5)
    with pytest.raises(FileExistsError, match="choose another folder"):
        write(tmp_path / "set", data)
    with pytest.raises(ValueError, match="with boxes as labels"):
        write(tmp_path / "other", Dataset(images, np.arange(12)))
