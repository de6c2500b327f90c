"""One of several processes: ``on_processes.py PORT PROCESSES ID train RUN [DATA_SEED]``.

``agree`` in place of ``train`` only compares what the processes would train, and their signals.
"""

import json
import signal
import sys

import survivor

from jaxcnn import training
from jaxcnn.training.agreement import check_agreement, gather_texts
from jaxcnn.training.interruption import Interruption


def agree(number):
    """Print what the processes tell one another."""
    placement = training.Placement.over("all")
    noted = Interruption()
    answers = [noted.is_agreed(placement, ahead=1)]
    if number == 1:
        noted.received = signal.SIGTERM
    answers += [noted.is_agreed(placement, ahead=1) for _ in range(2)]
    texts = gather_texts("ä" * number)
    try:
        check_agreement({"seed": number, "epochs": 3})
    except ValueError as error:
        print(json.dumps([answers, noted.received, texts, str(error)]))


if __name__ == "__main__":
    port, processes, number, what, *rest = sys.argv[1:]
    training.join_processes(f"127.0.0.1:{port}", int(processes), int(number), timeout=60)
    if what == "agree":
        agree(int(number))
    else:
        survivor.main(rest[0], data_seed=int((rest[1:] or [0])[0]))
