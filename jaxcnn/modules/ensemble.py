"""Several networks of one description, computed together."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcnn import arguments
from jaxcnn.modules.combinators import Container, call
from jaxcnn.other_names import Explained


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["outputs"], meta_fields=["combine"]
)
@dataclass(frozen=True)
class Members:
    """The outputs of the members of an ensemble in training, each with a loss of its own.

    The training step takes the mean of the members' losses, so that each member is trained as it
    would be alone.

    Attributes:
      outputs: ``(members, batch, …)``.
      combine: The word for the combination of the outputs, as :class:`jaxcnn.ensemble` has it.
    """

    outputs: jax.Array
    combine: str

    def combined(self) -> jax.Array:
        """Return the outputs of the ensemble, ``(batch, …)``, as a network alone would give them.

        >>> both = Members(jnp.log(jnp.array([[[0.9, 0.1]], [[0.5, 0.5]]])), "softmax")
        >>> [f"{share:.2f}" for share in jax.nn.softmax(both.combined())[0]]
        ['0.70', '0.30']
        """
        return COMBINE[self.combine](self.outputs.astype(jnp.float32))


def _mean_softmax(outputs: jax.Array) -> jax.Array:
    log_shares = jax.nn.log_softmax(outputs)
    return jax.nn.logsumexp(log_shares, axis=0) - jnp.log(len(outputs))


def _mean_sigmoid(outputs: jax.Array) -> jax.Array:
    yes, no = (jax.nn.logsumexp(jax.nn.log_sigmoid(each), axis=0) for each in (outputs, -outputs))
    return yes - no


# From the outputs of the members to those logits, or numbers, that give the mean prediction.
COMBINE: dict[str, Callable[[jax.Array], jax.Array]] = {
    "softmax": _mean_softmax,
    "sigmoid": _mean_sigmoid,
    "mean": lambda outputs: outputs.mean(axis=0),
}


class Ensemble(Explained, Container):
    """Modules of one structure, called together by ``jax.vmap``; see :class:`jaxcnn.ensemble`.

    >>> from jaxcnn.modules import Dense
    >>> one, two = (Dense(4, 3, rngs=nnx.Rngs(seed)) for seed in (0, 1))
    >>> model = Ensemble(combine="softmax", member_1=one, member_2=two)
    >>> model(jnp.zeros((2, 4))).shape, model(jnp.zeros((2, 4)), train=True).outputs.shape
    ((2, 3), (2, 2, 3))
    """

    def __init__(self, *, combine: str, **members: nnx.Module) -> None:
        """Store the members.

        Args:
          combine: ``"softmax"``, ``"sigmoid"`` or ``"mean"``.
          **members: The modules by name.

        Raises:
          ValueError: ``combine`` is another word.
        """
        arguments.check_choice("combine", combine, COMBINE)
        self.combine = combine
        self.names = tuple(members)
        for name, member in members.items():
            setattr(self, name, member)

    def __call__(
        self, x: jax.Array, *, train: bool | None = None, key: jax.Array | None = None
    ) -> Any:
        """Return the combined outputs; if ``train``, those of all members as :class:`Members`."""
        members = [getattr(self, name) for name in self.names]
        structure = nnx.graphdef(members[0])
        keys = None if key is None else jax.random.split(key, len(members))

        def one(state: Any, key: jax.Array | None) -> tuple[jax.Array, Any]:
            module = nnx.merge(structure, state)
            outputs = call(module, x, train=train, key=key)
            return outputs, nnx.state(module)

        states = [nnx.state(member) for member in members]
        stacked = jax.tree.map(lambda *arrays: jnp.stack(arrays), *states)
        outputs, left = jax.vmap(one)(stacked, keys)
        if train:
            for index, member in enumerate(members):
                own = jax.tree.map(lambda array, index=index: array[index], left)
                nnx.update(member, nnx.filter_state(own, nnx.Not(nnx.Param)))
            return Members(outputs, self.combine)
        return Members(outputs, self.combine).combined()
