"""Models by name."""

import inspect
import sys

import numpy as np
import pytest

import jaxcnn as cnn
from jaxcnn import models
from jaxcnn.layers import Layer, dropout
from jaxcnn.models import registry

CLASSIFIERS = [name for name in models.names() if not name.startswith(("fcos", "mtcnn", "unet"))]


def test_names_are_sorted_and_matched():
    assert list(models.names()) == sorted(models.names())
    assert models.names("*_cnn") == ("letters_cnn", "mnist_cnn", "pets_cnn", "tiny_cnn")
    assert models.names("vgg1?") == ("vgg11", "vgg13", "vgg16", "vgg19")
    assert models.names("zebra*") == ()


def test_what_is_known_of_a_model():
    info = models.info("resnet18")
    assert (info.name, info.input_shape) == ("resnet18", (224, 224, 3))
    assert (info.parameters, info.multiply_adds) == (11_689_512, 1_814_073_344)
    assert "1512.03385" in info.paper
    assert info.weights[0] == "timm"
    assert models.info("mnist_cnn").weights == ()


@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if "ensemble" not in name])
def test_without_classes_the_trunk_is_left(name):
    info = models.info(name)
    whole, trunk = models.create(name), models.create(name, num_classes=0)
    steps = [step for step in whole.walk(info.input_shape) if step.path[0] == "head"]
    assert "head" not in dict(trunk.children)
    if len(steps) == 1 and steps[0].layer.kind == "dense":
        assert trunk.output_shape(info.input_shape) == steps[0].input_shape


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_model_is_a_description_for_its_input(name):
    layer = models.create(name, num_classes=7)
    assert isinstance(layer, Layer)
    assert layer.output_shape(models.input_shape(name)) == (7,)
    assert layer == models.create(name, num_classes=7)
    assert layer != models.create(name)


@pytest.mark.parametrize(
    ("name", "input_shape", "classes"),
    [
        ("mnist_cnn", (28, 28, 1), 10),
        ("letters_cnn", (128, 128, 1), 26),
        ("pets_cnn", (30, 30, 1), 3),
    ],
)
def test_course_defaults(name, input_shape, classes):
    assert models.input_shape(name) == input_shape
    assert models.create(name).output_shape(input_shape) == (classes,)


def test_options_reach_the_model():
    children = dict(models.create("mnist_cnn", rate=0.25).children)
    assert children["dropout_1"] == dropout(0.25)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: models.create("mnist_cn"),
            r"^there is no model 'mnist_cn'. Did you mean 'mnist_cnn'\?$",
        ),
        (
            lambda: models.input_shape("pet_cnn"),
            r"^there is no model 'pet_cnn'. Did you mean 'pets_cnn'\?$",
        ),
        (
            lambda: models.create("zebra"),
            r"^there is no model 'zebra'. Known: airbench, alexnet, .*…",
        ),
        (
            lambda: models.create("mnist_cnn", num_class=3),
            r"^there is no option of mnist_cnn 'num_class'. Did you mean 'num_classes'\?$",
        ),
        (
            lambda: models.create("pets_cnn", rate=0.5),
            r"^there is no option of pets_cnn 'rate'. Known: num_classes.$",
        ),
        (lambda: models.create("pets_cnn", num_classes=-1), r"num_classes must be at least 0.*=-1"),
        (lambda: models.create("mnist_cnn", rate=1.0), r"rate .* must be in \[0, 1\).*rate=1.0"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_number_of_classes_comes_first_and_the_rest_by_keyword(name):
    first, *rest = inspect.signature(registry.find_entry(name).builder).parameters.values()
    assert first.name == "num_classes"
    assert all(option.kind is option.KEYWORD_ONLY for option in rest)


OWN = """
import jax
import jaxcnn as cnn
from jaxcnn.layers import conv, dense, flatten, serial

def own_activation(x):
    return jax.nn.relu(x) ** 2

small = serial(flatten(), head=dense(10))

def sized(num_classes=10, *, features=4):
    return serial(conv(features, 3), own_activation, flatten(), head=dense(num_classes))

@cnn.models.register(input_shape=(8, 8, 1))
def named_own(num_classes: int = 10):
    return serial(flatten(), head=dense(num_classes))

def wrong():
    return 3
"""


@pytest.fixture
def own_models(tmp_path, monkeypatch):
    """Put a module with models of a user's into the path, and forget it afterwards."""
    monkeypatch.setattr(registry, "_registry", dict(registry._registry))
    monkeypatch.delitem(sys.modules, "own_networks", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_networks.py").write_text(OWN)


@pytest.mark.usefixtures("own_models")
def test_models_of_a_module_of_the_user():
    assert models.create("own_networks:small").output_shape((8, 8, 1)) == (10,)
    assert models.create("own_networks:sized", num_classes=3).output_shape((8, 8, 1)) == (3,)
    assert models.option_names("own_networks:sized") == ("num_classes", "features")
    assert models.input_shape("own_networks:named_own") == (8, 8, 1)
    assert models.create("named_own", num_classes=2).output_shape((8, 8, 1)) == (2,)
    for name, message in {
        "own_networks:smal": r"^there is no model in own_networks: 'smal'. Did you mean 'small'\?$",
        "own_network:small": r"'own_network:small' cannot be imported: No module named 'own_netw",
    }.items():
        with pytest.raises(ValueError, match=message):
            models.create(name)
    with pytest.raises(ValueError, match=r"has no input shape of its own: decorate .*register"):
        models.input_shape("own_networks:sized")
    with pytest.raises(TypeError, match=r"own_networks:wrong must be a description.*int"):
        models.create("own_networks:wrong")


@pytest.mark.implicit_promotion
@pytest.mark.usefixtures("own_models")
@pytest.mark.parametrize("name", ["small", pytest.param("sized", marks=pytest.mark.long)])
def test_a_recipe_trains_a_model_of_the_user(name, tmp_path):
    assignments = [f'model.name="own_networks:{name}"', "training.epochs=1"]
    run = cnn.recipes.train("digits", tmp_path / "run", assignments=assignments, progress=False)
    images = np.zeros((2, 8, 8, 1), np.uint8)  # the size of the digits
    sized = models.create("own_networks:sized").abstract((8, 8, 1))
    # The description of one with a function of the user's own is not stored.
    own = sized if name == "sized" else None
    loaded = cnn.load(tmp_path / "run", into=own)
    np.testing.assert_array_equal(cnn.predict(loaded, images), cnn.predict(run.model, images))


@pytest.mark.usefixtures("own_models")
def test_a_name_is_registered_once():
    def mnist_cnn(num_classes=10):
        return num_classes

    with pytest.raises(ValueError, match=r"a model 'mnist_cnn' already, of jaxcnn\.models\.course"):
        models.register((28, 28, 1))(mnist_cnn)
    with pytest.raises(TypeError, match="only a function can be registered"):
        models.register((28, 28, 1))(cnn.dense(3))
    with pytest.raises(ValueError, match="input_shape"):
        models.register((28, -1, 1))


def test_classes_of_imagenet():
    classes = models.imagenet_classes()
    assert len(set(classes)) == len(classes) == 1000
    known = {134: "crane (bird)", 281: "tabby", 517: "crane (machine)", 872: "tripod"}
    assert {number: classes[number] for number in known} == known
