"""The workers: spawned processes that compute, watched, replaced when they die or are late."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.connection import wait
from typing import Any, Protocol, TypeVar

import pebble

from jobs.errors import JobError

T = TypeVar("T")
ATTEMPTS = 2


class WorkerLost(JobError):
    """The worker died or ran out of time, and so did the one that took over."""


class Workers(Protocol):
    """Something that runs picklable functions elsewhere, `count` of them at once."""

    count: int

    def run(self, function: Callable[..., T], *args: Any) -> T:
        """Run and wait. Raises WorkerLost after a second death or timeout."""
        ...

    def close(self) -> None:
        """Stop all workers now."""
        ...


def prepare_worker() -> None:
    """Keep one thread for the arithmetic, and end when the owner does."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


class LocalWorkers:
    """Spawned processes on this machine."""

    def __init__(self, count: int, timeout_s: float) -> None:
        self.count = count
        self._timeout_s = timeout_s
        context = multiprocessing.get_context("spawn")
        self._pool = pebble.ProcessPool(
            max_workers=count, initializer=prepare_worker, context=context
        )

    def run(self, function: Callable[..., T], *args: Any) -> T:
        """Run in a worker; a dead or late one is replaced and the call made once more."""
        for attempt in range(1, ATTEMPTS + 1):
            future: Future[T] = self._pool.schedule(function, args=args, timeout=self._timeout_s)
            try:
                return future.result()
            except (pebble.ProcessExpired, TimeoutError) as error:
                if attempt == ATTEMPTS:
                    late = isinstance(error, TimeoutError)
                    what = f"took longer than {self._timeout_s:g} s" if late else "died"
                    raise WorkerLost(
                        f"the worker {what} twice on this frame: look at its size and at the "
                        "memory of this machine, then analyse it again"
                    ) from error
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Stop all workers now, whatever they are doing."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()


class ClusterWorkers:
    """Workers of a Dask cluster (`SKYSIEVE_CLUSTER`), which retries and replaces by itself."""

    def __init__(self, address: str, timeout_s: float) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            raise JobError(
                "SKYSIEVE_CLUSTER is set but Dask is missing: pip install 'skysieve[cluster]'"
            ) from error
        self._client = Client(address)
        self.count = max(1, sum(self._client.nthreads().values()))
        self._executor = self._client.get_executor(retries=ATTEMPTS - 1)
        self._timeout_s = timeout_s

    def run(self, function: Callable[..., T], *args: Any) -> T:
        """Run on the cluster and wait."""
        future: Future[T] = self._executor.submit(function, *args)
        try:
            return future.result(timeout=self._timeout_s * ATTEMPTS)
        except TimeoutError as error:
            raise WorkerLost(
                f"the cluster took longer than {self._timeout_s * ATTEMPTS:g} s on this frame"
            ) from error

    def close(self) -> None:
        """Leave the cluster; it goes on without us."""
        self._executor.shutdown(wait=False)
        self._client.close()


def open_workers(
    count: int, timeout_s: float, cluster: str | None
) -> LocalWorkers | ClusterWorkers:
    """The cluster where one is set, processes on this machine otherwise."""
    return ClusterWorkers(cluster, timeout_s) if cluster else LocalWorkers(count, timeout_s)
