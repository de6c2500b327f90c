"""Pure functions of arrays on ``jax.lax``: the computations of the layers."""

from jaxcnn.ops.adaptive_pooling import (
    adaptive_avg_pool,
    adaptive_max_pool,
    global_avg_pool,
    global_max_pool,
)
from jaxcnn.ops.box_coding import (
    boxes_to_distances,
    decode_boxes,
    distances_to_boxes,
    encode_boxes,
)
from jaxcnn.ops.boxes import BOX_FORMATS, box_area, clip_boxes, convert_boxes, giou, iou
from jaxcnn.ops.convolution import conv, conv_transpose
from jaxcnn.ops.drop import drop_path, dropout, spatial_dropout
from jaxcnn.ops.filters import KERNELS, filter_image
from jaxcnn.ops.linear import dense, flatten
from jaxcnn.ops.normalization import batch_moments, batch_norm, local_response_norm
from jaxcnn.ops.padding import pad
from jaxcnn.ops.patches import fold, unfold
from jaxcnn.ops.pooling import avg_pool, lp_pool, max_pool, sum_pool
from jaxcnn.ops.resizing import channel_shuffle, depth_to_space, resize, space_to_depth, upsample
from jaxcnn.ops.sampling import affine_grid, grid_sample, roi_align
from jaxcnn.ops.scaling import layer_scale, prelu, standardize
from jaxcnn.ops.spectra import mel_spectrogram, spectrogram
from jaxcnn.ops.suppression import nms, soft_nms
from jaxcnn.ops.unpooling import max_pool_with_indices, max_unpool

__all__ = [
    "BOX_FORMATS",
    "KERNELS",
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "affine_grid",
    "avg_pool",
    "batch_moments",
    "batch_norm",
    "box_area",
    "boxes_to_distances",
    "channel_shuffle",
    "clip_boxes",
    "conv",
    "conv_transpose",
    "convert_boxes",
    "decode_boxes",
    "dense",
    "depth_to_space",
    "distances_to_boxes",
    "drop_path",
    "dropout",
    "encode_boxes",
    "filter_image",
    "flatten",
    "fold",
    "giou",
    "global_avg_pool",
    "global_max_pool",
    "grid_sample",
    "iou",
    "layer_scale",
    "local_response_norm",
    "lp_pool",
    "max_pool",
    "max_pool_with_indices",
    "max_unpool",
    "mel_spectrogram",
    "nms",
    "pad",
    "prelu",
    "resize",
    "roi_align",
    "soft_nms",
    "space_to_depth",
    "spatial_dropout",
    "spectrogram",
    "standardize",
    "sum_pool",
    "unfold",
    "upsample",
]
