"""``jaxcnn scale``: the time of a recipe's step on many devices, predicted."""

import json
from typing import Annotated

import typer

from jaxcnn import arguments
from jaxcnn.cli.option_types import Assignments, RecipeName
from jaxcnn.cli.tables import print_table


def forecast(
    recipe: RecipeName = None,
    devices: Annotated[
        str, typer.Option(metavar="N,N,…", help="Numbers of devices, such as 1,8,64.")
    ] = "1,8,64",
    device: Annotated[
        str,
        typer.Option(
            help="a100, h100, h200, b200, rtx-4090, tpu-v5e, tpu-v5p or cpu: published figures."
        ),
    ] = "h100",
    batch_size: Annotated[
        int | None,
        typer.Option(help="Images per step of all devices, whatever their number: strong scaling."),
    ] = None,
    batch_per_device: Annotated[
        int | None,
        typer.Option(
            help="Images per step of each device: weak scaling.",
            show_default="the recipe's batch size",
        ),
    ] = None,
    sustained: Annotated[
        float, typer.Option(help="Share of the device's peak that the computation reaches.")
    ] = 0.3,
    input_rate: Annotated[
        float | None,
        typer.Option(help="Images per second that one host reads.", show_default="enough"),
    ] = None,
    assignments: Assignments = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Predict the time of a recipe's training step on many devices.

    The arithmetic is counted, the bytes that devices exchange are read from the compiled step, and
    the speeds are the vendors'. Of each pair of numbers the first is for exchanges during the
    computation, the second for exchanges after it.
    """
    from jaxcnn import recipes
    from jaxcnn.training.collective_operations import KINDS

    found = recipes.forecast_scaling(
        recipe or "digits",
        devices=_parse_counts(devices),
        device=device,
        batch_size=batch_size,
        batch_per_device=batch_per_device,
        sustained=sustained,
        input_rate=input_rate,
        assignments=assignments or (),
    )
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
        return
    hardware, program = found.hardware, found.program
    exchanged = [
        f"{program.bytes_of(kind):,} bytes of {kind}" for kind in KINDS if program.bytes_of(kind)
    ]
    counted = found.flops_counted / found.work.flops
    peak = hardware.tflops[found.precision]
    lines = {
        "device": f"{hardware.name}: {peak:g} TFLOP/s in {found.precision}, {sustained:.0%} of it "
        f"sustained ({hardware.source})",
        "parameters": f"{found.parameters:,}, {4 * found.parameters:,} bytes of gradients",
        "arithmetic": f"{found.work.flops / 1e9:.4g} GFLOP per image; XLA counts {counted:.2f} "
        "of it",
        "exchanges": f"{len(program.collectives)} per step: {'; '.join(exchanged)}",
    }
    print_table(list(lines.items()))
    print()
    rows = [
        ("devices", "batch", "compute, ms", "exchange, ms", "step, ms", "images/s", "efficiency",
         "input per host", "longest")
    ]  # fmt: skip
    for row in found.forecasts:
        rows.append((
            f"{row.devices:,}", f"{row.batch_size:,}", f"{1e3 * row.compute_seconds:.4g}",
            f"{1e3 * row.exchange_seconds:.3g}", _pair(row.seconds, "{:.4g}", 1e3),
            _pair(row.images_per_second, "{:,.0f}"), _pair(row.efficiency, "{:.1%}"),
            f"{row.needed_rate:,.0f}", row.limit,
        ))  # fmt: skip
    print_table(rows, numbers=range(8))


def _pair(values: tuple[float, float], form: str, factor: float = 1) -> str:
    """Return two numbers, or one where both read the same."""
    texts = dict.fromkeys(form.format(factor * value) for value in values)
    return " – ".join(texts)


def _parse_counts(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise ValueError(
            "--devices must be numbers with commas between, such as 1,8,64. "
            f"Received: {arguments.shown(text)}"
        )
    return [int(part) for part in parts]
