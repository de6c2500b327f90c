"""Data sets of labeled images: loading, splits, sampling and batches."""

from jaxcnn.data.batching import (
    Batch,
    batches,
    prefetch,
    steps_per_epoch,
)
from jaxcnn.data.class_matching import (
    match_classes,
)
from jaxcnn.data.coco_files import (
    write_coco,
)
from jaxcnn.data.dataset import (
    Dataset,
    one_hot,
    storage_bytes,
)
from jaxcnn.data.description import (
    Description,
    describe,
)
from jaxcnn.data.loading import (
    load,
)
from jaxcnn.data.object_boxes import (
    box_labels,
)
from jaxcnn.data.preparation import (
    available,
    prepare,
)
from jaxcnn.data.sampling import (
    balanced_order,
    class_weights,
    k_fold,
    stratified_split,
)

__all__ = [
    "Batch",
    "Dataset",
    "Description",
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
]
