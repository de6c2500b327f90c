"""Write a Flax module by hand from jaxcnn's modules and ops, and train it with fit."""

import chex
import jax
import numpy as np
from flax import nnx
from jax.nn import relu

import jaxcnn as cnn


class TwoScales(nnx.Module):
    """Read an image with a small and a large kernel side by side, and joins what they see."""

    def __init__(self, num_classes: int, *, rngs: nnx.Rngs) -> None:
        """Creates two convolutions of the image and the classifier on top."""
        self.small = cnn.modules.Conv(1, 16, (3, 3), padding="SAME", rngs=rngs)
        self.large = cnn.modules.Conv(1, 16, (7, 7), padding="SAME", rngs=rngs)
        self.joined = cnn.modules.Conv(32, 32, (3, 3), strides=2, rngs=rngs)
        self.classes = cnn.modules.Dense(32 * 3 * 3, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``(batch, 28, 28, 1)`` to logits ``(batch, num_classes)``."""
        both = jax.numpy.concatenate([self.small(x), self.large(x)], axis=-1)
        chex.assert_shape(both, (None, 28, 28, 32))
        pooled = cnn.ops.max_pool(relu(both), 2)
        pooled = cnn.ops.max_pool(relu(self.joined(pooled)), 2)
        # The formula says the same: ⌊(14 − 3) / 2⌋ + 1 = 6, and ⌊(6 − 2) / 2⌋ + 1 = 3.
        shape = cnn.shapes.conv_shape((14, 14, 32), 32, 3, strides=2)
        chex.assert_shape(pooled, (None, *cnn.shapes.pool_shape(shape, 2)))
        return self.classes(cnn.ops.flatten(pooled))


def main(epochs: int = 12) -> float:
    """Train on the digits; returns the accuracy on held-out ones."""
    train = cnn.data.load("digits", image_size=28)
    test = cnn.data.load("digits", image_size=28, split="test")
    model = TwoScales(len(train.class_names), rngs=nnx.Rngs(0))
    result = cnn.fit(model, train, epochs=epochs, augment=cnn.augment.random_shift)
    probabilities = cnn.predict(result.model, test.images)
    accuracy = float(np.mean(probabilities.argmax(axis=1) == test.labels))
    print(f"{accuracy:.2%} of {len(test)} right")
    return accuracy


if __name__ == "__main__":
    main()
