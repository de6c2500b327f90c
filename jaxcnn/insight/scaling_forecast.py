"""The time of a training step on many devices, from sizes and published figures."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jaxcnn import arguments
from jaxcnn.insight.hardware import Hardware
from jaxcnn.training.collective_operations import Collective

# Passes over a ring: an all-reduce is a reduce-scatter and an all-gather.
_PASSES = {"all-reduce": 2, "all-gather": 1, "reduce-scatter": 1}


@dataclass(frozen=True, kw_only=True)
class Work:
    """The work of a training step.

    Attributes:
      flops: Floating-point operations per image: three times those of the forward pass, whose
        products the backward pass computes for the gradients of the inputs and of the weights.
      memory_bytes: Least traffic of a device's memory per image: the outputs that the backward pass
        needs, written and read once.
      collectives: The exchanges of a step.
    """

    flops: float
    memory_bytes: float
    collectives: tuple[Collective, ...]


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The predicted step on a number of devices.

    Attributes:
      devices: Number of devices.
      batch_size: Images per step, of all devices.
      compute_seconds: Of the computation on each device.
      exchange_seconds: Of all exchanges, one after another.
      seconds: Least and largest time of a step: exchanges wholly during computation, or after it;
        and not less than the input needs.
      images_per_second: Largest and least rate.
      efficiency: Largest and least share of the rate of as many single devices.
      needed_rate: Images per second that each host must supply for the largest rate.
      limit: ``"compute"``, ``"memory"``, ``"exchange"`` or ``"input"``: the longest part.
    """

    devices: int
    batch_size: int
    compute_seconds: float
    exchange_seconds: float
    seconds: tuple[float, float]
    images_per_second: tuple[float, float]
    efficiency: tuple[float, float]
    needed_rate: float
    limit: str

    def to_dict(self) -> dict[str, Any]:
        """Return the forecast as numbers and lists, which JSON can hold."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }


def forecast_step(
    work: Work,
    hardware: Hardware,
    *,
    devices: int,
    batch_size: int,
    precision: str = "bfloat16",
    sustained: float = 0.3,
    input_rate: float | None = None,
) -> Forecast:
    """Predict the time of a step.

    Computation takes flops / (sustained · peak), and at least the time of the memory traffic. A
    ring of n devices takes (n − 1) / n · bytes / bandwidth and n − 1 latencies for each of the two
    passes of an all-reduce. Beyond a node there are rings within each node, and rings between
    nodes for each device's part of the bytes.

    Args:
      work: The work of a step.
      hardware: Figures of the devices.
      devices: Number of devices, at least 1; beyond a node, whole nodes.
      batch_size: Images per step, of all devices.
      precision: Dtype of the computation.
      sustained: Share of the peak that the computation reaches, above 0 and at most 1.
      input_rate: Images per second of one host; ``None`` for an input that is fast enough.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: an argument is out of range, or no network between nodes is known.
    """
    devices = arguments.check_integer("devices", devices, minimum=1)
    batch_size = arguments.check_integer("batch_size", batch_size, minimum=1)
    sustained = arguments.check_number("sustained", sustained, above=0, maximum=1)
    arguments.check_choice("precision", precision, hardware.tflops)
    if input_rate is not None:
        input_rate = arguments.check_number("input_rate", input_rate, above=0)
    nodes = _count_nodes(devices, hardware)
    images = batch_size / devices
    parts = {
        "compute": images * work.flops / (1e12 * hardware.tflops[precision] * sustained),
        "memory": images * work.memory_bytes / (1e9 * hardware.memory_bandwidth),
    }
    alone = max(parts.values())
    parts["exchange"] = sum(
        exchange_seconds(one, hardware, devices=devices) for one in work.collectives
    )
    parts["input"] = 0.0 if input_rate is None else batch_size / (input_rate * nodes)
    least, most = max(alone, parts["exchange"]), alone + parts["exchange"]
    bounds = max(least, parts["input"]), max(most, parts["input"])
    return Forecast(
        devices=devices,
        batch_size=batch_size,
        compute_seconds=alone,
        exchange_seconds=parts["exchange"],
        seconds=bounds,
        images_per_second=(batch_size / bounds[0], batch_size / bounds[1]),
        efficiency=(alone / bounds[0], alone / bounds[1]),
        needed_rate=batch_size / least / nodes,
        limit=max(parts, key=lambda part: parts[part]),
    )


def exchange_seconds(collective: Collective, hardware: Hardware, *, devices: int) -> float:
    """Return the time of an exchange between devices; see :func:`forecast_step`.

    Args:
      collective: The exchange.
      hardware: Figures of the devices.
      devices: Number of devices, at least 1; beyond a node, whole nodes.

    Raises:
      ValueError: no network between nodes is known.
    """
    nodes = _count_nodes(devices, hardware)
    inside = devices // nodes
    within = 1e9 * hardware.node_bandwidth
    between = 1e9 * (hardware.network_bandwidth or hardware.node_bandwidth)
    latency = hardware.node_latency * (inside - 1) + hardware.network_latency * (nodes - 1)
    size, passes = collective.bytes, _PASSES.get(collective.kind)
    if passes is None:  # each device sends every other device its own part
        sent = size * (inside - 1) / devices / within + size * (nodes - 1) / nodes / between
        return sent + latency
    share = size * (inside - 1) / inside / within + size / inside * (nodes - 1) / nodes / between
    return passes * (share + latency)


def _count_nodes(devices: int, hardware: Hardware) -> int:
    inside = hardware.devices_per_node
    if devices <= inside:
        return 1
    if hardware.network_bandwidth is None:
        raise ValueError(
            f"devices must be at most {inside} of {hardware.name!r}, for which no network between "
            f"nodes is known. Received: devices={devices}"
        )
    if devices % inside:
        raise ValueError(
            f"devices beyond a node must be whole nodes of {inside} devices. "
            f"Received: devices={devices}"
        )
    return devices // inside


def counts_of(devices: Sequence[int]) -> tuple[int, ...]:
    """Return numbers of devices that are checked: at least one, each at least 1, in order."""
    if not arguments.is_sequence(devices) or not devices:
        raise TypeError(
            f"devices must be a sequence of numbers. Received: {arguments.shown(devices)}"
        )
    checked = {arguments.check_integer("devices", number, minimum=1) for number in devices}
    return tuple(sorted(checked))
