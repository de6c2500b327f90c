"""What a training starts from: nothing, the weights of a run, or published ones."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flax import nnx

from jaxcnn import models
from jaxcnn.interchange.torch import TorchWeights
from jaxcnn.layers import Layer, pretrained
from jaxcnn.modules.parameter_tree import (
    arrays_of,
    from_numbers,
    match_dtype,
    numbers_of,
    with_arrays,
)
from jaxcnn.recipes.schema import ModelOptions
from jaxcnn.training.run_folder import read_run, read_weights


@dataclasses.dataclass(frozen=True)
class FirstWeights:
    """What the weights that a training starts from need.

    Attributes:
      source: A run's folder, or weights as :func:`jaxcnn.models.create` takes them; ``None`` for
        none.
      options: Options of the model that they need.
      data: Options of the data that they expect, by name.
    """

    source: str | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, model: ModelOptions) -> "FirstWeights":
        """Return what the weights that a recipe names need.

        Raises:
          ImportError: they need a package that is not installed.
          ValueError: there are no such weights, they are not of the model, or damaged.
        """
        source = model.weights
        if source is None:
            return cls()
        if Path(source).is_dir():
            run = read_run(source)
            framing = dataclasses.asdict(run.framing.resizing) if run.framing.any_size else {}
            same = run.model == model.name
            options = {k: v for k, v in run.options.items() if same and k != "num_classes"}
            return cls(source, options, framing)
        options = {**model.options, "num_classes": 0}
        trunk = models.create(model.name, weights=source, **options)
        assert isinstance(trunk, pretrained)
        expected = trunk.preprocessing
        assert expected is not None
        data = {
            "image_size": expected.image_size,
            "aspect": "crop",
            "interpolation": expected.interpolation,
            "crop_share": expected.crop_share,
        }
        return cls(source, models.options_of(trunk), data)

    def network(self, name: str, options: Mapping[str, Any]) -> Layer:
        """Return the description of the model that is trained."""
        if self.source is not None and not Path(self.source).is_dir():
            return models.create(name, weights=self.source, **options)
        return models.create(name, **options)

    def load(self, network: Layer, model: nnx.Module) -> tuple[nnx.Module, tuple[str, ...]]:
        """Return a new model with the weights, and the names of the parameters that kept their own.

        Args:
          network: Its description, which may have built it with the weights.
          model: The model; it is not changed.

        Raises:
          ValueError: the run is damaged, or none of its weights fit.
        """
        own = arrays_of(model)
        if self.source is None:
            return model, ()
        weights = getattr(network, "weights", None)
        if isinstance(weights, TorchWeights):
            fresh = (name for name, array in own.items() if not weights.gives(name, array.shape))
            return model, tuple(sorted(fresh))
        given = read_weights(self.source)
        fitting = {
            name: match_dtype(weight, from_numbers(given[name], weight))
            for name, weight in own.items()
            if name in given and given[name].shape == numbers_of(weight).shape
        }
        if not fitting:
            raise ValueError(
                f"no weight of {self.source!r} has the name and shape of one of the model: is it "
                f"the same network? Received: {', '.join(sorted(given)[:3])}, …"
            )
        return with_arrays(model, own | fitting), tuple(sorted(own.keys() - fitting.keys()))
