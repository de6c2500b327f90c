"""Inference of networks of the zoo at 224×224, beside timm's on PyTorch and Keras's on JAX."""

from typing import Any

from compare import Goal, Process, in_turns, installed, row, show
from zoo_contender import KERAS, LIBRARIES

GOAL = Goal(0.5, 1.0)
BATCHES = (1, 32)


def run() -> dict[str, Any]:
    """Measures and prints both batches of every network.

    Returns:
      The rows of each batch.
    """
    tables: dict[int, list[dict[str, Any]]] = {batch: [] for batch in BATCHES}
    libraries = installed(LIBRARIES)
    for name in KERAS:
        print(f"{name}: {', '.join(libraries)}", flush=True)
        processes = {each: Process("zoo_contender.py", each, name) for each in libraries}
        for batch in BATCHES:
            tables[batch].append(row(name, in_turns(processes, str(batch)), GOAL))
        for process in processes.values():
            process.stop()
    for batch, rows in tables.items():
        show(f"Inference of the zoo, batch {batch}", rows)
    return {"zoo": tables}


if __name__ == "__main__":
    run()
