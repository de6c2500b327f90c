"""The signature of an exported network: what it takes, what it gives, and in which words."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from jaxcnn import arguments

DTYPES = ("uint8", "float32")


@dataclass(frozen=True)
class Signature:
    """What the input and the output of an exported network are; files carry it as JSON.

    >>> signature = Signature((28, 28, 1), activation="softmax", class_names=("no", "yes"))
    >>> Signature.from_json(signature.to_json()) == signature
    True

    Attributes:
      input_shape: Shape of one input, channels last, such as ``(H, W, C)``; ``None`` for a height
        or width that is free.
      input_dtype: ``"uint8"``, pixels that are scaled inside, or ``"float32"``.
      activation: ``"softmax"`` or ``"sigmoid"``, probabilities; ``"boxes"``, detections; or
        ``"none"``, the outputs of the network.
      task: What the network learned, as :attr:`jaxcnn.Dataset.task`.
      class_names: Name of each class; nothing for numbers.
      framing: How a picture of any size becomes an input: the fields of the run's framing, or
        ``None`` where inputs are given in their form.
    """

    input_shape: tuple[int | None, ...]
    input_dtype: str = "uint8"
    activation: str = "none"
    task: str = "classify"
    class_names: tuple[str, ...] = ()
    framing: Mapping[str, Any] | None = None

    def to_json(self) -> str:
        """Return the signature as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Signature":
        """Return the signature that a file carries.

        Raises:
          ValueError: the text is not that of a signature.
        """
        try:
            values = json.loads(text)
            shape = tuple(values.pop("input_shape"))
            names = tuple(values.pop("class_names"))
            found = cls(shape, class_names=names, **values)
            sound = (
                all(size is None or (type(size) is int and size > 0) for size in shape)
                and all(isinstance(name, str) for name in names)
                and (found.framing is None or isinstance(found.framing, dict))
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            sound = False
        if not sound:
            raise ValueError(f"the signature of an exported network is damaged: {text[:80]!r}")
        arguments.check_choice("input_dtype", found.input_dtype, DTYPES)
        return found
