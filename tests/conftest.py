"""Strict JAX for every test, quick compilation, and the fixtures that tests share."""

import os
import subprocess
import sys

import jax
import pytest
from hypothesis import is_hypothesis_test, settings

from jaxcnn.cli import app as cli

settings.register_profile("long", deadline=None, max_examples=20, derandomize=True)
settings.register_profile("quick", settings.get_profile("long"), max_examples=6)
settings.load_profile("quick")

# Compilation takes most of the tests' time and their arrays are small: XLA and LLVM optimize
# nothing, and each loop is compiled by the older, simpler emitter. CPU seconds of one process:
#
#   flags (each with those above it)                14 small networks   pooling, geometry, losses
#   none                                                  14.6                   118
#   --xla_backend_optimization_level=0                     9.6                    87
#   --xla_cpu_use_fusion_emitters=false                    4.6                    67
#   --xla_cpu_parallel_codegen_split_count=1               3.9
#
# No gain: --xla_llvm_disable_expensive_passes, --xla_cpu_multi_thread_eigen=false, and a cache of
# programs (5 % of them repeat; two processes may not share it, as JAX's writes are not atomic).
QUICK_COMPILATION = (
    "--xla_backend_optimization_level=0",
    "--xla_cpu_parallel_codegen_split_count=1",
)
if jax.__version_info__ < (0, 11):  # jaxlib 0.12 ends a process that is given this flag
    QUICK_COMPILATION += ("--xla_cpu_use_fusion_emitters=false",)


# Compiled kernels have tests of their own, which `make test-native` runs with them.
os.environ.setdefault("JAXCNN_NATIVE", "0")


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run only the long tests and searches")
    parser.addoption("--exhaustive", action="store_true", help="run the exhaustive form of tests")


def pytest_configure(config):
    """Compile quickly and search shortly; long tests compile as users do."""
    if config.getoption("--long") or config.getoption("--exhaustive"):
        settings.load_profile("long")
    else:
        os.environ.setdefault("XLA_FLAGS", " ".join(QUICK_COMPILATION))  # JAX has not read it yet


def is_long(item):
    return item.get_closest_marker("long") is not None


def has_long_form(item):
    """Whether a test searches with Hypothesis: a few examples by default, more with `--long`."""
    return is_hypothesis_test(getattr(item, "obj", None))


def pytest_collection_modifyitems(config, items):
    """Leave out the tests marked `long`; with `--long`, those that have no long form."""
    if config.getoption("--exhaustive"):
        return
    long = config.getoption("--long")
    kept, left_out = [], []
    for item in items:
        wanted = is_long(item) or has_long_form(item) if long else not is_long(item)
        (kept if wanted else left_out).append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


@pytest.fixture
def exhaustive(request):
    """Whether a test takes its exhaustive form."""
    return request.config.getoption("--exhaustive")


@pytest.fixture(autouse=True)
def strict_jax(request):
    """Make silent promotion of dtypes or ranks an error, except in Optax's schedules."""
    if request.node.get_closest_marker("implicit_promotion"):
        yield
        return
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture(scope="session")
def prepare_tfds():
    """Write a tiny data set as TensorFlow Datasets does, under any name and version."""
    import tensorflow_datasets as tfds

    def prepare(name, version, examples, features, data_dir):
        features = tfds.features.FeaturesDict(features)
        with tfds.core.registered.skip_registration():
            builder = type(
                "Tiny",
                (tfds.core.GeneratorBasedBuilder,),
                {
                    "name": name,
                    "VERSION": tfds.core.Version(version),
                    "_info": lambda self: tfds.core.DatasetInfo(builder=self, features=features),
                    "_split_generators": lambda self, manager: {
                        split: enumerate(rows) for split, rows in examples.items()
                    },
                    "_generate_examples": None,
                },
            )
            builder(data_dir=data_dir, file_format="array_record").download_and_prepare()

    return prepare


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory):
    """The folder in which commands cache compiled programs during the tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def run_cli(cache_folder):
    """Run the command line in a process; return its exit code and output."""

    def run(*arguments, cwd=None):
        command = [sys.executable, "-c", "from jaxcnn.cli.app import main; main()"]
        environment = os.environ | {
            "COLUMNS": "200",
            "NO_COLOR": "1",
            "XDG_CACHE_HOME": str(cache_folder),
            "XLA_FLAGS": "",  # compile as users do: a training takes longer than its compilation
        }
        return subprocess.run(
            [*command, *map(str, arguments)],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def call_cli(monkeypatch, capsys):
    """Run the command line in this process, which saves a start; return the same as `run_cli`."""
    monkeypatch.setattr(cli, "_prepare", lambda: None)  # it changes settings of the whole process
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*arguments, cwd=None):
        if cwd is not None:
            monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["jaxcnn", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        code = ended.value.code or 0
        return subprocess.CompletedProcess(arguments, code, printed.out, printed.err)

    return call
