"""Old names of arguments and functions warn, still work, and go in the version that they state."""

import ast
import warnings
from pathlib import Path

import pytest

import jaxcnn
from jaxcnn import models, recipes
from jaxcnn.deprecation import renamed_arguments

FILES = sorted(Path(jaxcnn.__file__).parent.rglob("*.py"))


def release(version):
    return tuple(map(int, version.split(".")))


def renamings():
    """Yield each use of a renaming, as its file, the version of its end, and the old names."""
    version_at = {"renamed_arguments": 0, "renamed_names": 2}
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text if "deprecation" in text else "")):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func).rpartition(".")[2]
                if name in version_at:
                    removal = ast.literal_eval(node.args[version_at[name]])
                    yield path.name, removal, [option.arg for option in node.keywords]


def test_old_names_go_in_the_version_that_they_state():
    found = list(renamings())
    assert {path for path, _, _ in found} == {"creation.py", "__init__.py"}
    current = release(jaxcnn.__version__)
    assert [(path, names) for path, end, names in found if release(end) <= current] == []


def test_an_argument_is_taken_under_its_old_name():
    with (
        pytest.warns(DeprecationWarning, match="input_channels") as caught,
        pytest.raises(ValueError, match="Received: in_features=1"),
    ):
        models.create("resnet18", input_channels=1)
    assert [str(each.message) for each in caught] == [
        "The argument 'input_channels' of create is now 'in_features'; "
        "jaxcnn 0.2.0 no longer takes the old name."
    ]
    assert caught[0].filename == __file__


def test_an_argument_is_given_once():
    @renamed_arguments("9.0", stride="strides")
    def pool(x, *, strides=1):
        return x, strides

    assert pool(3, strides=2) == (3, 2)
    with pytest.raises(TypeError, match="pool takes 'strides' once; 'stride' is its old name"):
        pool(3, stride=2, strides=2)


def test_a_function_is_found_under_its_old_name():
    with pytest.warns(DeprecationWarning, match="read_recipe") as caught:
        assert recipes.read_recipe is recipes.recipe_of_run
    assert [str(each.message) for each in caught] == [
        "jaxcnn.recipes.read_recipe is now jaxcnn.recipes.recipe_of_run; "
        "jaxcnn 0.2.0 no longer has the old name."
    ]
    with pytest.raises(AttributeError, match="read_recipes"):
        _ = recipes.read_recipes


def test_a_script_is_warned_once():
    code = compile("for _ in range(3):\n    recipes.read_recipe\n", "script.py", "exec")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("default", category=DeprecationWarning, module="__main__")
        exec(code, {"__name__": "__main__", "recipes": recipes})
    assert [(each.filename, each.lineno) for each in caught] == [("script.py", 2)]
