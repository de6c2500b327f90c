"""Errors of a classifier and principal components against scikit-learn."""

import numpy as np
import pytest
from compare import seeds
from hypothesis import given
from hypothesis import strategies as st
from sklearn import calibration, decomposition, metrics, neighbors

from jaxcnn.insight import classification_errors, nearest_images, project


@st.composite
def predictions(draw):
    """Labels and probabilities; of some classes there is no image."""
    rng, count = np.random.default_rng(draw(seeds)), draw(st.sampled_from([1, 9, 200]))
    classes = draw(st.integers(2, 12))
    labels = rng.integers(0, draw(st.integers(1, classes)), count)
    return labels, rng.dirichlet(np.full(classes, 0.3), count), [*map(str, range(classes))]


@given(predictions())
def test_scores_of_classes(given):
    labels, probabilities, names = given
    errors = classification_errors(*given)
    theirs = metrics.precision_recall_fscore_support(
        labels, probabilities.argmax(1), labels=range(len(names)), zero_division=np.nan
    )
    for scores, precision, recall, f1, support in zip(errors.classes, *theirs, strict=True):
        assert scores.images == support
        for ours, expected in (
            (scores.precision, precision),
            (scores.recall, recall),
            (scores.f1, f1),
        ):
            np.testing.assert_allclose(np.nan if ours is None else ours, expected, rtol=1e-12)
    matrix = metrics.confusion_matrix(labels, probabilities.argmax(1), labels=range(len(names)))
    np.testing.assert_array_equal(errors.matrix, matrix)


@given(predictions(), st.integers(1, 20))
def test_reliability(given, bins):
    labels, probabilities, _ = given
    found = classification_errors(*given).reliability(bins=bins)
    accuracy, confidence = calibration.calibration_curve(
        labels == probabilities.argmax(1), probabilities.max(1), n_bins=bins
    )
    full = found.counts > 0
    np.testing.assert_allclose(found.accuracy[full], accuracy, rtol=1e-12)
    np.testing.assert_allclose(found.confidence[full], confidence, rtol=1e-12)


@pytest.mark.parametrize("shape", [(30, 8), (8, 30)])
@given(seeds)
def test_principal_components(shape, seed):
    features = np.random.default_rng(seed).normal(size=shape)
    peer = decomposition.PCA(2, svd_solver="full")
    found = project(features)
    np.testing.assert_allclose(found.points, peer.fit_transform(features), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.explained, peer.explained_variance_ratio_, rtol=1e-9)


@given(seeds)
def test_nearest_images(seed):
    rng = np.random.default_rng(seed)
    features, queries = rng.normal(size=(40, 6)), rng.normal(size=(5, 6))
    distances, rows = (
        neighbors.NearestNeighbors(n_neighbors=7, metric="cosine").fit(features).kneighbors(queries)
    )
    found = nearest_images(features, queries, count=7)
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_allclose(found.distances, distances, atol=1e-12)


def test_tsne_keeps_groups_together():
    rng = np.random.default_rng(0)
    groups = np.repeat(10 * np.eye(3, 8), 20, axis=0)
    points = project(groups + rng.normal(size=groups.shape), method="tsne", seed=1).points
    labels = np.repeat([0, 1, 2], 20)
    assert metrics.silhouette_score(points, labels) > 0.5
