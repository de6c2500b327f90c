"""The inputs of every step of a description: the graph of the network."""

from jax.nn import relu

from jaxcnn.layers import conv, identity, parallel, residual, serial


def edges(layer, shape):
    return {
        "/".join(step.path): ["/".join(path) for path in step.inputs] for step in layer.walk(shape)
    }


def test_one_after_the_other():
    assert edges(serial(conv(2, 3), relu, serial(conv(2, 1))), (8, 8, 1)) == {
        "conv_1": [""],
        "relu_1": ["conv_1"],
        "serial_1/conv_1": ["relu_1"],
    }


def test_branches_read_one_output():
    block = residual(serial(conv(4, 1), relu), conv(4, 1))
    net = serial(conv(2, 1), block, residual(conv(4, 1)), parallel(identity(), serial(conv(1, 1))))
    assert edges(net, (8, 8, 1)) == {
        "conv_1": [""],
        "residual_1/body/conv_1": ["conv_1"],
        "residual_1/body/relu_1": ["residual_1/body/conv_1"],
        "residual_1/shortcut": ["conv_1"],
        "residual_1/add": ["residual_1/body/relu_1", "residual_1/shortcut"],
        "residual_2/body": ["residual_1/add"],
        "residual_2/add": ["residual_2/body", "residual_1/add"],
        "parallel_1/identity_1": ["residual_2/add"],
        "parallel_1/serial_1/conv_1": ["residual_2/add"],
        "parallel_1/concat": ["parallel_1/identity_1", "parallel_1/serial_1/conv_1"],
    }
