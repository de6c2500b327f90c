"""Mixed images and labels: images filled with their class must agree with their labels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn.augment import cutmix, mixup

BATCH, CLASSES, SIZE = 64, 64, (12, 10)


@pytest.fixture
def labeled():
    """Images whose channel n is 1 everywhere if they are of class n."""
    targets = np.eye(CLASSES, dtype=np.float32)
    images = np.broadcast_to(targets[:, None, None], (BATCH, *SIZE, CLASSES))
    return jax.device_put((images, targets))


@pytest.mark.parametrize("mix", [mixup, cutmix])
@pytest.mark.parametrize("alpha", [0.2, 1.0, 4])
def test_labels_are_mixed_as_the_images(key, labeled, mix, alpha):
    images, targets = mix(key, *labeled, alpha=alpha)
    images, targets = np.asarray(images), np.asarray(targets)
    np.testing.assert_allclose(images.mean(axis=(1, 2), dtype=np.float64), targets, atol=1e-6)
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-6)
    assert ((targets > 1e-6).sum(axis=1) <= 2).all()
    assert (images.dtype, targets.dtype) == (jnp.float32, jnp.float32)


def shares(mix, labeled, alpha, keys=40):
    """Return the share of its own class in each image that was mixed with another."""
    run = jax.jit(jax.vmap(lambda key: mix(key, *labeled, alpha=alpha)[1]))
    targets = np.asarray(run(jax.random.split(jax.random.key(0), keys)))
    own = np.diagonal(targets, axis1=1, axis2=2)
    return own[targets.max(axis=-1) < 1 - 1e-6]


@pytest.mark.long
def test_shares_of_mixup_follow_beta(labeled):
    own = shares(mixup, labeled, 1.0)
    assert len(own) > 2000
    np.testing.assert_allclose(np.histogram(own, 4, (0, 1))[0] / len(own), 0.25, atol=0.04)
    weak = shares(mixup, labeled, 0.2)
    # Of Beta(a, a) the variance is 1 / (4 (2a + 1)).
    assert weak.mean() == pytest.approx(0.5, abs=0.03)
    assert weak.var() == pytest.approx(1 / 5.6, abs=0.02)


def test_mixup_blends_pixels_evenly(key):
    images = jnp.asarray(np.random.default_rng(0).uniform(0, 1, (6, 5, 4, 3)), jnp.float32)
    mixed, shares = jax.jit(mixup)(key, images, jnp.eye(6))
    expected = np.einsum("bi,ihwc->bhwc", shares, images)
    np.testing.assert_allclose(mixed, expected, atol=1e-6)


def test_cutmix_pastes_one_rectangle_at_its_place(key):
    images = jnp.asarray(np.random.default_rng(0).uniform(0, 1, (200, *SIZE, 1)), jnp.float32)
    mixed, targets = map(np.asarray, jax.jit(cutmix)(key, images, jnp.eye(200)))
    images = np.asarray(images)
    changed = 0
    for own, (result, target) in enumerate(zip(mixed, targets, strict=True)):
        pasted = (result != images[own])[..., 0]
        if pasted.any():
            changed += 1
            other = int(np.argmax(np.where(np.arange(200) == own, 0, target)))
            np.testing.assert_array_equal(result[pasted], images[other][pasted])
            rows, columns = np.flatnonzero(pasted.any(axis=1)), np.flatnonzero(pasted.any(axis=0))
            box = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
            assert pasted.sum() == box
            assert target[other] == pytest.approx(box / (SIZE[0] * SIZE[1]), abs=1e-6)
    assert changed > 150


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_strength_zero_is_the_identity(key, labeled, mix):
    for before, after in zip(labeled, mix(key, *labeled, alpha=0), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_the_key_decides(key, labeled, mix):
    images, targets = mix(key, *labeled)
    np.testing.assert_array_equal(mix(key, *labeled)[0], images)
    assert (np.asarray(mix(jax.random.key(1), *labeled)[1]) != np.asarray(targets)).any()


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_low_precision_keeps_its_dtype(key, labeled, mix):
    images, targets = mix(key, labeled[0].astype(jnp.bfloat16), labeled[1])
    assert (images.dtype, targets.dtype) == (jnp.bfloat16, jnp.float32)
    np.testing.assert_allclose(
        np.asarray(images, np.float32).mean(axis=(1, 2)), targets, atol=2**-8
    )


IMAGES, TARGETS = jnp.zeros((4, 6, 6, 1)), jnp.eye(4)


@pytest.mark.parametrize("mix", [mixup, cutmix])
@pytest.mark.parametrize(
    ("images", "targets", "options", "kind", "message"),
    [
        (IMAGES, TARGETS, {"alpha": -1}, ValueError, "alpha must be at least 0. Received"),
        (IMAGES, TARGETS, {"alpha": "1"}, TypeError, "alpha must be a number"),
        (IMAGES.astype(jnp.uint8), TARGETS, {}, TypeError, "images must be floating point"),
        (IMAGES, TARGETS.astype(int), {}, TypeError, "targets must be floating point"),
        (IMAGES, jnp.arange(4.0), {}, ValueError, "targets must have 2 axes"),
        (IMAGES, TARGETS[:3], {}, ValueError, r"one row per image. Received: targets \(3, 4\)"),
        (IMAGES[0, 0], TARGETS, {}, ValueError, "images must have"),
    ],
)
def test_errors(key, mix, images, targets, options, kind, message):
    with pytest.raises(kind, match=message):
        mix(key, images, targets, **options)
