"""Functions as modules, modules made of modules, and how one is called."""

import functools
import inspect
import itertools
import operator
from collections.abc import Callable, Hashable, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcnn import arguments, ops


class Function(nnx.Module):
    """A pure function of an array with fixed options, such as a pool or an activation.

    >>> Function(ops.max_pool, window=2)(jnp.zeros((1, 4, 4, 1))).shape
    (1, 2, 2, 1)
    """

    def __init__(self, function: Callable[..., jax.Array], **options: Hashable) -> None:
        """Stores the function and its options."""
        self.function = function
        self.options = tuple(options.items())

    def __call__(
        self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Returns ``function(x, **options)``."""
        return self.function(x, **dict(self.options))


class Serial(nnx.Module):
    """Modules called one after the other, each an attribute under its name.

    >>> from jaxcnn.modules import Dense, Dropout
    >>> model = Serial(first=Dense(4, 3, rngs=nnx.Rngs(0)), drop=Dropout(0.5))
    >>> model.first.kernel.shape, model(jnp.zeros((2, 4))).shape
    ((4, 3), (2, 3))
    """

    def __init__(self, **children: nnx.Module) -> None:
        """Stores the modules in the order given."""
        self.names = tuple(children)
        for name, child in children.items():
            setattr(self, name, child)

    def __call__(
        self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Calls each module on the result of the one before; each gets a key of its own."""
        children = [(index, getattr(self, name)) for index, name in enumerate(self.names)]
        for index, child in _pools_first(children):
            x = call(child, x, train=train, key=_child_key(key, index))
        return x


def _pools_first(children: list[tuple[int, nnx.Module]]) -> list[tuple[int, nnx.Module]]:
    """Returns the children with each max pool before the ReLU that it follows.

    Both orders give the same values and gradients, bit for bit: ReLU keeps the order of numbers,
    and what it makes equal, zeros, has no gradient. A pool of 2×2 leaves it a quarter of the work.
    A dilated pool stays: a window of it may see nothing but padding, −∞, which ReLU would change.
    """
    swapped = list(children)
    for at, ((_, first), (_, second)) in enumerate(itertools.pairwise(children)):
        functions = [child.function for child in (first, second) if isinstance(child, Function)]
        if functions == [jax.nn.relu, ops.max_pool] and not _dilated(cast(Function, second)):
            swapped[at : at + 2] = swapped[at + 1], swapped[at]
    return swapped


def _dilated(pool: Function) -> bool:
    dilation: Any = dict(pool.options).get("dilation", 1)
    return (max(dilation) if isinstance(dilation, Sequence) else dilation) != 1


class Residual(nnx.Module):
    """The sum of a body and a shortcut past it: y = body(x) + shortcut(x) (He et al., 2016).

    >>> from jaxcnn.modules import Dense, zeros
    >>> model = Residual(Dense(4, 4, kernel_init=zeros, rngs=nnx.Rngs(0)))
    >>> model(jnp.ones((1, 4)))
    Array([[1., 1., 1., 1.]], dtype=float32)
    """

    def __init__(self, body: nnx.Module, shortcut: nnx.Module | None = None) -> None:
        """Stores both; without a shortcut the input itself is added."""
        self.body = body
        self.shortcut = shortcut

    def __call__(
        self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Returns ``body(x) + shortcut(x)``."""
        y = call(self.body, x, train=train, key=_child_key(key, 0))
        if self.shortcut is None:
            return y + x
        return y + call(self.shortcut, x, train=train, key=_child_key(key, 1))


class Parallel(nnx.Module):
    """Modules that read the same input side by side, each an attribute under its name.

    >>> model = Parallel(a=Function(jax.nn.relu), b=Function(jnp.negative), combine="concat")
    >>> model(jnp.array([[1., -2.]]))
    Array([[ 1.,  0., -1.,  2.]], dtype=float32)
    """

    def __init__(self, *, combine: str, **branches: nnx.Module) -> None:
        """Stores the branches, and how their outputs are combined.

        Args:
          combine: ``"concat"`` (along the channels), ``"add"`` or ``"multiply"``.
          **branches: The modules by name.

        Raises:
          ValueError: ``combine`` is another word.
        """
        arguments.check_known("combine", combine, _COMBINE)
        self.combine = combine
        self.names = tuple(branches)
        for name, branch in branches.items():
            setattr(self, name, branch)

    def __call__(
        self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Calls each branch on ``x`` with a key of its own, and combines what they return."""
        outputs = [
            call(getattr(self, name), x, train=train, key=_child_key(key, index))
            for index, name in enumerate(self.names)
        ]
        return _COMBINE[self.combine](outputs)


def remat(module: nnx.Module) -> nnx.Module:
    """Returns ``module`` with activations that are computed again in the backward pass.

    Between the passes only its input is kept: less memory for one more forward pass of it (Chen
    et al., 2016, arXiv 1604.06174). Values, gradients, statistics and what dropout drops are the
    same, and so are the names of parameters: the result is of a subclass of the module's class and
    shares its variables.

    jax 0.10 on CPU keeps the activations nevertheless, except in the training step, which tells
    the compiler not to (:mod:`jaxcnn.runtime`).

    >>> from jaxcnn.modules import Dense
    >>> block = remat(Serial(inner=Dense(4, 3, rngs=nnx.Rngs(0))))
    >>> block.inner.kernel.shape, block(jnp.zeros((2, 4))).shape
    ((4, 3), (2, 3))

    Args:
      module: Any module called as ``module(x)`` or ``module(x, *, train, key)``.
    """
    kind = _remat_kind(type(module))
    recomputed = object.__new__(kind)
    vars(recomputed).update(vars(module))
    return recomputed


@functools.cache  # so that two builds of one layer compare equal
def _remat_kind(kind: type[nnx.Module]) -> type[nnx.Module]:
    class Remat(kind):  # type: ignore[misc,valid-type]  # known at run time alone
        def __call__(
            self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
        ) -> jax.Array:
            def run(module: nnx.Module, x: jax.Array, key: jax.Array | None) -> jax.Array:
                return kind.__call__(module, x, **_accepted(kind, train, key))

            return nnx.remat(run)(self, x, key)

    return Remat


_COMBINE: dict[str, Callable[[list[jax.Array]], jax.Array]] = {
    "concat": functools.partial(jnp.concatenate, axis=-1),
    "add": functools.partial(functools.reduce, operator.add),
    "multiply": functools.partial(functools.reduce, operator.mul),
}


def call(
    module: nnx.Module, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
) -> jax.Array:
    """Calls ``module`` with those of ``train`` and ``key`` that its signature takes.

    >>> call(nnx.Linear(4, 3, rngs=nnx.Rngs(0)), jnp.zeros((2, 4)), train=True).shape
    (2, 3)

    Args:
      module: Any module, this library's or not.
      x: What it is called with.
      train: Whether it is being trained.
      key: A PRNG key for what is random in training.
    """
    return module(x, **_accepted(type(module), train, key))


def _accepted(kind: type, train: bool, key: jax.Array | None) -> dict[str, Any]:
    options = {"train": train, "key": key}
    return {name: options[name] for name in _call_options(kind)}


@functools.cache
def _call_options(kind: type) -> tuple[str, ...]:
    parameters = inspect.signature(kind.__call__).parameters
    # nnx.Sequential takes any keyword, but hands it to a first layer that may know nothing of it.
    any_keyword = kind is not nnx.Sequential and any(
        p.kind is p.VAR_KEYWORD for p in parameters.values()
    )
    return tuple(name for name in ("train", "key") if any_keyword or name in parameters)


def _child_key(key: jax.Array | None, index: int) -> jax.Array | None:
    return None if key is None else jax.random.fold_in(key, index)
