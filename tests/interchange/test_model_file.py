"""Models saved into a file and read again, of the library and of the user."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

import jaxcnn as cnn
from jaxcnn.interchange.model_file import model_to_bytes, read_signature
from jaxcnn.interchange.signature import Signature

DIGITS = np.random.default_rng(0).random((6, 8, 8, 1), dtype=np.float32)


class Stock(nnx.Module):
    """A module of Flax's own layers, with a list, random numbers and running statistics."""

    def __init__(self, rngs):
        self.layers = nnx.Sequential(nnx.Linear(64, 5, rngs=rngs), jax.nn.relu)
        self.norm = nnx.BatchNorm(5, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.dropout(self.norm(self.layers(x.reshape(len(x), -1))))


def changed(model):
    """Return a model of the same structure with other weights, as a training leaves it."""
    graphdef, state = nnx.split(model)
    return nnx.merge(
        graphdef,
        jax.tree.map(lambda x: x + 1 if jnp.issubdtype(x.dtype, jnp.floating) else x, state),
    )


def assert_same(loaded, model):
    given, expected = (
        cnn.modules.in_mode(loaded, train=False),
        cnn.modules.in_mode(model, train=False),
    )
    np.testing.assert_array_equal(given(DIGITS), expected(DIGITS))
    assert nnx.graphdef(loaded) == nnx.graphdef(model)


def test_a_composition_needs_nothing_but_its_file(tmp_path):
    block = cnn.residual(
        cnn.serial(cnn.conv(3, 3, padding=1), cnn.batch_norm(), jax.nn.silu), cnn.conv(3, 1)
    )
    network = cnn.serial(
        block, cnn.parallel(cnn.max_pool(2), cnn.avg_pool(2)), cnn.flatten(), head=cnn.dense(4)
    )
    model = changed(network.build((8, 8, 1), rngs=nnx.Rngs(0)))
    cnn.save(model, tmp_path / "model.safetensors")
    assert_same(cnn.load(tmp_path / "model.safetensors"), model)
    # Other programs read the file by names.
    arrays = safetensors.numpy.load_file(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(arrays["head.kernel"], model.head.kernel[...])


@pytest.mark.parametrize("name", ["tiny_cnn", "resnet20"])
def test_models_of_the_registry_are_described(name, tmp_path):
    network = cnn.models.create(name)
    shape = cnn.models.input_shape(name)
    abstract = network.abstract(shape)
    tiny = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), nnx.split(abstract)[1])
    model = nnx.merge(nnx.graphdef(abstract), tiny)
    cnn.save(model, tmp_path / "model.safetensors")
    assert cnn.load(tmp_path / "model.safetensors").description == network


@pytest.mark.parametrize("abstract", [False, True])
def test_a_module_of_flax_is_read_into_one_of_its_structure(abstract, tmp_path):
    path = tmp_path / "model.safetensors"
    model = changed(Stock(nnx.Rngs(3)))
    model.dropout(jnp.ones(3))  # moves the count of its random numbers
    cnn.save(model, path)
    own = nnx.eval_shape(lambda: Stock(nnx.Rngs(4))) if abstract else Stock(nnx.Rngs(4))
    loaded = cnn.load(path, into=own)
    assert_same(loaded, model)
    ones = jnp.ones(50)
    np.testing.assert_array_equal(loaded.dropout(ones), model.dropout(ones))
    with pytest.raises(ValueError, match=r"hand-made module: pass one .*into=model"):
        cnn.load(path)


@pytest.mark.implicit_promotion
def test_a_run_of_a_module_of_flax_is_finished_and_read(tmp_path):
    data = cnn.Dataset(DIGITS, np.arange(6) % 5)
    result = cnn.fit(
        Stock(nnx.Rngs(0)), data, epochs=1, batch_size=6, run=tmp_path / "run", progress=False
    )
    loaded = cnn.load(tmp_path / "run", into=Stock(nnx.Rngs(1)))
    np.testing.assert_array_equal(cnn.predict(loaded, DIGITS), cnn.predict(result.model, DIGITS))


def test_a_file_from_elsewhere_calls_nothing(tmp_path):
    path = tmp_path / "model.safetensors"
    cnn.save(cnn.serial(jax.nn.relu, cnn.dense(2)).build((4,), rngs=nnx.Rngs(0)), path)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"jax.nn.relu", b"os.removed "))
    with pytest.raises(ValueError, match=r"is damaged: there is no function 'os\.removed '"):
        cnn.load(path)
    path.write_bytes(data[:40])
    with pytest.raises(ValueError, match="is damaged"):
        cnn.load(path)
    (tmp_path / "other.safetensors").write_bytes(safetensors.numpy.save({"a": np.zeros(2)}))
    with pytest.raises(ValueError, match="of a hand-made module"):
        cnn.load(tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"none\.safetensors' cannot be read: No such file"):
        cnn.load(tmp_path / "none.safetensors")


def test_what_cannot_be_saved_is_said_before_a_file_is_written(tmp_path):
    with pytest.raises(
        TypeError, match=r"model must be an nnx\.Module.*Received: model=dense\(2\)"
    ):
        cnn.save(cnn.dense(2), tmp_path / "model.safetensors")
    model = cnn.serial(cnn.dense(2)).build((4,), rngs=nnx.Rngs(0))
    with pytest.raises(
        ValueError, match=r"path must end in \.safetensors. Received: path='.*model\.pkl'"
    ):
        cnn.save(model, tmp_path / "model.pkl")
    cnn.save(model, tmp_path / "a.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_the_signature_of_an_exported_network(tmp_path):
    model, path = (
        cnn.serial(cnn.flatten(), cnn.dense(3)).build((8, 8, 1), rngs=nnx.Rngs(0)),
        tmp_path / "n.safetensors",
    )
    path.write_bytes(model_to_bytes(model))
    assert read_signature(path) is None
    signature = Signature((8, 8, 1), class_names=("no", "sí", "<b>"))
    path.write_bytes(model_to_bytes(model, signature))
    assert read_signature(path) == signature
    assert_same(cnn.load(path), model)
    with safetensors.safe_open(path, framework="numpy") as file:
        assert Signature.from_json(file.metadata()["signature"]) == signature
