"""``jaxcnn scale``: steps on devices that are not there."""

import json
from typing import get_type_hints

import pytest

from jaxcnn.cli.scale_command import forecast
from jaxcnn.insight.hardware import DEVICES


@pytest.mark.long
def test_a_forecast(run_cli):
    """The gradients of 80,266 parameters, and three numbers, in float32."""
    printed = run_cli("scale", "digits", "--devices", "1,8", "--json", "--batch-size", "64")
    found = json.loads(printed.stdout)
    assert sum(one["bytes"] for one in found["collectives"]) == 4 * (80_266 + 3)
    assert found["flops_per_image_counted_by_xla"] == pytest.approx(
        found["flops_per_image"], rel=0.01
    )
    one, eight = found["forecasts"]
    assert one["compute_seconds"] == pytest.approx(8 * eight["compute_seconds"])
    printed = run_cli("scale", "digits", "--devices", "8,64", "--device", "tpu-v5e").stdout
    assert "80,266, 321,064 bytes of gradients" in printed
    assert "2 per step: 321,076 bytes of all-reduce" in printed
    assert printed.splitlines()[-1].split()[:2] == ["64", "4,096"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--device", "h10"), "there is no device 'h10'. Did you mean 'h100'?"),
        (("--devices", "1,x"), "--devices must be numbers with commas between"),
        (("--devices", "0"), "devices must be at least 1. Received: devices=0"),
        (("--devices", "12"), "devices beyond a node must be whole nodes of 8 devices"),
        (("--devices", "8", "--batch-size", 63), "divided by the 8 devices: 56 or 64. Received"),
        (("--batch-size", 64, "--batch-per-device", 64), "exclude each other"),
        (("--sustained", 0), "sustained must be"),
        (("--input-rate", -1), "input_rate must be"),
    ],
)
def test_what_cannot_be_predicted(call_cli, options, message):
    result = call_cli("scale", "digits", *options)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_help_names_every_device():
    """It is written by hand, because the command line starts without the figures."""
    option = get_type_hints(forecast, include_extras=True)["device"].__metadata__[0]
    listed = option.help.partition(":")[0].replace(" or ", ", ").split(", ")
    assert sorted(listed) == sorted(name.replace(" ", "-") for name in DEVICES)
