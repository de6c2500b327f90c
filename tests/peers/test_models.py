"""The zoo against the same networks written in PyTorch from their papers' tables."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from compare import first, to_torch, torch_kernel
from flax import nnx
from torch import nn

from jaxcnn import models
from jaxcnn.models import mobilenet, resnet

CLASSES = 5
BATCH = 4


class Sum(nn.Module):
    """A body beside a shortcut."""

    def __init__(self, body, shortcut):
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


class OptionA(nn.Module):
    """Every other position, and zeros for the new channels."""

    def forward(self, x):
        return nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, x.shape[1]))


class Scale(nn.Module):
    def forward(self, x):
        return x * (1 / 9)


def conv_norm(inner, outer, size, stride=1, **options):
    return [
        nn.Conv2d(inner, outer, size, stride, size // 2, bias=False, **options),
        nn.BatchNorm2d(outer),
    ]


def torch_resnet(features, depths, *, large=False, bottleneck=False, option_a=False):
    layers = [*conv_norm(3, features, 7 if large else 3, 2 if large else 1), nn.ReLU()]
    if large:
        layers.append(nn.MaxPool2d(3, 2, padding=1))
    channels = features
    for stage, depth in enumerate(depths):
        inner = features << stage
        outer = 4 * inner if bottleneck else inner
        for block in range(depth):
            stride = 2 if stage > 0 and block == 0 else 1
            if bottleneck:
                body = [
                    *conv_norm(channels, inner, 1), nn.ReLU(),
                    *conv_norm(inner, inner, 3, stride), nn.ReLU(),
                    *conv_norm(inner, outer, 1),
                ]  # fmt: skip
            else:
                body = [
                    *conv_norm(channels, outer, 3, stride), nn.ReLU(),
                    *conv_norm(outer, outer, 3),
                ]  # fmt: skip
            if stride == 1 and channels == outer:
                shortcut = nn.Identity()
            elif option_a:
                shortcut = OptionA()
            else:
                shortcut = nn.Sequential(*conv_norm(channels, outer, 1, stride))
            layers += [Sum(nn.Sequential(*body), shortcut), nn.ReLU()]
            channels = outer
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)
    return nn.Sequential(*layers, *head)


# The first stages of the paper's table 2: expansion, channels, blocks, strides.
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 2, 2))


def short_mobilenet():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mobilenet, "_STAGES_V2", STAGES)
        return models.create("mobilenetv2_100", num_classes=CLASSES, width=0.5, rate=0.0)


def torch_mobilenet():
    layers, inputs = [*conv_norm(3, 16, 3, 2), nn.ReLU6()], 16
    for expansion, channels, depth, strides in STAGES:
        outputs = max(channels // 2, 8)
        outputs += -outputs % 8  # 12, as near to 8 as to 16, becomes 16
        for block in range(depth):
            inner, stride = inputs * expansion, strides if block == 0 else 1
            body = [*conv_norm(inputs, inner, 1), nn.ReLU6()] if expansion > 1 else []
            body += [*conv_norm(inner, inner, 3, stride, groups=inner), nn.ReLU6()]
            body = nn.Sequential(*body, *conv_norm(inner, outputs, 1))
            same = stride == 1 and inputs == outputs
            layers.append(Sum(body, nn.Identity()) if same else body)
            inputs = outputs
    layers += [*conv_norm(inputs, 1280, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(1280, CLASSES))


def torch_airbench(features):
    layers, inputs = [nn.Conv2d(3, 24, 2), nn.GELU()], 24
    for outputs in features:
        norms = [nn.BatchNorm2d(outputs, eps=1e-12, momentum=0.4) for _ in range(2)]
        layers += [
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.MaxPool2d(2), norms[0],
            nn.GELU(), nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), norms[1], nn.GELU(),
        ]  # fmt: skip
        inputs = outputs
    head = nn.MaxPool2d(3), nn.Flatten(), nn.Linear(inputs, CLASSES, bias=False)
    return nn.Sequential(*layers, *head, Scale())


# Ours, PyTorch's and the size of the images; few blocks, as each takes time to compile: those of
# the real networks are held by their parameters and sizes.
NETWORKS = {
    "basic": (
        lambda: resnet._small_resnet(CLASSES, depths=(2, 2, 1), features=4),
        lambda: torch_resnet(4, (2, 2, 1)),
        16,
    ),
    "zeros": (
        lambda: resnet._small_resnet(CLASSES, depths=(1, 2, 1), features=4, option_a=True),
        lambda: torch_resnet(4, (1, 2, 1), option_a=True),
        15,
    ),
    "bottleneck": (
        lambda: resnet._resnet(CLASSES, depths=(2, 1, 1), features=4, bottleneck=True),
        lambda: torch_resnet(4, (2, 1, 1), large=True, bottleneck=True),
        49,
    ),
    "airbench": (
        lambda: models.create("airbench", num_classes=CLASSES, features=(32, 8, 6)),
        lambda: torch_airbench((32, 8, 6)),
        32,
    ),
    "mobilenet_v2": (short_mobilenet, torch_mobilenet, 32),
}


NAMES = {
    "kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean",
    "var": "running_var",
}  # fmt: skip


def layers_of(network, input_shape, peer):
    """Our steps with parameters and PyTorch's layers, in the order in which both compute."""
    kinds = ("conv", "depthwise", "dense", "batch_norm")
    ours = [step for step in network.walk(input_shape) if step.layer.kind in kinds]
    classes = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
    theirs = [module for module in peer.modules() if isinstance(module, classes)]
    return list(zip(ours, theirs, strict=True))


def as_torch(name, array):
    if name != "kernel":
        return to_torch(array)
    return torch_kernel(to_torch(array)) if array.ndim > 2 else to_torch(array).T


def of(tree, path):
    """The arrays of the layer at a path; a layer may have none of them."""
    return functools.reduce(lambda branch, name: branch.get(name, {}), path, tree)


def random_arrays(tree, rng):
    """Like ``tree``, of numbers that no part of a computation would leave as they are."""

    def draw(path, leaf):
        low, high = (0.5, 1.5) if path[-1].key in ("scale", "var") else (-0.3, 0.3)
        return jnp.asarray(rng.uniform(low, high, leaf.shape), jnp.float32)

    return jax.tree_util.tree_map_with_path(draw, tree)


def run_ours(network, params, statistics, images, labels):
    """Logits of inference and of training, statistics after it, gradients of a mean loss."""
    graphdef = nnx.graphdef(network.abstract(images.shape[1:]))

    def loss(params, images):
        model = nnx.merge(graphdef, params, statistics)
        logits = model(images, train=True, key=jax.random.key(0))
        left = nnx.to_pure_dict(nnx.state(model, nnx.BatchStat))
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses.mean(), (logits, left)

    def program(params, images):
        gradients, (logits, left) = jax.grad(loss, argnums=(0, 1), has_aux=True)(params, images)
        return nnx.merge(graphdef, params, statistics)(images), logits, left, *gradients

    return jax.jit(program).lower(params, images).compile()(params, images)


def assert_close(ours, theirs, tolerance, least=0.0):
    theirs = theirs.detach().numpy()
    scale = np.abs(theirs).max(initial=least)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("name", NETWORKS)
def test_values_gradients_and_statistics(name):
    make, make_peer, size = NETWORKS[name]
    network, shape = make(), (size, size, 3)
    rng = np.random.default_rng(0)
    _, params, statistics = nnx.split(network.abstract(shape), nnx.Param, nnx.BatchStat)
    params, statistics = (
        random_arrays(nnx.to_pure_dict(part), rng) for part in (params, statistics)
    )
    peer = make_peer().double()  # what is left between the two are our roundings
    layers = layers_of(network, shape, peer)
    for step, module in layers:
        for arrays in (of(params, step.path), of(statistics, step.path)):
            for kind, array in arrays.items():
                getattr(module, NAMES[kind]).data.copy_(as_torch(kind, array))
    images = jnp.asarray(rng.normal(size=(BATCH, *shape)), jnp.float32)
    labels = np.arange(BATCH) % CLASSES

    tested, trained, left, kernels, pixels = run_ours(
        network, params, statistics, images, jnp.asarray(labels)
    )
    x = first(to_torch(images).double()).requires_grad_()
    assert_close(tested, peer.eval()(x), 1e-5)
    logits = peer.train()(x)
    assert_close(trained, logits, 1e-5)
    nn.functional.cross_entropy(logits, torch.tensor(labels)).backward()
    assert_close(jnp.moveaxis(pixels, -1, 1), x.grad, 1e-4)
    largest = max(float(module.weight.grad.abs().max()) for _, module in layers)
    for step, module in layers:
        for kind, gradient in of(kernels, step.path).items():
            # A bias between two norms has no gradient: it is compared with those of the others.
            theirs = getattr(module, NAMES[kind]).grad
            assert_close(as_torch(kind, gradient), theirs, 1e-4, least=largest / 100)
        if step.layer.kind == "batch_norm":
            arrays, before = of(left, step.path), of(statistics, step.path)
            assert_close(arrays["mean"], module.running_mean, 1e-5)
            # PyTorch's running variance follows the unbiased variance of the batch.
            count = BATCH * math.prod(step.output_shape[:-1])
            stays = step.layer.momentum * as_torch("var", before["var"])
            unbiased = module.running_var - stays
            assert_close(arrays["var"], stays + unbiased * (count - 1) / count, 1e-5)


def inception_time_parts():
    """The layers with parameters of the authors' network: six modules, two shortcuts, a head."""
    parts, inputs = [], 1
    for number in range(6):
        narrow = inputs if number == 0 else 32
        if number:
            parts.append(nn.Conv1d(inputs, 32, 1, bias=False))
        parts += [nn.Conv1d(narrow, 32, size, bias=False) for size in (40, 20, 10)]
        parts += [nn.Conv1d(inputs, 32, 1, bias=False), nn.BatchNorm1d(128)]
        inputs = 128
    for inputs in (1, 128):
        parts += [nn.Conv1d(inputs, 128, 1, bias=False), nn.BatchNorm1d(128)]
    return [*parts, nn.Linear(128, 2)]


PARTS = {
    "lenet5": lambda: [
        nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5), nn.Conv2d(16, 120, 5),
        nn.Linear(120, 84), nn.Linear(84, 10),
    ],
    "fcn": lambda: [
        nn.Conv1d(1, 128, 8), nn.BatchNorm1d(128), nn.Conv1d(128, 256, 5), nn.BatchNorm1d(256),
        nn.Conv1d(256, 128, 3), nn.BatchNorm1d(128), nn.Linear(128, 2),
    ],
    "inception_time": inception_time_parts,
}  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_parameters_of_networks_that_no_library_has(name):
    """Layer by layer as the paper lists them, in any order."""
    theirs = sorted(p.numel() for part in PARTS[name]() for p in part.parameters())
    params = nnx.state(models.create(name).abstract(models.input_shape(name)), nnx.Param)
    assert sorted(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)) == theirs
    assert models.info(name).parameters == sum(theirs)
