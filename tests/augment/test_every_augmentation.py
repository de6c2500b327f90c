"""Properties of every augmentation."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxcnn import augment as aug

IMAGES, SEQUENCES = (5, 9, 8, 3), (5, 12, 4)
MODES = st.sampled_from(["zeros", "reflect", "replicate", "circular"])
RATES, SMALL = st.floats(0, 1), st.integers(0, 4)


def ranges(least, most):
    return st.tuples(st.floats(least, most), st.floats(least, most)).map(sorted)


class Case(NamedTuple):
    """An augmentation: options that change nothing, options that do, and any options."""

    augment: object
    nothing: dict
    something: dict
    options: dict
    shape: tuple = IMAGES


CASES = {
    case.augment.__name__: case
    for case in (
        Case(aug.random_shift, {"pixels": 0}, {"pixels": 3}, {"pixels": SMALL}),
        Case(aug.random_crop, {"padding": 0}, {"padding": 3}, {"padding": SMALL, "mode": MODES}),
        Case(
            aug.random_resized_crop,
            {"scale": (1, 1)},
            {"scale": (0.2, 0.5)},
            {"scale": ranges(0.01, 1), "ratio": ranges(0.1, 10)},
        ),
        Case(
            aug.random_affine,
            {},
            {"rotation": 30, "translation": 0.2, "scale": (0.5, 2), "shear": 20},
            {
                "rotation": st.floats(0, 180),
                "translation": ranges(-1, 1),
                "scale": ranges(0.1, 4),
                "shear": st.floats(0, 80),
            },
        ),
        Case(aug.random_flip, {"rate": 0}, {"rate": 0.5}, {"rate": RATES}),
        Case(aug.cutout, {"size": 0}, {"size": 4}, {"size": st.integers(0, 20), "fill": RATES}),
        Case(
            aug.random_erasing,
            {"rate": 0},
            {"rate": 1, "area": (0.2, 0.3)},
            {
                "rate": RATES,
                "area": ranges(0.01, 1),
                "ratio": ranges(0.1, 10),
                "fill": st.none() | RATES,
            },
        ),
        Case(
            aug.color_jitter,
            {},
            {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.2},
            {
                "brightness": st.floats(0, 3),
                "contrast": ranges(0, 4),
                "saturation": st.floats(0, 3),
                "hue": ranges(-0.5, 0.5),
            },
        ),
        Case(
            aug.gaussian_noise,
            {"deviation": 0},
            {"deviation": 0.1},
            {"deviation": st.floats(0, 2)},
        ),
        Case(
            aug.rand_augment,
            {"magnitude": 0},
            {"num_ops": 3, "magnitude": 9},
            {"num_ops": st.integers(0, 2), "magnitude": st.floats(0, 10)},
        ),
        Case(
            aug.time_shift,
            {"steps": 0},
            {"steps": 3},
            {"steps": SMALL, "mode": MODES},
            SEQUENCES,
        ),
        Case(
            aug.time_mask,
            {"width": 0},
            {"width": 5, "count": 3},
            {"width": st.integers(0, 12)},
            SEQUENCES,
        ),
        Case(
            aug.channel_mask,
            {"width": 0},
            {"width": 3, "count": 2},
            {"width": SMALL},
            SEQUENCES,
        ),
    )
}
EVERY = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def random_images(shape, seed=0, dtype=jnp.float32):
    return jax.device_put(np.random.default_rng(seed).uniform(0, 1, shape).astype(dtype))


def test_every_augmentation_is_here():
    others = {"alternating_flip", "compose", "cutmix", "mixup", "mosaic"}
    others |= {"default_name", "in_place", "named", "names"}
    others |= {"random_clip"}  # the one that changes the shape: test_video.py
    assert set(CASES) | others == set(aug.__all__)


@EVERY
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_strength_zero_is_the_identity(key, case, dtype):
    images = random_images(case.shape, dtype=dtype)
    result = case.augment(key, images, **case.nothing)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, images)


@EVERY
@given(draw=st.data())
@settings(max_examples=5)
def test_properties(case, draw):
    options = draw.draw(st.fixed_dictionaries(case.options))
    key = jax.random.key(draw.draw(st.integers(0, 2**32 - 1)))
    augment = functools.partial(case.augment, **options)
    images = random_images(case.shape)
    result = np.asarray(augment(key, images))
    assert (result.shape, result.dtype) == (images.shape, images.dtype)
    assert result.min() >= 0
    assert result.max() <= 1 + 1e-6
    # Other rows do not affect a row.
    others = np.array(random_images(case.shape, seed=1))
    others[2] = images[2]
    again = np.asarray(augment(key, jax.device_put(others)))
    np.testing.assert_array_equal(again[2], result[2])


@EVERY
def test_the_key_determines_the_result(key, case):
    augment = functools.partial(case.augment, **case.something)
    images = random_images(case.shape)
    result = np.asarray(augment(key, images))
    np.testing.assert_array_equal(result, augment(key, images))
    assert (result != np.asarray(augment(jax.random.key(1), images))).any()
    assert (result != np.asarray(images)).any()
    np.testing.assert_allclose(jax.jit(augment)(key, images), result, atol=1e-5)


@EVERY
def test_identical_images_are_changed_differently(key, case):
    image = np.asarray(random_images(case.shape))[:1]
    images = jax.device_put(np.broadcast_to(image, case.shape))
    result = np.asarray(case.augment(key, images, **case.something))
    assert len(np.unique(result.reshape(len(result), -1), axis=0)) > 1


@EVERY
def test_low_precision_keeps_its_dtype(key, case):
    images = random_images(case.shape, dtype=jnp.bfloat16)
    result = case.augment(key, images, **case.something)
    precise = case.augment(key, jax.device_put(np.asarray(images, np.float32)), **case.something)
    assert result.dtype == jnp.bfloat16
    np.testing.assert_array_equal(result, np.asarray(precise).astype(jnp.bfloat16))


COLOR, GRAY = (2, 8, 8, 3), (2, 8, 8, 1)
ERRORS = [
    (aug.random_crop, {"padding": -1}, ValueError, "padding must be at least 0. .*padding=-1"),
    (aug.random_crop, {"padding": 1.0}, TypeError, "padding must be an integer"),
    (aug.random_crop, {"mode": "mirror"}, ValueError, "mode must be 'zeros', .*mode='mirror'"),
    (aug.random_crop, {"padding": 8}, ValueError, "'reflect' can be at most 7"),
    (aug.random_resized_crop, {"scale": 0.5}, ValueError, r"scale must be a pair \(low, high\)"),
    (aug.random_resized_crop, {"scale": (0, 1)}, ValueError, r"scale must be in \(0, 1\]"),
    (aug.random_resized_crop, {"scale": (0.5, 2)}, ValueError, r"scale must be in \(0, 1\]"),
    (aug.random_resized_crop, {"scale": (0.5, 0.1)}, ValueError, "low ≤ high"),
    (aug.random_resized_crop, {"ratio": ("1", 2)}, TypeError, "ratio must be a number"),
    (aug.random_resized_crop, {"ratio": (1, 2, 3)}, ValueError, r"ratio must be a pair"),
    (aug.random_affine, {"rotation": -1}, ValueError, "rotation must be at least 0. Received"),
    (aug.random_affine, {"rotation": "15"}, TypeError, "rotation must be .*rotation='15'"),
    (aug.random_affine, {"translation": 1.5}, ValueError, r"translation must be in \[0, 1\]"),
    (aug.random_affine, {"translation": (-2, 0)}, ValueError, r"translation must be in \[-1, 1\]"),
    (aug.random_affine, {"scale": (0.0, 1)}, ValueError, "scale must be above 0"),
    (aug.random_affine, {"shear": 90}, ValueError, r"shear must be in \[0, 80\]"),
    (aug.random_affine, {"mode": "black"}, ValueError, "mode must be 'zeros', .*mode='black'"),
    (aug.random_flip, {"rate": 1.5}, ValueError, r"rate must be in \[0, 1\]. Received: rate=1.5"),
    (aug.random_flip, {"rate": True}, TypeError, "rate must be a number"),
    (aug.cutout, {"size": -1}, ValueError, "size must be at least 0"),
    (aug.cutout, {"fill": 255}, ValueError, r"fill must be in \[0, 1\]"),
    (aug.random_erasing, {"rate": -0.1}, ValueError, r"rate must be in \[0, 1\]"),
    (aug.random_erasing, {"area": (0, 0.5)}, ValueError, r"area must be in \(0, 1\]"),
    (aug.random_erasing, {"ratio": (0, 0.5)}, ValueError, "ratio must be above 0"),
    (aug.random_erasing, {"fill": "noise"}, TypeError, "fill must be a number"),
    (aug.color_jitter, {"brightness": -0.1}, ValueError, "brightness must be at least 0"),
    (aug.color_jitter, {"contrast": (-1, 1)}, ValueError, "contrast must be at least 0"),
    (aug.color_jitter, {"saturation": (2, 1)}, ValueError, "saturation must be .*low ≤ high"),
    (aug.color_jitter, {"hue": 0.6}, ValueError, r"hue must be in \[0, 0.5\]"),
    (aug.gaussian_noise, {"deviation": np.nan}, ValueError, "deviation must be at least 0 and"),
    (aug.rand_augment, {"num_ops": -1}, ValueError, "num_ops must be at least 0"),
    (aug.rand_augment, {"magnitude": 30}, ValueError, r"magnitude must be in \[0, 10\]"),
    (aug.rand_augment, {"mode": "black"}, ValueError, "mode must be 'zeros', .*mode='black'"),
    (aug.time_shift, {"steps": -1}, ValueError, "steps must be at least 0. Received: steps=-1"),
    (aug.time_shift, {"mode": "wrap"}, ValueError, "mode must be 'zeros', .*mode='wrap'"),
    (aug.time_mask, {"width": 13}, ValueError, "width must be at most the size of the axis, 12"),
    (aug.time_mask, {"count": -1}, ValueError, "count must be at least 0"),
    (aug.channel_mask, {"width": 0.5}, TypeError, "width must be an integer"),
    (aug.channel_mask, {"width": 5}, ValueError, "width must be at most the size of the axis, 4"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("augment", "options", "kind", "message"),
    ERRORS,
    ids=[f"{a.__name__}-{o}" for a, o, *_ in ERRORS],
)
def test_errors(key, augment, options, kind, message):
    shape = COLOR if CASES[augment.__name__].shape == IMAGES else SEQUENCES
    with pytest.raises(kind, match=message):
        augment(key, jnp.zeros(shape), **options)


@pytest.mark.parametrize("name", sorted(set(CASES) - {"random_shift", "random_crop"}))
def test_shape_errors(key, name):
    case = CASES[name]
    one = jnp.zeros(case.shape[1:])
    axes = len(case.shape)
    with pytest.raises(ValueError, match=f"must have {axes} axes.*add the batch axis"):
        case.augment(key, one)


@pytest.mark.parametrize(
    "name", sorted(set(CASES) - {"random_shift", "random_crop", "random_flip", "time_shift"})
)
def test_pixels_must_be_divided(key, name):
    case = CASES[name]
    with pytest.raises(TypeError, match=r"must be floating point. Received: dtype uint8"):
        case.augment(key, jnp.zeros(case.shape, jnp.uint8), **case.something)


@pytest.mark.parametrize("options", [{"saturation": 0.1}, {"hue": 0.1}])
def test_color_needs_three_channels(key, options):
    with pytest.raises(ValueError, match=r"3 channels.*Received: shape \(2, 8, 8, 1\)"):
        aug.color_jitter(key, jnp.zeros(GRAY), **options)
    assert (
        jax.eval_shape(
            functools.partial(aug.color_jitter, contrast=0.1, brightness=0.2), key, jnp.zeros(GRAY)
        ).shape
        == GRAY
    )
