"""Trainings as files, and training them: ``recipes.train("digits", "runs/first")``."""

from jaxcnn.recipes.choice import Choice, choose
from jaxcnn.recipes.reading import read, recipe_files
from jaxcnn.recipes.reporting import report
from jaxcnn.recipes.running import TrainedRun, read_recipe, resume, train
from jaxcnn.recipes.schema import Recipe

__all__ = [
    "Choice",
    "Recipe",
    "TrainedRun",
    "choose",
    "read",
    "read_recipe",
    "recipe_files",
    "report",
    "resume",
    "train",
]
