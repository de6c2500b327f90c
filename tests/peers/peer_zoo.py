"""The networks of timm and torchvision, with weights that no part of a computation leaves alone."""

import importlib.util
import re
import warnings
from pathlib import Path

import torch


def _declare_operations():
    """Declare what torchvision compiles, as far as its import asks for it.

    Its networks use none of it, and its wheel is of another build of PyTorch than the CPU's.
    """
    folder = Path(importlib.util.find_spec("torchvision").submodule_search_locations[0])
    text = (folder / "_meta_registrations.py").read_text()
    names = set(re.findall(r"torchvision::(\w+)", text))
    names |= set(re.findall(r"register_meta\(\"(\w+)\"\)", text))
    library = torch.library.Library("torchvision", "DEF")
    for name in sorted(names):
        library.define(f"{name}(Tensor x) -> Tensor")
    return library


_library = _declare_operations()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import timm
    import torchvision

COUNTER = "num_batches_tracked"


def library_of(name):
    """Returns whether timm or torchvision has a network; None for neither."""
    if timm.is_model(name):
        return "timm"
    known = torchvision.models.list_models()
    return "torchvision" if name in known else None


def create(name, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if library_of(name) == "timm":
            return timm.create_model(name, **options)
        return torchvision.models.get_model(name, weights=None, **options)


def abstract(name):
    with torch.device("meta"):
        return create(name)


def seeded(name, shape, seed=0):
    """Returns a network with random weights and the running statistics of a batch.

    With statistics of other numbers, deep networks would give nearly the same for any image.
    """
    torch.manual_seed(seed)
    network = create(name)
    for key, array in network.state_dict().items():
        if key.endswith("gamma"):  # of ConvNeXt, near 0 at first
            array.uniform_(0.5, 1.5)
    norms = [m for m in network.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.randn(4, shape[-1], *shape[:-1]))
    return network.eval()


def channels_first(x):
    return torch.tensor(x).movedim(-1, 1)
