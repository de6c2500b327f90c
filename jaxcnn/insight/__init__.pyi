# The public names, by the file that holds them; each is imported at its first use.

from .intermediates import activations
from .summarizing import summarize
from .summary import Summary
from .summary_rows import Row

__all__ = ["Row", "Summary", "activations", "summarize"]
