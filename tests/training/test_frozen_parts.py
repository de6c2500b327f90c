"""Frozen parts compute in training what they do at inference, and keep their statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.training import make_optimizer

pytestmark = pytest.mark.implicit_promotion


class Stock(nnx.Module):
    """Flax's modules, of which the first three are a part of their own."""

    def __init__(self, rngs):
        self.base = Base(rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.head = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(self.norm(self.base(x)).mean(axis=(1, 2)))


class Base(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(1, 4, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(4, momentum=0.5, rngs=rngs)
        self.plain_norm = nnx.BatchNorm(4, use_scale=False, use_bias=False, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.drop(jax.nn.relu(self.plain_norm(self.norm(self.conv(x)))))


class Called(Base):
    """Modes that are arguments, as this library and others pass them."""

    def __call__(self, x, train=False):
        x = self.norm(self.conv(x), use_running_average=not train)
        x = self.plain_norm(x, not train)
        return self.drop(jax.nn.relu(x), deterministic=not train)


class StockCalled(Stock):
    def __init__(self, rngs):
        super().__init__(rngs)
        self.base = Called(rngs)

    def __call__(self, x, *, train):
        x = self.norm(self.base(x, train), use_running_average=not train)
        return self.head(x.mean(axis=(1, 2)))


def ours(rngs):
    base = cnn.serial(
        cnn.conv(4, 3, padding="SAME"),
        cnn.batch_norm(momentum=0.5),
        cnn.batch_norm(use_scale=False, use_bias=False),
        jax.nn.relu,
        cnn.dropout(0.5),
    )
    head = (cnn.batch_norm(), cnn.global_avg_pool(), cnn.dense(3))
    return cnn.serial(base=base, **dict(zip(("norm", "pool", "head"), head, strict=True))).build(
        (6, 6, 1), rngs=rngs
    )


IMAGES = np.random.default_rng(0).standard_normal((8, 6, 6, 1)).astype(np.float32) + 3
BATCH = cnn.data.Batch(jnp.asarray(IMAGES), jnp.arange(8) % 3, jnp.ones(8, bool))


@pytest.mark.parametrize("make", [ours, Stock, StockCalled])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_on_a_frozen_base_is_training_on_its_answers(make, precision):
    model = make(nnx.Rngs(0))
    base = nnx.clone(model.base)
    base.eval()
    optimizer = make_optimizer("sgd", learning_rate=0.5, frozen=["base.*"])
    init, step = cnn.make_training(model, optimizer, precision=precision)
    state, _ = step(init(jax.random.key(0)), BATCH)
    trained = state.to_model(model)
    kept, given = (
        jax.tree.leaves(nnx.state(m, nnx.Not(nnx.RngState))) for m in (trained.base, base)
    )
    for array, expected in zip(kept, given, strict=True):
        np.testing.assert_array_equal(array, expected)
    assert (trained.norm.mean[...] != model.norm.mean[...]).all()

    if precision == "float32":
        loss = loss_of_head(model, base(jnp.asarray(IMAGES)))
        grads = jax.grad(loss)({"kernel": model.head.kernel[...], "bias": model.head.bias[...]})
        momentum_step = 0.5 * 1.9  # Nesterov's first step of momentum 0.9
        for name, grad in grads.items():
            expected = getattr(model.head, name)[...] - momentum_step * grad
            np.testing.assert_allclose(getattr(trained.head, name)[...], expected, rtol=1e-4)


def loss_of_head(model, features):
    """Return the loss of the head on features, normalized over the batch, in plain JAX."""
    features = features - features.mean(axis=(0, 1, 2))
    variance = (features**2).mean(axis=(0, 1, 2))
    pooled = (features / jnp.sqrt(variance + 1e-5)).mean(axis=(1, 2))

    def loss(head):
        logits = pooled @ head["kernel"] + head["bias"]
        chosen = logits[jnp.arange(8), BATCH.label]
        return jnp.mean(jax.scipy.special.logsumexp(logits, axis=-1) - chosen)

    return loss


@pytest.mark.parametrize("optimizer", [None, "adam", optax.adam(0.01)])
def test_fit_freezes_under_any_optimizer(optimizer):
    model = ours(nnx.Rngs(0))
    images = (IMAGES - IMAGES.min()) / np.ptp(IMAGES)
    data = cnn.Dataset(images, np.arange(8) % 3)
    options = {"epochs": 1, "batch_size": 8, "progress": False}
    trained = cnn.fit(model, data, optimizer=optimizer, freeze=["base.*"], **options).model
    after, before = (jax.tree.leaves(nnx.state(part.base)) for part in (trained, model))
    for array, expected in zip(after, before, strict=True):
        np.testing.assert_array_equal(array, expected)
    assert (trained.head.kernel[...] != model.head.kernel[...]).any()
    with pytest.raises(ValueError, match="a pattern of frozen must match"):
        cnn.fit(model, data, freeze=["bsae.*"], **options)
    with pytest.raises(TypeError, match="frozen must be a sequence of patterns"):
        cnn.fit(model, data, freeze="base.*", **options)


def test_dropout_between_frozen_and_trained_modules_drops():
    """Where the patterns freeze neighbors of a dropout, and not a part that holds it."""
    network = cnn.serial(cnn.conv(4, 3), cnn.batch_norm(), cnn.flatten(), cnn.dropout(0.9))
    model = cnn.serial(body=network, head=cnn.dense(3)).build((6, 6, 1), rngs=nnx.Rngs(0))
    losses = {}
    for frozen in (["body.conv_1.*"], ["body.conv_1.*", "body.batch_norm_1.*"]):
        optimizer = make_optimizer("sgd", learning_rate=0.5, frozen=frozen)
        init, step = cnn.make_training(model, optimizer)
        _, metrics = step(init(jax.random.key(0)), BATCH)
        losses[len(frozen)] = float(metrics.loss)
    logits = model(jnp.asarray(IMAGES))
    chosen = np.asarray(logits)[np.arange(8), np.arange(8) % 3]
    at_inference = np.mean(np.asarray(jax.scipy.special.logsumexp(logits, axis=-1)) - chosen)
    assert losses[2] == pytest.approx(at_inference, rel=1e-5)  # the whole body is frozen
    assert abs(losses[1] - at_inference) > 0.01
