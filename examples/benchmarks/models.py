"""Training steps and inference of whole networks, against every peer."""

from typing import Any

import jax
from compare import Goal, Process, in_turns, installed, row, show, verdict
from contender import LIBRARIES
from networks import CASES

GOALS = {
    # From jax 0.12 on Flax's convolutions are the fast ones too.
    "mnist_cnn": Goal(0.4 if jax.__version_info__ >= (0, 12) else 0.25, 0.75),
    "letters_cnn": Goal(0.8, 1.0),
    "resnet18": Goal(0.8, 1.0),
    "mobilenetv2": Goal(0.2, 1.0),
    "cnn_3d": Goal(0.15, 1.0),
    "cnn_1d": Goal(0.8, 1.0),
}
SHARES = {"mnist_cnn": 0.45, "resnet18": 0.45}  # of a matrix product's GFLOP/s, at least
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
    """Print what a training step takes in memory and to compile, and its share of the peak.

    Memory and compilation should be no more than Flax's.
    """
    print("\n### Memory and compilation of a training step, and GFLOP/s\n")
    print("| case | peak MB, jaxcnn | Flax | compile s, jaxcnn | Flax | GFLOP/s | share (goal) |")
    print("| --- | ---: | --- | ---: | --- | ---: | --- |")
    for line in rows:
        cells = [line["case"]]
        for cost, digits in (("peak_mb", 0), ("compile_s", 1)):
            ours = line["results"]["jaxcnn"][cost]
            cells.append(f"{ours:.{digits}f}")
            flax = line["results"].get("flax", {}).get(cost)
            cells.append("–" if flax is None else f"{flax:.{digits}f} {verdict(ours <= flax)}")
        share, goal = line["gflops"] / line["product_gflops"], SHARES.get(line["case"])
        cells += [f"{line['gflops']:.0f}", f"{share:.0%}"]
        if goal is not None:
            cells[-1] += f" ({goal:.0%}) {verdict(share >= goal)}"
        print("|", " | ".join(cells), "|")
