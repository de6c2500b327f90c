"""Sources of data sets: one file per kind, and the switch that chooses one."""

from jaxcnn.data.sources.switch import find_source

__all__ = ["find_source"]
