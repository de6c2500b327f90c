"""The exchanges between devices in a compiled training step."""

import math
import re
from dataclasses import dataclass
from types import MappingProxyType

import jax

from jaxcnn.runtime import plain_operations
from jaxcnn.training.resumption import Position
from jaxcnn.training.task import Task
from jaxcnn.training.training_step import compile_step

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
_OPERATION = re.compile(rf"^\s*(?:ROOT )?%?[\w.-]+ = (.+?) ({'|'.join(KINDS)})\(", re.MULTILINE)
_ARRAY = re.compile(r"\b(pred|[a-z]+(\d+)\w*)\[([\d,]*)\]")
# Nothing here runs, so that machine code need not be good.
_QUICK = MappingProxyType({"xla_backend_optimization_level": "0"})


@dataclass(frozen=True)
class Collective:
    """One exchange between all devices.

    Attributes:
      kind: Such as ``"all-reduce"``.
      bytes: Of the whole arrays: those that each device has before an all-reduce or a
        reduce-scatter, or after an all-gather; of an all-to-all, those of one device.
    """

    kind: str
    bytes: int


@dataclass(frozen=True)
class StepProgram:
    """A training step that is compiled for several devices.

    Attributes:
      devices: Number of devices.
      images: Images per device.
      flops: Floating-point operations per device, as XLA counts them.
      collectives: Every exchange of a step.
    """

    devices: int
    images: int
    flops: float
    collectives: tuple[Collective, ...]

    def bytes_of(self, *kinds: str) -> int:
        """Return the bytes of the exchanges of some kinds; of all without any."""
        return sum(one.bytes for one in self.collectives if one.kind in (kinds or KINDS))


def compile_for_reading(task: Task, *, plain: bool = True) -> StepProgram:
    """Compile a task's training step for its devices, and return what it exchanges.

    Nothing is run. GPU and TPU compute each operation as XLA does, which `plain` takes on CPU, too.
    There, the gradients of some convolutions are exchanged before a last, linear step that makes
    them smaller: up to four times the bytes.

    Args:
      task: The task.
      plain: Whether operations are XLA's own, as on GPU and TPU, and not those of this library for
        CPU.
    """
    step = compile_step(task.forward, task.transformation, task.loss, task.options, task.placement)
    state = task.first_state()
    batch = next(task.batches(Position(state)))
    assert isinstance(step, jax.stages.Wrapped)
    if plain:
        with plain_operations():
            lowered = step.lower(state, batch)
    else:
        lowered = step.lower(state, batch)
    compiled = lowered.compile(compiler_options=dict(_QUICK))
    costs = compiled.cost_analysis() or {}
    devices = task.placement.num_devices
    return StepProgram(
        devices=devices,
        images=task.batch_size // devices,
        flops=float(costs["flops"]),
        collectives=read_collectives(compiled.as_text() or "", devices),
    )


def read_collectives(program: str, devices: int) -> tuple[Collective, ...]:
    """Return the exchanges in the text of an optimized program of XLA, in its order.

    >>> line = "%a = (f32[3,2]{1,0}, bf16[4]{0}, f32[]) all-reduce(%x, %y, %z), channel_id=1"
    >>> read_collectives(line, 2)
    (Collective(kind='all-reduce', bytes=36),)

    Args:
      program: As ``compiled.as_text()`` returns it. Operations in a loop count once.
      devices: Number of devices, each of which has a part of the result of a reduce-scatter.
    """
    found = []
    for result, kind in _OPERATION.findall(program):
        sizes = [
            math.prod(map(int, filter(None, shape.split(",")))) * (int(bits or 8) // 8)
            for _, bits, shape in _ARRAY.findall(result)
        ]
        found.append(Collective(kind, sum(sizes) * (devices if kind == "reduce-scatter" else 1)))
    return tuple(found)
