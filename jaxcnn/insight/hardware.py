"""Published figures of accelerators, for estimates."""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxcnn import arguments


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """The figures of a device and of the links between devices.

    Attributes:
      name: Name of the device.
      tflops: Peak of dense products by precision, 10¹² floating-point operations per second.
      memory_bandwidth: Of the device's memory, GB/s.
      devices_per_node: Devices that the fast links connect.
      node_bandwidth: Of one device to others in its node, in one direction, GB/s.
      network_bandwidth: Of one device to other nodes, in one direction, GB/s; ``None`` where none
        is published.
      node_latency: Of one step of a ring within a node, seconds.
      network_latency: Of one step of a ring between nodes, seconds.
      source: Documents that these figures are from.
    """

    name: str
    tflops: Mapping[str, float]
    memory_bandwidth: float
    devices_per_node: int
    node_bandwidth: float
    network_bandwidth: float | None = None
    node_latency: float = 0.6e-6
    network_latency: float = 2.7e-6
    source: str


def _products(float32: float, half: float) -> dict[str, float]:
    """Return peaks by precision; bfloat16 and float16 are equally fast on each device here."""
    return {"float32": float32, "bfloat16": half, "float16": half}


# Peaks are dense: half of what datasheets give with sparsity. float32 products are computed in TF32
# on GPU and in one bfloat16 pass on TPU, JAX's defaults. Bandwidths are of one direction: half of
# NVLink's sum of both. Latencies are those of NCCL's own model of rings (protocol LL; src/graph/
# tuning.cc), and of TPU about those of a hop.
_DEVICES = (
    Hardware(
        name="a100",
        tflops=_products(156, 312),
        memory_bandwidth=2039,
        devices_per_node=8,
        node_bandwidth=300,
        network_bandwidth=25,
        source="NVIDIA A100 80GB SXM and DGX A100 datasheets",
    ),
    Hardware(
        name="h100",
        tflops=_products(494.5, 989.5),
        memory_bandwidth=3350,
        devices_per_node=8,
        node_bandwidth=450,
        network_bandwidth=50,
        source="NVIDIA H100 SXM and DGX H100 datasheets",
    ),
    Hardware(
        name="h200",
        tflops=_products(494.5, 989.5),
        memory_bandwidth=4800,
        devices_per_node=8,
        node_bandwidth=450,
        network_bandwidth=50,
        source="NVIDIA H200 SXM and DGX H200 datasheets",
    ),
    Hardware(
        name="b200",
        tflops=_products(1125, 2250),
        memory_bandwidth=8000,
        devices_per_node=8,
        node_bandwidth=900,
        network_bandwidth=50,
        source="NVIDIA HGX B200 and DGX B200 datasheets",
    ),
    Hardware(
        name="rtx 4090",
        tflops=_products(82.6, 165.2),
        memory_bandwidth=1008,
        devices_per_node=8,
        node_bandwidth=32,
        node_latency=1e-6,
        source="NVIDIA Ada GPU architecture whitepaper; PCI Express 4.0 x16",
    ),
    Hardware(
        name="tpu v5e",
        tflops=_products(197, 197),
        memory_bandwidth=819,
        devices_per_node=256,
        node_bandwidth=200,
        node_latency=1e-6,
        source="Google Cloud documentation, TPU v5e",
    ),
    Hardware(
        name="tpu v5p",
        tflops=_products(459, 459),
        memory_bandwidth=2765,
        devices_per_node=8960,
        node_bandwidth=600,
        node_latency=1e-6,
        source="Google Cloud documentation, TPU v5p",
    ),
    Hardware(
        name="cpu",
        tflops=_products(7.4, 14.7),  # 96 cores, 2.4 GHz, 32 and 64 operations per cycle
        memory_bandwidth=460.8,
        devices_per_node=1,
        node_bandwidth=460.8,
        network_bandwidth=12.5,
        network_latency=10e-6,
        source="one AMD EPYC 9654, datasheet; Ethernet of 100 Gb/s",
    ),
)
DEVICES: Mapping[str, Hardware] = {device.name: device for device in _DEVICES}


def find_hardware(device: str | Hardware) -> Hardware:
    """Return the figures of a device by its name, such as ``"h100"``, or those given.

    Raises:
      TypeError: `device` is neither.
      ValueError: there are no figures of this name; the message gives the nearest.
    """
    if isinstance(device, Hardware):
        return device
    if not isinstance(device, str):
        raise TypeError(
            "device must be a name, such as 'h100', or a Hardware. "
            f"Received: device={arguments.shown(device)}"
        )
    name = device.lower().replace("-", " ").replace("_", " ")
    arguments.check_known("device", name, DEVICES)
    return DEVICES[name]
