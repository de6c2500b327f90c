"""A model whose intermediate values are read or replaced while it computes."""

import contextlib
import difflib
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxcnn import arguments
from jaxcnn.data.images import Images, check_images
from jaxcnn.modules import call, check_module, in_mode
from jaxcnn.modules.observation import Observe, observe_calls
from jaxcnn.modules.parameter_tree import ArrayTree
from jaxcnn.training.forward import to_float
from jaxcnn.training.model_structure import Structure

# One reason for each error of JAX that a module of the user's can cause.
_BRANCHES = (
    "the model branches on the values of an array, so it cannot be traced: use jnp.where or "
    "jax.lax.cond in its call"
)
_CONVERTS = (
    "the model makes a NumPy array of a value, so it cannot be traced: use jax.numpy in its call"
)
_TRACED_APART = (
    "a module within the model is called inside a transformation of its own, such as nnx.jit or "
    "nnx.scan, from which no values can be taken: call it without"
)


@dataclass(frozen=True)
class ObservedModel:
    """A model, split into its structure and its arrays in one pass over its modules.

    Attributes:
      structure: The structure, by which compiled functions are found again.
      params: Parameters.
      statistics: The other arrays.
    """

    structure: Structure
    params: ArrayTree
    statistics: ArrayTree

    @classmethod
    def of(cls, model: nnx.Module) -> "ObservedModel":
        """Split a model.

        Raises:
          TypeError: it is not a module, or has no arrays.
        """
        parts: Any = nnx.split(check_module("model", model), nnx.Param, ...)
        graphdef, params, statistics = parts
        arrays = map(nnx.to_pure_dict, (params, statistics))
        return cls(Structure.of_graphdef(graphdef), *arrays)

    @property
    def arrays(self) -> tuple[ArrayTree, ArrayTree]:
        """The parameters and the other arrays, as functions that are compiled take them."""
        return self.params, self.statistics

    def shapes(self, images: jax.Array | np.ndarray) -> Mapping[str, Any]:
        """Return the shape of every output by its path; nothing is computed.

        Raises:
          TypeError: the model branches on values, or calls modules within other transformations.
          ValueError: the images do not fit the model.
        """
        shape = jax.ShapeDtypeStruct(images.shape, images.dtype)
        return _shapes(self.structure, _abstract(self.arrays), shape)

    def check_path(self, name: str, path: str, images: jax.Array | np.ndarray) -> str:
        """Return the path of an output, which may have dots in place of slashes.

        Args:
          name: Name of the argument, for the error.
          path: The path that was given.
          images: Images for which the model has the output.

        Raises:
          TypeError: it is not a word.
          ValueError: there is no such output; the message has the nearest paths.
        """
        if not isinstance(path, str):
            raise TypeError(f"{name} must be a path. Received: {name}={arguments.shown(path)}")
        known, wanted = list(self.shapes(images)), path.replace(".", "/")
        if wanted in known:
            return wanted
        nearest = difflib.get_close_matches(wanted, known, n=3) or known[-3:]
        raise ValueError(
            f"{name} must be a path that cnn.summarize(model, input_shape) lists, such as "
            f"{', '.join(map(repr, nearest))}. Received: {name}={path!r}"
        )


def run_observed(
    structure: Structure, arrays: tuple[ArrayTree, ArrayTree], images: jax.Array, observe: Observe
) -> Any:
    """Return the output of a model at inference; for use within a function that is compiled.

    Args:
      structure: The structure of the model.
      arrays: Its parameters and its other arrays.
      images: ``(N, *spatial, C)``, uint8 pixels or floating point.
      observe: Is called with the path and the output of every module, and returns the output to
        go on with. What the model itself computes after its modules has the path ``"output"``.
    """
    returned = []

    def keep(path: str, output: Any) -> Any:
        returned.append(observe(path, output))
        return returned[-1]

    # While tracing, as `in_mode` visits every variable in Python: 30 ms for MobileNetV2.
    model = in_mode(nnx.merge(structure.graphdef, *arrays), train=False)
    observe_calls(model, keep)
    with jax.numpy_dtype_promotion("standard"):  # of modules that are not of this library
        result = call(model, to_float(images), train=False)
    is_own = isinstance(result, jax.Array) and all(result is not each for each in returned)
    return observe("output", result) if is_own else result


def run_unobserved(
    structure: Structure, arrays: tuple[ArrayTree, ArrayTree], images: jax.Array
) -> Any:
    """Return the output of a model at inference; as :func:`run_observed`."""
    return run_observed(structure, arrays, images, lambda path, output: output)


def run_collecting(
    structure: Structure, arrays: tuple[ArrayTree, ArrayTree], images: jax.Array
) -> dict[str, Any]:
    """Return every output within a model by its path, in order; as :func:`run_observed`.

    XLA computes only those that are used.
    """
    found: dict[str, Any] = {}

    def observe(path: str, output: Any) -> Any:
        found[path] = output
        return output

    run_observed(structure, arrays, images, observe)
    return found


def check_inputs(images: Images) -> jax.Array:
    """Return images as an array on the device, checked as for :func:`jaxcnn.predict`.

    Raises:
      TypeError: the images have the wrong type.
      ValueError: they have no batch axis, are channels-first, or have NaN.
    """
    return jnp.asarray(check_images(images))


@contextlib.contextmanager
def traceable() -> Iterator[None]:
    """Say what a model may not do, where JAX says only that it cannot trace it.

    Raises:
      TypeError: the model branches on values, converts them to NumPy, or calls modules within other
        transformations.
    """
    try:
        yield
    except jax.errors.UnexpectedTracerError as error:
        raise TypeError(_TRACED_APART) from error
    except jax.errors.TracerArrayConversionError as error:
        raise TypeError(_CONVERTS) from error
    except jax.errors.ConcretizationTypeError as error:
        raise TypeError(f"{_BRANCHES}. {str(error).splitlines()[0]}") from error


def _abstract(tree: Any) -> tuple[Any, ...]:
    leaves, treedef = jax.tree.flatten(tree)
    return treedef, tuple((leaf.shape, leaf.dtype) for leaf in leaves)


@functools.lru_cache(maxsize=64)
def _shapes(
    structure: Structure, arrays: tuple[Any, ...], images: jax.ShapeDtypeStruct
) -> Mapping[str, Any]:
    treedef, leaves = arrays
    abstract = treedef.unflatten(jax.ShapeDtypeStruct(*leaf) for leaf in leaves)

    order: list[str] = []

    def outputs(given: tuple[ArrayTree, ArrayTree], images: jax.Array) -> dict[str, Any]:
        found = run_collecting(structure, given, images)
        order.extend(found)
        return found

    with traceable():
        shapes = jax.eval_shape(outputs, abstract, images)
    return {path: shapes[path] for path in order}  # JAX sorts the names


def all_of(paths: Sequence[str] | str) -> tuple[str, ...]:
    """Return paths as a tuple; one path may be given alone.

    Raises:
      TypeError: it is neither a path nor a sequence.
    """
    if isinstance(paths, str):
        return (paths,)
    if not isinstance(paths, Iterable):
        raise TypeError(
            f"paths must be a path or a sequence of them. Received: paths={arguments.shown(paths)}"
        )
    return tuple(paths)
