"""Optimizers by name, composed from Optax.

Each optimizer is a chain: the gradient's norm is clipped, a rule maps it to a direction, weight
decay is added, and the learning rate scales the step. Frozen parameters take no part in it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import optax
import optax.contrib

from jaxcnn import arguments
from jaxcnn.other_names import explained
from jaxcnn.training.optimizer_update import DescribedOptimizer
from jaxcnn.training.parameter_groups import match_patterns, scale_groups
from jaxcnn.training.schedules import allow_promotion, check_owner

OPTIMIZERS = ("sgd", "adam", "adamw", "lion", "muon")

_MOMENTUM = {"sgd": 0.9, "muon": 0.95}
_BETAS = {
    "adam": (0.9, 0.999),
    "adamw": (0.9, 0.999),
    "lion": (0.9, 0.99),
    "muon": (0.9, 0.999),
}
# About the root mean square of Adam's updates, to which Muon's are scaled (Liu et al., 2025).
_MUON_RMS = 0.2


@explained
def make_optimizer(
    name: str,
    *,
    learning_rate: float | optax.Schedule,
    weight_decay: float = 0.0,
    momentum: float | None = None,
    betas: tuple[float, float] | None = None,
    clip_norm: float | None = None,
    frozen: Sequence[str] = (),
    learning_rates: Mapping[str, float] | None = None,
    unfreeze: Mapping[str, int] | None = None,
) -> optax.GradientTransformation:
    """Return an optimizer by name.

    - ``"sgd"``: gradient descent with Nesterov's momentum, as ``torch.optim.SGD(nesterov=True)``.
    - ``"adam"`` (Kingma and Ba, 2015).
    - ``"adamw"`` (Loshchilov and Hutter, 2019): Adam and decoupled weight decay.
    - ``"lion"`` (Chen et al., 2023, arXiv 2302.06675): the sign of a momentum. Its steps are larger
      than AdamW's: the authors advise a 3 to 10 times smaller rate and as much more decay.
    - ``"muon"`` (Jordan, 2024): Nesterov's momentum of each kernel of a convolution, made nearly
      orthogonal as a matrix of one column per output channel. All other parameters, dense kernels
      included, use Adam, as Jordan advises for convolutional networks. Steps are scaled to a root
      mean square of 0.2 as Adam's have, so that rates and decays of AdamW fit (Liu et al., 2025,
      arXiv 2502.16982; ``adjust_lr_fn="match_rms_adamw"`` in PyTorch). The momentum is corrected
      for its start at zero, as Adam's is; Jordan's is not, and its first ten steps differ a little.

    Weight decay is decoupled, params ← params − learning_rate · weight_decay · params, but for
    ``"sgd"``, which adds weight_decay · params to the clipped gradient before the momentum, as
    PyTorch does. It applies to kernels, arrays of at least 2 axes: biases and the scales of
    normalizations, which have 1, do not decay (He et al., 2019, arXiv 1812.01187).

    >>> import jax.numpy as jnp
    >>> params = {"conv_1": {"kernel": jnp.ones((3, 3, 1, 4)), "bias": jnp.zeros(4)}}
    >>> optimizer = make_optimizer("sgd", learning_rate=0.1, momentum=0.0, frozen=["*.bias"])
    >>> updates, _ = optimizer.update(params, optimizer.init(params), params)
    >>> float(updates["conv_1"]["kernel"][0, 0, 0, 0]), float(updates["conv_1"]["bias"][0])
    (-0.10000000149011612, 0.0)

    Args:
      name: Name of the optimizer.
      learning_rate: A number above 0, or an Optax schedule such as :func:`make_schedule` makes.
      weight_decay: At least 0; ``"adam"`` has none.
      momentum: Of ``"sgd"`` (0.9 if it is ``None``) and ``"muon"`` (0.95), in [0, 1).
      betas: Decay per step of the averages of the gradient and of its square, in
        [0, 1): of the Adams, (0.9, 0.999) if it is ``None``, also where it serves ``"muon"``. Of
        ``"lion"``, (0.9, 0.99), how much of the momentum is in the direction, and stays in it.
      clip_norm: Largest global norm of the gradient, above 0; a longer gradient is scaled down to
        it. A gradient that is not finite becomes NaN, which the step's ``on_nan`` handles.
        ``None`` does not clip.
      frozen: Patterns, such as ``"stage_1.*"``, of the parameters that are not trained. ``*``
        matches anything in their names, which are those of the summary with dots and the
        parameter at the end: ``"residual_1.body.conv_1.kernel"``. They are left out of the
        gradient's norm and of the optimizer's state. A module of which every parameter is frozen
        computes in training what it does at inference: batch normalization uses its running
        statistics and keeps them, as with ``trainable = False`` in Keras, and nothing is dropped
        inside it. Dropout between modules of which one is trained is not inside a frozen one. The
        step knows it from this optimizer, not where it is part of an ``optax.chain``.
      learning_rates: Factors of the learning rate by patterns, such as ``{"stem.*": 0.1}``. Of
        several patterns that match a parameter the last counts.
      unfreeze: Steps by patterns, before which the parameters are not changed: layer after layer is
        unfrozen (Howard and Ruder, 2018, arXiv 1801.06146). The averages of the optimizer follow
        their gradients from the beginning, and normalizations compute as in training; freeze these
        by a pattern of `frozen` if they should not.

    Returns:
      An Optax transformation. Its ``init`` raises a ValueError where a pattern matches no
      parameter, nothing is left to train, or ``"muon"`` is given no kernel of a convolution.

    Raises:
      TypeError: an option has the wrong type.
      ValueError: there is no such optimizer, or an option is out of range or not one of its own.
    """
    arguments.check_known("optimizer", str(name), OPTIMIZERS)
    rate = _rate(learning_rate)
    decay = _decay(name, weight_decay)
    parts = []
    if clip_norm is not None:
        norm = arguments.check_number("clip_norm", clip_norm, above=0)
        parts.append(optax.clip_by_global_norm(norm))
    rule = _rule(name, _momentum(name, momentum), _betas(name, betas))
    parts += [decay, rule] if name == "sgd" else [rule, decay]
    optimizer = optax.chain(*parts, optax.scale_by_learning_rate(rate))
    groups = scale_groups(learning_rates or {}, unfreeze or {})
    return freeze_parameters(
        optimizer, frozen, learning_rate=rate, groups=groups if learning_rates or unfreeze else None
    )


def freeze_parameters(
    optimizer: optax.GradientTransformation,
    frozen: Sequence[str],
    *,
    learning_rate: float | optax.Schedule | None,
    groups: optax.GradientTransformation | None = None,
) -> DescribedOptimizer:
    """Return an optimizer that leaves parameters unchanged.

    Args:
      optimizer: Any transformation, of the other parameters.
      frozen: Patterns, as for :func:`make_optimizer`.
      learning_rate: That of `optimizer`, where it is known.
      groups: What scales the updates of groups of all parameters; ``None`` for none.
    """
    patterns = _patterns(frozen)
    if patterns:
        optimizer = optax.partition(
            {"trained": optimizer, "frozen": optax.set_to_zero()},
            lambda params: _labels(params, patterns),
        )
    if groups is not None:
        optimizer = optax.chain(optimizer, groups)
    made = DescribedOptimizer(optimizer.init, allow_promotion(optimizer.update))
    made.learning_rate, made.frozen = learning_rate, patterns
    return made


def _rule(name: str, momentum: float, betas: tuple[float, float]) -> optax.GradientTransformation:
    """Return the rule that maps a gradient to a direction."""
    if name == "sgd":
        return optax.trace(momentum, nesterov=True) if momentum else optax.identity()
    if name == "lion":
        return optax.scale_by_lion(*betas)
    adam = optax.scale_by_adam(*betas)
    if name != "muon":
        return adam
    muon = optax.contrib.scale_by_muon(
        beta=momentum, weight_dimension_numbers=lambda kernels: jax.tree.map(_matrix, kernels)
    )
    scale = optax.stateless(lambda updates, _: jax.tree.map(_to_muon_rms, updates))
    return optax.partition({"muon": optax.chain(muon, scale), "adam": adam}, _muon_labels)


def _muon_labels(params: Any) -> Any:
    labels = jax.tree.map(lambda array: "muon" if array.ndim > 2 else "adam", params)
    if "muon" not in jax.tree.leaves(labels):
        raise ValueError(
            "muon is for the kernels of convolutions, (*kernel_size, in_features, features); for a "
            "model without one use adamw. Received: parameters of at most 2 axes"
        )
    return labels


def _matrix(kernel: jax.Array) -> optax.contrib.MuonDimensionNumbers:
    """Return a kernel's axes as a matrix: those that an output channel sums over, by features."""
    return optax.contrib.MuonDimensionNumbers(
        reduction_axis=tuple(range(kernel.ndim - 1)), output_axis=kernel.ndim - 1
    )


def _to_muon_rms(update: jax.Array) -> jax.Array:
    """Return an orthogonal update, of 1/√(larger side) root mean square, scaled to 0.2."""
    *sizes, features = update.shape
    return _MUON_RMS * math.sqrt(max(math.prod(sizes), features)) * update


def _decay(name: str, weight_decay: float) -> optax.GradientTransformation:
    weight_decay = arguments.check_number("weight_decay", weight_decay, minimum=0)
    if not weight_decay:
        return optax.identity()
    if name == "adam":
        raise ValueError(
            "adam has no weight decay; adamw is Adam with it. "
            f"Received: weight_decay={arguments.shown(weight_decay)}"
        )
    return optax.add_decayed_weights(
        weight_decay, mask=lambda params: jax.tree.map(lambda array: array.ndim >= 2, params)
    )


def _rate(learning_rate: float | optax.Schedule) -> float | optax.Schedule:
    if callable(learning_rate):
        return learning_rate
    return arguments.check_number("learning_rate", learning_rate, above=0)


def _momentum(name: str, momentum: float | None) -> float:
    check_owner("momentum", momentum, name, _MOMENTUM)
    if momentum is None:
        return _MOMENTUM.get(name, 0.0)
    return _below_1("momentum", momentum)


def _betas(name: str, betas: tuple[float, float] | None) -> tuple[float, float]:
    check_owner("betas", betas, name, _BETAS)
    if betas is None:
        return _BETAS.get(name, (0.0, 0.0))
    if not arguments.is_sequence(betas) or len(betas) != 2:
        raise ValueError(
            f"betas must be a pair of numbers. Received: betas={arguments.shown(betas)}"
        )
    first, second = betas
    return _below_1("betas", first), _below_1("betas", second)


def _below_1(name: str, value: float) -> float:
    return arguments.check_number(name, value, minimum=0, below=1)


def _patterns(frozen: Sequence[str]) -> tuple[str, ...]:
    if not arguments.is_sequence(frozen) or not all(isinstance(pattern, str) for pattern in frozen):
        raise TypeError(
            'frozen must be a sequence of patterns, such as ("conv_1.*",). '
            f"Received: frozen={arguments.shown(frozen)}"
        )
    return tuple(frozen)


def _labels(params: Any, patterns: Sequence[str]) -> Any:
    """Return "frozen" or "trained" for each parameter; every pattern must match one."""
    matched = match_patterns(params, patterns, "frozen")
    if None not in matched:
        raise ValueError(
            "frozen must leave a parameter to train. "
            f"Received: frozen={arguments.shown(tuple(patterns))}"
        )
    labels = ["trained" if pattern is None else "frozen" for pattern in matched]
    return jax.tree.unflatten(jax.tree.structure(params), labels)
