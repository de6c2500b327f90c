"""Flax NNX modules: each owns the parameters of one operation and calls it.

Every call is ``module(x, *, train=None, key=None)``: randomness is an argument, never a state.
Without ``train`` a module is in the mode that ``model.train()`` or ``model.eval()`` gave it, at
first that of inference.
"""

from jaxcnn.modules.combinators import (
    Function,
    Parallel,
    Pyramid,
    Residual,
    Serial,
    call,
    check_module,
    in_mode,
    remat,
)
from jaxcnn.modules.detector import Detector
from jaxcnn.modules.drop import Dropout
from jaxcnn.modules.ensemble import Ensemble
from jaxcnn.modules.initializers import Initializer, he_normal, zeros
from jaxcnn.modules.linear import Conv, ConvTranspose, Dense
from jaxcnn.modules.masked_calls import masked
from jaxcnn.modules.masked_rules import pointwise
from jaxcnn.modules.normalization import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from jaxcnn.modules.rewrites import mark_nondecreasing, pool_before_relu
from jaxcnn.modules.scaling import LayerScale, PReLU
from jaxcnn.modules.skips import SkipDecoder

__all__ = [
    "BatchNorm",
    "Conv",
    "ConvTranspose",
    "Dense",
    "Detector",
    "Dropout",
    "Ensemble",
    "Function",
    "GroupNorm",
    "Initializer",
    "InstanceNorm",
    "LayerNorm",
    "LayerScale",
    "PReLU",
    "Parallel",
    "Pyramid",
    "RMSNorm",
    "Residual",
    "Serial",
    "SkipDecoder",
    "call",
    "check_module",
    "he_normal",
    "in_mode",
    "mark_nondecreasing",
    "masked",
    "pointwise",
    "pool_before_relu",
    "remat",
    "zeros",
]
