"""The command line."""

from jaxcnn.cli.interruption import main

__all__ = ["main"]
