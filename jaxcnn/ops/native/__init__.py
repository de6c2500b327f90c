"""Convolutions in C++ for the CPU, compiled on the user's machine by ``jaxcnn native build``.

The library lies in the user's cache, for the sources, the interface of jaxlib and the machine that
it was made for. Where there is none, the strategies in XLA's operations compute everything.
"""

__all__: list[str] = []
