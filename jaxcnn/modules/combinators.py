"""Functions as modules, modules made of modules, and one way to call any module."""

import functools
import inspect
import operator
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcnn import arguments
from jaxcnn.modules.masked_rules import call_function, no_rule
from jaxcnn.modules.masking import Masked, combine_masked
from jaxcnn.other_names import Explained

_M = TypeVar("_M", bound=nnx.Module)


class Function(nnx.Module):
    """A pure function of an array with fixed options, such as a pool or an activation.

    >>> from jaxcnn import ops
    >>> Function(ops.max_pool, window=2)(jnp.zeros((1, 4, 4, 1))).shape
    (1, 2, 2, 1)
    """

    def __init__(self, function: Callable[..., jax.Array], **options: Hashable) -> None:
        """Store the function and its options."""
        self.function = function
        self.options = tuple(options.items())

    def __call__(
        self, x: jax.Array, *, train: bool | None = None, key: jax.Array | None = None
    ) -> jax.Array:
        """Return ``function(x, **options)``."""
        return self.function(x, **dict(self.options))

    def call_masked(self, x: Masked) -> Any:
        """Call the function on series of several lengths."""
        return call_function(self.function, x, dict(self.options))


class Container(nnx.Module):
    """The base of modules that pass series of several lengths on to the modules within them."""


class Serial(Explained, Container):
    """Modules called one after the other; each is an attribute under its name.

    >>> from jaxcnn.modules import Dense, Dropout
    >>> model = Serial(first=Dense(4, 3, rngs=nnx.Rngs(0)), drop=Dropout(0.5))
    >>> model.first.kernel.shape, model(jnp.zeros((2, 4))).shape
    ((4, 3), (2, 3))
    """

    def __init__(self, **children: nnx.Module) -> None:
        """Store the modules in the given order."""
        self.names = tuple(children)
        # Positions in `names`; a rewrite for speed may change them, see modules/rewrites.py.
        self.call_order = tuple(range(len(children)))
        for name, child in children.items():
            setattr(self, name, child)

    def __call__(
        self, x: jax.Array, *, train: bool | None = None, key: jax.Array | None = None
    ) -> jax.Array:
        """Call each module on the result of the one before, with its own key."""
        for index in self.call_order:
            child = getattr(self, self.names[index])
            x = call(child, x, train=train, key=_child_key(key, index))
        return x


class Pyramid(Explained, Container):
    """Modules called one after the other, of which some outputs are returned as a tuple.

    >>> maps = Pyramid(maps=("a", "b"), a=Function(jnp.negative), b=Function(jnp.abs))
    >>> [float(y) for y in maps(jnp.array(2.0))]
    [-2.0, 2.0]
    """

    def __init__(self, *, maps: tuple[str, ...], **children: nnx.Module) -> None:
        """Store the modules, and the names of those whose outputs are returned."""
        self.names = tuple(children)
        self.maps = maps
        for name, child in children.items():
            setattr(self, name, child)

    def __call__(
        self, x: jax.Array, *, train: bool | None = None, key: jax.Array | None = None
    ) -> tuple[jax.Array, ...]:
        """Return the outputs of the named modules, in order."""
        outputs = []
        for index, name in enumerate(self.names):
            x = call(getattr(self, name), x, train=train, key=_child_key(key, index))
            if name in self.maps:
                outputs.append(x)
        return tuple(outputs)


class Residual(Container):
    """The sum of a body and a shortcut past it: y = body(x) + shortcut(x) (He et al., 2016).

    >>> from jaxcnn.modules import Dense, zeros
    >>> model = Residual(Dense(4, 4, kernel_init=zeros, rngs=nnx.Rngs(0)))
    >>> model(jnp.ones((1, 4)))
    Array([[1., 1., 1., 1.]], dtype=float32)
    """

    def __init__(self, body: nnx.Module, shortcut: nnx.Module | None = None) -> None:
        """Store both; without a shortcut the input is added."""
        self.body = body
        self.shortcut = shortcut

    def __call__(
        self, x: jax.Array, *, train: bool | None = None, key: jax.Array | None = None
    ) -> jax.Array:
        """Return ``body(x) + shortcut(x)``."""
        y = call(self.body, x, train=train, key=_child_key(key, 0))
        if self.shortcut is not None:
            x = call(self.shortcut, x, train=train, key=_child_key(key, 1))
        return _combine("add", [y, x])


class Parallel(Container):
    """Modules that read the same input side by side; each is an attribute under its name.

    >>> model = Parallel(a=Function(jax.nn.relu), b=Function(jnp.negative), combine="concat")
    >>> model(jnp.array([[1., -2.]]))
    Array([[ 1.,  0., -1.,  2.]], dtype=float32)
    """

    def __init__(self, *, combine: str, **branches: nnx.Module) -> None:
        """Store the branches and the way to combine their outputs.

        Args:
          combine: ``"concat"`` (along the channels), ``"add"`` or ``"multiply"``.
          **branches: The modules by name.

        Raises:
          ValueError: ``combine`` is another word.
        """
        arguments.check_choice("combine", combine, _COMBINE)
        self.combine = combine
        self.names = tuple(branches)
        for name, branch in branches.items():
            setattr(self, name, branch)

    def __call__(
        self, x: jax.Array, *, train: bool | None = None, key: jax.Array | None = None
    ) -> jax.Array:
        """Call each branch on ``x`` with its own key, and combine the results."""
        outputs = [
            call(getattr(self, name), x, train=train, key=_child_key(key, index))
            for index, name in enumerate(self.names)
        ]
        return _combine(self.combine, outputs)


def remat(module: nnx.Module) -> nnx.Module:
    """Return ``module`` with activations that are recomputed in the backward pass.

    Only its input is kept between the passes, at the cost of one more forward pass (Chen et al.,
    2016, arXiv 1604.06174). Values, gradients, statistics, the values that dropout drops and the
    names of parameters are unchanged: the result is an instance of a subclass of the module's
    class and shares its variables.

    jax 0.10 on CPU keeps the activations all the same, except in the training step, which sets a
    compiler option against it (:mod:`jaxcnn.runtime`).

    >>> from jaxcnn.modules import Dense
    >>> block = remat(Serial(inner=Dense(4, 3, rngs=nnx.Rngs(0))))
    >>> block.inner.kernel.shape, block(jnp.zeros((2, 4))).shape
    ((4, 3), (2, 3))

    Args:
      module: Any module called as ``module(x)`` or ``module(x, *, train, key)``.
    """
    recomputed = object.__new__(_remat_class(type(module)))
    vars(recomputed).update(vars(module))
    return recomputed


def undo_remat(module_class: type[nnx.Module]) -> type[nnx.Module]:
    """Return the class of a module without :func:`remat`."""
    return getattr(module_class, "recomputed_class", module_class)


@functools.cache  # so that two builds of one layer compare equal
def _remat_class(module_class: type[nnx.Module]) -> type[nnx.Module]:
    class Remat(module_class):  # type: ignore[misc,valid-type]  # known only at run time
        recomputed_class = module_class

        def __call__(
            self, x: jax.Array, *, train: bool | None = None, key: jax.Array | None = None
        ) -> jax.Array:
            def run(module: nnx.Module, x: jax.Array, key: jax.Array | None) -> jax.Array:
                options = _accepted(module_class, train, key)
                return module_class.__call__(module, x, **options)

            return nnx.remat(run)(self, x, key)

    return Remat


_COMBINE: dict[str, Callable[[list[jax.Array]], jax.Array]] = {
    "concat": functools.partial(jnp.concatenate, axis=-1),
    "add": functools.partial(functools.reduce, operator.add),
    "multiply": functools.partial(functools.reduce, operator.mul),
}


def combined(module: nnx.Module) -> Callable[[list[jax.Array]], jax.Array] | None:
    """Return the function by which a module combines the outputs of its branches, if it has any."""
    if isinstance(module, Residual):
        return functools.partial(_combine, "add")
    return functools.partial(_combine, module.combine) if isinstance(module, Parallel) else None


def _combine(way: str, outputs: list[jax.Array]) -> jax.Array:
    """Combine the outputs of branches, in a dtype that holds all of them.

    A branch with parameters computes in their dtype, one without in that of the input.
    """
    with jax.numpy_dtype_promotion("standard"):
        if any(isinstance(each, Masked) for each in outputs):
            return combine_masked(_COMBINE[way], outputs)
        return _COMBINE[way](outputs)


def check_module(name: str, value: Any) -> nnx.Module:
    """Return `value` if it is a module with arrays.

    Args:
      name: Name of the argument, for the error.
      value: What was given.

    Raises:
      TypeError: it is anything else, such as a description, or abstract.
    """
    build = "build(input_shape, rngs=nnx.Rngs(0)), with the shape of one image"
    if isinstance(value, nnx.Module):
        leaves = jax.tree.leaves(nnx.state(value))
        if not any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves):
            return value
        raise TypeError(
            f"{name} must hold arrays, and this one is abstract, as nnx.eval_shape gives: it has "
            f"only their shapes. Build it, layer.{build}, or load saved arrays into it, "
            f"cnn.load(path, into={name}). Received: {type(value).__name__} without arrays"
        )
    if isinstance(value, type):
        hint = f"make an instance of the class, such as {value.__name__}(rngs=nnx.Rngs(0))"
    elif isinstance(value, str):
        hint = (
            f"build the network of this name, cnn.models.create({arguments.shown(value)}).{build}"
        )
    elif hasattr(value, "build"):
        hint = f"build the description, layer.{build}"
    else:
        hint = f"such as that of layer.{build}"
    raise TypeError(
        f"{name} must be an nnx.Module: {hint}. Received: {name}={arguments.shown(value)}"
    )


def call(
    module: nnx.Module, x: Any, *, train: bool | None = None, key: jax.Array | None = None
) -> Any:
    """Call ``module`` with those of ``train`` and ``key`` that its signature takes.

    ``train`` is passed under each of its usual names that the signature has: ``train``,
    ``training``, ``is_training``, and negated ``deterministic`` and ``use_running_average``.

    >>> call(nnx.Linear(4, 3, rngs=nnx.Rngs(0)), jnp.zeros((2, 4)), train=True).shape
    (2, 3)

    Args:
      module: Any module, of this library or not.
      x: The array to call it with, or a :class:`~jaxcnn.modules.masking.Masked` series.
      train: Whether the call is part of training; ``None`` leaves it to the mode of the module,
        see :func:`in_mode`.
      key: A PRNG key for random modules in training.
    """
    if isinstance(x, Masked) and not isinstance(module, Container):
        rule = getattr(module, "call_masked", None)
        if rule is None:
            raise no_rule(undo_remat(type(module)).__name__)
        takes_mode = "train" in inspect.signature(rule).parameters
        return rule(x, train=train, key=key) if takes_mode else rule(x)
    return module(x, **_accepted(type(module), train, key))


def in_mode(module: _M, *, train: bool) -> _M:
    """Return ``module`` in the mode of training or of inference, at any depth.

    It sets ``deterministic`` and ``use_running_average``, of the modules of Flax as of this
    library, which decide what a call without ``train`` computes; steps of training and of
    inference apply it to every model. The result shares its variables with ``module``, which is
    unchanged.

    >>> model = nnx.Sequential(nnx.Linear(4, 3, rngs=nnx.Rngs(0)), nnx.Dropout(0.5))
    >>> in_mode(model, train=False).layers[1].deterministic, model.layers[1].deterministic
    (True, False)

    Args:
      module: Any module.
      train: Whether the mode is that of training.
    """
    result: _M = nnx.view(module, raise_if_not_found=False, **_mode(train))
    return result


# What each usual name of the mode is set to in training.
MODES = {
    "train": True,
    "training": True,
    "is_training": True,
    "deterministic": False,
    "use_running_average": False,
}


def _mode(train: bool) -> dict[str, bool]:
    """Return the mode under each of its usual names."""
    return {name: train == value for name, value in MODES.items()}


def _accepted(module_class: type, train: bool | None, key: jax.Array | None) -> dict[str, Any]:
    options: dict[str, Any] = {"key": key}
    if train is not None:
        options |= _mode(train)
    return {name: options[name] for name in _call_options(module_class) if name in options}


@functools.cache
def _call_options(module_class: type) -> tuple[str, ...]:
    parameters = inspect.signature(module_class.__call__).parameters
    # nnx.Sequential accepts any keyword, but passes it to a first layer that may not accept it.
    any_keyword = module_class is not nnx.Sequential and any(
        p.kind is p.VAR_KEYWORD for p in parameters.values()
    )
    if any_keyword and "train" not in parameters:
        return "train", "key"
    return tuple(name for name in (*MODES, "key") if name in parameters)


def _child_key(key: jax.Array | None, index: int) -> jax.Array | None:
    return None if key is None else jax.random.fold_in(key, index)
