"""The intermediate values of a model for given images, by the paths that the summary shows."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
from flax import nnx

from jaxcnn.data.images import Images
from jaxcnn.insight.observed_model import (
    ObservedModel,
    all_of,
    check_inputs,
    run_collecting,
    traceable,
)
from jaxcnn.modules.parameter_tree import ArrayTree
from jaxcnn.training.model_structure import Structure


def activations(
    model: nnx.Module, x: Images, paths: Sequence[str] | str | None = None
) -> dict[str, jax.Array]:
    """Return the outputs of the modules within a model at inference, by their paths.

    The model computes once, jit-compiled, and is not changed; values that are not asked for are
    not kept. Compiled functions are kept for models of the same structure.

    >>> import jaxcnn as cnn
    >>> import jax.numpy as jnp
    >>> net = cnn.serial(cnn.conv(8, 3), jax.nn.relu, cnn.max_pool(2))
    >>> model = net.build((28, 28, 1), rngs=nnx.Rngs(0))
    >>> found = activations(model, jnp.ones((1, 28, 28, 1)))
    >>> {path: y.shape for path, y in found.items()}
    {'conv_1': (1, 26, 26, 8), 'relu_1': (1, 26, 26, 8), 'max_pool_1': (1, 13, 13, 8)}

    Args:
      model: Any module.
      x: ``(N, *spatial, C)``, uint8 pixels, which become numbers in [0, 1], or floating point.
      paths: Paths as the summary writes them, such as ``"block_1/conv_2"``; a block has the path of
        its name, a second call of one module ends in ``#2``. ``None`` means all of them.

    Returns:
      ``(N, ...)`` by path, in the order of `paths`, or of the calls. A module that returns several
      arrays has them as it returns them.

    Raises:
      TypeError: the model is not a module with arrays, branches on values, or calls modules within
        transformations of their own.
      ValueError: there is no such path, or the images do not fit the model.
    """
    observed, images = ObservedModel.of(model), check_inputs(x)
    if paths is None:
        wanted = tuple(observed.shapes(images))
    else:
        wanted = tuple(observed.check_path("paths", path, images) for path in all_of(paths))
    with traceable():
        found: dict[str, Any] = _read(observed.structure, wanted, observed.arrays, images)
    return {path: found[path] for path in wanted}  # JAX sorts the names


@functools.partial(jax.jit, static_argnums=(0, 1))
def _read(
    structure: Structure,
    paths: tuple[str, ...],
    arrays: tuple[ArrayTree, ArrayTree],
    images: jax.Array,
) -> dict[str, Any]:
    found = run_collecting(structure, arrays, images)
    return {path: found[path] for path in paths}
