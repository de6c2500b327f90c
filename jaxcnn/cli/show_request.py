"""What ``jaxcnn show`` is asked for: a run or a network, and the options of the picture."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from jaxcnn import arguments, insight, models, training
from jaxcnn.cli.trained_models import load_trained
from jaxcnn.data.decoding.framing import Framing
from jaxcnn.data.images import Images
from jaxcnn.insight import Errors
from jaxcnn.recipes.run_images import NamedImages, first_clips, load_images, over_clips_of
from jaxcnn.recipes.run_inputs import read_inputs
from jaxcnn.training.models_of_checkpoints import checkpoint_models
from jaxcnn.training.run_description import Run


@dataclass(frozen=True)
class Subject:
    """The subject of a picture: a run, or a network of the zoo.

    Attributes:
      described: Description of the run, or of the network as if of one.
      model: The model.
      folder: Folder of the run, if it is one.
    """

    described: Run
    model: nnx.Module
    folder: Path | None

    @classmethod
    def of(cls, name: str, model: str | None, weights: str | None) -> "Subject":
        """Return the subject of a name.

        Args:
          name: Folder of a run, or name of a network.
          model: Name of the network of a run that does not describe it.
          weights: Weights of the network, if `name` is one; ``None`` draws them at random.

        Raises:
          ValueError: there is no such run or network.
        """
        if weights is not None:
            return cls(*load_trained(None, name, weights), folder=None)
        if Path(name).exists():
            return cls(*load_trained(Path(name), model, None), folder=Path(name))
        network, shape = models.create(name), models.input_shape(name)
        names = tuple(str(number) for number in range(network.output_shape(shape)[-1]))
        framing = Framing(shape, any_size=True)
        described = Run(name, {}, shape, names, framing, data=None, metrics={})
        return cls(described, network.build(shape, rngs=nnx.Rngs(0)), folder=None)


@dataclass(frozen=True)
class Request:
    """The options of ``jaxcnn show``.

    Attributes:
      subject: What is shown.
      files: Picture files to show it for; none means images of the run.
      layer: A path, or ``None``.
      target: Name or number of a class, or ``None`` for the predicted one.
      count: Number of images, kernels or channels.
      method: How an embedding is projected.
      other: Folder of the run that it is compared with; ``None`` means its earliest checkpoint.
      data, split, data_dir: Another data set than that of the run.
      seed: Seed of random numbers.
    """

    subject: Subject
    files: tuple[Path, ...] = ()
    layer: str | None = None
    target: str | None = None
    count: int | None = None
    method: str = "pca"
    other: Path | None = None
    data: str | None = None
    split: str | None = None
    data_dir: Path | None = None
    seed: int = 0

    @property
    def model(self) -> nnx.Module:
        """The model."""
        return self.subject.model

    @property
    def key(self) -> jax.Array:
        """The key of random numbers."""
        return jax.random.key(self.seed)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return self.subject.described.input_shape

    def load(self, split: str | None) -> NamedImages:
        """Return images of the data set, of a split or the one that was asked for."""
        if self.subject.folder is None and self.data is None:
            raise ValueError("a network names no data: give pictures as --image or a set as --data")
        return load_images(
            self.subject.described,
            self.subject.folder,
            source=self.data,
            split=self.split or split,
            data_dir=self.data_dir,
        )

    @functools.cached_property
    def images(self) -> np.ndarray:
        """The images of the files, or the first held-out ones; of videos the first clip each."""
        if self.files:
            images: Images = read_inputs(self.subject.described, self.files)
        else:
            images = self.load(None).data.images[: self.count or 4]
        return np.asarray(first_clips(self.subject.described, images))

    @functools.cached_property
    def probabilities(self) -> np.ndarray:
        """The predictions for the images."""
        return training.predict(self.model, self.images)

    def classes(self) -> Any:
        """Return the class that is explained of each image.

        Raises:
          ValueError: there is no class of the name or number that was given.
        """
        if self.target is None:
            return self.probabilities.argmax(axis=-1)
        return self.number_of(self.target)

    def number_of(self, target: str) -> int:
        """Return the number of a class that is given by its name or number.

        Raises:
          ValueError: there is no such class; the message has the nearest name.
        """
        names = self.subject.described.class_names
        if target.isdecimal() and target not in names and int(target) < len(names):
            return int(target)
        return names.index(arguments.check_choice("--class", target, names))

    def titles(self, classes: Any) -> list[str]:
        """Return the explained class of each image with its probability."""
        names = self.subject.described.class_names
        rows = np.broadcast_to(np.asarray(classes), len(self.images))
        shares = np.take_along_axis(self.probabilities, rows[:, None], axis=1)[:, 0]
        return [f"{names[row]} {share:.1%}" for row, share in zip(rows, shares, strict=True)]

    def errors(self, model: nnx.Module | None = None) -> tuple[np.ndarray, Errors]:
        """Return the held-out images, and the predictions of the model, or of another one."""
        data, described = self.load(None).data, self.subject.described
        predictor = over_clips_of(described.clips, model or self.model)
        probabilities = training.predict(predictor, data.images)
        return np.asarray(first_clips(described, data.images)), insight.classification_errors(
            data.labels, probabilities, data.class_names
        )

    @functools.cached_property
    def before(self) -> nnx.Module:
        """The model that the subject is compared with."""
        if self.other is not None:
            return load_trained(self.other, None, None)[1]
        if self.subject.folder is None:
            raise ValueError("this picture compares two runs: give the other one as --other")
        first, *others = checkpoint_models(self.subject.folder, into=self.model)
        if not others:
            raise ValueError(
                f"the run in {str(self.subject.folder)!r} keeps one checkpoint, its last: give "
                "another run as --other"
            )
        return first.model
