"""Where a number that is not finite comes from: the layer that a test put it into."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.training import Stepped, cross_entropy

SHAPE = (6, 6, 1)


def with_bad_values(x):
    return jnp.log(x)  # NaN below 0


def with_bad_gradient(x):
    return x + jnp.sqrt(0 * x)  # of 0, whose slope is infinite


def network(bad, wrap=lambda layer: layer):
    return cnn.serial(
        cnn.batch_norm(),
        stage=wrap(cnn.serial(cnn.conv(4, 3), bad, cnn.dropout(0.1))),
        rest=cnn.serial(cnn.flatten(), cnn.dense(3)),
    )  # fmt: skip


def data(count=12):
    images = np.random.default_rng(0).integers(0, 256, (count, *SHAPE), np.uint8)
    return cnn.Dataset(images, np.arange(count) % 3)


def fit(layer, **options):
    model = layer.build(SHAPE, rngs=nnx.Rngs(0)) if isinstance(layer, cnn.Layer) else layer
    defaults = {"epochs": 2, "batch_size": 4, "optimizer": optax.sgd(0.1), "progress": False}
    return cnn.fit(model, data(), **(defaults | options))


BEGINNING = "step 1 (epoch 1, batch 1) gave a loss or gradient that is not finite. First in "
BAD_GRADIENT = "the gradient of stage.conv_1.bias: 4 of 4 values, "
IN_PARTS = {"accumulate": 2, "batch_size": 8}  # whose size is that of the other tests' batches


@pytest.mark.implicit_promotion
@pytest.mark.parametrize(
    ("layer", "where", "options"),
    [
        (network(with_bad_values), "the output of stage.with_bad_values_1: ", IN_PARTS),
        (network(with_bad_values, cnn.remat), "the output of stage: ", {}),
        (network(with_bad_gradient), BAD_GRADIENT, {"precision": "bfloat16"}),
        (network(with_bad_gradient), BAD_GRADIENT, IN_PARTS),
    ],
    ids=["output in parts", "recomputed", "gradient in bfloat16", "gradient in parts"],
)
def test_the_layer_is_named(layer, where, options):
    with pytest.raises(FloatingPointError, match=re.escape(BEGINNING + where)):
        fit(layer, **options)


def test_a_bad_loss_is_told_from_a_bad_layer():
    with pytest.raises(FloatingPointError, match="First in the loss, of finite outputs of the mod"):
        fit(network(jax.nn.relu), loss=lambda logits, labels: cross_entropy(logits, labels) / 0)


def test_bad_images_are_told_from_a_bad_layer():
    def spoil(key, images):
        return images.at[0, 0, 0, 0].set(jnp.inf)

    message = r"the images, as the model is given them: 1 of 144 values, the first of them infinite"
    with pytest.raises(FloatingPointError, match=message):
        fit(network(jax.nn.relu), augment=spoil)


def test_a_bad_parameter_is_named():
    model = network(jax.nn.relu).build(SHAPE, rngs=nnx.Rngs(0))
    model.stage.conv_1.kernel[...] = model.stage.conv_1.kernel[...].at[0, 0, 0, 0].set(jnp.nan)
    with pytest.raises(FloatingPointError, match=r"the parameter stage\.conv_1\.kernel: 1 of"):
        fit(model)


def test_a_flax_module_is_named_too():
    class Own(nnx.Module):
        def __init__(self):
            self.first = nnx.Linear(36, 8, rngs=nnx.Rngs(0))
            self.second = nnx.Linear(8, 3, rngs=nnx.Rngs(1))

        def __call__(self, x):
            return self.second(1 / (0 * self.first(x.reshape(len(x), -1))))

    with pytest.raises(FloatingPointError, match="First in the output of second: 12 of 12 values"):
        fit(Own())


def explodes_at(step):
    """Plain SGD, whose rate is infinite at one step: the gradients of the next are not finite."""
    return optax.sgd(lambda count: jnp.where(count == step, jnp.inf, 0.01))


def test_the_step_is_named_and_the_checkpoint_before_it_kept(tmp_path):
    steps = []
    with pytest.raises(FloatingPointError) as caught:
        fit(
            network(jax.nn.relu),
            optimizer=explodes_at(4),
            epochs=4,
            run=tmp_path,
            checkpoint_every=1,
            callbacks=[lambda event: steps.append(event) if isinstance(event, Stepped) else None],
        )
    message = str(caught.value)
    # Infinity times a gradient of 0 is NaN, and the next step reads it.
    assert message.startswith("step 6 (epoch 2, batch 3) gave a loss or gradient that is not fini")
    assert "First in the parameter " in message
    assert message.endswith(f"The last checkpoint is of step 5 in {str(tmp_path)!r}")
    assert [event.step for event in steps] == [1, 2, 3, 4, 5]


def test_the_state_stays_as_it_was():
    """Batches that were on their way when the step failed change nothing."""
    failing, lasting = [], []

    def keep(states):
        return lambda event: states.append(event) if isinstance(event, Stepped) else None

    with pytest.raises(FloatingPointError, match="step 2 "):
        fit(network(jax.nn.relu), optimizer=explodes_at(0), callbacks=[keep(failing)])
    fit(network(jax.nn.relu), epochs=1, callbacks=[keep(lasting)])
    assert failing[0].metrics.loss_sum == lasting[0].metrics.loss_sum


def test_skipping_goes_on_and_counts():
    def spoil_some(key, images):
        return jnp.where(jax.random.uniform(key) < 0.3, jnp.nan, 1.0) * images

    options = {"augment": spoil_some, "on_nan": "skip", "epochs": 4, "batch_size": 2}
    result = fit(network(jax.nn.relu), **options)
    skipped = [row.skipped for row in result.history]
    assert 0 < skipped[-1] < 24
    assert skipped == sorted(skipped)
    assert int(result.state.skipped) == skipped[-1]
    assert all(np.isfinite(row.loss) for row in result.history)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result.state.params))


def test_ignoring_goes_on_as_it_is():
    layer = network(with_bad_values)
    assert np.isnan(fit(layer, on_nan="ignore").history[-1].loss)
