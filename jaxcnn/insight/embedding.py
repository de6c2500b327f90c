"""Features of images within a model, their projection to the plane, and the nearest images."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxcnn import arguments
from jaxcnn.data.images import Images, check_images
from jaxcnn.insight.intermediates import activations
from jaxcnn.insight.observed_model import ObservedModel
from jaxcnn.modules import Conv, Dense
from jaxcnn.modules.observation import path_of

_METHODS = ("pca", "tsne", "umap")
# Neighbors that t-SNE and UMAP preserve, at the most; the defaults of scikit-learn and umap-learn.
_PERPLEXITY, _NEIGHBORS = 30.0, 15
# Rows of queries that are compared with all features at a time.
_BLOCK = 256


@dataclass(frozen=True)
class Projection:
    """Features as points of the plane.

    Attributes:
      points: ``(N, 2)`` float64.
      method: ``"pca"``, ``"tsne"`` or ``"umap"``.
      explained: ``(2,)`` share of the variance along each axis; ``None`` except of PCA.
    """

    points: np.ndarray
    method: str
    explained: np.ndarray | None = None


@dataclass(frozen=True)
class Neighbors:
    """The images whose features are most similar to those of each query, the nearest first.

    Attributes:
      rows: ``(queries, count)`` rows of the images.
      distances: ``(queries, count)`` cosine distances, 1 − cos, from 0 to 2.
    """

    rows: np.ndarray
    distances: np.ndarray


def embed(
    model: nnx.Module, images: Images, *, layer: str | None = None, batch_size: int = 256
) -> np.ndarray:
    """Return features of images: the output of a layer, averaged over its spatial axes.

    >>> import jaxcnn as cnn
    >>> model = cnn.models.create("tiny_cnn").build((28, 28, 1), rngs=nnx.Rngs(0))
    >>> embed(model, np.zeros((3, 28, 28, 1), np.uint8)).shape
    (3, 32)

    Args:
      model: Any module.
      images: ``(N, *spatial, C)``, uint8 pixels, which become numbers in [0, 1], or floating point.
      layer: Path of the layer as the summary writes it; ``None`` means the layer whose output the
        last dense layer takes, or else the last convolution.
      batch_size: Images per step, at least 1.

    Returns:
      ``(N, D)`` float32.

    Raises:
      TypeError: the model is not a module with arrays, or cannot be traced; or the layer does not
        return one array.
      ValueError: there is no such path, or no such layer; ``batch_size`` is
        below 1, or the images do not fit the model.
    """
    batch_size = arguments.check_integer("batch_size", batch_size, minimum=1)
    images = check_images(images)
    observed = ObservedModel.of(model)
    if layer is None:
        layer = _before_last_dense(model, observed.shapes(images))
    else:
        layer = observed.check_path("layer", layer, images)
    shape: tuple[int, ...] = getattr(observed.shapes(images)[layer], "shape", ())
    if len(shape) < 2:
        raise TypeError(
            "layer must return one array (N, …, features). "
            f"Received: layer={layer!r}, which returns {observed.shapes(images)[layer]}"
        )
    size, features = min(batch_size, max(len(images), 1)), []
    for start in range(0, len(images), size):
        rows = np.asarray(images[start : start + size])
        filled = np.resize(rows, (size, *rows.shape[1:]))  # one program for all batches
        output = activations(model, filled, layer)[layer]
        pooled = jnp.mean(output.astype(jnp.float32), axis=tuple(range(1, output.ndim - 1)))
        features.append(np.asarray(pooled)[: len(rows)])
    return np.concatenate([np.empty((0, shape[-1]), np.float32), *features])


def project(features: np.ndarray, *, method: str = "pca", seed: int = 0) -> Projection:
    """Return features as points of the plane.

    PCA is linear: its axes are the directions of the largest variance, and distances keep a
    meaning. t-SNE (van der Maaten and Hinton, 2008) and UMAP (McInnes et al., 2018) keep
    neighbors together; distances between groups, and their sizes, have no meaning.

    >>> projected = project(np.array([[0.0, 0], [2, 0], [4, 0], [2, 1]]))
    >>> projected.explained.round(3).tolist()
    [0.914, 0.086]

    Args:
      features: ``(N, D)``, such as :func:`embed` returns them; N and D at least 2, N at least 4
        for t-SNE and UMAP.
      method: ``"pca"``, ``"tsne"`` or ``"umap"``; the last two need ``jaxcnn[embedding]``.
      seed: Seed of t-SNE and UMAP, at least 0.

    Raises:
      ImportError: the package for the method is not installed.
      TypeError: an argument has the wrong type.
      ValueError: `method` is another word, or the features are too few or not finite.
    """
    method = arguments.check_choice("method", method, _METHODS)
    seed = arguments.check_integer("seed", seed, minimum=0)
    features = _check_features("features", features)
    fewest = 2 if method == "pca" else 4
    if len(features) < fewest or features.shape[1] < 2:
        raise ValueError(
            f"features must be (N, D) with N at least {fewest} and D at least 2 for {method!r}. "
            f"Received: shape {features.shape}"
        )
    if method == "pca":
        return _principal_components(features)
    return Projection(_embed_neighbors(features, method, seed), method)


def nearest_images(
    features: np.ndarray, query_features: np.ndarray, *, count: int = 5
) -> Neighbors:
    """Return the images whose features have the smallest cosine distance to those of each query.

    Features of zeros have distance 1 to all. Of equal distances the lower row comes first.

    >>> features = np.array([[1.0, 0], [0, 1], [1, 1]])
    >>> found = nearest_images(features, np.array([[2.0, 0]]), count=2)
    >>> found.rows.tolist(), found.distances.round(3).tolist()
    ([[0, 2]], [[0.0, 0.293]])

    Args:
      features: ``(N, D)`` of the images to choose from, such as the training images.
      query_features: ``(queries, D)`` of the same layer.
      count: Number of images for each query, from 1 to N.

    Raises:
      TypeError: ``count`` is not a whole number.
      ValueError: ``count`` is out of range, or the features do not fit or are not finite.
    """
    known = _check_features("features", features)
    queries = _check_features("query_features", query_features)
    if known.shape[1] != queries.shape[1]:
        raise ValueError(
            f"query_features must be of the layer of features, (queries, {known.shape[1]}). "
            f"Received: shape {queries.shape}"
        )
    count = arguments.check_integer("count", count, minimum=1, maximum=len(known))
    known, queries = _directions(known), _directions(queries)
    rows, distances = [np.empty((0, count), int)], [np.empty((0, count))]
    for start in range(0, len(queries), _BLOCK):
        apart = np.clip(1 - queries[start : start + _BLOCK] @ known.T, 0, 2)
        nearest = np.argsort(apart, axis=1, kind="stable")[:, :count]
        rows.append(nearest)
        distances.append(np.take_along_axis(apart, nearest, axis=1))
    return Neighbors(np.concatenate(rows), np.concatenate(distances))


def _before_last_dense(model: nnx.Module, shapes: Any) -> str:
    """Return the path of the output that the last dense layer takes, or else the last convolution.

    It is the nearest output before it, in the order of the calls, of as many features.
    """
    modules = {path_of(names, module): module for names, module in nnx.iter_modules(model)}
    called = list(shapes)
    for kinds in (Dense | nnx.Linear, Conv | nnx.Conv):
        for place in reversed(range(len(called))):
            module = modules.get(called[place].partition("#")[0])
            if isinstance(module, kinds):
                in_features = module.kernel.shape[-2] * getattr(module, "groups", 1)
                for path in reversed(called[:place]):
                    if getattr(shapes[path], "shape", ())[-1:] == (in_features,):
                        return path
                break
    hint = f", such as {called[-1]!r}" if called else ""
    raise ValueError(
        "layer must be given for a model without a dense layer that follows another layer: the "
        f"path of one of its layers{hint}. Received: layer=None"
    )


def _check_features(name: str, features: np.ndarray) -> np.ndarray:
    features = np.asarray(features, float)
    if features.ndim != 2 or not np.isfinite(features).all():
        state = ", of which some are not finite" if features.ndim == 2 else ""
        raise ValueError(
            f"{name} must be finite numbers (N, features). Received: shape {features.shape}{state}"
        )
    return features


def _directions(features: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(lengths == 0, 1, lengths)


def _principal_components(features: np.ndarray) -> Projection:
    """Return the two principal components, by singular values.

    The sign of an axis is arbitrary: the largest loading of each is positive, as in scikit-learn.
    """
    centered = features - features.mean(axis=0)
    _, lengths, axes = np.linalg.svd(centered, full_matrices=False)
    largest = np.abs(axes[:2]).argmax(axis=1)
    axes = axes[:2] * np.sign(axes[np.arange(2), largest])[:, None]
    variances = lengths**2
    explained = variances[:2] / (variances.sum() or 1)
    return Projection(centered @ axes.T, "pca", explained)


def _embed_neighbors(features: np.ndarray, method: str, seed: int) -> np.ndarray:
    """Return the points of t-SNE or UMAP."""
    package = {"tsne": "scikit-learn", "umap": "umap-learn"}[method]
    try:
        if method == "tsne":
            from sklearn.manifold import TSNE

            reducer: Any = TSNE(
                perplexity=min(_PERPLEXITY, (len(features) - 1) / 3), init="pca", random_state=seed
            )
        else:
            from umap import UMAP

            # One thread, or the result would not depend on the seed alone.
            reducer = UMAP(
                n_neighbors=min(_NEIGHBORS, len(features) - 1), random_state=seed, n_jobs=1
            )
    except ImportError as error:
        raise ImportError(
            f"method={method!r} needs the package {package}: pip install 'jaxcnn[embedding]'"
        ) from error
    return np.asarray(reducer.fit_transform(features), float)
