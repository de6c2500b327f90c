"""Training, evaluation and prediction over a whole data set."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxcnn as cnn

CLASSES, SHAPE = 3, (6, 5, 1)


@pytest.fixture
def standard_promotion():
    """Optax's Adam takes a whole number to a power, which strict promotion refuses."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def stripes(count, seed=0):
    """Return noisy images whose class is the place of a bright row."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count)
    images = rng.integers(0, 60, (count, *SHAPE), np.uint8)
    images[np.arange(count), 2 * labels] += 150
    return cnn.Dataset(images, labels, ("top", "middle", "bottom"))


def small(*, classes=CLASSES, rate=0.1):
    layer = cnn.serial(cnn.flatten(), cnn.dropout(rate), cnn.dense(classes))
    return layer.build(SHAPE, rngs=nnx.Rngs(0))


def fit(model, data, **options):
    defaults = {"epochs": 2, "batch_size": 8, "optimizer": optax.sgd(0.5), "progress": False}
    return cnn.fit(model, data, **(defaults | options))


def arrays(result):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(result.model))]


def numpy_probabilities(model, images):
    images = images / 255 if images.dtype == np.uint8 else images
    logits = np.asarray(nnx.jit(model)(images.astype(np.float32)), np.float64)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_fit_learns_with_its_defaults(standard_promotion):
    train, test = stripes(256), stripes(64, seed=1)
    model = small()
    before = cnn.evaluate(model, test)
    result = cnn.fit(model, train, epochs=10, batch_size=16, learning_rate=0.03, progress=False)
    assert before.accuracy < 0.8
    assert cnn.evaluate(result.model, test).accuracy > 0.95
    assert cnn.evaluate(model, test) == before


def test_default_optimizer_is_adam_under_one_cycle(standard_promotion):
    data, model = stripes(20), small(rate=0.0)
    schedule = optax.cosine_onecycle_schedule(6, 0.003)
    by_hand = fit(model, data, optimizer=optax.adam(schedule))
    by_default = fit(model, data, optimizer=None)
    for a, b in zip(arrays(by_hand), arrays(by_default), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_same_seed_gives_the_same_parameters_bit_for_bit():
    data, options = stripes(30), {"augment": cnn.augment.random_shift}
    first, second = (arrays(fit(small(), data, seed=3, **options)) for _ in range(2))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(first, second, strict=True))


def is_top(logits, labels):
    return 0 * logits.sum(axis=-1) + (labels == 0).astype(logits.dtype)


def test_a_balanced_epoch_shows_classes_equally_often():
    data = stripes(60)
    rare = data.take(np.flatnonzero((data.labels > 0) | (np.arange(60) < 4)))
    share = (rare.labels == 0).mean()
    assert fit(small(), rare, loss=is_top).history[0].loss == pytest.approx(share)
    shown = fit(small(), rare, loss=is_top, balanced=True).history[0].loss
    assert shown == pytest.approx(1 / CLASSES, abs=1 / len(rare))
    assert share < 0.1


def test_fit_takes_recipes_by_name_and_knows_the_epochs():
    """The alternating flip shows an image both ways in two epochs, and the loss tells which."""
    data, model = stripes(30).take(np.zeros(20, int)), small(rate=0.0)
    images = (data.images[:1] / np.float32(255), data.images[:1, :, ::-1] / np.float32(255))
    ways = [-np.log(numpy_probabilities(model, image)[0, data.labels[0]]) for image in images]
    result = fit(
        model, data, epochs=4, optimizer=optax.sgd(0.0), augment=cnn.augment.alternating_flip
    )
    losses = [row.loss for row in result.history]
    assert losses[:2] == pytest.approx(ways) or losses[:2] == pytest.approx(ways[::-1])
    assert losses[2:] == pytest.approx(losses[:2])
    named, given = (
        arrays(fit(model, data, augment=augment))
        for augment in ("digits", functools.partial(cnn.augment.random_shift, pixels=2))
    )
    assert all((a == b).all() for a, b in zip(named, given, strict=True))


@pytest.mark.long
@pytest.mark.parametrize("mix", [cnn.augment.mixup, cnn.augment.cutmix])
def test_fit_learns_from_mixed_images(mix):
    train, test = stripes(256), stripes(64, seed=1)
    result = fit(small(), train, epochs=8, validation=test, mix=mix)
    assert result.history[-1].validation_accuracy > 0.9
    again = fit(small(), train, epochs=8, mix=mix)
    assert all((a == b).all() for a, b in zip(arrays(result), arrays(again), strict=True))


def test_the_seed_decides_the_order_of_the_images():
    data, model = stripes(30), small(rate=0.0)
    first, second = (arrays(fit(model, data, seed=seed)) for seed in (3, 4))
    assert all((a != b).any() for a, b in zip(first, second, strict=True))


def test_the_seed_decides_what_is_dropped():
    """Where all images are alike, their order changes nothing."""
    data = stripes(30).take(np.zeros(30, int))
    dropping, plain = small(rate=0.5), small(rate=0.0)
    first, second = (arrays(fit(dropping, data, seed=seed)) for seed in (3, 4))
    assert any((a != b).any() for a, b in zip(first, second, strict=True))
    first, second = (arrays(fit(plain, data, seed=seed)) for seed in (3, 4))
    assert all((a == b).all() for a, b in zip(first, second, strict=True))


def test_history_has_a_row_per_epoch():
    data, validation = stripes(20), stripes(13, seed=1)
    result = fit(small(), data, validation=validation, epochs=3)
    assert [row.epoch for row in result.history] == [1, 2, 3]
    assert int(result.state.step) == 9
    for row in result.history:
        assert row.loss > 0
        assert row.accuracy * 20 == pytest.approx(round(row.accuracy * 20))
        assert row.images_per_second * row.seconds == pytest.approx(20)
    last = cnn.evaluate(result.model, validation)
    assert result.history[-1].validation_loss == pytest.approx(last.loss, rel=1e-6)
    assert result.history[-1].validation_accuracy == last.accuracy
    without = fit(small(), data, epochs=1).history
    assert (without[0].validation_loss, without[0].validation_accuracy) == (None, None)


def test_validation_does_not_change_the_training():
    data = stripes(20)
    alone, validated = (fit(small(), data, validation=v) for v in (None, stripes(9, seed=1)))
    for a, b in zip(arrays(alone), arrays(validated), strict=True):
        np.testing.assert_array_equal(a, b)


def test_metrics_of_an_epoch_count_every_image_once():
    """With a rate of 0 the epoch's metrics are those of the unchanged model."""
    data, model = stripes(21), small(rate=0.0)
    (row,) = fit(model, data, epochs=1, optimizer=optax.sgd(0.0)).history
    probabilities = numpy_probabilities(model, data.images)
    assert row.loss == pytest.approx(-np.log(probabilities[np.arange(21), data.labels]).mean())
    assert row.accuracy == (probabilities.argmax(axis=1) == data.labels).mean()


class Plain(nnx.Module):
    """A module of one's own, called as module(x)."""

    def __init__(self):
        self.linear = nnx.Linear(30, CLASSES, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.linear(x.reshape(len(x), -1))


class WithKey(Plain):
    """A module of one's own that takes randomness as an argument."""

    def __call__(self, x, *, train, key):
        if train:
            x = x * jax.random.bernoulli(key, 0.9, x.shape).astype(x.dtype)
        return self.linear(x.reshape(len(x), -1))


class WithStatistics(Plain):
    """A module of one's own that normalizes by a running mean."""

    def __init__(self):
        super().__init__()
        self.mean = nnx.BatchStat(jnp.zeros(()))

    def __call__(self, x, *, train=False):
        if train:
            self.mean[...] = 0.9 * self.mean[...] + 0.1 * x.mean()
        return self.linear(x.reshape(len(x), -1) - self.mean[...])


def test_a_flax_sequence_trains():
    def flat(x):
        return x.reshape(len(x), -1)

    result = fit(nnx.Sequential(flat, nnx.Linear(30, CLASSES, rngs=nnx.Rngs(0))), stripes(128))
    assert cnn.evaluate(result.model, stripes(40, seed=1)).accuracy > 0.9


@pytest.mark.parametrize("kind", [Plain, WithKey, WithStatistics])
def test_any_module_trains(kind):
    train, test = stripes(128), stripes(40, seed=1)
    result = fit(kind(), train, epochs=4)
    assert isinstance(result.model, kind)
    assert cnn.evaluate(result.model, test).accuracy > 0.9
    np.testing.assert_allclose(
        cnn.predict(result.model, test.images).argmax(axis=1),
        np.asarray(cnn.predict(result.state.to_model(kind()), test.images)).argmax(axis=1),
    )


def test_statistics_move_in_training_only():
    model, data = WithStatistics(), stripes(40)
    result = fit(model, data, epochs=1)
    mean = float(result.model.mean[...])
    # Five steps towards the mean pixel, from 0.
    assert mean == pytest.approx((1 - 0.9**5) * (data.images / 255).mean(), rel=0.05)
    assert float(model.mean[...]) == 0
    cnn.evaluate(result.model, data)
    cnn.predict(result.model, data.images)
    assert float(result.model.mean[...]) == mean


def test_flax_modules_with_batch_norm_train():
    class Normalized(nnx.Module):
        def __init__(self):
            self.norm = nnx.BatchNorm(30, momentum=0.5, rngs=nnx.Rngs(0))
            self.linear = nnx.Linear(30, CLASSES, rngs=nnx.Rngs(0))

        def __call__(self, x, *, train=False):
            x = self.norm(x.reshape(len(x), -1), use_running_average=not train)
            return self.linear(x)

    data = stripes(64)
    result = fit(Normalized(), data, epochs=4, optimizer=optax.sgd(0.1))
    pixels = (data.images / 255).reshape(64, -1)
    np.testing.assert_allclose(result.model.norm.mean[...], pixels.mean(axis=0), atol=0.1)
    assert cnn.evaluate(result.model, data).accuracy > 0.9


@pytest.mark.parametrize("batch_size", [1, 7, 10, 23, 100])
def test_evaluation_is_exact_for_any_batch_size(batch_size):
    model, data = small(), stripes(23)
    probabilities = numpy_probabilities(model, data.images)
    evaluation = cnn.evaluate(model, data, batch_size=batch_size)
    expected = -np.log(probabilities[np.arange(23), data.labels]).mean()
    assert evaluation.loss == pytest.approx(expected, rel=1e-5)
    assert evaluation.accuracy == (probabilities.argmax(axis=1) == data.labels).mean()
    assert evaluation.examples == 23


def test_evaluation_with_a_loss_of_ones_own():
    evaluation = cnn.evaluate(
        small(), stripes(10), loss=lambda logits, labels: 2.0 + 0.0 * logits[:, 0]
    )
    assert evaluation.loss == pytest.approx(2.0)


@pytest.mark.parametrize("batch_size", [1, 4, 256])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_predictions_are_the_softmax_of_the_logits(batch_size, dtype):
    model, images = small(), stripes(10).images
    images = images if dtype == np.uint8 else images.astype(dtype) / 255
    probabilities = cnn.predict(model, images, batch_size=batch_size)
    assert (probabilities.shape, probabilities.dtype) == ((10, CLASSES), np.float32)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(probabilities, numpy_probabilities(model, images), rtol=1e-4)


def count_programs(function):
    """Return the number of programs that XLA compiles during a call, and its result."""
    compiled = []

    def listen(event, seconds, **_):
        compiled.append(event == "/jax/core/compile/backend_compile_duration")

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        result = function()
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    return sum(compiled), result


@pytest.mark.parametrize("place", [np.asarray, jnp.asarray])
def test_few_programs_predict_images_of_any_number(place):
    model, images = small(), stripes(21).images
    expected = numpy_probabilities(model, images)
    for count in (1, 2, 4, 8, 12):
        cnn.predict(model, images[:count], batch_size=12)
    for count in range(1, 22):
        few = place(images[:count])
        programs, given = count_programs(lambda few=few: cnn.predict(model, few, batch_size=12))
        assert programs == 0, count
        np.testing.assert_allclose(given, expected[:count], rtol=1e-4)
        if 5 <= count <= 8:  # one program, the same bits
            filled = cnn.predict(model, images[:8], batch_size=12)
            np.testing.assert_array_equal(given, filled[:count])
    two = [cnn.evaluate(model, stripes(count), batch_size=12) for count in (21, 5)]
    assert [result.examples for result in two] == [21, 5]
    programs, _ = count_programs(lambda: cnn.evaluate(model, stripes(9), batch_size=12))
    assert programs == 0


def test_a_model_is_traced_once_to_predict_images_again():
    traced = []

    def note(x):
        traced.append(x.shape)
        return x

    network = cnn.serial(note, cnn.flatten(), cnn.dense(CLASSES))
    model, images = network.build(SHAPE, rngs=nnx.Rngs(0)), stripes(4).images
    cnn.predict(model, images)
    traced.clear()
    cnn.predict(model, images)
    assert traced == []


def test_a_bfloat16_model_is_measured_in_float32():
    """Of three equal logits each gets a third; in bfloat16 that is 0.334, and log 3 is 1.102."""
    dense = cnn.dense(CLASSES, kernel_init=jax.nn.initializers.zeros, dtype=jnp.bfloat16)
    model = cnn.serial(cnn.flatten(), dense).build(SHAPE, rngs=nnx.Rngs(0))
    data = stripes(300)
    np.testing.assert_allclose(cnn.predict(model, data.images), 1 / 3, rtol=1e-6)
    assert cnn.evaluate(model, data).loss == pytest.approx(np.log(3), rel=1e-6)


def test_a_data_set_and_a_pair_are_both_evaluated_and_predicted():
    model, pair = small(), (DATA.images, DATA.labels)
    assert cnn.evaluate(model, pair) == cnn.evaluate(model, DATA)
    np.testing.assert_array_equal(cnn.predict(model, DATA), cnn.predict(model, DATA.images))
    with pytest.raises(TypeError, match=r"data must be a Dataset, .* or \(images, labels\)"):
        cnn.evaluate(model, DATA.images)


def test_predictions_for_no_images():
    probabilities = cnn.predict(small(), np.zeros((0, *SHAPE), np.uint8))
    assert (probabilities.shape, probabilities.dtype) == ((0, CLASSES), np.float32)


def test_predictions_are_float32_where_float64_is_on():
    with jax.enable_x64(True):
        assert cnn.predict(small(), np.zeros((3, *SHAPE), np.uint8)).dtype == np.float32


def progress_lines(capsys, **options):
    fit(small(), stripes(20), **options)
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out.splitlines()


def test_progress_is_one_plain_line_per_epoch(capsys, monkeypatch):
    # Compiling may take longer than the time after which a step has a line of its own.
    monkeypatch.setattr("jaxcnn.training.progress_bar._SECONDS_BETWEEN_LINES", 1e9)
    lines = progress_lines(capsys, progress=True, validation=stripes(9))
    number = r"\d+\.\d{4}"
    pattern = (
        rf"epoch (\d)/2  [\d,]+ images/s  loss {number}  accuracy \d+\.\d\d%"
        rf"  validation loss {number}  accuracy \d+\.\d\d%"
    )
    assert [re.fullmatch(pattern, line)[1] for line in lines] == ["1", "2"]
    (line,) = progress_lines(capsys, progress=True, epochs=1)
    assert re.fullmatch(pattern.partition("  validation")[0].replace("/2", "/1"), line)


def test_no_progress_is_silent(capsys):
    assert progress_lines(capsys, progress=False, validation=stripes(9)) == []


DATA = stripes(10)
COLOR = cnn.Dataset(np.zeros((10, 6, 5, 3), np.uint8), DATA.labels)
FIT_ERRORS = [
    ({"epochs": 0}, ValueError, "epochs must be at least 1. Received: epochs=0"),
    ({"epochs": 1.5}, TypeError, "epochs must be an integer. Received: epochs=1.5"),
    ({"batch_size": 0}, ValueError, "batch_size must be at least 1. Received: batch_size=0"),
    (
        {"epochs": 10**9, "batch_size": 4},
        ValueError,
        "epochs must be at most 715,827,882 with 3 steps in each, because steps are counted",
    ),
    (
        {"accumulate": 64, "batch_size": 64},
        ValueError,
        "accumulate must be at most the number of images. Received: accumulate=64 for 10 images",
    ),
    (
        {"augment": "cifra"},
        ValueError,
        "there is no augmentation policy 'cifra'. Did you mean 'cifar'",
    ),
    ({"seed": -1}, ValueError, "seed must be at least 0. Received: seed=-1"),
    (
        {"learning_rate": 0.1},
        ValueError,
        "learning_rate is that of an optimizer given by name.*Received: learning_rate=0.1 and",
    ),
    *(
        (
            {"optimizer": None, "learning_rate": rate},
            ValueError,
            f"learning_rate must be .*Received: learning_rate={rate}",
        )
        for rate in (0, -0.1, float("nan"), float("inf"))
    ),
    (
        {"optimizer": None, "learning_rate": "fast"},
        TypeError,
        "learning_rate must be a number. Received: learning_rate='fast'",
    ),
    (
        {"model": small(classes=2)},
        ValueError,
        r"at least 3 classes, as the data has. Received: \(2,\) for each image",
    ),
    (
        {"model": cnn.serial(cnn.conv(3, 3)).build(SHAPE, rngs=nnx.Rngs(0))},
        ValueError,
        r"must map images to \(batch, classes\).*Received: \(4, 3, 3\) for each image",
    ),
    (
        {"data": COLOR, "model": cnn.serial(cnn.conv(3, 3)).build(SHAPE, rngs=nnx.Rngs(0))},
        ValueError,
        r"x must have 1 channels on its last axis.*Received: shape \(1, 6, 5, 3\)",
    ),
    (
        {"data": (DATA.images, DATA.labels, DATA)},
        TypeError,
        r"data must be a Dataset, as cnn.Dataset\(images, labels\) and .*of type tuple",
    ),
    ({"validation": DATA.images}, TypeError, "validation must be a Dataset.*of type ndarray"),
    ({"optimizer": 0.1}, TypeError, "or an Optax transformation.*optimizer=0.1"),
    (
        {"min_improvement": 0.1},
        ValueError,
        "min_improvement needs patience, which waits for it. Received: min_improvement=0.1",
    ),
    ({"data": COLOR}, ValueError, r"must be .*30.*Received: shape \(1, 90\)"),
    ({"validation": COLOR}, ValueError, r"must be .*30.*Received: shape \(1, 90\)"),
]


@pytest.mark.parametrize(
    ("options", "kind", "message"), FIT_ERRORS, ids=[m for *_, m in FIT_ERRORS]
)
def test_fit_errors(options, kind, message):
    model, data = options.get("model", small()), options.get("data", DATA)
    options = {name: v for name, v in options.items() if name not in ("model", "data")}
    with pytest.raises(kind, match=message):
        fit(model, data, **options)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: cnn.evaluate(small(), DATA, batch_size=0), ValueError, "batch_size must be at"),
        (lambda: cnn.evaluate(small(), DATA, batch_size="8"), TypeError, "batch_size must be a"),
        (lambda: cnn.evaluate(small(), COLOR), ValueError, r"must be .*30.*\(1, 90\)"),
        (
            lambda: cnn.evaluate(small(classes=2), DATA),
            ValueError,
            r"at least 3 classes, as the data has. Received: \(2,\) for each image",
        ),
        (lambda: cnn.predict(small(), DATA.images, batch_size=0), ValueError, "batch_size must"),
        (
            lambda: cnn.predict(small(), DATA.images[0]),
            ValueError,
            r"If this is one picture, use images\[None\]",
        ),
        (lambda: cnn.predict(small(), COLOR.images), ValueError, r"must be .*30.*\(1, 90\)"),
        (
            lambda: cnn.predict(small(), DATA.images.astype(int)),
            TypeError,
            "images must be uint8 pixels or floating point. Received: dtype int64",
        ),
        (
            lambda: cnn.predict(small(), DATA.images.astype(float)),
            ValueError,
            "hold pixels of 0…255: pass uint8, or divide by 255",
        ),
    ],
)
def test_errors(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("reduce", [jnp.mean, lambda losses: losses[:, None]])
def test_a_loss_is_one_value_per_example(reduce):
    def loss(logits, labels):
        return reduce(cnn.training.cross_entropy(logits, labels))

    with pytest.raises(ValueError, match=r"loss must .*\(batch,\)"):
        fit(small(), DATA, loss=loss)
    with pytest.raises(ValueError, match=r"loss must .*\(batch,\)"):
        cnn.evaluate(small(), DATA, loss=loss)


def test_a_description_is_not_a_model():
    """The usual slip: to forget build."""
    with pytest.raises(TypeError, match=r"model must be an nnx.Module.*build"):
        fit(cnn.serial(cnn.flatten(), cnn.dense(CLASSES)), DATA)
