"""Decoding of picture files and records into arrays, their cache, and framing."""

from jaxcnn.data.decoding.framing import Framing
from jaxcnn.data.decoding.pictures import read_picture

__all__ = ["Framing", "read_picture"]
