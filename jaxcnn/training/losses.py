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


def cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    *,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] | np.ndarray | None = None,
) -> jax.Array:
    """Return the softmax cross-entropy of each example: −log softmax(logits)[label].

    Where a row of labels holds the share of each class, as for mixed images, it is the mean over
    the classes: −Σ share · log softmax(logits). Where an example has a label at every position, as
    in segmentation, it is the mean over the positions; labels outside the classes are left out.

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
        that sum to 1 over the classes. PyTorch's ``ignore_index`` is any number outside
        the classes.
      label_smoothing: The part of the share that is spread, in [0, 1].
      class_weights: One number per class, at least 0; ``None`` means 1 for each.

    Returns:
      ``(batch,)`` losses, at least 0.

    Raises:
      TypeError: ``label_smoothing`` is not a number, or labels are of another dtype.
      ValueError: the labels do not fit the logits, or an option is out of its range.
    """
    logits, labels, counted = _logits_and_labels(logits, labels)
    smoothing = arguments.check_number("label_smoothing", label_smoothing, minimum=0, maximum=1)
    if not smoothing and class_weights is None and labels.ndim < logits.ndim:
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return _per_example(losses, counted)
    shares = _shares(labels, counted, logits)
    if class_weights is not None:
        shares = shares * _per_class("class_weights", class_weights, logits)
    if smoothing:
        spread = shares.mean(axis=-1, keepdims=True)
        shares = (1 - smoothing) * shares + smoothing * spread
    losses = -jnp.sum(shares * _needed(jax.nn.log_softmax(logits), shares), axis=-1)
    return _per_example(losses, counted)


def focal(
    logits: jax.Array,
    labels: jax.Array,
    *,
    gamma: float = 2.0,
    alpha: Sequence[float] | np.ndarray | None = None,
) -> jax.Array:
    """Return the focal loss of each example: −α (1 − p)^γ log p, where p = softmax(logits)[label].

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

    Returns:
      ``(batch,)`` losses, at least 0.

    Raises:
      TypeError: ``gamma`` is not a number, or labels are of another dtype.
      ValueError: the labels do not fit the logits, or an option is out of its range.
    """
    logits, labels, counted = _logits_and_labels(logits, labels)
    shares = _shares(labels, counted, logits)
    if alpha is not None:
        shares = shares * _per_class("alpha", alpha, logits)
    log_p = _needed(jax.nn.log_softmax(logits), shares)
    # Not quite 0, where a power below 1 would have an infinite gradient.
    others = jnp.maximum(-jnp.expm1(log_p), jnp.finfo(jnp.float32).tiny)
    losses = -(others ** arguments.check_number("gamma", gamma, minimum=0)) * log_p
    return _per_example(jnp.sum(shares * losses, axis=-1), counted)


def binary_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Return the sigmoid cross-entropy of each example, the mean over its classes.

    For several labels per example: each class has its own probability, σ(logit), and the
    loss of a class is −log σ(logit) if the example has it, else −log(1 − σ(logit)).

    >>> import jax.numpy as jnp
    >>> binary_cross_entropy(jnp.zeros((1, 3)), jnp.array([[1, 0, 1]]))
    Array([0.6931472], dtype=float32)

    Args:
      logits: ``(batch, classes)`` or ``(batch, *spatial, classes)``, floating point.
      labels: Of the logits' shape: 1 for each class that the example has, else 0, or a
        probability in between.

    Returns:
      ``(batch,)`` losses, at least 0.

    Raises:
      ValueError: the labels are not of the logits' shape.
    """
    logits, labels = _same_shape(logits=logits, labels=labels)
    log_p, log_not_p = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
    losses = labels * _needed(log_p, labels) + (1 - labels) * _needed(log_not_p, 1 - labels)
    return _per_example(-losses)


def dice(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Return 1 − the soft Dice coefficient of each example, the mean over its classes.

    D = 2 Σ p g / (Σ p² + Σ g²) over the positions, where p is the class's probability and g its
    share in the labels (Milletari et al., 2016), so that a small region counts as much as a large
    one. Of a class that an example has nowhere D is 0 whatever is predicted; it is left out of
    that example's mean, and positions wrongly predicted as it count against the classes that are
    present. Positions with a label outside the classes are left out of all sums.

    >>> import jax.numpy as jnp
    >>> logits = jnp.log(jnp.array([[[0.5, 0.5], [0.5, 0.5]]]))
    >>> loss = dice(logits, jnp.array([[0, 0]]))  # 1 − 2 (½ + ½) / (¼ + ¼ + 1 + 1)
    >>> round(float(loss[0]), 6)
    0.2

    Args:
      logits: ``(batch, *spatial, classes)``, floating point.
      labels: ``(batch, *spatial)`` class numbers, or shares of the logits' shape.

    Returns:
      ``(batch,)`` losses in [0, 1].

    Raises:
      TypeError: labels are of another dtype.
      ValueError: there is no spatial axis, or the labels do not fit the logits.
    """
    logits, labels, counted = _logits_and_labels(logits, labels)
    if logits.ndim < 3:
        raise ValueError(
            "logits must be (batch, *spatial, classes) with at least one spatial axis. "
            f"Received: shape {logits.shape}"
        )
    shares = _shares(labels, counted, logits)
    probabilities = jnp.where(counted[..., None], jax.nn.softmax(logits), 0)
    positions = tuple(range(1, logits.ndim - 1))
    overlap = 2 * jnp.sum(probabilities * shares, axis=positions)
    present = jnp.any(shares > 0, axis=positions)
    total = jnp.sum(probabilities**2 + shares**2, axis=positions)
    losses = jnp.where(present, 1 - overlap / jnp.where(present, total, 1), 0)
    return losses.sum(axis=-1) / jnp.maximum(jnp.sum(present, axis=-1, dtype=jnp.float32), 1)


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
    predictions, targets = _same_shape(predictions=predictions, targets=targets)
    return _per_example(jnp.square(predictions - targets))


def huber(predictions: jax.Array, targets: jax.Array, *, delta: float = 1.0) -> jax.Array:
    """Return the mean Huber loss of each example, over all its numbers.

    Half the squared error up to ``delta``, and beyond it a straight line, δ (|error| − δ/2), so
    that outliers pull less (Huber, 1964).

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
    predictions, targets = _same_shape(predictions=predictions, targets=targets)
    delta = arguments.check_number("delta", delta, above=0)
    return _per_example(optax.huber_loss(predictions, targets, delta=delta))


def _logits_and_labels(
    logits: jax.Array, labels: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return the logits, class numbers or shares that fit them, and which positions count.

    Floating-point arrays are returned as float32, and class numbers that do not count as 0.
    """
    if logits.ndim < 2 or labels.shape not in (logits.shape, logits.shape[:-1]):
        raise ValueError(
            "labels must have the shape of the logits, (batch, *spatial, classes), or the same "
            f"without the classes. Received: labels {labels.shape} for logits {logits.shape}"
        )
    logits = logits.astype(jnp.float32)
    if labels.ndim == logits.ndim:
        if labels.dtype == jnp.bool_:
            raise TypeError(
                "labels must be whole class numbers or shares of the classes; for several classes "
                "per example use binary_cross_entropy. Received: dtype bool"
            )
        if logits.shape[-1] == 1:
            raise ValueError(
                "shares need at least 2 classes; for numbers to predict use squared_error or "
                f"huber, for a yes or no binary_cross_entropy. Received: logits {logits.shape}"
            )
        return logits, labels.astype(jnp.float32), jnp.ones(logits.shape[:-1], bool)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"labels must be whole class numbers. Received: dtype {labels.dtype}")
    labels = labels.astype(jnp.int32)
    counted = (labels >= 0) & (labels < logits.shape[-1])
    return logits, jnp.where(counted, labels, 0), counted


def _same_shape(**arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Return both arrays as float32. Their shapes must be equal: broadcasting hides mistakes."""
    (name, first), (other_name, second) = arrays.items()
    if first.shape != second.shape:
        raise ValueError(
            f"{name} and {other_name} must have the same shape. "
            f"Received: {name} {first.shape}, {other_name} {second.shape}"
        )
    return first.astype(jnp.float32), second.astype(jnp.float32)


def _per_class(name: str, values: Sequence[float] | np.ndarray, logits: jax.Array) -> jax.Array:
    """Return one number per class, of the logits' rank."""
    classes = logits.shape[-1]
    try:
        numbers = np.asarray(values, np.float32)
    except (TypeError, ValueError):
        numbers = np.full((), np.nan, np.float32)  # refused below, by its name
    if numbers.shape != (classes,) or not (np.isfinite(numbers) & (numbers >= 0)).all():
        raise ValueError(
            f"{name} must be one number per class ({classes} here), each at least 0 and finite. "
            f"Received: {name}={arguments.shown(values)}"
        )
    return jnp.asarray(numbers.reshape((1,) * (logits.ndim - 1) + (classes,)))


def _shares(labels: jax.Array, counted: jax.Array, logits: jax.Array) -> jax.Array:
    """Return the share of each class, of the logits' shape; 0 at positions that do not count."""
    if labels.ndim == logits.ndim:
        return labels
    return jnp.where(counted[..., None], jax.nn.one_hot(labels, logits.shape[-1]), 0)


def _needed(log_p: jax.Array, shares: jax.Array) -> jax.Array:
    """Return log-probabilities, 0 in place of −∞ where the share is 0.

    The limit of p·log q for p = 0 is 0, also at q = 0; 0·(−∞) would be NaN.
    """
    return jnp.where((shares == 0) & jnp.isneginf(log_p), 0, log_p)


def _per_example(losses: jax.Array, counted: jax.Array | None = None) -> jax.Array:
    """Return the mean over the positions that count, or 0 if none does."""
    positions = tuple(range(1, losses.ndim))
    if counted is None:
        return losses.mean(axis=positions)
    total = jnp.sum(jnp.where(counted, losses, 0), axis=positions)
    return total / jnp.maximum(jnp.sum(counted, axis=positions, dtype=jnp.float32), 1)
