"""Streams: labeled images that are decoded as they come, rather than once."""

from jaxcnn.data.streaming.given_batches import Batches, GivenBatches
from jaxcnn.data.streaming.ordered_stream import OrderedStream
from jaxcnn.data.streaming.stream import Stream

__all__ = ["Batches", "GivenBatches", "OrderedStream", "Stream"]
