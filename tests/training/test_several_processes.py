"""Several processes that train together, over loopback: killed, stopped, disagreeing, resumed."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import survivor

from jaxcnn.training import join_processes
from jaxcnn.training.several_processes import LOST, _several_are_started

SCRIPT = Path(__file__).with_name("on_processes.py")
STEPS = survivor.EPOCHS * survivor.STEPS


def free_port():
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


@pytest.fixture
def start(cache_folder):
    """Starts a number of processes of one script or command, and ends them in any case."""
    started = []
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(cache_folder),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }

    def start(processes, arguments_of, **more):
        port, pipe = free_port(), subprocess.PIPE
        begun = [
            subprocess.Popen(
                [sys.executable, *map(str, arguments_of(port, number))],
                env=environment | more,
                stdout=pipe,
                stderr=pipe,
                text=True,
            )
            for number in range(processes)
        ]
        started.extend(begun)
        return begun

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def start_training(start):
    def start_training(run, processes=2, seeds=None, **more):
        seeds = seeds or [0] * processes
        return start(
            processes,
            lambda port, number: (SCRIPT, port, processes, number, "train", run, seeds[number]),
            **more,
        )

    return start_training


def outcomes(processes):
    """Return what the processes print last; all end well."""
    found = []
    for process in processes:
        output, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        found.append(json.loads(output.splitlines()[-1]))
    return found


def wait_for_step(process, step):
    """Read what a process prints until it has taken a step; return the step it began at."""
    begun = 0
    for line in process.stdout:
        word, *number = line.split()
        if word == "started":
            begun = int(number[0])
        if word == "step" and int(number[0]) >= step:
            return begun
    raise AssertionError(process.stderr.read())


def ends(processes, seconds=60):
    """Return exit codes and errors of processes that end within a time."""
    until = time.monotonic() + seconds
    errors = [process.communicate(timeout=until - time.monotonic())[1] for process in processes]
    return [process.returncode for process in processes], errors


def losses(outcome):
    return [row["validation_loss"] for row in outcome["history"]]


def test_processes_tell_one_another_what_they_train(start):
    two = start(2, lambda port, number: (SCRIPT, port, 2, number, "agree"))
    first, second = outcomes(two)
    assert first == second
    answers, received, texts, message = first
    assert answers == [False, False, True]  # the answer of one call later
    assert received == signal.SIGTERM
    assert texts == ["", "ä"]
    assert message.endswith("They differ in seed: 0 on process 0 and 1 on process 1")


def test_a_coordinator_that_is_not_there():
    port = free_port()
    with pytest.raises(
        ConnectionError, match=f"coordinator 127.0.0.1:{port} did not answer .* 1 s"
    ):
        join_processes(f"127.0.0.1:{port}", 2, 1, timeout=1)


def test_a_port_in_use():
    with socket.create_server(("", 0)) as opened:
        where = f"127.0.0.1:{opened.getsockname()[1]}"
        with pytest.raises(ConnectionError, match=f"cannot be the coordinator {where}"):
            join_processes(where, 2, 0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("host:1", None, 0), "given together, or none of them. Received: no processes"),
        (("host", 2, 0), "a host and a port, such as .* Received: coordinator='host'"),
        (("host:70000", 2, 0), "a host and a port"),
        (("host:1", 2, 2), "process_id must be from 0 to 1, as there are 2 .* process_id=2"),
    ],
)
def test_processes_that_cannot_be(given, message):
    with pytest.raises(ValueError, match=message):
        join_processes(*given)


def test_one_process_joins_no_other(monkeypatch):
    assert not join_processes("127.0.0.1:1", 1, 0)
    monkeypatch.setenv("SLURM_NTASKS", "4")  # in an sbatch script, before srun
    assert not _several_are_started()
    monkeypatch.setenv("SLURM_STEP_NODELIST", "node[1-4]")
    assert _several_are_started()


@pytest.mark.long
@pytest.mark.parametrize("processes", [2, 4])
def test_killed_at_random_moments_a_training_ends_the_same(start_training, tmp_path, processes):
    """SIGKILL of one process; the others end with a line and a code, and all start again."""
    undisturbed, *others = outcomes(start_training(tmp_path / "undisturbed", processes))
    assert others == [undisturbed] * (processes - 1)
    draw, kills, begun = random.Random(processes), 10 if processes == 2 else 2, 0
    for number in range(kills):
        begun_processes = start_training(tmp_path / "run", processes)
        wanted = STEPS * (number + 1) // (kills + 1) + draw.randint(0, STEPS // kills // 2)
        before, begun = begun, wait_for_step(begun_processes[0], wanted)
        assert begun >= before
        time.sleep(draw.uniform(0, 0.2))
        killed = draw.randrange(processes)
        begun_processes.pop(killed).kill()
        codes, errors = ends(begun_processes)
        print(f"kill {number + 1}: begun at {begun}, process {killed} at {wanted}: {errors[0]}")
        assert codes == [LOST] * (processes - 1)
        for error in errors:
            assert error.startswith(f"Error: another of the {processes} processes has ended or")
            assert "The last checkpoint is of step" in error
            assert error.count("\n") == 1
    assert begun > 0
    assert outcomes(start_training(tmp_path / "run", processes)) == [undisturbed] * processes


@pytest.mark.long
def test_a_run_goes_on_with_another_number_of_processes(start_training, tmp_path):
    """4 processes, then 2, then 1: the same training to rounding."""
    alone = survivor.train(tmp_path / "alone")
    for processes, step in ((4, 70), (2, 150)):
        begun = start_training(tmp_path / "run", processes)
        wait_for_step(begun[0], step)
        begun.pop().kill()
        assert ends(begun)[0] == [LOST] * (processes - 1)
    last = survivor.train(tmp_path / "run")
    rows = [[row.validation_loss for row in result.history] for result in (alone, last)]
    np.testing.assert_allclose(rows[1], rows[0], rtol=1e-4)


@pytest.mark.long
def test_a_process_that_hangs_is_lost_too(start_training, tmp_path):
    first, second = start_training(tmp_path)
    wait_for_step(first, 20)
    second.send_signal(signal.SIGSTOP)
    codes, errors = ends([first], seconds=90)
    assert codes == [LOST]
    assert errors[0].count("\n") == 1


@pytest.mark.long
def test_a_signal_to_one_process_saves_and_ends_all(start_training, tmp_path):
    both = start_training(tmp_path)
    wait_for_step(both[0], 50)
    both[1].terminate()
    assert ends(both) == ([128 + signal.SIGTERM] * 2, ["", ""])
    again = start_training(tmp_path)
    assert wait_for_step(again[0], 0) >= 50
    first, second = outcomes(again)
    assert first == second


@pytest.mark.long
def test_different_data_and_numbers_of_devices_are_named(start_training, tmp_path):
    codes, errors = ends(start_training(tmp_path, seeds=[0, 1]))
    assert codes == [1, 1]
    for error in errors:
        assert "must train the same with the same versions. They differ in data: " in error
        assert "on process 0 and " in error
    assert not tmp_path.joinpath("history.csv").exists()


@pytest.mark.long
def test_the_command_trains_with_two_processes(start, tmp_path):
    run = tmp_path / "run"

    def command(*more):
        return lambda port, number: (
            "-m", "jaxcnn", "train", *more, "--coordinator", f"127.0.0.1:{port}",
            "--processes", 2, "--process-id", number,
        )  # fmt: skip

    first, second = start(2, command("digits_small", "--epochs", 1, "--quiet", "--out", run))
    for process, printed in ((first, f"{run}\n"), (second, "")):
        output, errors = process.communicate(timeout=200)
        assert (process.returncode, errors) == (0, "")
        shown = [line for line in output.splitlines(True) if not line.startswith("[Gloo]")]
        assert "".join(shown) == printed
    two = start(2, command("--resume", run, "--epochs", 2, "--quiet"))
    assert [process.wait(timeout=200) for process in two] == [0, 0]
    assert len((run / "history.csv").read_text().splitlines()) == 3
    assert (run / "run.json").is_file()
    assert (run / "plots" / "learning_curves.png").is_file()
