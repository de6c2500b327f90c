"""Pictures of attributions, features and receptive fields show the numbers that they were given."""

import numpy as np
import pytest

from jaxcnn.insight import MeasuredField, plots


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_maps_of_pictures(tmp_path, channels):
    """One is signed with channels, one has the size of a layer; both are scaled to 1."""
    x, small = np.abs(noise(2, 8, 9, channels)) / 5, np.abs(noise(2, 2, 3))
    maps = {"gradients": noise(2, 8, 9, channels), "Grad-CAM": small}
    figure = plots.attribution_maps(x, maps, titles=["cat", "dog"], percentile=100)
    cells = figure.axes[:6]
    total = maps["gradients"].sum(-1)
    expected = total / np.abs(total).max((1, 2), keepdims=True)
    np.testing.assert_allclose(cells[1].images[1].get_array(), expected[0], rtol=1e-5)
    assert cells[1].images[1].get_clim() == (-1, 1)
    drawn = cells[5].images[1]
    np.testing.assert_allclose(drawn.get_array(), small[1] / small[1].max(), rtol=1e-5)
    assert drawn.get_clim() == (0, 1)
    assert tuple(drawn.get_extent()) == (-0.5, 8.5, 7.5, -0.5)  # over the whole image
    assert len(figure.axes) == 8  # a color bar for each of the two scales
    figure.savefig(tmp_path / "maps.png")


@pytest.mark.parametrize("shape", [(2, 20, 2), (1, 6, 8, 9, 3)])
def test_maps_of_series_and_videos(tmp_path, shape):
    figure = plots.attribution_maps(noise(*shape), {"gradients": noise(*shape)}, frames=3)
    assert len(figure.axes) == (3 if len(shape) == 3 else 7)
    figure.savefig(tmp_path / "maps.png")


def test_errors_of_maps():
    x = noise(2, 8, 9, 1)
    for maps, options, message in (
        ({}, {}, "at least one method"),
        ({"a": noise(3, 8, 9)}, {}, r"maps\['a'\] must be .*\(3, 8, 9\) for images \(2, 8, 9, 1\)"),
        ({"a": noise(2, 8, 9)}, {"titles": ["x"]}, "for each of the 2 images. Received: 1"),
        ({"a": noise(2, 8, 9)}, {"percentile": 0}, "percentile must be in"),
    ):
        with pytest.raises(ValueError, match=message):
            plots.attribution_maps(x, maps, **options)


def test_features_by_layer(tmp_path):
    features = {"conv_1": np.full((2, 4, 5, 3), 0.5), "head": np.full((3, 4, 5, 3), 0.25)}
    figure = plots.visualized_features(features, titles={"head": ["cat", "dog", "owl"]})
    assert [len(axes.images) for axes in figure.axes] == [1, 1, 0, 1, 1, 1]
    assert [axes.get_title() for axes in figure.axes[3:]] == ["cat", "dog", "owl"]
    figure.savefig(tmp_path / "features.png")
    with pytest.raises(ValueError, match=r"one text for each image. Received: 1 for 3 images"):
        plots.visualized_features(features, titles={"head": ["cat"]})


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_the_field_and_its_frame(tmp_path, axes):
    influence = np.zeros((9,) * axes)
    influence[(slice(3, 6),) * axes] = 2.0
    field = MeasuredField("conv_1", (4,) * axes, influence, ((2, 7),) * axes)
    figure = plots.receptive_field_map(field, np.zeros((9,) * axes + (3,)))
    sizes = ["×".join([size] * axes) for size in "35"]
    title = figure.axes[0].get_title(loc="left")
    assert f"effective {sizes[0]}, computed {sizes[1]} " in title
    if axes > 1:
        (frame,) = figure.axes[0].patches
        assert frame.get_bbox().bounds == (1.5, 1.5, 5, 5)
        assert np.max(figure.axes[0].images[-1].get_array()) == 1
    figure.savefig(tmp_path / "field.png")
    with pytest.raises(ValueError, match="image must be"):
        plots.receptive_field_map(field, np.zeros((8,) * axes + (3,)))
