"""Features, their projection and nearest images, against NumPy and values worked out by hand."""

import sys

import jax
import numpy as np
import pytest
from flax import nnx

from jaxcnn.insight import Neighbors, Projection, embed, nearest_images, plots, project
from jaxcnn.insight.plots.embeddings import spread_out
from jaxcnn.layers import conv, dense, dropout, flatten, global_avg_pool, residual, serial

NAMES = ("cat", "dog")


@pytest.fixture(scope="module")
def model():
    network = serial(conv(3, 2), residual(conv(3, 1)), global_avg_pool(), dropout(0.5), dense(2))
    return network.build((4, 5, 1), rngs=nnx.Rngs(0))


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (7, 4, 5, 1), np.uint8)


def test_features_are_the_input_of_the_last_dense_layer(model, images):
    features = embed(model, images, batch_size=3)
    assert features.shape == (7, 3)
    # The logits follow from them.
    logits = features @ np.asarray(model.dense_1.kernel) + np.asarray(model.dense_1.bias)
    np.testing.assert_allclose(logits, model(images / np.float32(255)), rtol=1e-5, atol=1e-6)


def test_spatial_axes_are_averaged(model, images):
    kernel, bias = np.asarray(model.conv_1.kernel), np.asarray(model.conv_1.bias)
    windows = np.lib.stride_tricks.sliding_window_view(images[..., 0] / 255, (2, 2), axis=(1, 2))
    outputs = np.einsum("nhwij,ijf->nhwf", windows, kernel[:, :, 0]) + bias
    features = embed(model, images, layer="conv_1", batch_size=3)
    np.testing.assert_allclose(features, outputs.mean(axis=(1, 2)), rtol=1e-5, atol=1e-6)


def test_the_layer_before_the_last_convolution_where_nothing_is_dense(images):
    model = serial(conv(3, 2), jax.nn.relu, conv(2, 1)).build((4, 5, 1), rngs=nnx.Rngs(0))
    found = embed(model, images[:2])
    np.testing.assert_array_equal(found, embed(model, images[:2], layer="relu_1"))


def test_layers_that_have_no_features_are_errors(model, images):
    with pytest.raises(ValueError, match=r"layer must be a path .*'conv_1'.*layer='conv_11'"):
        embed(model, images, layer="conv_11")
    alone = serial(flatten(), head=dense(2)).build((4, 5, 1), rngs=nnx.Rngs(0))
    assert embed(alone, images).shape == (7, 20)
    with pytest.raises(ValueError, match="layer must be given for a model without a dense layer"):
        embed(nnx.Linear(1, 2, rngs=nnx.Rngs(0)), images)
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        embed(model, images, batch_size=0)


def test_principal_components_of_points_on_a_line():
    """Four points along (3, 4), and one that leaves the line by 1 to each side."""
    along, across = np.array([3, 4]) / 5, np.array([-4, 3]) / 5
    features = np.array([-4 * along, 4 * along, across, -across])
    found = project(features)
    np.testing.assert_allclose(found.points, [[-4, 0], [4, 0], [0, -1], [0, 1]], atol=1e-12)
    np.testing.assert_allclose(found.explained, [32 / 34, 2 / 34])


def test_equal_features_are_one_point():
    found = project(np.ones((3, 4)))
    np.testing.assert_array_equal(found.points, np.zeros((3, 2)))
    np.testing.assert_array_equal(found.explained, [0, 0])


@pytest.mark.parametrize(("method", "package"), [("tsne", "sklearn"), ("umap", "umap")])
def test_a_missing_package_is_named(monkeypatch, method, package):
    for name in [*sys.modules, package]:
        if name.partition(".")[0] == package:
            monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        ImportError, match=rf"method='{method}' .*pip install 'jaxcnn\[embedding\]'"
    ):
        project(np.eye(5), method=method)


@pytest.mark.parametrize(
    ("features", "options", "message"),
    [
        (np.zeros((1, 3)), {}, r"N at least 2 and D at least 2 for 'pca'. .*\(1, 3\)"),
        (np.zeros((3, 3)), {"method": "tsne"}, "N at least 4"),
        (np.zeros((3, 1)), {}, "D at least 2"),
        (np.full((3, 3), np.nan), {}, "features must be finite.*of which some are not finite"),
        (np.zeros((3, 3, 3)), {}, r"must be finite numbers \(N, features\)"),
        (np.eye(3), {"method": "pka"}, "Did you mean 'pca'"),
        (np.eye(3), {"seed": -1}, "seed must be at least 0"),
    ],
)
def test_features_that_cannot_be_projected_are_errors(features, options, message):
    with pytest.raises(ValueError, match=message):
        project(features, **options)


def test_nearest_images():
    features = np.array([[0.0, 2], [1, 1], [3, 0], [-1, 0], [0, 0]])
    found = nearest_images(features, np.array([[5.0, 0], [0, 1]]), count=5)
    assert found.rows.tolist() == [[2, 1, 0, 4, 3], [0, 1, 2, 3, 4]]
    root = 1 - 1 / np.sqrt(2)
    np.testing.assert_allclose(
        found.distances, [[0, root, 1, 1, 2], [0, root, 1, 1, 1]], atol=1e-12
    )


def test_nearest_images_need_the_same_features():
    with pytest.raises(ValueError, match=r"of the layer of features, \(queries, 3\).*\(1, 2\)"):
        nearest_images(np.eye(3), np.ones((1, 2)))
    with pytest.raises(ValueError, match=r"count must be in \[1, 3\]. Received: count=4"):
        nearest_images(np.eye(3), np.ones((1, 3)), count=4)


@pytest.mark.parametrize("channels", [1, 3])
def test_thumbnails_stand_at_their_points(tmp_path, channels):
    images = np.random.default_rng(0).integers(0, 256, (4, 6, 3, channels), np.uint8)
    points = np.array([[0.0, 0], [0.01, 0], [10, 5], [5, 5]])
    projection = Projection(points, "pca", np.array([0.75, 0.25]))
    figure = plots.thumbnails(images, projection, np.array([0, 0, 1, 1]), NAMES)
    (axes,) = figure.axes
    # The second would cover the first.
    assert [image.get_array().tolist() for image in axes.images] == [
        images[row].squeeze().tolist() for row in (0, 2, 3)
    ]
    for image, row in zip(axes.images, (0, 2, 3), strict=True):
        left, right, bottom, top = image.get_extent()
        np.testing.assert_allclose([(left + right) / 2, (bottom + top) / 2], points[row])
        assert top - bottom == pytest.approx(2 * (right - left))
    assert [text.get_text() for text in axes.texts] == ["cat", "dog"]
    assert axes.get_xlabel() == "first component: 75.0% of the variance"
    figure.savefig(tmp_path / "thumbnails.png")


def test_classes_take_turns_where_there_is_no_room_for_all():
    points, labels = np.arange(20.0).reshape(10, 2) * 9, np.array([0] * 8 + [1] * 2)
    assert spread_out(points, labels, size=np.ones(2), most=4) == [0, 8, 1, 9]


def test_picture_of_nearest_images(tmp_path):
    images = np.random.default_rng(0).random((3, 6, 6, 3), np.float32)
    neighbors = Neighbors(np.array([[2, 0]]), np.array([[0.125, 0.5]]))
    shares, labels = np.array([[0.1, 0.9]]), np.array([0, 0, 1])
    figure = plots.nearest_neighbors(images[1:2], shares, images, labels, neighbors, NAMES)
    query, _, first, second = figure.axes
    titles = [axes.get_title(loc="left") for axes in (query, first, second)]
    assert titles == ["dog", "dog", "cat"]
    texts = [axes.texts[0].get_text() for axes in (query, first, second)]
    assert texts == ["predicted with 90%", "distance 0.12", "distance 0.5"]
    for axes, row in ((query, 1), (first, 2), (second, 0)):
        np.testing.assert_array_equal(axes.images[0].get_array(), images[row])
    assert first.spines["top"].get_edgecolor() != second.spines["top"].get_edgecolor()
    figure.savefig(tmp_path / "neighbors.png")


def test_pictures_need_images_of_their_rows():
    projection = Projection(np.zeros((2, 2)), "tsne")
    with pytest.raises(ValueError, match=r"one row per image. Received: 3, 2 and 2 rows"):
        plots.thumbnails(np.zeros((3, 4, 4, 1)), projection, np.zeros(2, int), NAMES)
    with pytest.raises(ValueError, match=r"1 or 3 channels, or .* Received: shape \(2, 4, 4, 2\)"):
        plots.thumbnails(np.zeros((2, 4, 4, 2)), projection, np.zeros(2, int), NAMES)
    near = Neighbors(np.zeros((1, 1), int), np.zeros((1, 1)))
    images = np.zeros((2, 4, 4, 1))
    with pytest.raises(ValueError, match=r"one row per query. Received: 2, 2 and 1 rows"):
        plots.nearest_neighbors(images, np.eye(2), images, np.zeros(2, int), near, NAMES)
