"""Looking into networks: sizes, activations, what they attend to, and their errors."""

from jaxcnn.insight.intermediates import activations
from jaxcnn.insight.summary import Row, Summary, summarize

__all__ = ["Row", "Summary", "activations", "summarize"]
