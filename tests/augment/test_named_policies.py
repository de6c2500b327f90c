"""Augmentation policies by name, and composition of augmentations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import augment, data
from jaxcnn.augment.composition import apply


@pytest.mark.parametrize("name", augment.names())
def test_a_policy_keeps_shape_dtype_and_bounds(key, name):
    shape = (6, 16, 3) if name == "signals" else (6, 16, 16, 3)
    images = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)
    augmented = jax.jit(functools.partial(apply, augment.named(name), epoch=1))(key, images)
    result = np.asarray(augmented)
    assert (result.shape, result.dtype) == (shape, jnp.float32)
    assert result.min() >= 0
    assert result.max() <= 1 + 1e-6
    assert (result != images).any() == (name != "none")


def test_an_unknown_policy_is_an_error_with_the_nearest():
    with pytest.raises(
        ValueError, match=r"there is no augmentation policy 'cifra'. Did you mean 'cifar'\?"
    ):
        augment.named("cifra")
    with pytest.raises(TypeError, match=r"name of an augmentation policy must be a string. .*: 3"):
        augment.named(3)


def test_a_composition_applies_its_parts_in_order(key):
    def double(key, images):
        return 2 * images

    def add(key, images):
        return images + 1

    assert float(augment.compose(double, add)(key, jnp.float32(3))) == 7
    assert float(augment.compose(add, double)(key, jnp.float32(3))) == 8
    assert float(augment.compose(augment.compose(add), double, add)(key, jnp.float32(3))) == 9


def test_each_part_has_a_separate_key(key):
    def draw(key, images):
        return jnp.append(images, jax.random.uniform(key))

    nested = augment.compose(draw, augment.compose(draw, draw), draw)
    values = np.asarray(nested(key, jnp.zeros(0)))
    assert len(set(values)) == 4
    np.testing.assert_array_equal(nested(key, jnp.zeros(0)), values)


def test_the_epoch_is_passed_on_request_only(key):
    def plain(key, images):
        return images

    def by_epoch(key, images, *, epoch):
        return images + epoch

    def chosen(key, images, *, epoch=10):
        return images + epoch

    zero = jnp.float32(0)
    assert float(augment.compose(plain, by_epoch, chosen)(key, zero, epoch=3)) == 13
    assert float(augment.compose(functools.partial(by_epoch, epoch=5))(key, zero, epoch=3)) == 5
    with pytest.raises(ValueError, match=r"give make_training its steps_per_epoch.*by_epoch"):
        augment.compose(plain, by_epoch)(key, zero)


@pytest.mark.parametrize("name", ["digits", *data.available()])
def test_every_public_set_has_a_policy(name):
    policy = augment.named(name)
    assert policy is augment.named(augment.default_name(name))
    assert augment.default_name(name) != "none"


def test_other_sets_have_no_policy():
    names = ["./digits", "pets", "/data/cifar10", "cifra", "cifar10.npz"]
    assert {augment.default_name(name) for name in names} == {"none"}
