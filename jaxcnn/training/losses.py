"""Loss functions: one loss per example.

A loss maps the model's outputs and the labels to ``(batch,)`` float32 values;
the step takes their mean over the real rows. Options are set beforehand:
``fit(..., loss=functools.partial(cross_entropy, label_smoothing=0.1))``.

Class numbers outside the classes, such as 255 for void pixels, are left out: a loss is the mean
over the positions that count, and 0 where none does.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxcnn import arguments
from jaxcnn.training.loss_arrays import (
    check_labels,
    check_same_shape,
    logit_of,
    needed,
    per_class,
    per_example,
    shares_of,
)


def cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    *,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] | np.ndarray | None = None,
    from_logits: bool = True,
    ignore_index: int | None = None,
) -> jax.Array:
    """Return the softmax cross-entropy of each example: :math:`−log(softmax(logits)[label])`.

    Where a row of labels holds the share of each class, as for mixed images, it is the mean over
    the classes: :math:`−Σ share·log(softmax(logits))`. Where an example has a label at every
    position, as in segmentation, it is the mean over the positions; labels outside the classes are
    left out.

    Smoothing takes a part of the label's share and spreads it evenly over all classes (Szegedy et
    al., 2016), as in PyTorch and Optax. A class weight multiplies the loss of the examples of that
    class, as Keras' ``class_weight`` does; with shares it is the mean over the classes of their
    weighted losses. The step divides by the number of examples. PyTorch's ``reduction="mean"``
    divides by the sum of their weights, and with smoothing it weighs each class's part of the
    spread by that class's weight.

    >>> import jax.numpy as jnp
    >>> cross_entropy(jnp.zeros((1, 4)), jnp.array([2]))  # a guess among 4: log 4
    Array([1.3862944], dtype=float32)
    >>> cross_entropy(jnp.zeros((1, 4)), jnp.array([[0.3, 0.7, 0.0, 0.0]]))
    Array([1.3862944], dtype=float32)
    >>> cross_entropy(jnp.zeros((1, 4)), jnp.array([2]), class_weights=(1, 1, 3, 1))
    Array([4.158883], dtype=float32)

    Args:
      logits: ``(batch, classes)`` or ``(batch, *spatial, classes)``, floating point.
      labels: Class numbers ``(batch,)`` or ``(batch, *spatial)``, or shares of the logits' shape
        that sum to 1 over the classes.
      label_smoothing: The part of the share that is spread, in [0, 1].
      class_weights: One number per class, at least 0; ``None`` means 1 for each.
      from_logits: Whether `logits` are logits. ``False`` means probabilities, as of a network that
        ends in a softmax: ``functools.partial(cross_entropy, from_logits=False)`` is Keras's
        ``"categorical_crossentropy"``. They are divided by their sum. Logits are more exact.
      ignore_index: A class number whose labels are left out, besides those outside the classes;
        PyTorch's default is -100, which is outside. PyTorch's ``reduction="mean"`` divides by the
        number of labels that count, the step by the number of examples.

    Returns:
      ``(batch,)`` losses, at least 0.

    Raises:
      TypeError: ``label_smoothing`` is not a number, or labels are of another dtype.
      ValueError: the labels do not fit the logits, or an option is out of its range.
    """
    logits, labels, counted = check_labels(
        logits, labels, from_logits=from_logits, ignore_index=ignore_index
    )
    smoothing = arguments.check_number("label_smoothing", label_smoothing, minimum=0, maximum=1)
    if not smoothing and class_weights is None and labels.ndim < logits.ndim:
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return per_example(losses, counted)
    shares = shares_of(labels, counted, logits)
    if class_weights is not None:
        shares = shares * per_class("class_weights", class_weights, logits)
    if smoothing:
        spread = shares.mean(axis=-1, keepdims=True)
        shares = (1 - smoothing) * shares + smoothing * spread
    losses = -jnp.sum(shares * needed(jax.nn.log_softmax(logits), shares), axis=-1)
    return per_example(losses, counted)


def focal(
    logits: jax.Array,
    labels: jax.Array,
    *,
    gamma: float = 2.0,
    alpha: Sequence[float] | np.ndarray | None = None,
    from_logits: bool = True,
    ignore_index: int | None = None,
) -> jax.Array:
    """Return the focal loss of each example: :math:`−α·(1 − p)^γ·log(p)`.

    p is the predicted probability of the label, :math:`softmax(logits)[label]`.

    Examples that are already predicted well count little, so that rare and hard ones are learned
    (Lin et al., 2017). With shares, or with a label at every position, it is the mean as in
    :func:`cross_entropy`, and labels outside the classes are left out.

    >>> import jax.numpy as jnp
    >>> loss = focal(jnp.zeros((1, 2)), jnp.array([1]))  # (1 − ½)² log 2
    >>> round(float(loss[0]), 6)
    0.173287

    Args:
      logits: ``(batch, classes)`` or ``(batch, *spatial, classes)``, floating point.
      labels: Class numbers or shares, as for :func:`cross_entropy`.
      gamma: Strength by which easy examples are down-weighted, at least 0; 0 is the cross-entropy.
      alpha: A factor per class, at least 0; for two classes and the paper's α it is
        ``(1 − α, α)``. ``None`` means 1.
      from_logits: As for :func:`cross_entropy`.
      ignore_index: As for :func:`cross_entropy`.

    Returns:
      ``(batch,)`` losses, at least 0.

    Raises:
      TypeError: ``gamma`` is not a number, or labels are of another dtype.
      ValueError: the labels do not fit the logits, or an option is out of its range.
    """
    logits, labels, counted = check_labels(
        logits, labels, from_logits=from_logits, ignore_index=ignore_index
    )
    shares = shares_of(labels, counted, logits)
    if alpha is not None:
        shares = shares * per_class("alpha", alpha, logits)
    log_p = needed(jax.nn.log_softmax(logits), shares)
    # Not quite 0, where a power below 1 would have an infinite gradient.
    others = jnp.maximum(-jnp.expm1(log_p), jnp.finfo(jnp.float32).tiny)
    losses = -(others ** arguments.check_number("gamma", gamma, minimum=0)) * log_p
    return per_example(jnp.sum(shares * losses, axis=-1), counted)


def binary_cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    *,
    from_logits: bool = True,
    pos_weight: float | Sequence[float] | np.ndarray | None = None,
) -> jax.Array:
    """Return the sigmoid cross-entropy of each example, the mean over its classes.

    For several labels per example: each class has its own probability, :math:`σ(logit)`, and the
    loss of a class is :math:`−log(σ(logit))` if the example has it, else
    :math:`−log(1 − σ(logit))`.

    >>> import jax.numpy as jnp
    >>> binary_cross_entropy(jnp.zeros((1, 3)), jnp.array([[1, 0, 1]]))
    Array([0.6931472], dtype=float32)

    Args:
      logits: ``(batch, classes)`` or ``(batch, *spatial, classes)``, floating point.
      labels: Of the logits' shape: 1 for each class that the example has, else 0, or a
        probability in between.
      from_logits: Whether `logits` are logits; ``False`` means probabilities, as of a network that
        ends in a sigmoid (Keras's ``"binary_crossentropy"``).
      pos_weight: A factor of the first part, −log σ(logit), one number or one per class, at least
        0, as in PyTorch's ``BCEWithLogitsLoss``; above 1 it raises the recall. ``None`` means 1.

    Returns:
      ``(batch,)`` losses, at least 0.

    Raises:
      TypeError: an option has the wrong type.
      ValueError: the labels are not of the logits' shape, or ``pos_weight`` is out of its range.
    """
    logits, labels = check_same_shape(logits=logits, labels=labels)
    if not arguments.check_flag("from_logits", from_logits):
        logits = logit_of(logits)
    log_p, log_not_p = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
    positive = labels
    if pos_weight is not None:
        if not (arguments.is_sequence(pos_weight) or np.ndim(pos_weight)):
            one = arguments.check_number("pos_weight", pos_weight, minimum=0)
            pos_weight = np.full(logits.shape[-1], one, np.float32)
        positive = per_class("pos_weight", np.asarray(pos_weight), logits) * labels
    losses = positive * needed(log_p, positive) + (1 - labels) * needed(log_not_p, 1 - labels)
    return per_example(-losses)


def dice(
    logits: jax.Array,
    labels: jax.Array,
    *,
    squared: bool = True,
    from_logits: bool = True,
    ignore_index: int | None = None,
) -> jax.Array:
    """Return 1 − the soft Dice coefficient of each example, the mean over its classes.

    :math:`D = 2·Σ p·g/(Σ p² + Σ g²)` over the positions, where p is the class's probability and g
    its share in the labels (Milletari et al., 2016), so that a small region counts as much as a
    large one. With ``squared=False`` the sums of p and g are not squared, as MONAI, nnU-Net and
    segmentation_models.pytorch define it by default. Of a class that an example has nowhere D is 0
    whatever is predicted; it is left out of that example's mean, and positions wrongly predicted as
    it count against the classes that are present. Positions with a label outside the classes are
    left out of all sums.

    >>> import jax.numpy as jnp
    >>> logits = jnp.log(jnp.array([[[0.5, 0.5], [0.5, 0.5]]]))
    >>> loss = dice(logits, jnp.array([[0, 0]]))  # 1 − 2 (½ + ½) / (¼ + ¼ + 1 + 1)
    >>> round(float(loss[0]), 6)
    0.2

    Args:
      logits: ``(batch, *spatial, classes)``, floating point.
      labels: ``(batch, *spatial)`` class numbers, or shares of the logits' shape.
      squared: Whether the sums in the denominator are of squares.
      from_logits: As for :func:`cross_entropy`.
      ignore_index: As for :func:`cross_entropy`.

    Returns:
      ``(batch,)`` losses in [0, 1].

    Raises:
      TypeError: labels are of another dtype.
      ValueError: there is no spatial axis, or the labels do not fit the logits.
    """
    logits, labels, counted = check_labels(
        logits, labels, from_logits=from_logits, ignore_index=ignore_index
    )
    if logits.ndim < 3:
        raise ValueError(
            "logits must be (batch, *spatial, classes) with at least one spatial axis. "
            f"Received: shape {logits.shape}"
        )
    shares = shares_of(labels, counted, logits)
    probabilities = jnp.where(counted[..., None], jax.nn.softmax(logits), 0)
    positions = tuple(range(1, logits.ndim - 1))
    overlap = 2 * jnp.sum(probabilities * shares, axis=positions)
    present = jnp.any(shares > 0, axis=positions)
    power = 2 if arguments.check_flag("squared", squared) else 1
    total = jnp.sum(probabilities**power + shares**power, axis=positions)
    losses = jnp.where(present, 1 - overlap / jnp.where(present, total, 1), 0)
    return losses.sum(axis=-1) / jnp.maximum(jnp.sum(present, axis=-1, dtype=jnp.float32), 1)


def cross_entropy_dice(
    logits: jax.Array,
    labels: jax.Array,
    *,
    class_weights: Sequence[float] | np.ndarray | None = None,
    from_logits: bool = True,
    ignore_index: int | None = None,
) -> jax.Array:
    """Return the sum of :func:`cross_entropy` and :func:`dice` with ``squared=False``.

    The loss of nnU-Net (Isensee et al., 2021): cross-entropy judges each position, and Dice each
    region, so that rare classes are learned.

    >>> import jax.numpy as jnp
    >>> round(float(cross_entropy_dice(jnp.zeros((1, 4, 2)), jnp.array([[0, 0, 1, 1]]))[0]), 6)
    1.193147

    Args:
      logits: ``(batch, *spatial, classes)``, floating point.
      labels: ``(batch, *spatial)`` class numbers, or shares of the logits' shape.
      class_weights: As for :func:`cross_entropy`; Dice is not weighted.
      from_logits: As for :func:`cross_entropy`.
      ignore_index: As for :func:`cross_entropy`.

    Returns:
      ``(batch,)`` losses.

    Raises:
      TypeError: labels are of another dtype.
      ValueError: there is no spatial axis, or the labels do not fit the logits.
    """
    regions = dice(
        logits, labels, squared=False, from_logits=from_logits, ignore_index=ignore_index
    )
    return regions + cross_entropy(
        logits,
        labels,
        class_weights=class_weights,
        from_logits=from_logits,
        ignore_index=ignore_index,
    )


def squared_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Return the mean squared error of each example, over all its numbers.

    >>> import jax.numpy as jnp
    >>> squared_error(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 5.0]]))
    Array([4.5], dtype=float32)

    Args:
      predictions: ``(batch, …)``, floating point.
      targets: Of the same shape.

    Returns:
      ``(batch,)`` losses, at least 0.

    Raises:
      ValueError: the shapes differ.
    """
    predictions, targets = check_same_shape(predictions=predictions, targets=targets)
    return per_example(jnp.square(predictions - targets))


def huber(predictions: jax.Array, targets: jax.Array, *, delta: float = 1.0) -> jax.Array:
    """Return the mean Huber loss of each example, over all its numbers.

    Half the squared error up to ``delta``, and beyond it a straight line,
    :math:`δ·(|error| − δ/2)`, so that outliers pull less (Huber, 1964).

    >>> import jax.numpy as jnp
    >>> huber(jnp.array([[0.5], [3.0]]), jnp.zeros((2, 1)))
    Array([0.125, 2.5  ], dtype=float32)

    Args:
      predictions: ``(batch, …)``, floating point.
      targets: Of the same shape.
      delta: Where the line begins, above 0, in the unit of the targets.

    Returns:
      ``(batch,)`` losses, at least 0.

    Raises:
      TypeError: ``delta`` is not a number.
      ValueError: the shapes differ, or ``delta`` is not above 0.
    """
    predictions, targets = check_same_shape(predictions=predictions, targets=targets)
    delta = arguments.check_number("delta", delta, above=0)
    return per_example(optax.huber_loss(predictions, targets, delta=delta))
