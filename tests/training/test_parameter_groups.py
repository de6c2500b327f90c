"""Learning rates of groups and gradual unfreezing, against optimizers of each rate alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn.training import make_optimizer

PARAMS = {
    "stem": {"kernel": jnp.ones((2, 2))},
    "head": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)},
}


def gradients(step):
    return jax.tree.map(lambda leaf: leaf * (step + 1.0), PARAMS)


def train(optimizer, steps):
    """The parameters after each step."""
    params, state, found = PARAMS, optimizer.init(PARAMS), []
    for step in range(steps):
        updates, state = optimizer.update(gradients(step), state, params)
        params = jax.tree.map(jnp.add, params, updates)
        found.append(params)
    return found


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_group_is_trained_as_at_its_own_rate(name):
    options = {"weight_decay": 0.1}
    groups = {"*": 0.5, "head.*": 2.0, "head.bias": 1.0}
    together = train(make_optimizer(name, learning_rate=0.1, learning_rates=groups, **options), 3)
    for part, leaf, rate in (
        ("stem", "kernel", 0.05),
        ("head", "kernel", 0.2),
        ("head", "bias", 0.1),
    ):
        alone = train(make_optimizer(name, learning_rate=rate, **options), 3)
        for ours, theirs in zip(together, alone, strict=True):
            np.testing.assert_allclose(ours[part][leaf], theirs[part][leaf], rtol=1e-5)


def test_a_group_begins_at_its_step():
    optimizer = make_optimizer("sgd", learning_rate=0.1, momentum=0.0, unfreeze={"stem.*": 2})
    found = train(optimizer, 4)
    stem = [float(params["stem"]["kernel"][0, 0]) for params in found]
    np.testing.assert_allclose(stem, [1, 1, 1 - 0.3, 1 - 0.3 - 0.4], rtol=1e-6)
    head = [float(params["head"]["bias"][0]) for params in found]
    np.testing.assert_allclose(head, [0.9, 0.7, 0.4, 0.0], atol=1e-6)


def test_groups_beside_frozen_parameters():
    optimizer = make_optimizer(
        "sgd", learning_rate=0.1, momentum=0.0, frozen=["stem.*"], learning_rates={"head.*": 0.5}
    )
    *_, last = train(optimizer, 1)
    assert float(last["stem"]["kernel"][0, 0]) == 1
    assert float(last["head"]["bias"][0]) == pytest.approx(0.95)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"learning_rates": {"stem": 0}}, ValueError, r"learning_rates\['stem'\] must be above 0"),
        ({"unfreeze": {"stem": -1}}, ValueError, r"unfreeze\['stem'\] must be at least 0"),
        ({"learning_rates": [0.1]}, TypeError, "learning_rates must be numbers by patterns"),
    ],
)
def test_errors(options, error, message):
    with pytest.raises(error, match=message):
        make_optimizer("sgd", learning_rate=0.1, **options)


def test_a_pattern_must_match():
    optimizer = make_optimizer("sgd", learning_rate=0.1, learning_rates={"sten.*": 0.1})
    with pytest.raises(ValueError, match=r"pattern of learning_rates .* nearest is 'stem\.kernel'"):
        optimizer.init(PARAMS)
