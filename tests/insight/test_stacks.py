"""Stacks of feature maps show the maps that they were given, with their shapes."""

import numpy as np
import pytest

from jaxcnn.insight.plots import feature_map_stacks

RANDOM = np.random.default_rng(0)


def test_each_layer_is_a_stack_with_its_shape_below(tmp_path):
    conv, pool = RANDOM.normal(size=(26, 26, 64)), RANDOM.uniform(size=(13, 13, 3))
    figure = feature_map_stacks({"conv_1": conv, "max_pool_1": pool}, most=5, title="A digit")
    (axes,) = figure.axes
    assert len(axes.images) == 5 + 3
    for image, channel in zip(axes.images, [4, 3, 2, 1, 0], strict=False):  # the first in front
        np.testing.assert_allclose(image.get_array(), conv[..., channel], rtol=1e-6)
        limit = np.abs(conv[..., :5]).max()
        np.testing.assert_allclose(image.get_clim(), (-limit, limit), rtol=1e-6)
    assert axes.images[5].get_clim()[0] == 0
    np.testing.assert_allclose(axes.images[-1].get_array(), pool[..., 0], rtol=1e-6)
    widths = [axes.images[n].get_extent()[1] for n in (0, 5)]
    assert widths[0] == pytest.approx(2 * widths[1])
    assert [text.get_text() for text in axes.texts] == [
        "26×26×64", "conv_1", "13×13×3", "max_pool_1", "A digit",
    ]  # fmt: skip
    figure.savefig(tmp_path / "stacks.png")


def test_many_layers_take_further_rows():
    maps = {f"conv_{n}": np.ones((4, 4, 1)) for n in range(7)}
    (axes,) = feature_map_stacks(maps).axes
    lows = [text.get_position()[1] for text in axes.texts[:14:2]]
    assert len({*lows[:6]}) == 1
    assert lows[6] < lows[0]


def test_errors():
    with pytest.raises(ValueError, match="maps must have at least one layer"):
        feature_map_stacks({})
    with pytest.raises(ValueError, match=r"maps must be \(height, width, channels\).*'dense_1'"):
        feature_map_stacks({"dense_1": np.ones(10)})
    with pytest.raises(ValueError, match="most must be at least 1"):
        feature_map_stacks({"conv_1": np.ones((2, 2, 1))}, most=0)
