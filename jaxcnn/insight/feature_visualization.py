"""Images that channels of a layer respond to most strongly, found by gradient ascent."""

import functools
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import lax

from jaxcnn import arguments, augment, shapes
from jaxcnn.arguments import Interval
from jaxcnn.insight.explained_score import Arrays, Inspection, Place, all_finite
from jaxcnn.insight.observed_model import run_observed, traceable
from jaxcnn.insight.progress import where_shown
from jaxcnn.training.model_structure import Structure

# Square root of the covariance of the colors of ImageNet's pixels, from lucid
# (github.com/tensorflow/lucid, optvis/param/color.py), divided by the length of its longest column:
# a step in one of the three numbers changes the colors as photographs do.
_COLORS = np.array([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]])
_COLORS /= np.linalg.norm(_COLORS, axis=0).max()
# The standard deviation of the first spectra, larger than lucid's 0.01, so that activations of
# early layers are not 0 everywhere; and the divisor of the images, lucid's.
_FIRST_DEVIATION, _DIVISOR = 0.05, 4.0
# The share that negative outputs of a map count: the mean of a linear edge detector is zero for any
# image, as it is positive on one side of a bar and negative on the other.
_NEGATIVE_SHARE = 0.1
_SECONDS_BEFORE_PROGRESS, _SECONDS_BETWEEN_UPDATES = 2.0, 0.5


class _Ascent(NamedTuple):
    """Options that a compiled ascent depends on."""

    shape: shapes.Shape
    decay: float
    blur: float
    jitter: int
    rotation: float
    scale: Interval
    total_variation: float
    value_range: Interval


def visualize_features(
    key: jax.Array,
    model: nnx.Module,
    layer: str,
    channels: int | Sequence[int],
    *,
    image_shape: Sequence[int] | None = None,
    steps: int = 256,
    learning_rate: float = 0.05,
    decay: float = 1.0,
    blur: float = 0.0,
    jitter: int | None = None,
    rotation: float = 12.0,
    scale: arguments.Range = (0.85, 1.1),
    total_variation: float = 0.0,
    value_range: Interval = (0.0, 1.0),
    batch_size: int = 16,
    progress: bool = True,
) -> np.ndarray:
    """Return an image for each channel of a layer that maximizes its mean output over positions.

    The images are parametrized by their spectrum, in which low frequencies have large steps, and in
    color by decorrelated colors; Adam follows the gradient for images that are shifted, rotated and
    scaled at random in each step. Of a network trained on photographs, early layers show edges and
    textures, late ones parts of objects, and the outputs the classes; these need images as large as
    those of the training, and a learning rate of 0.05 about 200 steps.

    >>> import jaxcnn as cnn
    >>> net = cnn.serial(cnn.conv(4, 3), jax.nn.relu, cnn.global_avg_pool(), cnn.dense(2))
    >>> model = net.build((16, 16, 1), rngs=nnx.Rngs(0))
    >>> visualize_features(jax.random.key(0), model, "conv_1", [0, 2], steps=2).shape
    (2, 16, 16, 1)

    Args:
      key: Key of the first images and of the changes in each step.
      model: Any module.
      layer: The path of an output ``(N, *spatial, channels)`` or ``(N, classes)``. Choose an output
        before its activation, such as that of the first convolution, if images stay gray: an
        activation that is 0 everywhere has no gradient. Negative outputs of a map count a tenth.
      channels: A channel or class, or several.
      image_shape: ``(*spatial, C)``; ``None`` means that for which the model was built.
      steps: Number of steps, at least 1.
      learning_rate: Of Adam, above 0.
      decay: Power of the frequency by which the steps of a spectrum are divided, at least 0; larger
        values give smoother images.
      blur: Standard deviation in pixels of a Gaussian blur of the images, at least 0.
      jitter: Largest shift in pixels, at least 0; images are cyclic. ``None`` means a tenth of the
        shortest side.
      rotation: Largest angle in degrees, at least 0; used for pictures of two spatial axes.
      scale: Range of the factors of the size, or its half width around 1; used for pictures.
      total_variation: Weight of the mean absolute difference of neighboring pixels, at least 0,
        which is subtracted from what is maximized.
      value_range: The least and the greatest value of a pixel; for series, the range of the data.
      batch_size: Images that are computed together, at least 1.
      progress: Whether to show a bar in a terminal if it takes more than two seconds.

    Returns:
      ``(len(channels), *spatial, C)`` float32 within `value_range`.

    Raises:
      TypeError: an argument has the wrong type, or the model branches on values.
      ValueError: there is no such path or channel, the shape does not fit the model, or an option
        is out of range.

    Olah, Mordvintsev and Schubert, 2017, doi 10.23915/distill.00007.
    """
    steps = arguments.check_count("steps", steps)
    batch_size = arguments.check_count("batch_size", batch_size)
    learning_rate = arguments.check_number("learning_rate", learning_rate, above=0)
    progress = arguments.check_flag("progress", progress)
    shape = shapes.check_shape(_image_shape(model, image_shape))
    jitter = min(shape[:-1]) // 10 if jitter is None else jitter
    ascent = _Ascent(
        shape,
        arguments.check_number("decay", decay, minimum=0),
        arguments.check_number("blur", blur, minimum=0),
        arguments.check_integer("jitter", jitter, minimum=0),
        arguments.check_number("rotation", rotation, minimum=0, maximum=180),
        arguments.check_interval("scale", scale, center=1, above=0),
        arguments.check_number("total_variation", total_variation, minimum=0),
        arguments.check_interval("value_range", value_range),
    )
    inspected = Inspection.of(model, np.zeros((1, *ascent.shape), np.float32))
    place = inspected.place(layer)
    wanted = _check_channels(channels, layer, place)
    structure, arrays = inspected.observed.structure, inspected.observed.arrays
    size = min(batch_size, len(wanted))
    groups = [np.resize(wanted[at : at + size], size) for at in range(0, len(wanted), size)]
    found = []
    with traceable(), _Progress(progress, steps * len(groups)) as shown:
        for number, group in enumerate(groups):
            group_key = jax.random.fold_in(key, number)
            run = functools.partial(_climb, structure, place, ascent, arrays, group, group_key)
            state = _start(ascent, size, group_key)
            step, chunk = 0, 1
            while step < steps:
                began, end = time.monotonic(), min(step + chunk, steps)
                state, finite = run(state, step, end, jnp.float32(learning_rate))
                inspected.check_finite(finite)
                shown.advance(end - step)
                seconds = time.monotonic() - began
                if step:  # the first step includes the compilation
                    chunk = max(1, round(chunk * _SECONDS_BETWEEN_UPDATES / max(seconds, 1e-3)))
                step = end
            found.append(np.asarray(_images(ascent, state[0])))
    return np.concatenate(found)[: len(wanted)]


def _image_shape(model: nnx.Module, given: Sequence[int] | None) -> Sequence[int]:
    shape = getattr(model, "input_shape", None) if given is None else given
    if shape is None:
        raise ValueError(
            "image_shape must be (*spatial, C) for a model without input_shape, which only models "
            f"of a description have. Received: image_shape=None for a {type(model).__name__}"
        )
    return shape


def _check_channels(channels: int | Sequence[int], layer: str, place: Place) -> np.ndarray:
    given = np.atleast_1d(np.asarray(channels))
    if given.ndim != 1 or not len(given) or not np.issubdtype(given.dtype, np.integer):
        raise TypeError(
            f"channels must be a channel or a list of them. Received: {arguments.shown(channels)}"
        )
    count = place.shape[-1] if place.shape else 1
    if given.min() < 0 or given.max() >= count:
        raise ValueError(
            f"channels must be in [0, {count - 1}], as the output of {layer!r} has {count}. "
            f"Received: channels={arguments.shown(channels)}"
        )
    return given.astype(np.int32)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _start(ascent: _Ascent, count: int, key: jax.Array) -> Any:
    """Return the first spectra ``(count, 2, *frequencies, C)``, and the state of Adam."""
    *sizes, features = ascent.shape
    shape = (count, 2, *sizes[:-1], sizes[-1] // 2 + 1, features)
    spectra = _FIRST_DEVIATION * jax.random.normal(key, shape)
    return spectra, optax.scale_by_adam().init(spectra)


def _images(ascent: _Ascent, spectra: jax.Array) -> jax.Array:
    """Return the images of spectra."""
    *sizes, features = ascent.shape
    axes = [*map(np.fft.fftfreq, sizes[:-1]), np.fft.rfftfreq(sizes[-1])]
    frequency = np.sqrt(sum(grid**2 for grid in np.meshgrid(*axes, indexing="ij")))
    scale = np.sqrt(np.prod(sizes)) / np.maximum(frequency, 1 / max(sizes)) ** ascent.decay
    scale *= np.exp(-2 * (np.pi * ascent.blur * frequency) ** 2)
    scaled = spectra * jnp.asarray(scale, jnp.float32)[None, None, ..., None]
    spectrum = lax.complex(scaled[:, 0], scaled[:, 1])
    images = jnp.fft.irfftn(spectrum, sizes, axes=tuple(range(1, len(sizes) + 1))) / _DIVISOR
    if features == 3 and len(sizes) == 2:
        images = jnp.einsum("...c,dc->...d", images, jnp.asarray(_COLORS, jnp.float32))
    low, high = ascent.value_range
    return low + (high - low) * jax.nn.sigmoid(images)


@functools.partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=6)
def _climb(
    structure: Structure,
    place: Place,
    ascent: _Ascent,
    arrays: Arrays,
    channels: jax.Array,
    key: jax.Array,
    state: Any,
    first: jax.Array,
    end: jax.Array,
    learning_rate: jax.Array,
) -> tuple[Any, jax.Array]:
    """Return the state after the steps from `first` to `end`."""
    adam = optax.scale_by_adam()

    def loss(spectra: jax.Array, key: jax.Array) -> jax.Array:
        images = _images(ascent, spectra)
        found = {}

        def observe(path: str, output: Any) -> Any:
            found[path] = output
            return output

        run_observed(structure, arrays, _changed(ascent, key, images), observe)
        output = found[str(place.path)].astype(jnp.float32)
        responses = output.reshape(len(channels), -1, place.shape[-1] if place.shape else 1)
        if output.ndim > 2:
            responses = jax.nn.leaky_relu(responses, _NEGATIVE_SHARE)
        chosen = jnp.take_along_axis(responses.mean(axis=1), channels[:, None], axis=1)
        return ascent.total_variation * _total_variation(images) - chosen.sum()

    def step(number: jax.Array, state: Any) -> Any:
        spectra, moments = state
        gradient = jax.grad(loss)(spectra, jax.random.fold_in(key, number))
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            update, moments = adam.update(gradient, moments)
        return spectra - learning_rate * update, moments

    spectra, moments = lax.fori_loop(first, end, step, state)
    return (spectra, moments), all_finite(spectra)


def _changed(ascent: _Ascent, key: jax.Array, images: jax.Array) -> jax.Array:
    """Return images that are shifted, and pictures also rotated and scaled, at random."""
    axes = tuple(range(1, images.ndim - 1))
    shift_key, affine_key = jax.random.split(key)
    if ascent.jitter:
        shift = jax.random.randint(shift_key, (len(axes),), -ascent.jitter, ascent.jitter + 1)
        images = jnp.roll(images, shift, axes)
    if len(axes) == 2 and (ascent.rotation or ascent.scale != (1, 1)):
        images = augment.random_affine(
            affine_key, images, rotation=ascent.rotation, scale=ascent.scale, mode="reflect"
        )
    return images


def _total_variation(images: jax.Array) -> jax.Array:
    """Return the mean absolute difference of neighbors, summed over images and spatial axes."""
    axes = range(1, images.ndim - 1)
    parts = [jnp.abs(jnp.diff(images, axis=axis)).mean() * len(images) for axis in axes]
    return functools.reduce(jnp.add, parts)


class _Progress:
    """A bar in a terminal that appears after two seconds."""

    def __init__(self, enabled: bool, total: int) -> None:
        self._enabled, self._total, self._done = enabled, total, 0
        self._bar: Any = None
        self._began = time.monotonic()

    def __enter__(self) -> "_Progress":
        return self

    def advance(self, steps: int) -> None:
        """Count steps as done."""
        self._done += steps
        late = time.monotonic() - self._began > _SECONDS_BEFORE_PROGRESS
        if self._bar is None and self._enabled and late and self._done < self._total:
            from rich.progress import Progress  # here, to keep `import jaxcnn` light

            self._bar = Progress(transient=True, **where_shown())
            self._bar.start()
            self._task = self._bar.add_task("Visualizing features …", total=self._total)
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done)

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()
