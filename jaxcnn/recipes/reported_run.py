"""A finished run whose report is written: its description, its images, and what it predicts."""

import dataclasses
import functools
from pathlib import Path

import numpy as np
from flax import nnx

from jaxcnn.data.images import Images
from jaxcnn.recipes.held_out_results import HeldOutResults
from jaxcnn.recipes.reading import read
from jaxcnn.recipes.run_images import NamedImages, first_clips, load_images, over_clips_of
from jaxcnn.training import run_folder
from jaxcnn.training.history_file import read_history


class ReportedRun:
    """A run, with what the sections of its report share; each part is computed when first used.

    Attributes:
      folder: Folder of the run.
      model: The trained model.
      count: Number of held-out images that are explained.
      described: The description of the run.
      recipe: Its recipe, or ``None``.
      history: One row per epoch.
    """

    def __init__(self, folder: Path, model: nnx.Module, images: int) -> None:
        """Read what the folder holds."""
        self.folder, self.model, self.count = folder, model, images
        self.described = run_folder.read_run(folder)
        recipe = folder / run_folder.RECIPE
        self.recipe = read(recipe) if recipe.is_file() else None
        self.history = read_history(folder)

    @functools.cached_property
    def test(self) -> NamedImages:
        """The held-out images."""
        return load_images(self.described, self.folder)

    @property
    def images(self) -> Images:
        """The held-out images as a layer of the model takes them."""
        return first_clips(self.described, self.test.data.images)

    @functools.cached_property
    def training(self) -> NamedImages:
        """The training images as a layer of the model takes them."""
        found = load_images(self.described, self.folder, split="training")
        images = first_clips(self.described, found.data.images)
        return found._replace(data=dataclasses.replace(found.data, images=images))

    @functools.cached_property
    def results(self) -> HeldOutResults:
        """The predictions for the held-out images."""
        return HeldOutResults(over_clips_of(self.described.clips, self.model), self.test.data)

    @functools.cached_property
    def chosen(self) -> np.ndarray:
        """The first held-out image of each of the first classes."""
        labels = self.test.data.labels
        first = (
            np.unique(labels, return_index=True)[1] if labels.ndim == 1 else np.arange(len(labels))
        )
        rows = np.sort(first)[: self.count]
        others = np.setdiff1d(np.arange(len(labels)), rows)[: self.count - len(rows)]
        chosen: np.ndarray = np.concatenate([rows, others])
        return chosen

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.test.data.class_names
