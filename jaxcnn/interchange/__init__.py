"""Weights and models from other libraries, and back."""

from jaxcnn.interchange.keras import from_keras
from jaxcnn.interchange.torch import to_torch

__all__ = ["from_keras", "to_torch"]
