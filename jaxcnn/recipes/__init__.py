"""Trainings as files, and training them: ``recipes.train("digits", "runs/first")``."""

import lazy_loader

from jaxcnn import deprecation

# Only the report needs plots; the names stand in __init__.pyi.
_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__getattr__ = deprecation.renamed_names(__name__, _load, "0.2.0", read_recipe="recipe_of_run")
