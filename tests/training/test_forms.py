"""The forms in which losses, optimizers, metrics and callbacks are given, and what mistakes say."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn import training
from jaxcnn.augment.named_policies import resolve_augment
from jaxcnn.training import accuracy, cross_entropy, focal, make_optimizer, top_k
from jaxcnn.training.named_losses import LOSSES, loss_from_json, loss_to_json
from jaxcnn.training.named_metrics import METRICS, name_metrics

pytestmark = pytest.mark.implicit_promotion
IMAGES = np.random.default_rng(0).integers(0, 256, (32, 4, 4, 1)).astype(np.uint8)
DATA = cnn.Dataset(IMAGES, np.arange(32) % 3)
LAYERS = cnn.serial(cnn.flatten(), cnn.dense(3))


def fit(model=None, *, data=DATA, **options):
    model = model or LAYERS.build((4, 4, 1), rngs=nnx.Rngs(0))
    options = {"epochs": 2, "batch_size": 16, "progress": False, "validation": DATA} | options
    return cnn.fit(model, data, **options)


def kernel(result):
    return result.model.dense_1.kernel[...]


def loss_of(result):
    return result.history[-1].validation_loss


def test_names_and_schedules():
    named = fit(loss="focal", optimizer="sgd", learning_rate=0.5)
    schedule = optax.cosine_onecycle_schedule(4, 0.5)
    expected = fit(loss=focal, optimizer=make_optimizer("sgd", learning_rate=schedule))
    np.testing.assert_array_equal(kernel(named), kernel(expected))
    np.testing.assert_array_equal(
        kernel(fit(learning_rate=schedule)), kernel(fit(optimizer=optax.adam(schedule)))
    )
    model = expected.model
    assert cnn.evaluate(model, DATA, loss="focal").loss == pytest.approx(loss_of(expected))
    step = cnn.make_eval_step(model, loss="focal")
    batch = next(iter(cnn.data.batches(DATA, 32)))
    state = cnn.make_training(model, optax.sgd(0.1), loss="focal").init(jax.random.key(0))
    assert float(step(state, batch).loss) == pytest.approx(loss_of(expected), rel=1e-5)


def test_metrics_by_name_and_as_functions():
    def distance(logits, labels):
        return jnp.abs(jnp.argmax(logits, axis=-1) - labels)

    result = fit(metrics=["f1", "top-2", distance], epochs=1)
    answers = cnn.predict(result.model, IMAGES).argmax(axis=-1)
    metrics = result.history[-1].metrics
    assert list(metrics) == ["f1", "top-2", "distance"]
    measured = cnn.evaluate(result.model, DATA, batch_size=7, metrics=[accuracy, distance]).metrics
    assert measured["accuracy"] == pytest.approx((answers == DATA.labels).mean())
    assert measured["distance"] == pytest.approx(np.abs(answers - DATA.labels).mean())
    assert metrics["distance"] == pytest.approx(measured["distance"])


def test_what_a_run_keeps_of_its_loss_and_metrics():
    for name, loss in LOSSES.items():
        assert loss_to_json(loss) == {"name": name}
        assert loss_from_json({"name": name}) is loss
    weighted = functools.partial(cross_entropy, class_weights=np.array([1.0, 2.0]))
    described = loss_to_json(functools.partial(weighted, label_smoothing=0.1))
    assert described == {
        "name": "cross_entropy",
        "class_weights": [1.0, 2.0],
        "label_smoothing": 0.1,
    }
    assert loss_to_json(lambda outputs, labels: outputs) is None
    assert name_metrics(METRICS) == {name: name for name in METRICS}
    own = {"a": top_k(5), "b": top_k(3), "c": training.f1(macro=True), "d": training.f1()}
    assert name_metrics(own) == {"a": "top-5", "c": "f1"}


def test_pairs_and_lists_are_taken():
    pair = (IMAGES, DATA.labels)
    augment = [cnn.augment.random_flip, "digits"]
    expected = fit(augment=cnn.augment.compose(*map(resolve_augment, augment)))
    given = fit(data=pair, validation=list(pair), augment=augment)
    np.testing.assert_array_equal(kernel(given), kernel(expected))
    assert loss_of(given) == loss_of(expected)
    named = cnn.Dataset(IMAGES, DATA.labels, ("a", "b", "c"))
    few = (IMAGES[:2], DATA.labels[:2])  # has images of two classes of three
    result = fit(data=named, validation=few, epochs=1)
    measured = cnn.evaluate(result.model, named[:2])
    assert result.history[-1].validation_loss == pytest.approx(measured.loss)
    model = LAYERS.build((4, 4, 1), rngs=nnx.Rngs(0))
    search = training.find_learning_rate(model, pair, highest=10.0, steps=20, augment=augment)
    assert len(search.rates) > 0


@pytest.mark.parametrize(("batch_size", "accumulate"), [(64, 1), (10**9, 1), (64, 8)])
def test_a_smaller_data_set_is_one_step(batch_size, accumulate):
    """Every image counts once: the kernel after one step of gradient descent, by NumPy."""
    model = LAYERS.build((4, 4, 1), rngs=nnx.Rngs(0))
    started, events = [], []
    result = fit(
        model,
        data=DATA[:10],
        validation=DATA[:3],
        optimizer=optax.sgd(0.5),
        epochs=1,
        batch_size=batch_size,
        accumulate=accumulate,
        callbacks=[started.append, lambda event: events.append(type(event).__name__)],
    )
    assert events.count("Stepped") == 1
    assert started[0].batch_size == (16 if accumulate == 8 else 10)
    pixels = IMAGES[:10].reshape(10, 16) / 255
    before = np.asarray(model.dense_1.kernel[...], float)
    logits = pixels @ before + np.asarray(model.dense_1.bias[...])
    shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    gradient = pixels.T @ (shares - np.eye(3)[DATA.labels[:10]]) / 10
    np.testing.assert_allclose(kernel(result), before - 0.5 * gradient, rtol=1e-5, atol=1e-6)


class Several(nnx.Module):
    def __init__(self):
        self.head = nnx.Linear(16, 3, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return {"logits": self.head(x.reshape(len(x), -1)), "features": x}


WRONG = [
    ({"loss": "categorical_crossentropy"}, ValueError, "'cross_entropy' here, of class numbers"),
    ({"loss": "sparse_categorical_crossentropy"}, ValueError, "partial(cross_entropy, from_logits"),
    ({"loss": "BCEWithLogitsLoss"}, ValueError, "It is 'binary_cross_entropy' here"),
    ({"loss": "mse"}, ValueError, "It is 'squared_error' here."),
    ({"loss": "cross_entrpy"}, ValueError, "Did you mean 'cross_entropy'?"),
    ({"loss": 3}, TypeError, "loss must be the name of a loss, or a function"),
    ({"optimizer": "Adam"}, ValueError, "Did you mean 'adam'?"),
    ({"optimizer": "rmsprop"}, ValueError, "in Optax: optimizer=optax.rmsprop(0.001)"),
    ({"optimizer": "sdg"}, ValueError, "Did you mean 'sgd'?"),
    ({"optimizer": optax.adam}, TypeError, "optimizer must be a name, or an Optax transf"),
    ({"optimizer": "adam", "learning_rate": -1}, ValueError, "learning_rate must be above 0"),
    ({"metrics": ["acuracy"]}, ValueError, "Did you mean 'accuracy'?"),
    ({"metrics": [accuracy]}, ValueError, "loss and accuracy are measured without being asked"),
    ({"metrics": "f1"}, TypeError, 'a sequence of names and functions, such as ["f1", "top-5"]'),
    ({"metrics": [top_k]}, TypeError, 'needs k: call it, and give it a name, such as metrics={"t'),
    ({"metrics": [lambda x, y: x]}, ValueError, "a function as a metric must give one value per"),
    ({"metrics": {"a": 3}}, TypeError, "metrics must map names to metrics"),
    ({"callbacks": print}, TypeError, "callbacks must be a sequence of functions of one event"),
    ({"callbacks": [3]}, TypeError, "such as [print]"),
    ({"augment": 3}, TypeError, "augment must be a function (key, images) -> images, such as"),
    ({"augment": ["flip"]}, ValueError, "there is no augmentation policy 'flip'. Known: none"),
    ({"augment": [cnn.augment.random_flip, 3]}, TypeError, "Received: 3"),
    ({"data": IMAGES}, TypeError, "data must be a Dataset, as cnn.Dataset(images, labels) and cn"),
    ({"validation": IMAGES}, TypeError, "validation must be a Dataset"),
    ({"data": ("cat.png", [1])}, TypeError, "predicted by jaxcnn predict. Received: the path 'ca"),
    ({"model": LAYERS}, TypeError, "build the description, layer.build(input_shape, rngs=nnx.Rn"),
    ({"model": "tiny_cnn"}, TypeError, "cnn.models.create('tiny_cnn').build(input_shape, rngs=nn"),
    ({"model": nnx.Linear}, TypeError, "make an instance of the class, such as Linear(rngs="),
    ({"model": print}, TypeError, "model must be an nnx.Module: such as that of layer.build("),
    ({"model": LAYERS.abstract((4, 4, 1))}, TypeError, "model must hold arrays, and this one is"),
    ({"model": Several()}, TypeError, "such as self.model(x)[\"logits\"]. Received: dict with"),
]  # fmt: skip


Flax = nnx.eval_shape(lambda: nnx.BatchNorm(1, rngs=nnx.Rngs(0)))


@pytest.mark.parametrize(("options", "error", "message"), WRONG)
def test_a_mistake_tells_the_way(options, error, message):
    with pytest.raises(error) as raised:
        fit(**options)
    assert message in str(raised.value)


def test_a_run_is_a_folder(tmp_path):
    path = tmp_path / "run"
    path.write_text("a file")
    with pytest.raises(ValueError, match="run must be a folder, and is a file"):
        fit(run=path)
    assert path.read_text() == "a file"


@pytest.mark.parametrize("model", [LAYERS, "tiny_cnn", LAYERS.abstract((4, 4, 1)), Flax])
def test_what_is_no_module_or_abstract_is_told_everywhere(model, tmp_path):
    for call in (
        lambda: cnn.predict(model, IMAGES),
        lambda: cnn.evaluate(model, DATA),
        lambda: training.find_learning_rate(model, DATA, steps=20, batch_size=16),
        lambda: cnn.make_training(model, optax.sgd(0.1)),
        lambda: cnn.save(model, tmp_path / "model.safetensors"),
    ):
        with pytest.raises(TypeError, match=r"model must (be an nnx.Module: |hold arrays, and)"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_other_entries_tell_of_several_outputs():
    model = Several()
    for call in (
        lambda: cnn.predict(model, IMAGES),
        lambda: cnn.evaluate(model, DATA),
        lambda: training.find_learning_rate(model, DATA, steps=20, batch_size=16),
    ):
        with pytest.raises(TypeError, match="the model must return one array"):
            call()
