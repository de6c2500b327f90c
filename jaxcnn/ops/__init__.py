"""Pure functions of arrays on ``jax.lax``: what a layer computes."""

from jaxcnn.ops.conv import conv
from jaxcnn.ops.dense import dense, flatten
from jaxcnn.ops.drop import dropout
from jaxcnn.ops.pad import pad
from jaxcnn.ops.pool import avg_pool, max_pool

__all__ = ["avg_pool", "conv", "dense", "dropout", "flatten", "max_pool", "pad"]
