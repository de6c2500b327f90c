"""Losses by name, for ``loss="cross_entropy"``, recipes and ``run.json``."""

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jaxcnn import arguments
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.labels import LabelKind
from jaxcnn.training import losses
from jaxcnn.training.detection_loss import detection

LOSSES: dict[str, Callable[..., jax.Array]] = {
    "binary_cross_entropy": losses.binary_cross_entropy,
    "cross_entropy": losses.cross_entropy,
    "detection": detection,
    "cross_entropy_dice": losses.cross_entropy_dice,
    "dice": losses.dice,
    "focal": losses.focal,
    "huber": losses.huber,
    "squared_error": losses.squared_error,
}
# What a training without a named loss minimizes, by the kind of its labels.
LOSSES_OF_LABELS: dict[LabelKind, str] = {
    "class": "cross_entropy",
    "positions": "cross_entropy",
    "several": "binary_cross_entropy",
    "numbers": "squared_error",
    "boxes": "detection",
}
# Other libraries' names in lower case, without "_", "-" and "loss".
_ELSEWHERE = {
    "categoricalcrossentropy": "cross_entropy",
    "sparsecategoricalcrossentropy": "cross_entropy",
    "crossentropy": "cross_entropy",
    "nll": "cross_entropy",
    "softmaxcrossentropy": "cross_entropy",
    "binarycrossentropy": "binary_cross_entropy",
    "bce": "binary_cross_entropy",
    "bcewithlogits": "binary_cross_entropy",
    "mse": "squared_error",
    "meansquarederror": "squared_error",
    "l2": "squared_error",
    "smoothl1": "huber",
    "categoricalfocalcrossentropy": "focal",
    "dicece": "cross_entropy_dice",
    "dcandce": "cross_entropy_dice",
}


def loss_of_labels(data: Dataset) -> str:
    """Return the name of the loss for the labels of a set, where none is given.

    It is the cross-entropy of one class per image, at each position, or in shares that sum to 1;
    the binary cross-entropy of several classes; the squared error of other numbers; and the loss
    of a detector of boxes.

    >>> loss_of_labels(Dataset(np.zeros((2, 8, 8, 1), np.uint8), np.array([[3.5], [9.0]])))
    'squared_error'
    """
    if data.kind == "numbers":
        several = data.labels.ndim > 1 and data.labels.shape[-1] > 1
        shares = several and (data.labels >= 0).all()
        if shares and np.allclose(data.labels.sum(axis=-1), 1, atol=0.01):
            return "cross_entropy"
    return LOSSES_OF_LABELS[data.kind]


def resolve_loss(loss: Any) -> Callable[..., jax.Array]:
    """Return a loss that may be given by its name.

    >>> resolve_loss("huber") is losses.huber
    True

    Raises:
      TypeError: it is neither a name nor a function.
      ValueError: there is no loss of that name; the message names the nearest, or the one that
        Keras and PyTorch know by that name.
    """
    if callable(loss):
        return loss
    if not isinstance(loss, str):
        raise TypeError(
            "loss must be the name of a loss, or a function of outputs and labels. "
            f"Received: loss={loss!r}"
        )
    plain = loss.lower().replace("_", "").replace("-", "").replace("loss", "")
    if loss not in LOSSES and plain in _ELSEWHERE:
        name = _ELSEWHERE[plain]
        hint = f"It is {name!r} here"
        if name.endswith("cross_entropy"):
            labels = "class numbers or one-hot labels" if name == "cross_entropy" else "0 and 1"
            hint += (
                f", of {labels} and of logits; for a model that ends in an activation it is "
                f"loss=functools.partial({name}, from_logits=False)"
            )
        raise ValueError(f"there is no loss {loss!r}. {hint}.")
    arguments.check_known("loss", loss, LOSSES)
    return LOSSES[loss]


def loss_to_json(loss: Callable[..., jax.Array]) -> dict[str, Any] | None:
    """Return the name and the options of a loss; ``None`` for one of the user's own.

    >>> loss_to_json(functools.partial(losses.huber, delta=2.0))
    {'name': 'huber', 'delta': 2.0}
    """
    options: dict[str, Any] = {}
    function: Any = loss
    while isinstance(function, functools.partial) and not function.args:
        options = function.keywords | options
        function = function.func
    names = {known: name for name, known in LOSSES.items()}
    plain = {
        name: value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        for name, value in options.items()
    }
    try:
        json.dumps(plain)
        return {"name": names[function]} | plain
    except (KeyError, TypeError):  # another function, or an option that JSON cannot hold
        return None


def loss_from_json(described: Mapping[str, Any]) -> Callable[..., jax.Array]:
    """Return the loss that :func:`loss_to_json` described.

    Raises:
      TypeError: the description has no name.
      ValueError: there is no such loss.
    """
    options = {name: value for name, value in described.items() if name != "name"}
    loss = resolve_loss(described.get("name"))
    return functools.partial(loss, **options) if options else loss
