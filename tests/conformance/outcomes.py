"""The count of a suite's cases: those that hold, and those that we cannot express, by reason."""

from collections import Counter
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcnn.training import cross_entropy


class NotExpressible(Exception):
    """A case asks for what no call of ours gives; the message says for what."""


class Row(NamedTuple):
    """The cases of one operation."""

    name: str
    passed: int
    left_out: Counter[str]

    def __str__(self):
        reasons = "; ".join(f"{count} {reason}" for reason, count in self.left_out.items())
        total = self.passed + self.left_out.total()
        return f"{self.name:36} {total:5} {self.passed:6}  {reasons}".rstrip()


class Table:
    """The rows of one suite."""

    def __init__(self, title):
        self.title = title
        self.rows = []

    def __str__(self):
        total = Row("total", sum(row.passed for row in self.rows), Counter())
        for row in self.rows:
            total.left_out["cases that we cannot express"] += row.left_out.total()
        head = f"{'operation':36} {'cases':>5} {'passed':>6}  not expressible"
        return "\n".join([self.title, head, *map(str, self.rows), str(total)])

    def count(self, name, cases, expected, run):
        """Run every case, count the outcomes, and hold the cases left out to `expected`."""
        passed, left_out = 0, Counter()
        for case in cases:
            try:
                run(case)
            except NotExpressible as reason:
                left_out[str(reason)] += 1
            else:
                passed += 1
        self.rows.append(Row(name, passed, left_out))
        assert dict(left_out) == expected
        assert passed or left_out


def last(x):
    """Channels last."""
    return jnp.moveaxis(jnp.asarray(x), 1, -1)


def first(x):
    """Channels first."""
    return jnp.moveaxis(x, -1, 1)


def kernel_of(weights):
    """``(out, in // groups, *size)`` as ``(*size, in // groups, out)``."""
    return jnp.moveaxis(jnp.asarray(weights), (0, 1), (-1, -2))


def transposed_kernel_of(weights, groups):
    """``(in, out // groups, *size)`` as ``(*size, in // groups, out)``."""
    weights = jnp.asarray(weights)
    size = weights.shape[2:]
    grouped = weights.reshape(groups, -1, weights.shape[1], *size)  # groups, in, out
    moved = jnp.moveaxis(grouped, (0, 1, 2), (-2, -3, -1))
    return moved.reshape(*size, weights.shape[0] // groups, -1)


def class_losses(x, labels, reduction, *, weights=None, ignore_index=None, label_smoothing=0.0):
    """The peers' cross-entropy, classes second, from ours, which is one mean for each example.

    A mean over the positions that count, times their number, is a sum. Where the loss of each
    position is asked for, each is an example of its own.
    """
    x = last(x)
    shares = labels.ndim == x.ndim
    labels = last(labels) if shares else jnp.asarray(labels)
    options = {"class_weights": weights, "label_smoothing": label_smoothing}
    if not shares:
        options["ignore_index"] = ignore_index
    if reduction == "none":
        flat = labels.reshape(-1, *labels.shape[x.ndim - 1 :])
        losses = cross_entropy(x.reshape(-1, x.shape[-1]), flat, **options)
        return losses.reshape(x.shape[:-1])
    counted = jnp.ones(x.shape[:-1])
    if not shares and ignore_index is not None:
        counted = (labels != ignore_index).astype(jnp.float32)
    numbers = counted.sum(axis=range(1, x.ndim - 1))
    total = jnp.sum(cross_entropy(x, labels, **options) * numbers)
    if reduction == "sum":
        return total
    if not shares and weights is not None:
        # Any class for the labels that do not count: they are multiplied by 0.
        counted = counted * jnp.asarray(weights).at[labels].get(mode="clip")
    return total / counted.sum()


def check_log_probabilities(x):
    """Logits that are log-probabilities are their own log_softmax; others are not."""
    classes = min(1, np.ndim(x) - 1)
    if not np.allclose(np.exp(np.asarray(x, np.float64)).sum(classes), 1, atol=1e-5):
        raise NotExpressible("log-probabilities whose probabilities do not sum to 1")


def assert_close(ours, theirs, rtol, atol, message):
    """Compare shapes, and values with a tolerance relative to the largest."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape, message
    if ours.size:
        finite = np.abs(theirs[np.isfinite(theirs)])
        atol = max(atol, rtol * float(finite.max(initial=0)))
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol, err_msg=message)


def as_32_bits(x):
    """Return an array as JAX computes with it: int64 as int32."""
    x = np.asarray(x)
    return x.astype(jax.dtypes.canonicalize_dtype(x.dtype)) if x.dtype.kind in "iuf" else x
