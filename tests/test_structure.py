"""The house rules of DESIGN.md, read off the source: rooms, vocabulary, index, light import."""

import ast
import graphlib
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jaxcnn
from jaxcnn import layers, modules, ops, shapes

ROOT = Path(jaxcnn.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
ROOMS = (
    "arguments",
    "other_names",
    "deprecation",
    "shapes",
    "runtime",
    "checks",
    "ops",
    "modules",
    "layers",
    "interchange",
    "models",
    "augment",
    "data",
    "training",
    "insight",
    "recipes",
    "serving",
    "course",
    "cli",
    "__main__",
)


def name_of(path):
    """Returns a file's dotted module name."""
    parts = ("jaxcnn", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {name_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
PACKAGES = [name_of(path.parent / "__init__.py") for path in FILES if path.name == "__init__.py"]


def imports(module):
    """Yields every module that a file imports, wherever in the file the import stands."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in TREES else node.module


def own(module):
    return {name for name in imports(module) if name.split(".")[0] == "jaxcnn"}


def room(module):
    parts = module.split(".")
    # The index stands below every room but the command line, which may use it.
    return ROOMS.index(parts[1]) if len(parts) > 1 else ROOMS.index("cli") - 0.5


def test_every_file_has_its_room():
    assert {name.split(".")[1] for name in TREES if name != "jaxcnn"} <= set(ROOMS)


@pytest.mark.parametrize("module", [name for name in TREES if name != "jaxcnn"])
def test_imports_go_up(module):
    assert [name for name in own(module) if room(name) > room(module)] == []


def test_no_import_circles():
    graph = {module: own(module) - {module} for module in TREES}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(TREES)


def test_only_checks_uses_chex():
    users = {module for module in TREES if any(n.split(".")[0] == "chex" for n in imports(module))}
    assert users == {"jaxcnn.checks"}


def test_shapes_knows_no_arrays():
    for module in TREES:
        if module.startswith("jaxcnn.shapes"):
            others = {
                name
                for name in imports(module)
                if not name.startswith("jaxcnn.shapes")
                and name not in ("jaxcnn.arguments", "jaxcnn.other_names")
            }
            assert {name.split(".")[0] for name in others} <= sys.stdlib_module_names, module


def test_only_two_files_know_the_platform():
    words = re.compile(
        r"default_backend|platform_dependent|jax\.(local_)?devices"
        r"|(?<!sys)\.platform\b|platform=\"cpu\""
    )
    knowing = {name_of(path) for path in FILES if words.search(path.read_text(encoding="utf-8"))}
    knowing.remove("jaxcnn.training.placement")  # lists the devices, of whatever platform
    knowing.remove("jaxcnn.ops.native.kernel_library")  # registers functions for CPU
    assert knowing == {"jaxcnn.ops.primitives.lowering", "jaxcnn.runtime"}


UNPACKING = {"extractall", "unpack_archive"}


def test_nothing_is_unpickled():
    for module, tree in TREES.items():
        names = {name.split(".")[0] for name in imports(module)}
        assert not names & {"pickle", "dill", "cloudpickle", "joblib", "shelve"}, module
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert ast.literal_eval(node.value) is False, module
            if isinstance(node, ast.keyword) and node.arg == "weights_only":
                assert ast.literal_eval(node.value) is True, module
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in {"eval", "exec", "yaml.load"}, module
                assert ast.unparse(node.func).rpartition(".")[2] not in UNPACKING, module


def public(module):
    """Yields the functions and classes that a module or package offers."""
    for name, value in vars(module).items():
        here = getattr(value, "__module__", "").startswith(module.__name__)
        if here and not name.startswith("_") and callable(value):
            yield value


def parameters(function):
    return list(inspect.signature(function).parameters.values())


CALLABLES = [
    pytest.param(value, id=f"{module.__name__}.{value.__name__}")
    for module in (shapes, ops, modules, layers)
    for value in public(module)
]
BANNED = {
    "kernel_dilation",
    "feature_group_count",
    "filters",
    "num_filters",
    "pool_size",
    "training",
    "deterministic",
    "rng",
}


@pytest.mark.parametrize("function", CALLABLES)
def test_signatures_keep_the_vocabulary(function):
    names = {parameter.name for parameter in parameters(function)}
    stride = set() if function.__module__.startswith("jaxcnn.shapes") else {"stride"}
    assert not names & (BANNED | stride)


@pytest.mark.parametrize("function", CALLABLES)
def test_options_are_keyword_only(function):
    positional = [
        parameter.name
        for parameter in parameters(function)
        if parameter.default is not parameter.empty and parameter.kind is not parameter.KEYWORD_ONLY
    ]
    assert positional in ([], ["bias"], ["shortcut"])


ON_BOXES = {"boxes", "distances", "offsets"}


def parameter_names(function):
    return [parameter.name for parameter in parameters(function)]


@pytest.mark.parametrize(
    "op",
    # A filter works on one picture as it is, without batch, a grid is made of matrices, some work
    # on boxes; the others work on batches.
    [
        pytest.param(op, id=op.__name__)
        for op in public(ops)
        if op not in (ops.filter_image, ops.affine_grid) and parameter_names(op)[0] not in ON_BOXES
    ],
)
def test_operations_take_the_array_first(op):
    names = [parameter.name for parameter in parameters(op)]
    assert names[:2] == ["key", "x"] if "key" in names else names[0] == "x"
    assert not {"train", "rngs"} & set(names)


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(value, id=value.__name__)
        for value in public(modules)
        if isinstance(value, type)
    ],
)
def test_modules_are_called_in_one_way(module):
    _, x, *options = parameters(module.__call__)
    assert (x.name, x.default) == ("x", x.empty)
    assert [(o.name, o.default, o.kind) for o in options] == [
        ("train", None, inspect.Parameter.KEYWORD_ONLY),
        ("key", None, inspect.Parameter.KEYWORD_ONLY),
    ]


@pytest.mark.parametrize(
    "name", sorted(set(ops.__all__) & {name for name in dir(layers) if not name.startswith("_")})
)
def test_layers_carry_the_options_of_their_operation(name):
    arrays = {"key", "x", "kernel", "bias", "scale", "slope", "mean", "variance"}
    described = {p.name: p.default for p in parameters(getattr(layers, name))}
    for option in parameters(getattr(ops, name)):
        if option.name not in arrays:
            assert described[option.name] == option.default


@pytest.mark.parametrize("package", PACKAGES)
def test_index_is_complete(package):
    module = importlib.import_module(package)
    assert sorted(set(module.__all__)) == sorted(module.__all__)  # ruff keeps their order
    assert all(hasattr(module, name) for name in module.__all__)
    imported = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert imported == {n for n in module.__all__ if not inspect.ismodule(getattr(module, n))}


def test_every_submodule_can_be_imported():
    found = pkgutil.walk_packages(jaxcnn.__path__, "jaxcnn.")
    assert {importlib.import_module(entry.name).__name__ for entry in found} == set(TREES) - {
        "jaxcnn"
    }


def documented(docstring):
    """Returns the names in the ``Args`` section of a docstring."""
    section = re.search(r"^Args:\n((?:[ ].*\n?|\n)+)", inspect.cleandoc(docstring), re.MULTILINE)
    return re.findall(r"^  \*{0,2}(\w+):", section[1], re.MULTILINE) if section else []


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(value, id=f"{package}.{name}")
        for package in PACKAGES
        for name, value in sorted(vars(importlib.import_module(package)).items())
        if inspect.isfunction(value)
        and not name.startswith("_")
        and value.__module__.startswith("jaxcnn")
    ],
)
def test_docstrings_name_every_argument(function):
    # `fit` shows the options that it documents as **options.
    code = inspect.unwrap(function).__code__
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    count += bool(code.co_flags & inspect.CO_VARARGS)
    assert sorted(documented(function.__doc__)) == sorted(code.co_varnames[:count])


# What is imported only where it is needed: it takes as long as the rest together, or draws.
HEAVY = {"tensorflow_datasets", "tensorflow", "matplotlib", "orbax", "pandas", "tomlkit"}


@pytest.mark.parametrize(
    ("code", "left_out"),
    [
        ("import jaxcnn; jaxcnn.__version__", {"jax", "flax", "optax", "numpy", *HEAVY}),
        ("import jaxcnn.cli.app", {"jax", "flax", "optax", "numpy", *HEAVY}),
        ("from jaxcnn import *", {"typer", *HEAVY}),
    ],
)
def test_import_is_light(code, left_out):
    show = "import sys; print({name.split('.')[0] for name in sys.modules})"
    result = subprocess.run(
        [sys.executable, "-c", f"{code}; {show}"], capture_output=True, text=True, check=True
    )
    loaded = ast.literal_eval(result.stdout)
    assert "jaxcnn" in loaded
    assert not loaded & left_out


def test_the_names_of_the_package_are_those_that_its_stub_imports():
    stub = ast.parse((ROOT / "__init__.pyi").read_text(encoding="utf-8"))
    rooms = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    imported = [name.name for node in rooms for name in node.names]
    (names,) = (ast.literal_eval(n.value) for n in stub.body if isinstance(n, ast.Assign))
    assert sorted([*imported, "__version__"]) == sorted(names)
    assert jaxcnn.__all__ == sorted(imported)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_is_hidden_by_a_function_of_its_name(package):
    folder = ROOT.joinpath(*package.split(".")[1:])
    for path in folder.glob("*.py"):
        if path.stem != "__init__":
            module = importlib.import_module(f"{package}.{path.stem}")
            assert getattr(importlib.import_module(package), path.stem) is module, path.stem


def test_no_file_is_longer_than_a_few_screens():
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: length for name, length in lengths.items() if length > 350} == {}
