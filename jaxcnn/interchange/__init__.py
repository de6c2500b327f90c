"""Weights and models from other libraries, and back."""

from jaxcnn.interchange.torch import to_torch

__all__ = ["to_torch"]
