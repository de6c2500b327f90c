"""Writing of a folder of pictures as ArrayRecord shards."""

import json
import shutil
from pathlib import Path

import numpy as np

from jaxcnn import arguments
from jaxcnn.data.decoding.undecoded import Undecoded
from jaxcnn.data.preparation.display import Display
from jaxcnn.data.sources import picture_folder
from jaxcnn.data.sources.record_shards import FORMAT, INDEX


def write_shards(
    folder: str | Path, out: str | Path, *, shards: int, progress: bool = True
) -> Path:
    """Write the pictures of a folder as ArrayRecord files, which any host streams.

    Many pictures in one file are read in sequence or at random without opening a file for each,
    which network disks are slow at. Pictures are copied as they are; :func:`load` reads the written
    folder as the first one: the same splits, classes, order and pixels.

    Args:
      folder: A folder of class folders, as for :func:`load`.
      out: The folder to write, which must not exist. It appears complete or not at all.
      shards: Files of each split, at least 1 and at most its number of pictures.
      progress: Whether to show the progress.

    Returns:
      The written folder.

    Raises:
      FileExistsError: `out` exists.
      OSError: It cannot be written.
      ValueError: `folder` is no folder of pictures, or `shards` is out of range.
    """
    arguments.check_integer("shards", shards, minimum=1)
    if not picture_folder.is_folder(folder, None):
        raise ValueError(
            "only a folder of pictures is written as shards. "
            f"Received: {arguments.shown(str(folder))}"
        )
    opened, out = picture_folder.open_source(folder, None), Path(out)
    fewest = min(opened.sizes.values())
    if shards > fewest:
        raise ValueError(
            f"shards must be at most the pictures of the smallest split, {fewest}. "
            f"Received: shards={shards}"
        )
    if out.exists():
        raise FileExistsError(f"{str(out)!r} exists; choose another folder, or remove it")
    staging = out.with_name(out.name + ".partial")
    shutil.rmtree(staging, ignore_errors=True)  # of a killed process
    staging.mkdir(parents=True)
    try:
        with Display(enabled=progress) as display:
            _write(opened, staging, shards, display)
        staging.rename(out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return out


def _write(opened: Undecoded, folder: Path, shards: int, display: Display) -> None:
    from array_record.python.array_record_module import ArrayRecordWriter

    splits = {}
    for split, size in opened.sizes.items():
        files = opened.open_split(split)
        labels = np.array([files[row]["label"] for row in range(size)], np.int32)
        np.save(folder / f"{split}.labels.npy", labels, allow_pickle=False)
        names = [f"{split}-{shard:05}-of-{shards:05}.array_record" for shard in range(shards)]
        for shard, name in enumerate(names):
            # One record to a group: a picture is read alone.
            writer = ArrayRecordWriter(str(folder / name), "group_size:1")
            for row in range(shard * size // shards, (shard + 1) * size // shards):
                path = Path(files[row]["image"])
                line = json.dumps(str(path.relative_to(opened.name))).encode()
                writer.write(line + b"\n" + path.read_bytes())
                display.report(f"writing {split}", row + 1, size)
            writer.close()
        written = [*names, f"{split}.labels.npy"]
        splits[split] = {name: (folder / name).stat().st_size for name in written}
    index = {
        "format": FORMAT,
        "content": opened.content,
        "class_names": opened.class_names,
        "splits": splits,
    }
    text = json.dumps(index, indent=1, ensure_ascii=False)
    (folder / INDEX).write_text(text, encoding="utf-8")
