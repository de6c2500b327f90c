"""Models with any attribute are trained, evaluated and used to predict, as `nnx.jit` takes them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.training import find_learning_rate
from jaxcnn.training.fingerprint import describe_model
from jaxcnn.training.model_structure import Structure

pytestmark = pytest.mark.implicit_promotion


@dataclasses.dataclass
class Options:
    factors: np.ndarray = dataclasses.field(default_factory=lambda: np.ones(2))
    names: list = dataclasses.field(default_factory=lambda: ["a"])


class Unknown:
    """A value that has no hash, and whose changes cannot be seen."""

    __hash__ = None


class Model(nnx.Module):
    def __init__(self, given):
        self.head = nnx.Linear(16, 2, rngs=nnx.Rngs(0))
        self.given = given

    def __call__(self, x):
        factor = self.given[0] if isinstance(self.given, list) else 2.0
        return self.head(x.reshape(len(x), -1)) * factor


VALUES = {
    "list": [2.0, 3.0],
    "dict": {"factor": [2.0]},
    "dataclass": Options(),
    "numpy": np.ones(3, np.float32),
    "nested": (1, [2, {"a"}]),
    "set": {1, 2},
    "slice": slice(1, 2),
    "unknown": Unknown(),
}
RANDOM = np.random.default_rng(0)
DATA = cnn.Dataset(RANDOM.integers(0, 256, (40, 4, 4, 1)).astype(np.uint8), np.arange(40) % 2)


@pytest.mark.parametrize("name", VALUES)
def test_any_attribute(name):
    model = Model(VALUES[name])
    logits = nnx.jit(lambda model, x: model(x))(model, jnp.asarray(DATA.images / 255, jnp.float32))
    expected = np.asarray(jax.nn.softmax(logits))
    np.testing.assert_allclose(cnn.predict(model, DATA.images), expected, rtol=1e-5)
    loss = -np.log(expected[np.arange(40), DATA.labels]).mean()
    assert cnn.evaluate(model, DATA).loss == pytest.approx(loss, rel=1e-5)
    if name in ("list", "unknown"):
        trained = cnn.fit(model, DATA, validation=DATA, epochs=1, batch_size=20, progress=False)
        assert type(trained.model.given) is type(model.given)


def test_the_learning_rate_finder_takes_a_list():
    images = np.uint8(200) * DATA.labels[:, None, None, None] + DATA.images // 8
    data = cnn.Dataset(images.astype(np.uint8), DATA.labels)
    search = find_learning_rate(Model([2.0]), data, batch_size=20, steps=20)
    assert search.suggestion > 0


def test_a_module_that_is_a_dataclass():
    """Python gives a dataclass that compares by its fields no hash."""

    @dataclasses.dataclass
    class Own(nnx.Module):
        head: nnx.Linear
        names: tuple = ("a",)

        def __call__(self, x):
            return self.head(x.reshape(len(x), -1))

    model = Own(nnx.Linear(16, 2, rngs=nnx.Rngs(0)))
    trained = cnn.fit(model, DATA, epochs=1, batch_size=20, progress=False).model
    np.testing.assert_allclose(cnn.predict(trained, DATA.images).sum(axis=-1), 1, rtol=1e-5)


def test_a_change_in_place_is_another_model():
    model = Model([1.0])
    once = cnn.predict(model, DATA.images, activation=None)
    model.given[0] = 3.0
    np.testing.assert_allclose(cnn.predict(model, DATA.images, activation=None), 3 * once, 1e-5)
    # The first program is not compiled from what the list holds now.
    np.testing.assert_allclose(
        cnn.predict(Model([1.0]), DATA.images[:1], activation=None, batch_size=1), once[:1], 1e-5
    )


@pytest.mark.parametrize("name", [name for name in VALUES if name != "unknown"])
def test_equal_attributes_share_a_program(name):
    first, second = (Structure.of(Model(VALUES[name])) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)
    assert first != Structure.of(Model([]))


def test_attributes_are_part_of_the_fingerprint():
    described = describe_model(Model({"b": [1, 2], "a": {"y", "x"}}))
    assert described["model.given"] == "{b: (1, 2), a: {x, y}}"
