"""Predicting the step of a recipe on many devices, without them."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jax.sharding import AbstractMesh, Mesh

from jaxcnn import arguments
from jaxcnn.insight import summarize
from jaxcnn.insight.hardware import Hardware, find_hardware
from jaxcnn.insight.scaling_forecast import Forecast, Work, counts_of, forecast_step
from jaxcnn.recipes.assembly import assemble
from jaxcnn.recipes.reading import read
from jaxcnn.recipes.schema import Recipe
from jaxcnn.recipes.toml_options import override
from jaxcnn.runtime import cpu_devices
from jaxcnn.training.collective_operations import StepProgram, compile_for_reading
from jaxcnn.training.placement import Placement

# As many as show every exchange; their bytes do not depend on the number.
_COMPILED_FOR = 2
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, kw_only=True)
class ScalingForecast:
    """The predicted steps of a recipe.

    Attributes:
      hardware: Figures of the devices.
      precision: Dtype of the computation.
      parameters: Number of trained parameters.
      work: The work of a step.
      program: The compiled step whose exchanges were read, for two devices.
      forecasts: One per number of devices.
    """

    hardware: Hardware
    precision: str
    parameters: int
    work: Work
    program: StepProgram
    forecasts: tuple[Forecast, ...]

    @property
    def flops_counted(self) -> float:
        """Floating-point operations per image as XLA counts them, to compare with `work.flops`."""
        return self.program.flops / self.program.images

    def to_dict(self) -> dict[str, Any]:
        """Return the forecast as dicts, lists and numbers, which JSON can hold."""
        return {
            "hardware": dataclasses.asdict(self.hardware),
            "precision": self.precision,
            "parameters": self.parameters,
            "flops_per_image": self.work.flops,
            "flops_per_image_counted_by_xla": self.flops_counted,
            "memory_bytes_per_image": self.work.memory_bytes,
            "collectives": [dataclasses.asdict(one) for one in self.work.collectives],
            "forecasts": [forecast.to_dict() for forecast in self.forecasts],
        }


def forecast_scaling(
    recipe: Recipe | str | Path,
    *,
    devices: Sequence[int] = (1, 8, 64),
    device: str | Hardware = "h100",
    batch_size: int | None = None,
    batch_per_device: int | None = None,
    sustained: float = 0.3,
    input_rate: float | None = None,
    assignments: Sequence[str] = (),
) -> ScalingForecast:
    """Predict the time of a recipe's training step on many devices, as ``jaxcnn scale`` does.

    The recipe's own step is compiled, not run, for two devices of the CPU, and its exchanges are
    read from the program. Call it before the first computation of the process, in which JAX starts
    its devices, or set ``JAX_NUM_CPU_DEVICES=2``.

    Args:
      recipe: A recipe, the path of a TOML file, or the name of a recipe that comes with jaxcnn. Its
        data is loaded, which decides the shapes.
      devices: Numbers of devices.
      device: A name of ``jaxcnn.insight.hardware.DEVICES``, or figures of your own.
      batch_size: Images per step of all devices, the same for each number of them (strong scaling).
      batch_per_device: Images per step of each device (weak scaling). Without both it is the
        recipe's batch size.
      sustained: Share of the peak that the computation reaches.
      input_rate: Images per second that one host supplies; ``None`` leaves the input out.
      assignments: Options to change in the recipe, such as ``"training.precision=bfloat16"``.

    Returns:
      The forecast.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: there is no such recipe, data or device; an argument is out of range; the devices
        do not divide the batch; or JAX has started with fewer than two devices of the CPU.
    """
    hardware, counts = find_hardware(device), counts_of(devices)
    if batch_size is not None and batch_per_device is not None:
        raise ValueError(
            "batch_size and batch_per_device exclude each other. "
            f"Received: batch_size={batch_size}, batch_per_device={batch_per_device}"
        )
    if isinstance(recipe, Recipe):
        recipe = override(recipe, assignments)
    else:
        recipe = read(recipe, assignments=assignments)
    training = recipe.training
    if batch_size is None and batch_per_device is None:
        batch_per_device = training.batch_size
    batches = {n: _batch_of(n, batch_size, batch_per_device) for n in counts}
    for number, size in batches.items():
        there = AbstractMesh((number,), ("batch",))
        placement = Placement(there)  # type: ignore[arg-type]  # only the number counts
        placement.check_batch_size(size, parts=training.accumulate)
    little = Work(flops=1, memory_bytes=0, collectives=())
    options: dict[str, Any] = {
        "precision": training.precision, "sustained": sustained, "input_rate": input_rate
    }  # fmt: skip
    for number, size in batches.items():  # checks the options before long work
        forecast_step(little, hardware, devices=number, batch_size=size, **options)
    shared = next((n for n in counts if n > 1), 1)
    compiled = dataclasses.replace(training, batch_size=_COMPILED_FOR * batches[shared] // shared)
    mesh = Mesh(np.array(cpu_devices(_COMPILED_FOR)), ("batch",))
    assembly = assemble(dataclasses.replace(recipe, training=compiled), devices=mesh)
    program = compile_for_reading(assembly.task)
    shape = assembly.task.data.sample.image_shape
    table = summarize(assembly.network, shape, frozen=recipe.model.freeze)
    work = Work(
        flops=3 * 2 * table.multiply_adds,
        memory_bytes=2 * table.training_bytes * _BYTES[training.precision] / 4,
        collectives=program.collectives,
    )
    return ScalingForecast(
        hardware=hardware,
        precision=training.precision,
        parameters=table.trainable,
        work=work,
        program=program,
        forecasts=tuple(
            forecast_step(work, hardware, devices=number, batch_size=size, **options)
            for number, size in batches.items()
        ),
    )


def _batch_of(devices: int, batch_size: int | None, batch_per_device: int | None) -> int:
    if batch_size is not None:
        return arguments.check_integer("batch_size", batch_size, minimum=1)
    each = arguments.check_integer("batch_per_device", batch_per_device, minimum=1)
    return devices * each
