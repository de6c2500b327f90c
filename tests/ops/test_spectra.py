"""Spectrograms: SciPy's transform, tones, published mels, series of several lengths, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from flax import nnx

import jaxcnn as cnn
from jaxcnn import ops
from jaxcnn.ops.spectra import mel_filters


def test_frames_are_those_of_scipy():
    x = np.random.default_rng(0).normal(size=(200, 1)).astype(np.float32)
    window = scipy.signal.get_window("hann", 32)
    expected = scipy.signal.ShortTimeFFT(window, 8, 1).stft(x[:, 0], p0=2, p1=23)  # whole frames
    found = np.asarray(ops.spectrogram(jnp.asarray(x[None]), 32, center=False))[0]
    powers = np.abs(expected.T) ** 2
    np.testing.assert_allclose(found[: len(powers)], powers, rtol=1e-3, atol=1e-4)


def test_filters_have_the_peaks_of_their_scale():
    """O'Shaughnessy's 1000 Hz are 999.99 mels; Slaney's 1 kHz is mel 15, 6.4 kHz mel 42."""
    for scale, mels in (("htk", 999.99), ("slaney", 15.0)):
        filters = mel_filters(1, sample_rate=16000, n_fft=16000, f_max=2 * 1000, mel_scale=scale)
        assert filters.max() == pytest.approx(1, abs=2e-3)
        peak = filters[:, 0].argmax()
        if scale == "htk":  # the peak is half of the mels of 2 kHz, 1521.4
            assert peak == round(700 * (10 ** (1521.36 / 2 / 2595) - 1))
        else:  # 2 kHz is mel 15 + 27 log 2 / log 6.4 = 25.08, half of it 12.54 mels of 66.7 Hz
            assert peak == round(25.082 / 2 * 200 / 3)
        assert mels
    narrow = mel_filters(20, sample_rate=8000, n_fft=4096, norm="slaney")
    np.testing.assert_allclose(narrow.sum(axis=0) * 8000 / 4096, 1, atol=0.02)  # areas in Hz


def test_a_tone_is_in_the_band_of_its_frequency():
    time = np.arange(2000) / 8000
    tones = np.stack([np.sin(2 * np.pi * hertz * time) for hertz in (300, 1500)])[..., None]
    mels = ops.mel_spectrogram(jnp.asarray(tones, jnp.float32), 20, sample_rate=8000, n_fft=512)
    filters = mel_filters(20, sample_rate=8000, n_fft=512)
    for found, hertz in zip(mels[:, 4], (300, 1500), strict=True):
        assert found.argmax() == filters[round(hertz * 512 / 8000)].argmax()


def test_silence_is_the_floor_and_has_a_gradient():
    silence = jnp.zeros((1, 64, 2))
    mels = ops.mel_spectrogram(silence, 4, sample_rate=64, n_fft=32, floor=1e-3, power=1.0)
    np.testing.assert_allclose(mels, np.log(1e-3), rtol=1e-6)
    gradient = jax.grad(
        lambda x: ops.mel_spectrogram(x, 4, sample_rate=64, n_fft=32, power=1.0).sum()
    )(silence)
    assert jnp.isfinite(gradient).all()


def test_a_network_reads_sounds_of_several_lengths():
    random = np.random.default_rng(0)
    sounds = [random.normal(size=(n, 1)).astype(np.float32) for n in (90, 60)]
    padded = np.full((2, 90, 1), np.nan, np.float32)
    for row, sound in zip(padded, sounds, strict=True):
        row[: len(sound)] = sound
    network = cnn.serial(
        cnn.mel_spectrogram(6, sample_rate=64, n_fft=32), cnn.conv(3, 3, padding="SAME"),
        cnn.global_avg_pool(),
    )  # fmt: skip
    model = cnn.masked(network).build((90, 1), rngs=nnx.Rngs(0))
    for found, sound in zip(model(padded), sounds, strict=True):
        alone = network.abstract(sound.shape)
        nnx.update(alone, nnx.state(model))
        np.testing.assert_allclose(found, alone(sound[None])[0], atol=1e-5)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"n_fft": 0}, "n_fft must be at least 1"),
        ({"n_fft": 200}, "x must have at least 101 steps for n_fft=200 with center=True"),
        ({"win_length": 40}, "win_length must be at most n_fft, 32. Received: win_length=40"),
        ({"padding_mode": "mirror"}, "padding_mode must be"),
        ({"power": 0}, "power must be above 0"),
        ({"f_max": 40}, "f_max ≤ sample_rate / 2 = 32"),
        ({"f_min": 10, "f_max": 5}, "0 ≤ f_min < f_max"),
        ({"mel_scale": "bark"}, "mel_scale must be"),
        ({"norm": "area"}, "norm must be"),
        ({"floor": 0}, "floor must be above 0"),
    ],
)
def test_bad_options_are_errors(options, problem):
    chosen = {"sample_rate": 64, "n_fft": 32} | options
    with pytest.raises(ValueError, match=problem):
        ops.mel_spectrogram(jnp.zeros((1, 64, 1)), 4, **chosen)
    with pytest.raises(ValueError, match=problem):
        cnn.mel_spectrogram(4, **chosen).output_shape((64, 1))


def test_layers_read_series():
    with pytest.raises(ValueError, match="spectrogram reads series, of input_shape"):
        cnn.spectrogram(8).output_shape((8, 8, 1))
