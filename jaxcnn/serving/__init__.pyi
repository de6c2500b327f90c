# The public names, by the file that holds them; each is imported at its first use.

from .application import create_app
from .network import ServedNetwork, open_network
from .page_building import build_page
from .run_pages import page_of_run

__all__ = ["ServedNetwork", "build_page", "create_app", "open_network", "page_of_run"]
