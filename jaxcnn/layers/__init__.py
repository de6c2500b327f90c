"""Descriptions of layers, which give the shape of every output before anything is built.

A description is an immutable dataclass, in lower case because it is used as a function:
``conv(64, 3)``. ``serial``, ``residual`` and ``parallel`` compose descriptions and plain functions
of an array (``jax.nn.relu``) into larger ones; ``build`` makes the Flax module.
"""

from jaxcnn.layers.attention import squeeze_excite
from jaxcnn.layers.branches import parallel, residual
from jaxcnn.layers.composition import remat, repeat, serial
from jaxcnn.layers.convolution import conv, conv_transpose, depthwise, separable
from jaxcnn.layers.detector_layer import detector
from jaxcnn.layers.drop import drop_path, dropout, spatial_dropout
from jaxcnn.layers.ensembles import ensemble
from jaxcnn.layers.feature_maps import pyramid
from jaxcnn.layers.layer import Layer, Step, function
from jaxcnn.layers.linear import dense
from jaxcnn.layers.masked_networks import masked
from jaxcnn.layers.normalization import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
    rms_norm,
)
from jaxcnn.layers.pooling import (
    adaptive_avg_pool,
    adaptive_max_pool,
    avg_pool,
    global_avg_pool,
    global_max_pool,
    lp_pool,
    max_pool,
    sum_pool,
)
from jaxcnn.layers.reshaping import (
    channel_shuffle,
    depth_to_space,
    flatten,
    identity,
    pad,
    resize,
    space_to_depth,
    upsample,
)
from jaxcnn.layers.scaling import layer_scale, prelu, standardize
from jaxcnn.layers.skips import skip_decoder
from jaxcnn.layers.sliding import fully_convolutional, sliding_windows
from jaxcnn.layers.spectra import mel_spectrogram, spectrogram
from jaxcnn.layers.weights import Preprocessing, pretrained

__all__ = [
    "Layer",
    "Preprocessing",
    "Step",
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "avg_pool",
    "batch_norm",
    "channel_shuffle",
    "conv",
    "conv_transpose",
    "dense",
    "depth_to_space",
    "depthwise",
    "detector",
    "drop_path",
    "dropout",
    "ensemble",
    "flatten",
    "fully_convolutional",
    "function",
    "global_avg_pool",
    "global_max_pool",
    "group_norm",
    "identity",
    "instance_norm",
    "layer_norm",
    "layer_scale",
    "local_response_norm",
    "lp_pool",
    "masked",
    "max_pool",
    "mel_spectrogram",
    "pad",
    "parallel",
    "prelu",
    "pretrained",
    "pyramid",
    "remat",
    "repeat",
    "residual",
    "resize",
    "rms_norm",
    "separable",
    "serial",
    "skip_decoder",
    "sliding_windows",
    "space_to_depth",
    "spatial_dropout",
    "spectrogram",
    "squeeze_excite",
    "standardize",
    "sum_pool",
    "upsample",
]
