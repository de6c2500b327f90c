"""Compares single operations, forward and gradient, with XLA's own way and PyTorch."""

import statistics
from typing import Any

from compare import Goal, Process, in_turns, installed, row, show, verdict
from op_contender import OPS

GOAL = Goal(1.0, 1.2)
MEAN_GOAL = Goal(1.0, 0.9)


def run() -> dict[str, Any]:
    """Measures and prints the matrix; returns its rows and the means of the ratios."""
    libraries = ["jaxcnn", "xla", *installed(["torch", "torch channels-last"])]
    processes = {library: Process("op_contender.py", library) for library in libraries}
    tables: dict[str, Any] = {}
    for mode in ("forward", "gradient"):
        tables[mode] = [row(name, in_turns(processes, f"{name} {mode}"), GOAL) for name in OPS]
        show(f"Operations, {mode}", tables[mode])
    for process in processes.values():
        process.stop()
    rows = [line for table in tables.values() for line in table]
    for side in ("jax", "torch"):
        ratios = [line[side]["ratio"] for line in rows if side in line]
        if ratios:
            tables[f"mean_{side}"] = statistics.geometric_mean(ratios)
            mean, goal = tables[f"mean_{side}"], getattr(MEAN_GOAL, side)
            print(f"\nGeometric mean against {side}: {mean:.2f} ({goal:g}) {verdict(mean <= goal)}")
    return tables


if __name__ == "__main__":
    run()
