"""Looking into networks: their shapes, their parameters, their training."""

from jaxcnn.insight.summary import Row, Summary, summarize

__all__ = ["Row", "Summary", "summarize"]
