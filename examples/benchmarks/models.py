"""Training steps and inference of whole networks, against every peer."""

import math
from typing import Any

from compare import Goal, Process, in_turns, installed, row, show
from contender import LIBRARIES
from networks import CASES

GOALS = {
    "mnist_cnn": Goal(0.25, 0.75),
    "letters_cnn": Goal(0.8, 1.0),
    "resnet18": Goal(0.8, 1.0),
    "mobilenet_v2": Goal(0.2, 1.0),
    "cnn_3d": Goal(0.15, 1.0),
    "cnn_1d": Goal(0.8, 1.0),
}
MODES = {
    "train": "Training step",
    "infer 1": "Inference, batch 1",
    "infer 64": "Inference, batch 64",
}


def run(modes: list[str]) -> dict[str, Any]:
    """Measures and prints the modes for every case.

    Returns:
      The rows of each mode, and the GFLOP/s of training beside a matrix product's.
    """
    tables: dict[str, list[dict[str, Any]]] = {mode: [] for mode in modes}
    libraries = installed(LIBRARIES)
    for name, case in CASES.items():
        print(f"{name}: {', '.join(libraries)}", flush=True)
        processes = {library: Process("contender.py", library, name) for library in libraries}
        for mode in modes:
            goal = GOALS[name] if mode == "train" else Goal(0.8, 1.0)
            line = row(name, in_turns(processes, mode), goal)
            if mode == "train":
                product = processes["jaxcnn"].ask("product 10")["seconds"]
                peak = 2 * 2048**3 / min(product) / 1e9
                # Backward is two convolutions for one.
                done = 3 * case.batch * case.gflop / line["results"]["jaxcnn"]["min_ms"] * 1e3
                line |= {"gflops": done, "product_gflops": peak}
            tables[mode].append(line)
        for process in processes.values():
            process.stop()
    for mode, rows in tables.items():
        show(MODES[mode], rows)
    if "train" in modes:
        show_costs(tables["train"])
    return {"modes": tables}


def show_costs(rows: list[dict[str, Any]]) -> None:
    """Prints what a training step takes in memory and to compile, and its share of the peak."""
    print("\n### Memory and compilation of a training step, and GFLOP/s\n")
    print(
        "| case | peak MB, jaxcnn | Flax | compile s, jaxcnn | Flax | GFLOP/s | share of product |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for line in rows:
        ours, flax = line["results"]["jaxcnn"], line["results"].get("flax", {})
        nothing = math.nan
        print(
            f"| {line['case']} | {ours['peak_mb']:.0f} | {flax.get('peak_mb', nothing):.0f} "
            f"| {ours['compile_s']:.1f} | {flax.get('compile_s', nothing):.1f} "
            f"| {line['gflops']:.0f} | {line['gflops'] / line['product_gflops']:.0%} |"
        )
