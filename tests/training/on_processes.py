"""The training of survivor.py by several processes: ``on_processes.py PORT N ID RUN``."""

import sys

import survivor

from jaxcnn import training

if __name__ == "__main__":
    port, processes, process_id, folder = sys.argv[1:5]
    training.join_processes(f"127.0.0.1:{port}", int(processes), int(process_id), timeout=60)
    survivor.main(folder)
