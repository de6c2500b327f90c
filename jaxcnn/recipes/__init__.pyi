# The public names, by the file that holds them; each is imported at its first use.

from .choice import Choice, choose
from .exporting import Exported, export
from .reading import read, recipe_files
from .reporting import report
from .running import TrainedRun, recipe_of_run, resume, train
from .scaling_on_paper import ScalingForecast, forecast_scaling
from .schema import Recipe

__all__ = [
    "Choice",
    "Exported",
    "Recipe",
    "ScalingForecast",
    "TrainedRun",
    "choose",
    "export",
    "forecast_scaling",
    "read",
    "recipe_files",
    "recipe_of_run",
    "report",
    "resume",
    "train",
]
