# The public names, by the file that holds them; each is imported at its first use.

from .keras import from_keras
from .torch import to_torch

__all__ = ["from_keras", "to_torch"]
