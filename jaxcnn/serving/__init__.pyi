# The public names, by the file that holds them; each is imported at its first use.

from .application import create_app
from .network import ServedNetwork, open_network

__all__ = ["ServedNetwork", "create_app", "open_network"]
