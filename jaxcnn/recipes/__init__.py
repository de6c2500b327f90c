"""Trainings as files, and the folders that they leave."""

from jaxcnn.recipes.run import load

__all__ = ["load"]
