"""Describe a network, look at its shapes, train it on digits, use it."""

from functools import partial

from flax import nnx
from jax.nn import relu

import jaxcnn as cnn

network = cnn.serial(
    cnn.conv(64, 3), relu, cnn.max_pool(2),
    cnn.conv(64, 3), relu, cnn.max_pool(2),
    cnn.conv(64, 3), relu,
    cnn.flatten(), cnn.dropout(0.5), cnn.dense(10),
)  # fmt: skip
print(cnn.summarize(network, (28, 28, 1), explain=True))  # integers only: nothing runs yet

train = cnn.data.load("digits", image_size=28)
test = cnn.data.load("digits", image_size=28, split="test")
model = network.build(train.image_shape, rngs=nnx.Rngs(0))
shift = partial(cnn.augment.random_shift, pixels=2)
result = cnn.fit(model, train, validation=test, epochs=20, augment=shift)

print(cnn.evaluate(result.model, test))
print(cnn.predict(result.model, test.images[:3]).argmax(axis=1), test.labels[:3])
