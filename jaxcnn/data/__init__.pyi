# The public names, by the file that holds them; each is imported at its first use.

from .batching import (
    batches,
    prefetch,
    steps_per_epoch,
)
from .class_matching import (
    match_classes,
)
from .coco_files import (
    write_coco,
)
from .dataset import (
    Dataset,
    one_hot,
    storage_bytes,
)
from .description import (
    Description,
    describe,
)
from .drawing import (
    Batch,
    balanced_order,
)
from .loading import (
    load,
)
from .object_boxes import (
    box_labels,
)
from .preparation import (
    available,
    prepare,
)
from .random_crop import (
    RandomCrop,
)
from .sampling import (
    class_weights,
    k_fold,
    stratified_split,
)
from .shard_writing import (
    write_shards,
)
from .streaming import (
    GivenBatches,
    OrderedStream,
    Stream,
)

__all__ = [
    "Batch",
    "Dataset",
    "Description",
    "GivenBatches",
    "OrderedStream",
    "RandomCrop",
    "Stream",
    "available",
    "balanced_order",
    "batches",
    "box_labels",
    "class_weights",
    "describe",
    "k_fold",
    "load",
    "match_classes",
    "one_hot",
    "prefetch",
    "prepare",
    "steps_per_epoch",
    "storage_bytes",
    "stratified_split",
    "write_coco",
    "write_shards",
]
