"""Predicted times of steps on many devices, against those worked out by hand."""

import dataclasses

import pytest

from jaxcnn.insight.hardware import DEVICES, Hardware, find_hardware
from jaxcnn.insight.scaling_forecast import Work, exchange_seconds, forecast_step
from jaxcnn.training.collective_operations import Collective

ROUND = Hardware(
    name="round", tflops={"float32": 100.0}, memory_bandwidth=1000, devices_per_node=4,
    node_bandwidth=100, network_bandwidth=10, node_latency=1e-6, network_latency=1e-5, source="",
)  # fmt: skip
WORK = Work(flops=1e9, memory_bytes=1e6, collectives=(Collective("all-reduce", 400_000_000),))


def seconds(kind, devices):
    return exchange_seconds(Collective(kind, 400_000_000), ROUND, devices=devices)


def test_rings():
    """Within a node 3/4 of 4 ms and 3 steps per pass; between two, half of a quarter, 5 ms."""
    assert seconds("all-reduce", 1) == 0
    assert seconds("all-reduce", 2) == pytest.approx(2 * (2e-3 + 1e-6))
    assert seconds("all-reduce", 4) == pytest.approx(2 * (3e-3 + 3e-6))
    assert seconds("all-gather", 8) == pytest.approx(3e-3 + 3e-6 + 5e-3 + 1e-5)
    assert seconds("reduce-scatter", 8) == seconds("all-gather", 8)
    # 3/8 of the bytes of a device go to its node, 4/8 to the other.
    assert seconds("all-to-all", 8) == pytest.approx(1.5e-3 + 3e-6 + 20e-3 + 1e-5)


def predict(**options):
    options = {"devices": 4, "batch_size": 1200, "precision": "float32"} | options
    return forecast_step(WORK, ROUND, sustained=0.5, **options)


def test_a_step():
    """300 images of 1 GFLOP at 50 TFLOP/s take 6 ms, as long as the exchange."""
    found = predict()
    assert found.compute_seconds == pytest.approx(6e-3)
    assert found.seconds == pytest.approx((6.006e-3, 12.006e-3))
    assert found.images_per_second == pytest.approx((1200 / 6.006e-3, 1200 / 12.006e-3))
    assert found.efficiency == pytest.approx((6 / 6.006, 6 / 12.006))
    assert found.needed_rate == pytest.approx(1200 / 6.006e-3)
    assert found.limit == "exchange"
    assert predict(devices=1, batch_size=300).efficiency == (1, 1)


def test_input_and_memory():
    slow = predict(devices=8, batch_size=2400, input_rate=10_000)  # of each of two hosts
    assert slow.seconds == pytest.approx((0.12, 0.12))
    assert (slow.limit, slow.efficiency[0]) == ("input", pytest.approx(0.05))
    moving = dataclasses.replace(WORK, memory_bytes=1e8)
    found = forecast_step(moving, ROUND, devices=1, batch_size=100, precision="float32")
    assert (found.limit, found.compute_seconds) == ("memory", pytest.approx(10e-3))


def test_published_figures():
    """On eight A100, NVIDIA's ResNet-50 reaches 28,100 images/s: 7.7 times the rate of one.

    90 epochs of 1,281,167 images in 8.75 and 1.14 hours, mixed precision
    (catalog.ngc.nvidia.com, ResNet v1.5 for MXNet 22.10).
    """
    gradients = Collective("all-reduce", 2 * 25_557_032)  # in float16
    work = Work(flops=6 * 4.09e9, memory_bytes=0, collectives=(gradients,))
    one, eight = (
        forecast_step(work, DEVICES["a100"], devices=n, batch_size=256 * n) for n in (1, 8)
    )
    measured = [90 * 1_281_167 / (3600 * hours) for hours in (8.75, 1.14)]
    assert one.images_per_second[0] == pytest.approx(measured[0], rel=0.1)
    slowest, fastest = eight.images_per_second[1], eight.images_per_second[0]
    assert 7.7 < slowest / one.images_per_second[0] < 8
    assert fastest == pytest.approx(measured[1], rel=0.1)


def test_every_device_has_consistent_figures():
    for name, device in DEVICES.items():
        assert device.name == name
        assert device.source
        assert device.tflops.keys() == {"float32", "bfloat16", "float16"}
        assert device.tflops["bfloat16"] >= device.tflops["float32"] > 1
        assert device.memory_bandwidth >= device.node_bandwidth
        assert device.node_bandwidth >= (device.network_bandwidth or 0)
    assert find_hardware("TPU-v5e") is DEVICES["tpu v5e"]
    assert find_hardware(ROUND) is ROUND


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"devices": 6}, "must be whole nodes of 4 devices. Received: devices=6"),
        ({"sustained": 1.5}, "sustained must be"),
        ({"precision": "bfloat16"}, "precision must be 'float32'"),
        ({"input_rate": 0}, "input_rate must be"),
    ],
)
def test_what_cannot_be_predicted(options, message):
    options = {"devices": 4, "batch_size": 1200, "precision": "float32"} | options
    with pytest.raises(ValueError, match=message):
        forecast_step(WORK, ROUND, **options)


def test_unknown_hardware():
    with pytest.raises(ValueError, match=r"no device 'h10'\. Did you mean 'h100'"):
        find_hardware("h10")
    with pytest.raises(TypeError, match="device must be a name"):
        find_hardware(100)
    lonely = dataclasses.replace(ROUND, network_bandwidth=None)
    with pytest.raises(ValueError, match="at most 4 of 'round', for which no network"):
        forecast_step(WORK, lonely, devices=8, batch_size=8, precision="float32")
