"""Networks for series of several lengths."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
from flax import nnx

from jaxcnn import modules, shapes
from jaxcnn.layers.composition import Composite, LayerLike, Wrapper, serial
from jaxcnn.layers.layer import Layer, as_layer


@dataclass(frozen=True, repr=False, init=False)
class masked(Wrapper):
    """A network for series of several lengths, which computes each as if it were alone.

    Its input ``(batch, time, channels)`` has NaN in every channel after the end of a series, as
    :class:`jaxcnn.Dataset` keeps series of several lengths. Convolutions and sums see zeros after
    the end, maxima −∞, means and the statistics of normalizations only steps before the end;
    strides shorten a series as they would if it were alone, under every padding. So a padded batch
    has the outputs, loss, gradients and statistics of its series without padding. Dropout of
    single values draws from the padded shape, and drops other values.

    A layer that cannot do so, such as ``flatten``, is an error that names it. Of a network without
    a global pool, outputs after the end are 0.

    >>> import jax.numpy as jnp
    >>> from jaxcnn.layers import conv, dense, global_avg_pool
    >>> net = masked(serial(conv(4, 3, padding="SAME"), global_avg_pool(), dense(2)))
    >>> model = net.build((4, 1), rngs=nnx.Rngs(0))
    >>> short = jnp.array([[[1.0], [2.0], [3.0]]])
    >>> padded = jnp.pad(short, ((0, 0), (0, 1), (0, 0)), constant_values=jnp.nan)
    >>> bool((model(short) == model(padded)).all())
    True

    Attributes:
      body: The network.
    """

    body: Layer

    def __init__(self, body: LayerLike) -> None:
        """Wrap the network.

        Raises:
          TypeError: ``body`` is neither a layer nor a plain function.
        """
        object.__setattr__(self, "body", as_layer(body, "body"))

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> nnx.Module:
        """Return the module of the network; see :func:`jaxcnn.modules.masked`.

        Raises:
          ValueError: a layer has no rule for series of several lengths.
        """
        if len(shapes.check_shape(input_shape)) != 2:
            raise ValueError(
                "a masked network reads series, of input_shape (time, channels). "
                f"Received: input_shape={tuple(input_shape)}"
            )
        body = self.body if isinstance(self.body, Composite) else serial(self.body)
        module = modules.masked(body.build(input_shape, rngs=rngs))
        vars(module)["description"] = self
        vars(module)["input_shape"] = shapes.check_shape(input_shape)
        one = jax.ShapeDtypeStruct((1, *input_shape), jax.numpy.float32)
        nnx.eval_shape(lambda module, x: module(x), module, one)  # each layer must have a rule
        return module

    def __repr__(self) -> str:
        """Return the call that makes this description."""
        return f"masked({self.body!r})"
