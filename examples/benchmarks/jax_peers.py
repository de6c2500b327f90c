"""The networks in jaxcnn, Flax NNX, Equinox and Keras on JAX, each as its own documents write it.

A contender is a class made of a case. ``train()`` runs one step on the case's batch and
``infer(images)`` one forward pass; both return arrays that are to be waited for.
``given(images)`` turns images into what ``infer`` takes.
"""

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from networks import Case

import jaxcnn as cnn


def example(case: Case, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random images and labels."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(batch, *case.input_shape)).astype(np.float32)
    return images, rng.integers(0, case.classes, batch).astype(np.int32)


def padding_of(layer: Any) -> str:
    """Return the word for a layer's padding: the networks pad by none or by half a kernel."""
    return "VALID" if layer.padding in (0, "VALID") else "SAME"


class JaxCnn:
    """This library."""

    def __init__(self, case: Case) -> None:
        images, labels = example(case, case.batch)
        self.model = case.network.build(case.input_shape, rngs=nnx.Rngs(0))
        optimizer = optax.sgd(0.01, momentum=0.9)
        init, self.step = cnn.make_training(self.model, optimizer, on_nan="ignore")
        self.state = init(jax.random.key(0))
        self.batch = cnn.Batch(jnp.asarray(images), jnp.asarray(labels), jnp.ones(case.batch, bool))
        graphdef, arrays = nnx.split(self.model)
        self.arrays = nnx.to_pure_dict(arrays)
        self.forward = jax.jit(lambda arrays, x: nnx.merge(graphdef, arrays)(x))

    def train(self) -> Any:
        self.state, metrics = self.step(self.state, self.batch)
        return metrics

    def given(self, images: np.ndarray) -> Any:
        return jnp.asarray(images)

    def infer(self, images: Any) -> Any:
        return self.forward(self.arrays, images)


class FlaxNet(nnx.Module):
    """A description's layers as Flax's own."""

    def __init__(self, layer: cnn.Layer, input_shape: tuple[int, ...], rngs: nnx.Rngs) -> None:
        self.parts = nnx.List([])
        self.kind = layer.kind
        if self.kind == "serial":
            for _, child in layer.children:
                self.parts.append(FlaxNet(child, input_shape, rngs))
                input_shape = child.output_shape(input_shape)
        elif self.kind == "residual":
            for child in filter(None, (layer.body, layer.shortcut)):
                self.parts.append(FlaxNet(child, input_shape, rngs))
        else:
            self.call = self.leaf(layer, input_shape, rngs)

    @staticmethod
    def leaf(layer: Any, input_shape: tuple[int, ...], rngs: nnx.Rngs) -> Callable[..., Any]:
        *spatial, channels = input_shape
        if layer.kind in ("conv", "depthwise"):
            axes, groups = len(spatial), channels if layer.kind == "depthwise" else 1
            return nnx.Conv(
                channels, layer.output_shape(input_shape)[-1], (layer.kernel_size,) * axes,
                strides=layer.strides, padding=padding_of(layer), feature_group_count=groups,
                use_bias=layer.use_bias, rngs=rngs,
            )  # fmt: skip
        if layer.kind == "dense":
            return nnx.Linear(channels, layer.features, rngs=rngs)
        if layer.kind == "batch_norm":
            return nnx.BatchNorm(channels, momentum=0.9, rngs=rngs)
        if layer.kind == "dropout":
            return nnx.Dropout(layer.rate, rngs=rngs)
        if layer.kind == "max_pool":
            window = (layer.window,) * len(spatial)
            return lambda x: nnx.max_pool(x, window, strides=window)
        if layer.kind == "global_avg_pool":
            return lambda x: x.mean(axis=tuple(range(1, x.ndim - 1)))
        if layer.kind == "flatten":
            return lambda x: x.reshape(x.shape[0], -1)
        return layer.function

    def __call__(self, x: jax.Array) -> jax.Array:
        if self.kind == "residual":
            return self.parts[0](x) + (self.parts[1](x) if len(self.parts) > 1 else x)
        if self.kind != "serial":
            return self.call(x)
        for part in self.parts:
            x = part(x)
        return x


@nnx.jit
def flax_train(model: Any, optimizer: Any, images: jax.Array, labels: jax.Array) -> jax.Array:
    """Take one step."""

    def loss(model: Any) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(model(images), labels).mean()

    value, gradients = nnx.value_and_grad(loss)(model)
    optimizer.update(model, gradients)
    return value


@nnx.jit
def flax_infer(model: Any, images: jax.Array) -> jax.Array:
    """Runs the model forward."""
    return model(images)


class Flax:
    """Flax NNX."""

    def __init__(self, case: Case) -> None:
        self.images, self.labels = map(jnp.asarray, example(case, case.batch))
        self.model = FlaxNet(case.network, case.input_shape, nnx.Rngs(0))
        self.optimizer = nnx.Optimizer(self.model, optax.sgd(0.01, momentum=0.9), wrt=nnx.Param)

    def train(self) -> Any:
        self.model.train()
        return flax_train(self.model, self.optimizer, self.images, self.labels)

    def given(self, images: np.ndarray) -> Any:
        return jnp.asarray(images)

    def infer(self, images: Any) -> Any:
        self.model.eval()
        return flax_infer(self.model, images)


class Keras:
    """Keras 3 with its JAX backend: ``train_on_batch`` and ``predict_on_batch``."""

    def __init__(self, case: Case) -> None:
        import keras

        self.images, self.labels = example(case, case.batch)
        inputs = keras.Input(case.input_shape)
        self.model = keras.Model(inputs, self.apply(keras.layers, case.network, inputs))
        self.model.compile(
            keras.optimizers.SGD(0.01, momentum=0.9),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )

    def apply(self, layers: Any, layer: Any, x: Any) -> Any:
        if layer.kind == "serial":
            for _, child in layer.children:
                x = self.apply(layers, child, x)
            return x
        if layer.kind == "residual":
            branches = filter(None, (layer.body, layer.shortcut))
            outputs = [self.apply(layers, branch, x) for branch in branches]
            return layers.add(outputs if layer.shortcut else [*outputs, x])
        rank = len(x.shape) - 2
        options = {}
        if layer.kind in ("conv", "depthwise"):
            options = {
                "strides": layer.strides, "padding": padding_of(layer).lower(),
                "use_bias": layer.use_bias,
            }  # fmt: skip
        return {
            "conv": lambda: getattr(layers, f"Conv{rank}D")(
                layer.features, layer.kernel_size, **options
            ),
            "depthwise": lambda: layers.DepthwiseConv2D(layer.kernel_size, **options),
            "dense": lambda: layers.Dense(layer.features),
            "batch_norm": lambda: layers.BatchNormalization(momentum=0.9),
            "dropout": lambda: layers.Dropout(layer.rate),
            "max_pool": lambda: getattr(layers, f"MaxPooling{rank}D")(layer.window),
            "global_avg_pool": lambda: getattr(layers, f"GlobalAveragePooling{rank}D")(),
            "flatten": layers.Flatten,
            "relu": lambda: layers.Activation("relu"),
            "relu6": lambda: layers.Activation("relu6"),
        }[layer.kind]()(x)

    def train(self) -> Any:
        return self.model.train_on_batch(self.images, self.labels)

    def given(self, images: np.ndarray) -> Any:
        return images

    def infer(self, images: Any) -> Any:
        return self.model.predict_on_batch(images)


class Equinox:
    """Equinox: one channels-first example at a time, under ``vmap``."""

    def __init__(self, case: Case) -> None:
        import equinox as eqx

        images, labels = example(case, case.batch)
        self.images, self.labels = self.given(images), jnp.asarray(labels)
        self.model, self.state = eqx.nn.make_with_state(self.build)(
            eqx, case.network, case.input_shape
        )
        optimizer = optax.sgd(0.01, momentum=0.9)
        self.optimizer_state = optimizer.init(eqx.filter(self.model, eqx.is_inexact_array))

        def forward(model: Any, state: Any, images: jax.Array) -> Any:
            keys = jax.random.split(jax.random.key(0), len(images))

            def one(image: jax.Array, key: jax.Array) -> Any:
                return model(image, state, key=key)

            return jax.vmap(one, out_axes=(0, None), axis_name="batch")(images, keys)

        def loss(model: Any, state: Any, images: jax.Array, labels: jax.Array) -> Any:
            logits, state = forward(model, state, images)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return losses.mean(), state

        @eqx.filter_jit
        def step(model: Any, state: Any, optimizer_state: Any, images: Any, labels: Any) -> Any:
            gradients, state = eqx.filter_grad(loss, has_aux=True)(model, state, images, labels)
            updates, optimizer_state = optimizer.update(gradients, optimizer_state)
            return eqx.apply_updates(model, updates), state, optimizer_state

        self.step, self.forward = step, eqx.filter_jit(forward)
        self.tested = eqx.nn.inference_mode(self.model)

    def build(self, eqx: Any, layer: Any, input_shape: tuple[int, ...]) -> Any:
        class Residual(eqx.nn.StatefulLayer):
            body: Any
            shortcut: Any

            def __call__(self, x: Any, state: Any, *, key: Any = None) -> Any:
                y, state = self.body(x, state, key=key)
                if self.shortcut is not None:
                    x, state = self.shortcut(x, state, key=key)
                return y + x, state

        nn, key = eqx.nn, jax.random.key(0)
        *spatial, channels = input_shape
        if layer.kind == "serial":
            children = []
            for _, child in layer.children:
                children.append(self.build(eqx, child, input_shape))
                input_shape = child.output_shape(input_shape)
            return nn.Sequential(children)
        if layer.kind == "residual":
            both = (layer.body, layer.shortcut)
            return Residual(*(b and self.build(eqx, cnn.serial(b), input_shape) for b in both))
        if layer.kind in ("conv", "depthwise"):
            return nn.Conv(
                len(spatial), channels, layer.output_shape(input_shape)[-1], layer.kernel_size,
                stride=layer.strides, padding=padding_of(layer), use_bias=layer.use_bias,
                groups=channels if layer.kind == "depthwise" else 1, key=key,
            )  # fmt: skip
        return {
            "dense": lambda: nn.Linear(channels, layer.features, key=key),
            "batch_norm": lambda: nn.BatchNorm(channels, "batch", mode="batch"),
            "dropout": lambda: nn.Dropout(layer.rate),
            "max_pool": lambda: getattr(nn, f"MaxPool{len(spatial)}d")(layer.window, layer.window),
            "global_avg_pool": lambda: nn.Lambda(lambda x: x.mean(range(1, x.ndim))),
            "flatten": lambda: nn.Lambda(jnp.ravel),
            "relu": lambda: nn.Lambda(jax.nn.relu),
            "relu6": lambda: nn.Lambda(jax.nn.relu6),
        }[layer.kind]()

    def train(self) -> Any:
        arguments = self.model, self.state, self.optimizer_state, self.images, self.labels
        self.model, self.state, self.optimizer_state = self.step(*arguments)
        return jax.tree.leaves(self.optimizer_state)

    def given(self, images: np.ndarray) -> Any:
        return jnp.moveaxis(jnp.asarray(images), -1, 1)

    def infer(self, images: Any) -> Any:
        return self.forward(self.tested, self.state, images)[0]
