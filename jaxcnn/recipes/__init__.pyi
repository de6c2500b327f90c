# The public names, by the file that holds them; each is imported at its first use.

from .choice import Choice, choose
from .exporting import Exported, export
from .reading import read, recipe_files
from .reporting import report
from .running import TrainedRun, read_recipe, resume, train
from .schema import Recipe

__all__ = [
    "Choice",
    "Exported",
    "Recipe",
    "TrainedRun",
    "choose",
    "export",
    "read",
    "read_recipe",
    "recipe_files",
    "report",
    "resume",
    "train",
]
