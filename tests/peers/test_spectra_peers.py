"""Spectrograms against ``torch.stft``, and mel filters against torchaudio's own function."""

import ast
import importlib.util
import math
import warnings
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jaxcnn import ops
from jaxcnn.ops.spectra import mel_filters


@pytest.fixture(scope="module")
def melscale_fbanks():
    """torchaudio's function; the package itself needs a library that may not load."""
    spec = importlib.util.find_spec("torchaudio")
    if spec is None:
        pytest.skip("torchaudio is not installed")
    source = (Path(spec.origin).parent / "functional" / "functional.py").read_text()
    names = {"_hz_to_mel", "_mel_to_hz", "_create_triangular_filterbank", "melscale_fbanks"}
    parts = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name in names
    ]
    assert {part.name for part in parts} == names
    space = {"math": math, "torch": torch, "warnings": warnings, "Tensor": torch.Tensor}
    exec("from typing import *\n" + "\n".join(map(ast.unparse, parts)), space)
    return space["melscale_fbanks"]


@pytest.mark.parametrize("norm", [None, "slaney"])
@pytest.mark.parametrize("scale", ["htk", "slaney"])
@pytest.mark.parametrize(
    ("n_mels", "rate", "n_fft", "low", "high"),
    [
        (40, 8000, 512, 0.0, 4000.0),
        (64, 16000, 1024, 50.0, 7600.0),
        (80, 22050, 2048, 0.0, 11025.0),
    ],
)
def test_filters_are_those_of_torchaudio(
    melscale_fbanks, n_mels, rate, n_fft, low, high, scale, norm
):
    expected = melscale_fbanks(n_fft // 2 + 1, low, high, n_mels, rate, norm, scale).numpy()
    found = mel_filters(
        n_mels, sample_rate=rate, n_fft=n_fft, f_min=low, f_max=high, mel_scale=scale, norm=norm
    )
    np.testing.assert_allclose(found, expected, atol=2e-4 * expected.max())  # theirs is float32


@pytest.mark.parametrize(
    ("n_fft", "strides", "win_length", "center", "mode"),
    [
        (64, 16, None, True, "reflect"),
        (64, 10, 40, True, "zeros"),
        (63, 16, 33, False, "reflect"),
        (50, 50, None, True, "replicate"),
    ],
)
@pytest.mark.parametrize("power", [1.0, 2.0])
def test_spectrogram_is_that_of_torch(n_fft, strides, win_length, center, mode, power):
    x = np.random.default_rng(0).normal(size=(2, 300, 3)).astype(np.float32)
    found = ops.spectrogram(
        jnp.asarray(x), n_fft, strides=strides, win_length=win_length, center=center,
        padding_mode=mode, power=power,
    )  # fmt: skip
    length = win_length or n_fft
    words = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate"}
    for channel in range(3):
        spectrum = torch.stft(
            torch.tensor(x[..., channel]), n_fft, hop_length=strides, win_length=length,
            window=torch.hann_window(length), center=center, pad_mode=words[mode],
            return_complex=True,
        )  # fmt: skip
        expected = spectrum.abs().pow(power).numpy().transpose(0, 2, 1)
        bins = n_fft // 2 + 1
        part = found[..., channel * bins : (channel + 1) * bins]
        np.testing.assert_allclose(part, expected, rtol=1e-4, atol=2e-5 * expected.max())
