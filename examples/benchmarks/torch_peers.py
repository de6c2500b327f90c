"""The networks in PyTorch: eager with either memory format, and compiled."""

from typing import Any

import numpy as np
import torch
from jax_peers import example, padding_of
from networks import Case
from torch import nn


class Residual(nn.Module):
    """A body and a shortcut, added."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) + self.shortcut(x)


class SpatialMean(nn.Module):
    """The mean over all positions."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=tuple(range(2, x.ndim)))


def build(layer: Any, input_shape: tuple[int, ...]) -> nn.Module:
    """Return a description's layers as PyTorch's own."""
    *spatial, channels = input_shape
    rank = len(spatial)
    if layer.kind == "serial":
        children = []
        for _, child in layer.children:
            children.append(build(child, input_shape))
            input_shape = child.output_shape(input_shape)
        return nn.Sequential(*children)
    if layer.kind == "residual":
        shortcut = nn.Identity() if layer.shortcut is None else build(layer.shortcut, input_shape)
        return Residual(build(layer.body, input_shape), shortcut)
    if layer.kind in ("conv", "depthwise"):
        return getattr(nn, f"Conv{rank}d")(
            channels, layer.output_shape(input_shape)[-1], layer.kernel_size,
            stride=layer.strides, bias=layer.use_bias,
            padding=layer.kernel_size // 2 if padding_of(layer) == "SAME" else 0,
            groups=channels if layer.kind == "depthwise" else 1,
        )  # fmt: skip
    return {
        "dense": lambda: nn.Linear(channels, layer.features),
        "batch_norm": lambda: getattr(nn, f"BatchNorm{rank}d")(channels),
        "dropout": lambda: nn.Dropout(layer.rate),
        "max_pool": lambda: getattr(nn, f"MaxPool{rank}d")(layer.window),
        "global_avg_pool": SpatialMean,
        "flatten": nn.Flatten,
        "relu": nn.ReLU,
        "relu6": nn.ReLU6,
    }[layer.kind]()


class Torch:
    """PyTorch, eager, contiguous."""

    channels_last = False

    def __init__(self, case: Case) -> None:
        torch.manual_seed(0)
        images, labels = example(case, case.batch)
        self.format = torch.contiguous_format
        if self.channels_last and images.ndim > 3:
            self.format = torch.channels_last if images.ndim == 4 else torch.channels_last_3d
        self.images = self.given(images)
        self.labels = torch.tensor(labels).long()
        self.model = build(case.network, case.input_shape).to(memory_format=self.format)
        self.run = self.model
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9)

    def train(self) -> torch.Tensor:
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(self.run(self.images), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def given(self, images: np.ndarray) -> torch.Tensor:
        return torch.tensor(images).movedim(-1, 1).contiguous(memory_format=self.format)

    def infer(self, images: torch.Tensor) -> torch.Tensor:
        self.model.eval()
        with torch.inference_mode():
            return self.run(images)


class TorchChannelsLast(Torch):
    """PyTorch, eager, channels last."""

    channels_last = True


class TorchCompiled(TorchChannelsLast):
    """PyTorch, compiled, channels last."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.run = torch.compile(self.model)
