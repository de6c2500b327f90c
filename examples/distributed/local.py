"""Train with several processes on one machine: ``local.py PROCESSES``, then options of train.

To try it: python examples/distributed/local.py 2 digits_small --epochs 2 --out runs/two
"""

import subprocess
import sys

processes, *options = sys.argv[1:]
command = [sys.executable, "-m", "jaxcnn", "train", *options]
command += ["--coordinator", "127.0.0.1:7733", "--processes", processes, "--process-id"]
running = [subprocess.Popen([*command, str(number)]) for number in range(int(processes))]
sys.exit(max(process.wait() for process in running))
