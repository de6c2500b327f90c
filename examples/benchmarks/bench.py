"""Runs every benchmark, prints the tables and writes the figures as JSON.

    python bench.py [OUT.json]

Contenders of every library run with ``jaxcnn.runtime.keep_freed_memory``: the libraries are
compared.
"""

import json
import sys
from pathlib import Path

import augmentation
import end_to_end
import extras
import feed
import image_folder
import models
import ops
import zoo_inference
from compare import machine


def main() -> None:
    """Measures everything: 20 to 40 minutes on two cores."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "bench.json")
    figures = {"machine": machine()}
    print(json.dumps(figures["machine"]), flush=True)
    parts = (
        lambda: models.run(["train", "infer 1", "infer 64"]),
        zoo_inference.run,
        lambda: {"ops": ops.run()},
        lambda: {"augmentation": augmentation.run(32, ["cifar"])},
        lambda: {"feed": feed.run()},
        lambda: {"extras": extras.run()},
        lambda: {"image folder": image_folder.run(100_000)},
        end_to_end.run,
    )
    for part in parts:
        figures |= part()
        out.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    print(f"\nThe figures are in {out}.")


if __name__ == "__main__":
    main()
