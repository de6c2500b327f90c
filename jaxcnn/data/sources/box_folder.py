"""Folders of pictures with boxes: COCO's JSON, the XML of Pascal VOC, the text of YOLO."""

import os
from pathlib import Path

from jaxcnn.data.decoding.undecoded import Undecoded
from jaxcnn.data.sources import coco_boxes, voc_boxes, yolo_boxes

KIND = "boxes"


def is_box_folder(source: str | Path, data_dir: str | Path | None) -> bool:
    """Return whether `source` is an existing folder with annotations of a known form.

    Args:
      source: A path, which may start with ``~``.
      data_dir: If given, a string is the name of a data set in this folder.
    """
    meant = data_dir is None or isinstance(source, Path)
    root = Path(os.path.expanduser(source))
    if not source or not meant or not os.path.isdir(root):
        return False
    return any(form.find_files(root) for form in (coco_boxes, voc_boxes, yolo_boxes))


def open_source(source: str | Path, data_dir: str | Path | None) -> Undecoded:
    """Return the pictures and boxes in a folder, without opening a picture.

    Args:
      source: Path of the folder, which may start with ``~``.
      data_dir: Not used.

    Raises:
      ValueError: an annotation has an error; the message names the file and the place.
    """
    del data_dir
    root = Path(os.path.expanduser(source))
    if annotated := coco_boxes.find_files(root):
        return coco_boxes.read(root, annotated)
    if files := voc_boxes.find_files(root):
        return voc_boxes.read(root, files)
    return yolo_boxes.read(root, yolo_boxes.find_files(root))
