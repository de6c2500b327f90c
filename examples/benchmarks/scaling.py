"""A training step on one device, on eight devices of one CPU, and of two processes, in turns.

python scaling.py [NETWORK…]

The batch is the same, and so are the cores: the ratio to one device is what the division costs.
The goal for eight devices is at most 1.15.
"""

import socket
import subprocess
import sys
import time

import jax
import numpy as np
import optax
from compare import Process, in_turns, judged
from flax import nnx

import jaxcnn as cnn
from jaxcnn import training
from jaxcnn.runtime import keep_freed_memory
from jaxcnn.training.agreement import gather_texts
from jaxcnn.training.task import Task
from jaxcnn.training.training_step import compile_step

NETWORKS = {
    "mnist_cnn": ((28, 28, 1), 128),
    "resnet18_small": ((32, 32, 3), 32),
    "mobilenetv2_100": ((32, 32, 3), 32),
}
GOAL = 1.15
CONTENDERS = {"one device": (1, 1), "eight devices": (8, 1), "two processes": (1, 2)}


def work(name: str, devices: int, processes: int, number: int, port: int) -> None:
    """Answer each line "step COUNT" with the seconds of COUNT steps, as compare.py asks."""
    keep_freed_memory()
    jax.config.update("jax_num_cpu_devices", devices)
    training.join_processes(f"127.0.0.1:{port}", processes, number)
    shape, batch_size = NETWORKS[name]
    images = np.random.default_rng(0).integers(0, 256, (batch_size, *shape), np.uint8)
    network = cnn.models.create(name, num_classes=10)
    task = Task(
        model=network.build(shape, rngs=nnx.Rngs(0)),
        data=cnn.Dataset(images, np.arange(batch_size) % 10),
        optimizer=optax.sgd(0.01, momentum=0.9),
        options=training.TrainingOptions(batch_size=batch_size),
    )
    step = compile_step(task.forward, task.transformation, task.loss, task.options, task.placement)
    state = task.first_state()
    batch = next(task.placement.batches(task.data, batch_size))
    state, _ = jax.block_until_ready(step(state, batch))
    print("{}", flush=True)
    while True:
        line = sys.stdin.readline() if number == 0 else ""
        if processes > 1:
            line = gather_texts(line)[0]
        if not line:
            return
        seconds = []
        for _ in range(int(line.split()[1])):
            start = time.perf_counter()
            state, _ = jax.block_until_ready(step(state, batch))
            seconds.append(time.perf_counter() - start)
        print(f'{{"seconds": {seconds}}}', flush=True)


def main(names: list[str]) -> dict[str, dict[str, float]]:
    """Measure and print a table; return milliseconds by network and contender."""
    print(f"| network | {' | '.join(CONTENDERS)} | eight by one | two processes by one |")
    print("| --- | ---: | ---: | ---: | --- | --- |")
    table = {}
    for name in names or list(NETWORKS):
        running, others = {}, []
        for contender, (devices, processes) in CONTENDERS.items():
            with socket.socket() as opened:
                opened.bind(("127.0.0.1", 0))
                port = opened.getsockname()[1]
            arguments = [__file__, "--work", name, str(devices), str(processes)]
            others += [
                subprocess.Popen(
                    [sys.executable, *arguments, str(number), str(port)], stdout=subprocess.DEVNULL
                )
                for number in range(1, processes)
            ]
            running[contender] = Process(*arguments, "0", str(port))
        found = {who: result["min_ms"] for who, result in in_turns(running, "step").items()}
        for process in running.values():
            process.stop()
        for other in others:
            other.wait()
        one, eight, two = found.values()
        judgement = judged(f"at most {GOAL}", eight / one <= GOAL)
        times = " | ".join(f"{milliseconds:.1f} ms" for milliseconds in found.values())
        print(f"| {name} | {times} | {eight / one:.2f} {judgement} | {two / one:.2f} |", flush=True)
        table[name] = found
    return table


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2], *map(int, sys.argv[3:]))
    else:
        main(sys.argv[1:])
