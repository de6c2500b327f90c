"""What is compiled quickly gives the same bits, and what is compiled is kept."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import modules
from jaxcnn.runtime import cache_programs, run_once

REFERENCE = jax.nn.initializers.he_normal()


@pytest.mark.long
@pytest.mark.parametrize("shape", [(3, 3, 4, 8), (100, 10)])
def test_kernels_are_those_of_jax(shape, key):
    kernel = modules.he_normal(key, shape, jnp.float32)
    np.testing.assert_array_equal(kernel, REFERENCE(key, shape, jnp.float32))


@pytest.mark.parametrize("transform", [jax.jit, lambda f: lambda key: jax.vmap(f)(key[None])[0]])
def test_inside_another_program(transform, key):
    kernel = transform(lambda key: modules.he_normal(key, (5, 6), jnp.float32))(key)
    np.testing.assert_array_equal(kernel, REFERENCE(key, (5, 6), jnp.float32))


def test_a_shape_is_compiled_once():
    traced = []

    def double(x, times):
        traced.append(times)
        return x * 2.0**times

    function = run_once(double, static_argnums=(1,))
    results = [function(jnp.ones(3), times).tolist() for times in (1, 1, 2)]
    assert results == [[2, 2, 2], [2, 2, 2], [4, 4, 4]]
    assert traced == [1, 2]


@pytest.mark.long  # two processes
def test_a_second_process_compiles_nothing(tmp_path):
    code = (
        "import jax, jaxcnn as cnn\n"
        f"print(cnn.runtime.cache_programs({str(tmp_path / 'programs')!r}))\n"
        "from jax import monitoring\n"
        "found = []\n"
        "monitoring.register_event_listener(lambda event, **_: found.append(event))\n"
        "jax.jit(lambda x: x + 1)(1.0)\n"
        "print(found.count('/jax/compilation_cache/cache_hits'))\n"
    )
    command = [sys.executable, "-c", code]
    outputs = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    ]
    assert outputs == [[str(tmp_path / "programs"), "0"], [str(tmp_path / "programs"), "1"]]


def test_where_programs_are_kept(tmp_path, monkeypatch):
    before = jax.config.jax_compilation_cache_dir
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    try:
        jax.config.update("jax_compilation_cache_dir", None)
        assert cache_programs() == tmp_path / "jaxcnn"
        jax.config.update("jax_compilation_cache_dir", "own")
        assert cache_programs() == Path("own")
        assert cache_programs("other") == Path(jax.config.jax_compilation_cache_dir)
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
