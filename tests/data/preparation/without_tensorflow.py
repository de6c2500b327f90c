"""A separate process in which TensorFlow cannot be imported, even if it is installed.

``prepare NAME SERVER DATA_DIR MARK [stop]`` prepares the small set, and with ``stop`` waits for
ever after ten images, when it has made the file ``MARK``; ``read DATA_DIR OUT NAME…`` reads with
stock TensorFlow Datasets what was prepared, and writes it to ``OUT``.
"""

import sys
import time
from pathlib import Path


class WithoutTensorFlow:
    """Finds what another finder finds, but for TensorFlow."""

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] != "tensorflow":
            return self.finder.find_spec(name, path, target)
        return None


def prepare(name, server, data_dir, mark, stop=None):
    import published
    from PIL import Image

    from jaxcnn.data.preparation import builders, install

    class Stopping:
        made = 0

        @classmethod
        def fromarray(cls, image):
            cls.made += 1
            if cls.made > 10:
                Path(mark).touch()
                time.sleep(600)
            return Image.fromarray(image)

    if stop:
        builders.Image = Stopping
    install.CATALOG = {name: published.publish(name)[0]}
    install.prepare(name, mirror=server, data_dir=data_dir)


def read(data_dir, out, *names):
    import numpy as np
    import tensorflow_datasets as tfds

    contents = {}
    for name in names:
        builder = tfds.builder(name, data_dir=data_dir)
        for feature in ("label", "coarse_label"):
            if feature in builder.info.features:
                contents[f"{name} {feature}"] = builder.info.features[feature].names
        for split in builder.info.splits:
            records = list(tfds.data_source(name, split=split, data_dir=data_dir))
            assert len(records) == builder.info.splits[split].num_examples
            for feature in records[0]:
                contents[f"{name} {split} {feature}"] = np.array([r[feature] for r in records])
    np.savez(out, **contents)


if __name__ == "__main__":
    sys.meta_path[:] = [WithoutTensorFlow(finder) for finder in sys.meta_path]
    {"prepare": prepare, "read": read}[sys.argv[1]](*sys.argv[2:])
