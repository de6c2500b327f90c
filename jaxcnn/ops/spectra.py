"""Spectrograms of sounds and other series."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcnn import arguments, checks
from jaxcnn.ops.padding import MODES, pad
from jaxcnn.ops.primitives.channels import spread
from jaxcnn.ops.primitives.summation import accumulator

MEL_SCALES = ("htk", "slaney")


def spectrogram(
    x: jax.Array,
    n_fft: int,
    *,
    strides: int | None = None,
    win_length: int | None = None,
    center: bool = True,
    padding_mode: str = "reflect",
    power: float = 2.0,
) -> jax.Array:
    """Return the power of each frequency in overlapping frames: the short-time Fourier transform.

    A frame of ``n_fft`` steps is weighted by a periodic Hann window and transformed; the result is
    :math:`|X|^{power}`, of ``torch.stft`` and librosa's ``stft``. Frequency k is k · rate / n_fft.

    >>> time = jnp.arange(64) / 64
    >>> wave = jnp.sin(2 * jnp.pi * 16 * time)[None, :, None]  # 16 of 64 steps per second
    >>> y = spectrogram(wave, 32, strides=16)
    >>> y.shape, y[0, 2].argmax()
    ((1, 5, 17), Array(8, dtype=int32))

    Args:
      x: ``(batch, time, channels)``, floating point; halves are computed in float32.
      n_fft: Steps of a frame, at least 1.
      strides: Steps from frame to frame, at least 1, librosa's ``hop_length``; ``None`` means a
        quarter of the window.
      win_length: Steps of the window, in the center of the frame; ``None`` means ``n_fft``.
      center: Whether to pad both ends by ``n_fft // 2``, so that frame t is around step
        t · strides.
      padding_mode: Content of that padding: a mode of :func:`jaxcnn.ops.pad`.
      power: Exponent of the magnitude, above 0: 1 for the magnitude, 2 for the power.

    Returns:
      ``(batch, frames, channels · (n_fft // 2 + 1))``, one channel after the other.

    Raises:
      TypeError: ``x`` is not floating point, or an option is not a number.
      ValueError: an option is out of its range, or ``x`` is shorter than a frame.
    """
    x = _check_series(x)
    options = check_frames(n_fft, strides, win_length, center, padding_mode, power)
    check_fits_frame(x.shape[1], n_fft, center)
    wide = x.astype(accumulator(x))
    if center:
        wide = pad(wide, n_fft // 2, mode=padding_mode)
    frames = (wide.shape[1] - n_fft) // options["strides"] + 1
    places = jnp.arange(frames)[:, None] * options["strides"] + jnp.arange(n_fft)[None]
    window = jnp.asarray(_hann(n_fft, options["win_length"]), wide.dtype)
    parts = jnp.moveaxis(wide, 2, 1)[:, :, places]
    parts = parts * spread(window, parts)
    spectrum = jnp.fft.rfft(parts)
    squares = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    if power != 2:
        positive = squares > 0  # the slope of the root at 0 is infinite
        squares = jnp.where(positive, jnp.where(positive, squares, 1) ** (power / 2), 0)
    batch, channels, _, bins = squares.shape
    ordered = jnp.moveaxis(squares, 1, 2).reshape(batch, frames, channels * bins)
    return ordered.astype(x.dtype)


def mel_spectrogram(
    x: jax.Array,
    n_mels: int,
    *,
    sample_rate: int,
    n_fft: int = 1024,
    strides: int | None = None,
    win_length: int | None = None,
    center: bool = True,
    padding_mode: str = "reflect",
    power: float = 2.0,
    f_min: float = 0.0,
    f_max: float | None = None,
    mel_scale: str = "htk",
    norm: str | None = None,
    log: bool = True,
    floor: float = 1e-10,
) -> jax.Array:
    """Return the log-mel spectrogram: the power in bands that are evenly spread for the ear.

    It is :math:`log(max(spectrogram·filters, floor))` with triangular filters. The defaults are
    those of torchaudio's ``MelSpectrogram``; librosa's are ``mel_scale="slaney"`` and
    ``norm="slaney"``.

    >>> mel_spectrogram(jnp.ones((1, 4000, 1)), 40, sample_rate=8000, n_fft=512).shape
    (1, 32, 40)

    Args:
      x: ``(batch, time, channels)``, floating point.
      n_mels: Number of bands, at least 1.
      sample_rate: Steps per second.
      n_fft: As in :func:`spectrogram`.
      strides: As in :func:`spectrogram`.
      win_length: As in :func:`spectrogram`.
      center: As in :func:`spectrogram`.
      padding_mode: As in :func:`spectrogram`.
      power: As in :func:`spectrogram`.
      f_min: Lowest frequency in Hz, at least 0.
      f_max: Highest frequency in Hz; ``None`` means half the rate.
      mel_scale: ``"htk"`` or ``"slaney"``, which is linear below 1 kHz.
      norm: ``"slaney"`` divides each filter by its width in Hz; ``None`` leaves its peak at 1.
      log: Whether to take the natural logarithm.
      floor: The least value of which the logarithm is taken, above 0.

    Returns:
      ``(batch, frames, channels · n_mels)``, one channel after the other.

    Raises:
      TypeError: ``x`` is not floating point, or an option is not of its type.
      ValueError: an option is out of its range, or ``x`` is shorter than a frame.
    """
    x = _check_series(x)
    floor = check_mel(n_mels, sample_rate, n_fft, f_min, f_max, mel_scale, norm, log, floor)
    frames: dict[str, Any] = {"strides": strides, "win_length": win_length, "center": center}
    powers = spectrogram(
        x.astype(accumulator(x)), n_fft, **frames, padding_mode=padding_mode, power=power
    )
    filters = mel_filters(
        n_mels,
        sample_rate=sample_rate,
        n_fft=n_fft,
        f_min=f_min,
        f_max=f_max,
        mel_scale=mel_scale,
        norm=norm,
    )
    batch, count, _ = powers.shape
    parts = powers.reshape(batch, count, x.shape[-1], len(filters))
    mels = jnp.matmul(parts, jnp.asarray(filters, powers.dtype), precision="highest")
    mels = mels.reshape(batch, count, x.shape[-1] * n_mels)
    return (jnp.log(jnp.maximum(mels, floor)) if log else mels).astype(x.dtype)


def mel_filters(
    n_mels: int,
    *,
    sample_rate: int,
    n_fft: int,
    f_min: float = 0.0,
    f_max: float | None = None,
    mel_scale: str = "htk",
    norm: str | None = None,
) -> np.ndarray:
    """Return the triangular filters of :func:`mel_spectrogram`, ``(n_fft // 2 + 1, n_mels)``.

    The options are those of :func:`mel_spectrogram`.
    """
    check_mel(n_mels, sample_rate, n_fft, f_min, f_max, mel_scale, norm, True, 1.0)
    high = sample_rate / 2 if f_max is None else f_max
    ends = _to_mel(np.array([f_min, high]), mel_scale)
    points = _from_mel(np.linspace(ends[0], ends[1], n_mels + 2), mel_scale)
    frequencies = np.linspace(0, sample_rate / 2, n_fft // 2 + 1)
    rising = (frequencies[:, None] - points[:-2]) / np.diff(points)[:-1]
    falling = (points[2:] - frequencies[:, None]) / np.diff(points)[1:]
    filters: np.ndarray = np.maximum(np.minimum(rising, falling), 0)
    if norm == "slaney":
        filters *= 2 / (points[2:] - points[:-2])
    return filters


# Slaney's scale: 200/3 Hz per mel up to 1 kHz, then 27 mels for a factor of 6.4.
_LINEAR, _START, _STEP = 200 / 3, 15.0, np.log(6.4) / 27


def _to_mel(frequency: np.ndarray, mel_scale: str) -> np.ndarray:
    if mel_scale == "htk":
        htk: np.ndarray = 2595 * np.log10(1 + frequency / 700)
        return htk
    high = _START + np.log(np.maximum(frequency, 1000) / 1000) / _STEP
    return np.where(frequency < 1000, frequency / _LINEAR, high)


def _from_mel(mel: np.ndarray, mel_scale: str) -> np.ndarray:
    if mel_scale == "htk":
        htk: np.ndarray = 700 * (10 ** (mel / 2595) - 1)
        return htk
    return np.where(mel < _START, mel * _LINEAR, 1000 * np.exp(_STEP * (mel - _START)))


@functools.cache
def _hann(n_fft: int, win_length: int) -> np.ndarray:
    """Return a periodic Hann window in the center of a frame."""
    window = np.zeros(n_fft)
    start = (n_fft - win_length) // 2
    window[start : start + win_length] = 0.5 - 0.5 * np.cos(
        2 * np.pi * np.arange(win_length) / win_length
    )
    return window


def check_frames(
    n_fft: Any, strides: Any, win_length: Any, center: Any, padding_mode: Any, power: Any
) -> dict[str, int]:
    """Return strides and length of the window of a spectrogram, and check its options.

    Raises:
      TypeError: an option has the wrong type.
      ValueError: an option is out of its range.
    """
    n_fft = arguments.check_integer("n_fft", n_fft, minimum=1)
    length = n_fft if win_length is None else win_length
    length = arguments.check_integer("win_length", length, minimum=1)
    if length > n_fft:
        raise ValueError(
            f"win_length must be at most n_fft, {n_fft}. Received: win_length={length}"
        )
    strides = max(length // 4, 1) if strides is None else strides
    arguments.check_flag("center", center)
    arguments.check_choice("padding_mode", padding_mode, MODES)
    if arguments.check_number("power", power, minimum=0) == 0:
        raise ValueError(f"power must be above 0. Received: power={power}")
    strides = arguments.check_integer("strides", strides, minimum=1)
    return {"strides": strides, "win_length": length}


def check_mel(
    n_mels: Any,
    sample_rate: Any,
    n_fft: Any,
    f_min: Any,
    f_max: Any,
    mel_scale: Any,
    norm: Any,
    log: Any,
    floor: Any,
) -> float:
    """Check the options of a mel spectrogram besides those of its frames, and return the floor.

    Raises:
      TypeError: an option has the wrong type.
      ValueError: an option is out of its range.
    """
    arguments.check_integer("n_mels", n_mels, minimum=1)
    arguments.check_integer("n_fft", n_fft, minimum=1)
    half = arguments.check_integer("sample_rate", sample_rate, minimum=1) / 2
    low = arguments.check_number("f_min", f_min, minimum=0)
    high = half if f_max is None else arguments.check_number("f_max", f_max, minimum=0)
    if not low < high <= half:
        raise ValueError(
            f"f_min and f_max must be 0 ≤ f_min < f_max ≤ sample_rate / 2 = {half:g}. "
            f"Received: f_min={f_min}, f_max={f_max}"
        )
    arguments.check_choice("mel_scale", mel_scale, MEL_SCALES)
    if norm is not None:
        arguments.check_choice("norm", norm, ("slaney",))
    arguments.check_flag("log", log)
    floor = arguments.check_number("floor", floor, minimum=0)
    if floor == 0:
        raise ValueError("floor must be above 0, as its logarithm is taken. Received: floor=0")
    return floor


def check_fits_frame(size: int, n_fft: int, center: bool) -> None:
    """Check that a series has the steps that a frame needs.

    Raises:
      ValueError: it is too short.
    """
    needed = n_fft // 2 + 1 if center else n_fft
    if size < needed:
        raise ValueError(
            f"x must have at least {needed} steps for n_fft={n_fft} with center={center}. "
            f"Received: {size} steps. Use a smaller n_fft, or longer series"
        )


def _check_series(x: jax.Array) -> jax.Array:
    x = checks.array("x", x)
    checks.rank("x", x, 3)
    checks.floating("x", x)
    return x
