"""Names of Keras, PyTorch and others in calls of this library: each tells what to write."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn import augment, modules, ops, shapes, training
from jaxcnn.data import load

NETWORK = cnn.serial(cnn.flatten(), cnn.dense(3))
NAMES = {
    "cnn": cnn,
    "augment": augment,
    "modules": modules,
    "ops": ops,
    "shapes": shapes,
    "training": training,
    "load": load,
    "nnx": nnx,
    "rngs": nnx.Rngs(0),
    "network": NETWORK,
    "model": NETWORK.build((4, 4, 1), rngs=nnx.Rngs(0)),
    "data": cnn.Dataset(np.zeros((6, 4, 4, 1), np.uint8), np.arange(6) % 3),
    "x": jnp.zeros((2, 8, 8, 4)),
    "kernel": jnp.zeros((3, 3, 4, 6)),
    "y": np.arange(6) % 3,
}
TOLD = [
    # The name of an argument elsewhere.
    ("cnn.conv(8, 3, stride=2)", "conv has no argument 'stride'. It is 'strides' here."),
    ("cnn.conv(filters=8, kernel_size=3)", "It is 'features' here."),
    ("cnn.conv(8, kernel=3)", "It is 'kernel_size' here."),
    ("cnn.conv(8, 3, bias=False)", "It is 'use_bias' here."),
    ("cnn.conv(8, 3, dilation_rate=2)", "It is 'dilation' here."),
    ("cnn.conv(8, 3, kernel_initializer=0)", "It is 'kernel_init' here."),
    ("cnn.conv(8, 3, stirdes=2)", "Did you mean 'strides'?"),
    ("cnn.separable(filters=8, kernel_size=3)", "It is 'features' here."),
    ("cnn.depthwise(3, depth_multiplier=2)", "It is 'multiplier' here."),
    ("cnn.dense(units=10)", "It is 'features' here."),
    ("cnn.max_pool(pool_size=2)", "It is 'window' here."),
    ("cnn.max_pool(kernel_size=2)", "It is 'window' here."),
    ("cnn.dropout(p=0.5)", "It is 'rate' here."),
    ("cnn.batch_norm(eps=1e-3)", "It is 'epsilon' here."),
    ("cnn.batch_norm(affine=False)", "It is 'use_scale' here."),
    ("cnn.group_norm(num_groups=2)", "It is 'groups' here."),
    ("cnn.upsample(scale_factor=2)", "It is 'scale' here."),
    ("cnn.upsample(2, mode='bilinear')", "It is 'method' here."),
    ("ops.conv(x, kernel, stride=2)", "conv has no argument 'stride'. It is 'strides' here."),
    ("ops.conv(x, weight=kernel)", "It is 'kernel' here."),
    ("ops.max_pool(x, kernel_size=2)", "It is 'window' here."),
    ("ops.dropout(x, p=0.5)", "It is 'rate' here."),
    ("modules.Conv(1, 8, (3, 3), stride=2, rngs=rngs)", "Conv has no argument 'stride'. It is 's"),
    ("modules.Conv(in_channels=1, out_channels=8)", "It is 'in_features' here."),
    ("modules.Dense(3, 4, bias=False, rngs=rngs)", "It is 'use_bias' here."),
    ("modules.BatchNorm(8, eps=1e-3, rngs=rngs)", "It is 'epsilon' here."),
    ("shapes.output_size(52, 12, strides=2)", "It is 'stride' here."),
    ("shapes.conv_shape((28, 28, 1), 8, 3, stride=2)", "It is 'strides' here."),
    ("cnn.fit(model, data, lr=0.1)", "fit has no argument 'lr'. It is 'learning_rate' here."),
    ("cnn.fit(model, data, num_epochs=1)", "It is 'epochs' here."),
    ("cnn.fit(model, data, validation_data=data)", "It is 'validation' here."),
    ("cnn.fit(model, data, verbose=0)", "It is 'progress' here."),
    ("cnn.fit(model, data, criterion='focal')", "It is 'loss' here."),
    ("cnn.fit(model, data, dtype='bfloat16')", "It is 'precision' here."),
    ("cnn.fit(model, data, early_stopping_patience=3)", "It is 'patience' here."),
    ("cnn.fit(model, data, epoch=3)", "Did you mean 'epochs'?"),
    ("cnn.make_training(model, None, grad_accum=2)", "It is 'accumulate' here."),
    ("training.make_optimizer('adam', lr=0.1)", "It is 'learning_rate' here."),
    ("training.make_schedule('cosine', lr=0.1, steps=3)", "It is 'peak' here."),
    ("training.find_learning_rate(model, data, transform=3)", "It is 'augment' here."),
    ("load('digits', train=True)", "It is 'split' here."),
    ("load('digits', target_size=(28, 28))", "It is 'image_size' here."),
    ("augment.random_flip(p=0.5)", "It is 'rate' here."),
    # What is done otherwise here.
    ("cnn.conv(8, 3, activation='relu')", "serial(cnn.conv(64, 3), jax.nn.relu)"),
    ("cnn.conv(in_channels=1, out_channels=8)", "learns the number of channels of its input"),
    ("cnn.conv(8, 3, input_shape=(28, 28, 1))", "an argument of build and of cnn.summarize"),
    ("cnn.conv(8, 3, name='first')", "cnn.serial(first=cnn.conv(64, 3))"),
    ("cnn.dropout(keep_prob=0.5)", "rate is the probability of dropping, 1 − keep_prob"),
    ("cnn.batch_norm(num_features=64)", "learns the number of channels of its input"),
    ("cnn.batch_norm(axis=-1)", "Axes are (batch, *spatial, channels)."),
    ("cnn.fit(model, data, shuffle=True)", "drawn anew for every epoch, from seed"),
    ("cnn.fit(model, data, class_weight={})", "cnn.data.class_weights(data)"),
    ("cnn.fit(model, data, momentum=0.9)", "It is an option of the optimizer"),
    ("cnn.fit(model, data, scheduler='cosine')", "make_schedule("),
    ("cnn.fit(model, data, validation_split=0.1)", "stratified_split(data, 0.1)"),
    ("cnn.Dataset(x, y, num_classes=3)", "The classes are those of class_names"),
    # Arguments in another order.
    ("cnn.conv(1, 8, 3)", "conv takes features and kernel_size in order, the others by name, su"),
    ("cnn.conv(1, 8, 3)", "Received: 3 in order. A description learns the number of channels"),
    ("cnn.batch_norm(64)", "batch_norm takes no argument in order"),
    ("ops.max_pool(x, 2, 2)", "max_pool takes x and window in order, the others by name, such as"),
    ("shapes.output_size(52, 12, 2)", "takes size and window in order, the others by name, such as "
     "stride=…. Received: 3 in order."),
    ("cnn.fit(model, x, y)", "Images and labels are one pair: (images, labels)."),
    ("cnn.evaluate(model, x, y)", "Images and labels are one pair: (images, labels)."),
    ("cnn.fit(model, data, augment=augment.random_flip())", "augment=random_flip, and with option"),
    ("augment.random_crop(4)", "functools.partial(random_crop, …)"),
    # Layers and functions under other names.
    ("cnn.Conv2D(8, 3)", "module 'jaxcnn' has no attribute 'Conv2D'. It is 'conv' here."),
    ("cnn.conv2d", "It is 'conv' here."),
    ("cnn.Conv2DTranspose", "It is 'conv_transpose' here."),
    ("cnn.MaxPooling2D", "It is 'max_pool' here."),
    ("cnn.GlobalAveragePooling2D", "It is 'global_avg_pool' here."),
    ("cnn.AdaptiveAvgPool2d", "It is 'adaptive_avg_pool' here."),
    ("cnn.BatchNormalization", "It is 'batch_norm' here."),
    ("cnn.UpSampling2D", "It is 'upsample' here."),
    ("cnn.Linear", "It is 'dense' here."),
    ("cnn.Identity", "It is 'identity' here."),
    ("cnn.Sequential", "It is 'serial' here."),
    ("cnn.ReLU()", "An activation is a plain function: jax.nn.relu."),
    ("cnn.LeakyReLU", "jax.nn.leaky_relu"),
    ("cnn.evaluat", "Did you mean 'evaluate'?"),
    # Methods.
    ("model.fit(data)", "'Serial' object has no attribute 'fit'. Use cnn.fit(model, data)"),
    ("model.state_dict()", "Use nnx.state(model), or cnn.save(model, path)."),
    ("network.summary()", "Use print(cnn.summarize(layer, input_shape))"),
    ("network.compile()", "There is nothing to compile"),
    ("data.split(0.2)", "cnn.data.stratified_split(data, 0.2)"),
    ("data.x", "Use data.images."),
    ("data.num_classes", "Use len(data.class_names)"),
    ("model.conv_7", "'Serial' object has no attribute 'conv_7'"),
    # What is given as a layer.
    ("cnn.serial([cnn.flatten()])", "Received: list. Give layers one by one, serial(*layers)"),
    ("cnn.serial(cnn.flatten)", "Received: the class flatten. Call it, with its options"),
    ("cnn.serial('relu')", "Received: str. Give the function itself, such as jax.nn.relu"),
    ("cnn.serial(model)", "Received: Serial, built already: compose descriptions"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), TOLD, ids=[f"{call}" for call, _ in TOLD])
def test_a_first_guess_tells_what_to_write(call, message):
    with pytest.raises((TypeError, AttributeError)) as raised:
        eval(call, dict(NAMES))
    assert message in str(raised.value)


def test_right_calls_are_as_before():
    """Descriptions, modules and functions are copied and stored by name, with their signatures."""
    assert cnn.conv(8, 3, strides=2) == cnn.conv(features=8, kernel_size=3, strides=2)
    for value in (NETWORK, ops.conv, training.make_optimizer, NAMES["data"]):
        again = pickle.loads(pickle.dumps(value))
        assert again is value or repr(again) == repr(value)
    assert copy.deepcopy(NETWORK) == NETWORK
    assert not hasattr(NETWORK, "predict")
    assert getattr(NAMES["data"], "shape", None) is None


def test_identity_leaves_values_as_they_are():
    x = np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4, 1)
    layer = cnn.residual(cnn.serial(jax.nn.relu), cnn.identity())
    model = layer.build((3, 4, 1), rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(model(jnp.asarray(x)), np.maximum(x, 0) + x)
    assert cnn.identity().output_shape((7,)) == (7,)
