"""Torchvision beside a build of PyTorch that its compiled operations are not for."""

import importlib.util
import re
from pathlib import Path

import torch


def declare_operations() -> torch.library.Library:
    """Declare what torchvision compiles, as far as its import asks for it.

    timm imports torchvision. Their networks use none of these operations, and the wheel is of
    another build of PyTorch than the CPU's.

    Returns:
      What holds the declarations: keep it as long as they are needed.
    """
    folder = Path(importlib.util.find_spec("torchvision").submodule_search_locations[0])
    text = (folder / "_meta_registrations.py").read_text()
    found = re.findall(r"torchvision::(\w+)|register_meta\(\"(\w+)\"\)", text)
    library = torch.library.Library("torchvision", "DEF")
    for name in sorted({"".join(pair) for pair in found}):
        library.define(f"{name}(Tensor x) -> Tensor")
    return library
