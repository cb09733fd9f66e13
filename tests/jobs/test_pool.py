"""Workers that die or are late are replaced; none outlives its owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.pool import LocalWorkers, WorkerLost, WorkersClosed
from tests.jobs.processes import children_of, wait_until

pytestmark = pytest.mark.slow

OWNER_OF_WORKERS = """
import sys, threading, time
from jobs.pool import LocalWorkers
from tests.jobs.test_pool import sleep_for

if __name__ == "__main__":
    workers = LocalWorkers(2, 60)
    for _ in range(2):
        threading.Thread(target=workers.run, args=(sleep_for, 60), daemon=True).start()
    time.sleep(60)
"""


@pytest.fixture
def workers() -> Iterator[LocalWorkers]:
    workers = LocalWorkers(1, timeout_s=5.0)
    yield workers
    workers.close()


def note(path: Path) -> int:
    """Write a line and return how many there are."""
    with path.open("a") as stream:
        stream.write(f"{os.getpid()}\n")
    return len(path.read_text().splitlines())


def die_once(path: Path) -> int:
    calls = note(path)
    if calls == 1:
        os._exit(9)
    return os.getpid()


def die(path: Path) -> None:
    note(path)
    os._exit(9)


def late_once(path: Path) -> int:
    calls = note(path)
    if calls == 1:
        time.sleep(60)
    return calls


def sleep_for(seconds: float) -> None:
    time.sleep(seconds)


def refuse(what: str) -> None:
    raise ValueError(what)


def threads_for_arithmetic() -> tuple[str | None, ...]:
    return tuple(os.environ.get(f"{name}_NUM_THREADS") for name in ("OMP", "MKL", "OPENBLAS"))


def test_a_dead_worker_is_replaced_and_the_call_made_again(
    workers: LocalWorkers, tmp_path: Path
) -> None:
    path = tmp_path / "calls"

    second = workers.run(die_once, path)

    first = int(path.read_text().split()[0])
    assert path.read_text().split() == [str(first), str(second)]
    assert first != second


def test_a_call_that_kills_two_workers_is_given_up_and_the_next_one_works(
    workers: LocalWorkers, tmp_path: Path
) -> None:
    path = tmp_path / "calls"

    with pytest.raises(WorkerLost, match="died 2 times"):
        workers.run(die, path)

    assert len(path.read_text().splitlines()) == 2
    assert workers.run(abs, -3) == 3


def test_a_late_worker_is_replaced_and_the_call_made_again(tmp_path: Path) -> None:
    workers = LocalWorkers(1, timeout_s=1.0)
    try:
        assert workers.run(late_once, tmp_path / "calls") == 2
        with pytest.raises(WorkerLost, match="longer than 1 s 2 times"):
            workers.run(sleep_for, 30)
    finally:
        workers.close()


def test_a_worker_killed_while_idle_is_replaced(workers: LocalWorkers) -> None:
    first = workers.run(os.getpid)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: first not in children_of(os.getpid()))

    assert workers.run(os.getpid) != first


def test_an_error_of_the_call_itself_comes_out_and_is_not_repeated(workers: LocalWorkers) -> None:
    with pytest.raises(ValueError, match="no such thing"):
        workers.run(refuse, "no such thing")


def test_workers_compute_with_one_thread(workers: LocalWorkers) -> None:
    assert workers.run(threads_for_arithmetic) == ("1", "1", "1")


def test_closing_tells_who_waits(workers: LocalWorkers) -> None:
    outcomes: list[str] = []

    def wait_for_worker() -> None:
        try:
            workers.run(sleep_for, 60)
        except WorkersClosed as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=wait_for_worker) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: bool(children_of(os.getpid())))
    time.sleep(0.3)

    workers.close()

    for thread in threads:
        thread.join(5)
    assert outcomes == ["the workers were stopped with their owner"] * 3
    with pytest.raises(WorkersClosed, match="stopped"):
        workers.run(abs, 1)


def test_no_worker_outlives_a_killed_owner(tmp_path: Path) -> None:
    script = tmp_path / "owner_of_workers.py"
    script.write_text(OWNER_OF_WORKERS)
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, str(script)], env={**os.environ, "PYTHONPATH": str(root)}
    ) as owner:
        wait_until(lambda: len(children_of(owner.pid)) >= 3, seconds=30)
        started = children_of(owner.pid)
        owner.send_signal(signal.SIGKILL)
        owner.wait()

    wait_until(lambda: not [pid for pid in started if Path(f"/proc/{pid}").exists()])
