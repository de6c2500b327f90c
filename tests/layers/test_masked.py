"""A padded batch of series gives what each series gives alone."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn import modules

STEPS, LENGTHS = 13, (13, 9, 6, 7)
POOLS = cnn.max_pool, cnn.avg_pool, cnn.sum_pool


def series_and_padded(lengths=LENGTHS, steps=STEPS, channels=2):
    random = np.random.default_rng(0)
    series = [random.normal(size=(n, channels)).astype(np.float32) for n in lengths]
    padded = np.full((len(series), steps, channels), np.nan, np.float32)
    for row, values in zip(padded, series, strict=True):
        row[: len(values)] = values
    return series, padded


def check(layer):
    """Compare a padded batch with each series, computed by an unmasked module of its length."""
    series, padded = series_and_padded()
    plain = cnn.serial(layer)
    model = cnn.masked(plain).build(padded.shape[1:], rngs=nnx.Rngs(0))
    found = np.asarray(model(padded))
    for row, values in zip(found, series, strict=True):
        alone = plain.abstract(values.shape)
        nnx.update(alone, nnx.state(model))
        expected = np.asarray(alone(values[None]))[0]
        if expected.ndim == 2:
            assert not row[len(expected) :].any()
        np.testing.assert_allclose(
            row[: len(expected)] if row.ndim == 2 else row, expected, atol=2e-6
        )


FEW = (
    cnn.conv(3, 4, padding="SAME"),
    cnn.conv(3, 3, strides=2, padding="SAME"),
    cnn.conv(3, 2, strides=3, padding="SAME", padding_mode="reflect"),
    cnn.max_pool(3, strides=2, padding="SAME"),
    cnn.avg_pool(2, padding=1),
    cnn.squeeze_excite(ratio=1),
    cnn.serial(cnn.group_norm(1), jax.nn.gelu, cnn.global_max_pool()),
)


@pytest.mark.parametrize("layer", FEW, ids=str)
def test_each_series_is_computed_as_if_it_were_alone(layer):
    check(layer)


def windows():
    paddings = "SAME", "SAME_LOWER", "VALID", "CAUSAL", 1, ((2, 1),)
    for padding, strides, size, dilation in itertools.product(
        paddings, (1, 2, 3), (1, 2, 3, 4), (1, 2)
    ):
        span = 1 + (size - 1) * dilation
        if span > min(LENGTHS):
            continue
        options = {"padding": padding, "strides": strides, "dilation": dilation}
        yield cnn.conv(3, size, **options)
        if isinstance(padding, str) or span > 2:
            yield from (pool(size, **options) for pool in POOLS)
            yield cnn.lp_pool(size, 2, **options)
            yield cnn.avg_pool(size, count_include_pad=True, **options)
    for mode, strides, padding in itertools.product(
        ("reflect", "replicate", "circular"), (1, 2), ("SAME", 1, "CAUSAL")
    ):
        yield cnn.conv(3, 3, padding_mode=mode, strides=strides, padding=padding)
    yield from (
        cnn.global_avg_pool(), cnn.global_avg_pool(keepdims=True), cnn.global_max_pool(),
        cnn.instance_norm(), cnn.layer_norm(), cnn.rms_norm(), cnn.group_norm(2), cnn.batch_norm(),
        cnn.prelu(), cnn.layer_scale(), cnn.standardize((0.1, 0.2), (1.0, 2.0)), cnn.identity(),
        cnn.residual(cnn.conv(2, 3, padding="SAME")), cnn.remat(cnn.serial(cnn.conv(4, 3))),
        cnn.parallel(cnn.conv(2, 3, padding="SAME"), cnn.max_pool(3, strides=1, padding="SAME")),
    )  # fmt: skip


@pytest.mark.long
def test_every_padding_stride_dilation_and_layer():
    layers = list(windows())
    assert len(layers) > 600
    for layer in layers:
        check(layer)


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (cnn.flatten(), "flatten"),
        (cnn.max_pool(2, ceil_mode=True), "max_pool with ceil_mode"),
        (cnn.function(lambda x: x[:, ::2]), "<lambda>"),
        (cnn.conv_transpose(2, 2), "ConvTranspose"),
    ],
)
def test_a_layer_without_a_rule_is_an_error_that_names_it(layer, name):
    with pytest.raises(ValueError, match=f"{name} cannot be used within masked"):
        cnn.masked(cnn.serial(layer)).build((8, 2), rngs=nnx.Rngs(0))


def test_a_function_may_be_marked():
    @modules.pointwise
    def double(x):
        return 2 * x

    series, padded = series_and_padded()
    model = cnn.masked(cnn.serial(double, cnn.global_max_pool())).build(
        (STEPS, 2), rngs=nnx.Rngs(0)
    )
    np.testing.assert_allclose(model(padded), [2 * values.max(axis=0) for values in series])


def test_bad_input_is_an_error():
    with pytest.raises(ValueError, match="reads series, of input_shape"):
        cnn.masked(cnn.global_avg_pool()).build((8, 8, 2), rngs=nnx.Rngs(0))
    branches = cnn.parallel(cnn.conv(2, 3), cnn.conv(2, 3, padding="SAME"))
    with pytest.raises(ValueError, match="must have the same"):
        cnn.masked(branches).build((8, 2), rngs=nnx.Rngs(0))


def mean_loss(model, x):
    return jnp.square(model(x, train=True) - 1).sum()


def test_statistics_and_gradients_are_those_of_the_real_steps():
    """Of series of two lengths: their batch statistics are those of all steps in one row."""
    series, padded = series_and_padded((5, 3), steps=6)
    together = np.concatenate(series)[None]
    network = cnn.serial(cnn.conv(3, 1), cnn.batch_norm(), jax.nn.relu, cnn.conv(2, 1))
    plain = network.build((6, 2), rngs=nnx.Rngs(0))
    model = cnn.masked(network).build((6, 2), rngs=nnx.Rngs(0))
    weights = np.isfinite(padded).astype(np.float32)

    def loss(model, x, weights):
        return (weights * jnp.square(model(x, train=True) - 1)).sum()

    value, gradient = nnx.value_and_grad(loss)(model, padded, weights)
    expected, expected_gradient = nnx.value_and_grad(loss)(plain, together, np.ones_like(together))
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    for one, other in zip(
        jax.tree.leaves(gradient), jax.tree.leaves(expected_gradient), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-5)
    norm, expected_norm = model.batch_norm_1, plain.batch_norm_1
    np.testing.assert_allclose(norm.mean[...], expected_norm.mean[...], atol=1e-6)
    np.testing.assert_allclose(norm.var[...], expected_norm.var[...], atol=1e-6)


@pytest.mark.long
@pytest.mark.parametrize("name", ["fcn", "inception_time", "resnet1d", "inception_time_ensemble"])
def test_networks_do_not_see_the_padding(name):
    """The same batch with more padding: outputs, loss, gradients and statistics."""
    _, padded = series_and_padded((20, 12, 17), steps=20)
    more = np.pad(padded, ((0, 0), (0, 9), (0, 0)), constant_values=np.nan)
    network = cnn.masked(cnn.models.create(name, features=4))
    results = []
    for x in (padded, more):
        model = network.build(x.shape[1:], rngs=nnx.Rngs(0))
        outputs = model(x)

        def loss(model, x):
            found = model(x, train=True)
            return jnp.square(getattr(found, "outputs", found)).sum()

        value, gradient = nnx.value_and_grad(loss)(model, x)
        results.append((outputs, value, gradient, nnx.state(model, nnx.BatchStat)))
    for one, other in zip(*map(jax.tree.leaves, results), strict=True):
        scale = max(np.abs(other).max(), 1)
        np.testing.assert_allclose(one / scale, other / scale, atol=2e-5)
    alone = network.body.abstract((12, 2))
    if name != "inception_time_ensemble":
        nnx.update(alone, nnx.state(model))
        np.testing.assert_allclose(alone(padded[1:2, :12]), model(more)[1:2], atol=1e-5)


def test_padded_data_needs_a_masked_model():
    _, padded = series_and_padded()
    data = cnn.Dataset(padded, np.array([0, 1, 0, 1]))
    network = cnn.serial(cnn.conv(2, 8), cnn.global_avg_pool(), cnn.dense(2))
    model = network.build((STEPS, 2), rngs=nnx.Rngs(0))
    for use in (
        lambda: cnn.fit(model, data, epochs=1, progress=False),
        lambda: cnn.evaluate(model, data),
        lambda: cnn.predict(model, padded),
    ):
        with pytest.raises(
            ValueError, match=r"build it from cnn.masked\(network\).* 6 to 13 steps"
        ):
            use()
    short = cnn.masked(network).build((STEPS, 2), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"shortest series, of 6 steps, is too short .*conv_1"):
        cnn.evaluate(short, data)


@pytest.mark.implicit_promotion
def test_a_masked_model_is_trained_saved_and_loaded(tmp_path):
    _, padded = series_and_padded()
    data = cnn.Dataset(padded, np.array([0, 1, 0, 1]))
    network = cnn.serial(cnn.conv(2, 3), cnn.batch_norm(), cnn.global_avg_pool(), cnn.dense(2))
    model = cnn.masked(network).build((STEPS, 2), rngs=nnx.Rngs(0))
    result = cnn.fit(model, data, validation=data, epochs=2, run=tmp_path / "run", progress=False)
    expected = cnn.predict(result.model, padded)
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal(cnn.predict(cnn.load(tmp_path / "run"), padded), expected)
    more = np.pad(padded, ((0, 0), (0, 3), (0, 0)), constant_values=np.nan)
    further = cnn.evaluate(result.model, cnn.Dataset(more, data.labels))
    assert further.loss == pytest.approx(cnn.evaluate(result.model, data).loss, rel=1e-6)
