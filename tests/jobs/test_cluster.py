"""Workers of a Dask cluster do what local ones do."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from distributed import LocalCluster

from jobs.pool import ClusterWorkers, WorkerLost, open_workers

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as running:
        yield running


@pytest.fixture
def workers(cluster: LocalCluster) -> Iterator[ClusterWorkers]:
    opened = open_workers(2, 30.0, cluster.scheduler_address)
    assert isinstance(opened, ClusterWorkers)
    yield opened
    opened.close()


def test_calls_run_in_another_process(workers: ClusterWorkers) -> None:
    assert workers.count == 1
    assert workers.run(os.getpid) != os.getpid()
    assert workers.run(pow, 2, 5) == 32


def test_what_a_call_raises_comes_back(workers: ClusterWorkers) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        workers.run(int, "x")


def test_a_late_call_is_given_up(cluster: LocalCluster) -> None:
    hasty = ClusterWorkers(cluster.scheduler_address, 0.2)
    with pytest.raises(WorkerLost, match="took longer than"):
        hasty.run(time.sleep, 3.0)
    hasty.close()
