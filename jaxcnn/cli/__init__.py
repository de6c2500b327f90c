"""The command line."""

from jaxcnn.cli.app import main

__all__ = ["main"]
