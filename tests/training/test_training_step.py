"""The pure steps, against plain JAX and NumPy."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxcnn as cnn

CLASSES, SHAPE = 3, (6, 5, 1)


def small():
    """A network whose every layer trains, built anew."""
    layer = cnn.serial(cnn.conv(4, 3), jnp.tanh, cnn.avg_pool(2), cnn.flatten(), cnn.dense(CLASSES))
    return layer.build(SHAPE, rngs=nnx.Rngs(0))


def random_batches(count, size=8, seed=0):
    rng = np.random.default_rng(seed)
    return [
        cnn.Batch(
            rng.integers(0, 256, (size, *SHAPE), np.uint8),
            rng.integers(0, CLASSES, size).astype(np.int32),
            np.arange(size) < size - number,
        )
        for number in range(count)
    ]


def numpy_cross_entropy(logits, labels):
    logits = np.asarray(logits, np.float64)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    return -np.log(probabilities[np.arange(len(labels)), labels])


def plain_forward(parameters, images):
    """The small network in a few lines of plain JAX, sharing nothing with the library."""
    y = jax.lax.conv_general_dilated(
        images.astype(jnp.float32) / 255,
        parameters["conv_1"]["kernel"],
        window_strides=(1, 1),
        padding="VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    y = jnp.tanh(y + parameters["conv_1"]["bias"][None, None, None])
    batch, height, width, channels = y.shape
    y = y[:, : height // 2 * 2, : width // 2 * 2]
    y = y.reshape(batch, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))
    dense = parameters["dense_1"]
    return y.reshape(batch, -1) @ dense["kernel"] + dense["bias"][None]


def test_training_is_the_plain_loop():
    """Five steps equal jax.grad and optax by hand, masked rows left out of the batch."""
    model, optimizer = small(), optax.sgd(0.5, momentum=0.9)
    parameters = jax.tree.map(jnp.copy, nnx.to_pure_dict(nnx.state(model)))
    optimizer_state = optimizer.init(parameters)

    @functools.partial(jax.value_and_grad, has_aux=True)
    def mean_loss(parameters, images, labels):
        logits = plain_forward(parameters, images)
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
        return -chosen.mean(), logits

    @jax.jit
    def plain_step(parameters, optimizer_state, images, labels):
        (loss, logits), gradients = mean_loss(parameters, images, labels)
        updates, optimizer_state = optimizer.update(gradients, optimizer_state, parameters)
        return loss, logits, optax.apply_updates(parameters, updates), optimizer_state

    state = cnn.make_training(model, optimizer).init(jax.random.key(0))
    step = cnn.make_training(model, optimizer).step
    for batch in random_batches(5):
        images, labels = (array[batch.mask] for array in batch[:2])
        loss, logits, parameters, optimizer_state = plain_step(
            parameters, optimizer_state, images, labels
        )
        state, metrics = step(state, batch)
        np.testing.assert_allclose(metrics.loss, loss, rtol=1e-5)
        assert int(metrics.correct) == (np.argmax(logits, axis=1) == labels).sum()
        assert int(metrics.examples) == len(labels)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
        state.params,
        parameters,
    )
    assert int(state.step) == 5


def test_what_stands_in_masked_rows_does_not_matter():
    model, optimizer = small(), optax.sgd(0.5)
    step = cnn.make_training(model, optimizer).step
    (batch,) = random_batches(4)[3:]
    other = batch._replace(
        image=np.where(batch.mask[:, None, None, None], batch.image, 255),
        label=np.where(batch.mask, batch.label, (batch.label + 1) % CLASSES),
    )
    results = []
    for variant in (batch, other):
        state = cnn.make_training(model, optimizer).init(jax.random.key(0))
        results.append(step(state, variant))
    (first, first_metrics), (second, second_metrics) = results
    jax.tree.map(np.testing.assert_array_equal, first.params, second.params)
    assert jax.tree.all(jax.tree.map(np.array_equal, first_metrics, second_metrics))


def test_the_second_step_does_not_compile():
    traces = []

    def counting(x):
        traces.append(x.shape)
        return x

    layer = cnn.serial(counting, cnn.flatten(), cnn.dense(CLASSES))
    model = layer.build(SHAPE, rngs=nnx.Rngs(0))
    state = cnn.make_training(model, optax.sgd(0.1, momentum=0.9)).init(jax.random.key(0))
    step, evaluate = (
        cnn.make_training(model, optax.sgd(0.1, momentum=0.9)).step,
        cnn.make_eval_step(model),
    )
    first, *others = random_batches(3)
    state, _ = step(state, first)
    evaluate(state, first)
    traces.clear()
    for batch in others:
        state, _ = step(state, batch)
        evaluate(state, batch)
    assert traces == []


def test_evaluating_an_equal_model_does_not_compile_again():
    traces = []

    def counting(x):
        traces.append(x.shape)
        return x

    layer = cnn.serial(counting, cnn.flatten(), cnn.dense(CLASSES))
    data = cnn.Dataset(random_batches(1)[0].image, np.zeros(8, int), tuple("abc"))
    for seed in range(3):
        cnn.evaluate(layer.build(SHAPE, rngs=nnx.Rngs(seed)), data, batch_size=5)
    assert [shape[0] for shape in traces].count(5) == 1


def test_the_state_is_donated_and_the_model_lives_on():
    model, optimizer = small(), optax.sgd(0.1, momentum=0.9)
    state = cnn.make_training(model, optimizer).init(jax.random.key(0))
    before = jax.tree.leaves(state)
    after, _ = cnn.make_training(model, optimizer).step(state, random_batches(1)[0])
    parameters = jax.tree.leaves(state.params)
    assert parameters
    assert all(leaf.is_deleted() for leaf in parameters)
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(nnx.state(model)))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(after))
    assert len(jax.tree.leaves(after)) == len(before)


def test_the_callers_key_lives_on(key):
    model = small()
    for _ in range(2):
        state = cnn.make_training(model, optax.sgd(0.1)).init(key)
        cnn.make_training(model, optax.sgd(0.1)).step(state, random_batches(1)[0])
    assert not key.is_deleted()


def test_to_model_gives_the_trained_arrays():
    model = small()
    state = cnn.make_training(model, optax.sgd(0.5)).init(jax.random.key(0))
    kernel = np.array(model.dense_1.kernel[...])
    state, _ = cnn.make_training(model, optax.sgd(0.5)).step(state, random_batches(1)[0])
    trained = state.to_model(model)
    np.testing.assert_array_equal(trained.dense_1.kernel[...], state.params["dense_1"]["kernel"])
    np.testing.assert_array_equal(model.dense_1.kernel[...], kernel)
    assert (np.asarray(trained.dense_1.kernel[...]) != kernel).any()


class RunningMean(nnx.Module):
    """Learns a scale and counts what it saw, as a batch normalization does."""

    def __init__(self):
        self.scale = nnx.Param(jnp.ones(CLASSES))
        self.mean = nnx.BatchStat(jnp.zeros(()))

    def __call__(self, x, *, train=False):
        if train:
            self.mean[...] = 0.5 * self.mean[...] + 0.5 * x.mean()
        return x.reshape(len(x), -1)[:, :CLASSES] * self.scale[...][None]


def test_statistics_are_updated_and_not_trained():
    model, optimizer = RunningMean(), optax.sgd(1.0, momentum=0.9)
    state = cnn.make_training(model, optimizer).init(jax.random.key(0))
    assert set(state.params) == {"scale"}
    step, evaluate = cnn.make_training(model, optimizer).step, cnn.make_eval_step(model)
    expected = 0.0
    for batch in random_batches(3):
        state, _ = step(state, batch)
        expected = 0.5 * expected + 0.5 * (batch.image / 255).mean()
        evaluate(state, batch)
    np.testing.assert_allclose(state.to_model(model).mean[...], expected, rtol=1e-5)
    assert model.mean[...] == 0


def randomness(model, **options):
    """Return the loss sum of two steps from one state each, and of the first again."""
    step = cnn.make_training(model, optax.sgd(0.0), **options).step
    batch = random_batches(1)[0]

    def losses(seed):
        state = cnn.make_training(model, optax.sgd(0.0)).init(jax.random.key(seed))
        state, first = step(state, batch)
        _, second = step(state, batch)
        return float(first.loss_sum), float(second.loss_sum)

    return losses


@pytest.mark.parametrize(
    ("layers", "options"),
    [
        ((cnn.flatten(), cnn.dropout(0.5), cnn.dense(CLASSES)), {}),
        ((cnn.flatten(), cnn.dense(CLASSES)), {"augment": cnn.augment.random_shift}),
    ],
    ids=["dropout", "augment"],
)
def test_randomness_comes_from_the_key_and_the_step(layers, options):
    losses = randomness(cnn.serial(*layers).build(SHAPE, rngs=nnx.Rngs(0)), **options)
    assert losses(0) == losses(0)
    assert len({*losses(0), *losses(1)}) == 4


def test_augmentation_gets_float_images_and_changes_what_the_model_sees():
    seen = []

    def black(key, images):
        seen.append((images.dtype, images.shape))
        return jnp.zeros_like(images)

    model, batch = small(), random_batches(1)[0]
    state = cnn.make_training(model, optax.sgd(0.1)).init(jax.random.key(0))
    _, metrics = cnn.make_training(model, optax.sgd(0.1), augment=black).step(state, batch)
    assert seen == [(jnp.float32, batch.image.shape)]
    logits = model(jnp.zeros(batch.image.shape))
    expected = numpy_cross_entropy(logits, batch.label).sum()
    np.testing.assert_allclose(metrics.loss_sum, expected, rtol=1e-5)


def test_mixing_gets_one_hot_targets_and_decides_loss_and_accuracy():
    """Every image becomes the first, and its target two thirds of a class."""
    seen = []
    target = jnp.array([0.1, 0.2, 0.7])

    def first(key, images, targets):
        seen.append((images.dtype, targets.dtype, targets.shape))
        images = jnp.broadcast_to(images[:1], images.shape)
        return images, jnp.broadcast_to(target, targets.shape)

    model, batch = small(), random_batches(1)[0]
    state = cnn.make_training(model, optax.sgd(0.1)).init(jax.random.key(0))
    _, metrics = cnn.make_training(model, optax.sgd(0.1), mix=first).step(state, batch)
    assert seen == [(jnp.float32, jnp.float32, (8, CLASSES))]
    logits = model(jnp.asarray(batch.image[:1] / np.float32(255)))
    losses = [float(numpy_cross_entropy(logits, [label])[0]) for label in range(CLASSES)]
    np.testing.assert_allclose(metrics.loss, np.dot(losses, target), rtol=1e-5)
    assert float(metrics.accuracy) == float(np.argmax(logits) == 2)


def test_mixing_with_strength_zero_is_no_mixing():
    model, (batch,) = small(), random_batches(1)
    mixes = [None, functools.partial(cnn.augment.mixup, alpha=0)]
    states = []
    for mix in mixes:
        state = cnn.make_training(model, optax.sgd(0.1)).init(jax.random.key(0))
        states.append(cnn.make_training(model, optax.sgd(0.1), mix=mix).step(state, batch))
    for a, b in zip(*map(jax.tree.leaves, states), strict=True):
        if a.dtype == jnp.float32:
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@functools.cache
def training_with(mix):
    """Return a training that mixes, compiled once for all tests."""
    return cnn.make_training(small(), optax.sgd(0.5), mix=functools.partial(mix, alpha=1.0))


@pytest.mark.parametrize("mix", [cnn.augment.mixup, cnn.augment.cutmix])
@pytest.mark.parametrize("real", [1, 3])
def test_masked_rows_are_not_mixed_into_real_ones(mix, real):
    init, step = training_with(mix)
    batch = random_batches(1)[0]._replace(mask=np.roll(np.arange(8) < real, 2))
    other = batch._replace(
        image=np.where(batch.mask[:, None, None, None], batch.image, 255),
        label=np.where(batch.mask, batch.label, (batch.label + 1) % CLASSES),
    )
    results = []
    for variant in (batch, other):
        results.append(step(init(jax.random.key(0)), variant))
    (first, first_metrics), (second, second_metrics) = results
    assert int(first_metrics.examples) == real
    jax.tree.map(np.testing.assert_array_equal, first.params, second.params)
    assert jax.tree.all(jax.tree.map(np.array_equal, first_metrics, second_metrics))


def test_a_batch_without_real_rows_changes_nothing_in_the_metrics():
    model, batch = small(), random_batches(1)[0]
    step = cnn.make_training(model, optax.sgd(0.1), mix=cnn.augment.mixup).step
    state = cnn.make_training(model, optax.sgd(0.1)).init(jax.random.key(0))
    _, metrics = step(state, batch._replace(mask=np.zeros(8, bool)))
    assert (float(metrics.loss_sum), float(metrics.correct), float(metrics.examples)) == (0, 0, 0)


def test_augmentations_are_told_the_epoch():
    def dim(key, images, *, epoch):
        return jnp.zeros_like(images) + epoch.astype(images.dtype)

    model, batch = small(), random_batches(1)[0]
    state = cnn.make_training(model, optax.sgd(0.0)).init(jax.random.key(0))
    step = cnn.make_training(model, optax.sgd(0.0), augment=dim, steps_per_epoch=2).step
    losses = []
    for _ in range(6):
        state, metrics = step(state, batch)
        losses.append(float(metrics.loss_sum))
    for number, loss in enumerate(losses):
        logits = model(jnp.full(batch.image.shape, number // 2, jnp.float32))
        expected = numpy_cross_entropy(logits, batch.label).sum()
        assert loss == pytest.approx(expected, rel=1e-5)


def test_a_recipe_by_name_is_its_augmentation():
    model, batch = small(), random_batches(1)[0]
    losses = []
    for augment in ("digits", functools.partial(cnn.augment.random_shift, pixels=2)):
        state = cnn.make_training(model, optax.sgd(0.1)).init(jax.random.key(0))
        _, metrics = cnn.make_training(model, optax.sgd(0.1), augment=augment).step(state, batch)
        losses.append(float(metrics.loss_sum))
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        (
            {"augment": "digit"},
            ValueError,
            r"there is no augmentation policy 'digit'. Did you mean 'digits'\?",
        ),
        ({"steps_per_epoch": 0}, ValueError, "steps_per_epoch must be at least 1"),
        ({"steps_per_epoch": 2.0}, TypeError, "steps_per_epoch must be an integer"),
    ],
)
def test_option_errors_come_at_once(options, kind, message):
    with pytest.raises(kind, match=message):
        cnn.make_training(small(), optax.sgd(0.1), **options)


def test_who_needs_the_epoch_and_is_not_told_says_so():
    model, batch = small(), random_batches(1)[0]
    step = cnn.make_training(model, optax.sgd(0.1), augment="airbench").step
    state = cnn.make_training(model, optax.sgd(0.1)).init(jax.random.key(0))
    with pytest.raises(ValueError, match="give make_training its steps_per_epoch"):
        step(state, batch)


def test_a_loss_of_ones_own():
    def squared(logits, labels):
        return ((logits - jax.nn.one_hot(labels, CLASSES)) ** 2).sum(axis=1)

    model, batch = small(), random_batches(3)[2]
    state = cnn.make_training(model, optax.sgd(0.1)).init(jax.random.key(0))
    evaluated = cnn.make_eval_step(model, loss=squared)(state, batch)
    _, trained = cnn.make_training(model, optax.sgd(0.1), loss=squared).step(state, batch)
    logits = np.asarray(model(jnp.asarray(batch.image / np.float32(255))))
    expected = ((logits - np.eye(CLASSES)[batch.label]) ** 2).sum(axis=1)[batch.mask].sum()
    np.testing.assert_allclose(evaluated.loss_sum, expected, rtol=1e-5)
    np.testing.assert_allclose(trained.loss_sum, expected, rtol=1e-5)


def test_metrics_are_sums_that_add_up():
    model = small()
    state = cnn.make_training(model, optax.sgd(0.1)).init(jax.random.key(0))
    step, (whole,) = cnn.make_eval_step(model), random_batches(1)
    halves = [
        step(state, cnn.Batch(*(array[part] for array in whole)))
        for part in (slice(4), slice(4, None))
    ]
    total, summed = step(state, whole), jax.tree.map(jnp.add, *halves)
    np.testing.assert_allclose(summed.loss, total.loss, rtol=1e-5)
    assert float(summed.accuracy) == float(total.accuracy)
    assert int(summed.examples) == 8


def test_floating_point_images_are_used_as_they_are():
    model, (batch,) = small(), random_batches(1)
    state = cnn.make_training(model, optax.sgd(0.1)).init(jax.random.key(0))
    step = cnn.make_eval_step(model)
    divided = step(state, batch._replace(image=batch.image.astype(np.float32) / 255))
    as_pixels = step(state, batch)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), divided, as_pixels)
    other = step(state, batch._replace(image=batch.image.astype(np.float32)))
    assert not np.allclose(other.loss_sum, as_pixels.loss_sum, rtol=1e-3)


def test_jax_arrays_and_numpy_arrays_make_the_same_step():
    model, (batch,) = small(), random_batches(1)
    step = cnn.make_training(model, optax.sgd(0.1)).step
    states = [
        step(cnn.make_training(model, optax.sgd(0.1)).init(jax.random.key(0)), variant)[0]
        for variant in (batch, jax.tree.map(jnp.asarray, batch))
    ]
    for a, b in itertools.pairwise(map(jax.tree.leaves, (s.params for s in states))):
        jax.tree.map(np.testing.assert_array_equal, a, b)
