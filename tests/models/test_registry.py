"""Models by name."""

import inspect
import pkgutil
from importlib import import_module

import pytest

from jaxcnn import models
from jaxcnn.layers import Layer, dropout

FAMILIES = [
    import_module(f"jaxcnn.models.{entry.name}") for entry in pkgutil.iter_modules(models.__path__)
]


def test_names_are_sorted_and_each_is_one_function():
    functions = [
        name
        for family in FAMILIES
        for name, value in vars(family).items()
        if inspect.isfunction(value)
        and value.__module__ == family.__name__
        and "num_classes" in inspect.signature(value).parameters
        and not name.startswith("_")
    ]
    assert models.names() == tuple(sorted(functions))


@pytest.mark.parametrize("name", models.names())
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
            r"^there is no model 'zebra'. Known: airbench, letters_cnn, mnist_cnn, .*, tiny_cnn.$",
        ),
        (
            lambda: models.create("mnist_cnn", num_class=3),
            r"^there is no option of mnist_cnn 'num_class'. Did you mean 'num_classes'\?$",
        ),
        (
            lambda: models.create("pets_cnn", rate=0.5),
            r"^there is no option of pets_cnn 'rate'. Known: num_classes.$",
        ),
        (lambda: models.create("pets_cnn", num_classes=0), r"features must be at least 1.*=0"),
        (lambda: models.create("mnist_cnn", rate=1.0), r"rate .* must be in \[0, 1\).*rate=1.0"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", models.names())
def test_number_of_classes_comes_first_and_the_rest_by_keyword(name):
    (builder,) = (
        vars(family)[name] for family in FAMILIES if inspect.isfunction(vars(family).get(name))
    )
    first, *rest = inspect.signature(builder).parameters.values()
    assert first.name == "num_classes"
    assert all(option.kind is option.KEYWORD_ONLY for option in rest)
