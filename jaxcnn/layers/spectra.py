"""Spectrograms as layers, so that a network reads sound."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

from jaxcnn import ops, shapes
from jaxcnn.layers.layer import OpLayer
from jaxcnn.ops.spectra import check_fits_frame, check_frames, check_mel


@dataclass(frozen=True, repr=False)
class _Frames(OpLayer):
    """The options of frames that all spectrograms share."""

    def _frames(self, input_shape: Sequence[int], n_fft: int, strides: int, center: bool) -> int:
        """Return the number of frames of a series."""
        shape = shapes.check_shape(input_shape)
        if len(shape) != 2:
            raise ValueError(
                f"{self.kind} reads series, of input_shape (time, channels). "
                f"Received: input_shape={shape}"
            )
        check_fits_frame(shape[0], n_fft, center)
        return (shape[0] + 2 * (n_fft // 2) * center - n_fft) // strides + 1


@dataclass(frozen=True, repr=False)
class spectrogram(_Frames):
    """The power of each frequency in overlapping frames; see :func:`jaxcnn.ops.spectrogram`.

    >>> spectrogram(256).output_shape((8000, 1))
    (126, 129)

    Attributes:
      n_fft: Steps of a frame, at least 1.
      strides: Steps from frame to frame; ``None`` means a quarter of the window.
      win_length: Steps of the window; ``None`` means ``n_fft``.
      center: Whether to pad both ends by ``n_fft // 2``.
      padding_mode: Content of that padding: a mode of :func:`jaxcnn.ops.pad`.
      power: Exponent of the magnitude, above 0.
    """

    n_fft: int
    _: KW_ONLY
    strides: int | None = None
    win_length: int | None = None
    center: bool = True
    padding_mode: str = "reflect"
    power: float = 2.0

    op = staticmethod(ops.spectrogram)

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        check_frames(**vars(self))

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return ``(frames, channels · (n_fft // 2 + 1))``."""
        strides = check_frames(**vars(self))["strides"]
        frames = self._frames(input_shape, self.n_fft, strides, self.center)
        return frames, input_shape[-1] * (self.n_fft // 2 + 1)


@dataclass(frozen=True, repr=False)
class mel_spectrogram(_Frames):
    """The log-mel spectrogram of a sound; see :func:`jaxcnn.ops.mel_spectrogram`.

    The bands are channels: a network of one dimension follows, or one of two after
    ``lambda x: x[..., None]``.

    >>> mel_spectrogram(64, sample_rate=16000).output_shape((16000, 1))
    (63, 64)

    Attributes:
      n_mels: Number of bands, at least 1.
      sample_rate: Steps per second.
      n_fft, strides, win_length, center, padding_mode, power: The meaning of :class:`spectrogram`.
      f_min, f_max: Lowest and highest frequency in Hz; ``None`` means half the rate.
      mel_scale: ``"htk"`` or ``"slaney"``.
      norm: ``"slaney"`` or ``None``.
      log: Whether to take the natural logarithm.
      floor: The least value of which the logarithm is taken, above 0.
    """

    n_mels: int
    _: KW_ONLY
    sample_rate: int
    n_fft: int = 1024
    strides: int | None = None
    win_length: int | None = None
    center: bool = True
    padding_mode: str = "reflect"
    power: float = 2.0
    f_min: float = 0.0
    f_max: float | None = None
    mel_scale: str = "htk"
    norm: str | None = None
    log: bool = True
    floor: float = 1e-10

    op = staticmethod(ops.mel_spectrogram)

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        self._check()

    def _check(self) -> int:
        """Check the options, and return the strides."""
        check_mel(
            self.n_mels, self.sample_rate, self.n_fft, self.f_min, self.f_max,
            self.mel_scale, self.norm, self.log, self.floor,
        )  # fmt: skip
        frames = self.win_length, self.center, self.padding_mode, self.power
        return check_frames(self.n_fft, self.strides, *frames)["strides"]

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return ``(frames, channels · n_mels)``."""
        frames = self._frames(input_shape, self.n_fft, self._check(), self.center)
        return frames, input_shape[-1] * self.n_mels
