"""The workers: spawned processes that compute, watched, replaced when they die or are late."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any, Protocol, TypeVar

import pebble

from jobs.errors import JobError

T = TypeVar("T")
ATTEMPTS = 2
WATCH_S = 0.2


class WorkerLost(JobError):
    """The worker died or ran out of time, and so did the one that took over."""


class WorkersClosed(JobError):
    """The workers were stopped with their owner; what they were doing is done again later."""


class Workers(Protocol):
    """Something that runs picklable functions elsewhere, `count` of them at once."""

    count: int

    def run(self, function: Callable[..., T], *args: Any) -> T:
        """Run and wait. Raises WorkerLost after a second death or timeout, else WorkersClosed."""
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
        self._lock = threading.Lock()
        self._closed = False
        self._pool = self._open_pool()

    def run(self, function: Callable[..., T], *args: Any) -> T:
        """Run in a worker; a dead or late one is replaced and the call made once more."""
        trouble: BaseException | None = None
        for _ in range(ATTEMPTS):
            try:
                return self._attempt(function, args)
            except (pebble.ProcessExpired, BrokenProcessPool, TimeoutError) as error:
                trouble = error
        self._living_pool()
        late = isinstance(trouble, TimeoutError)
        what = f"took longer than {self._timeout_s:g} s" if late else "died"
        raise WorkerLost(
            f"the worker {what} {ATTEMPTS} times on this frame: look at its size and at the memory "
            "of this machine, then analyse it again"
        ) from trouble

    def close(self) -> None:
        """Stop all workers now, whatever they are doing; who waits for them is told so."""
        with self._lock:
            self._closed = True
            _stop(self._pool)

    def _attempt(self, function: Callable[..., T], args: tuple[Any, ...]) -> T:
        pool = self._living_pool()
        try:
            future: Future[T] = pool.schedule(function, args=args, timeout=self._timeout_s)
        except RuntimeError as error:
            raise BrokenProcessPool("the pool of workers ended before this call") from error
        return _result(pool, future)

    def _living_pool(self) -> pebble.ProcessPool:
        """The pool, made anew where it broke, since one worker dead while idle breaks it all.

        Raises WorkersClosed once they are stopped.
        """
        with self._lock:
            if self._closed:
                raise WorkersClosed("the workers were stopped with their owner")
            if not self._pool.active:
                _stop(self._pool)
                self._pool = self._open_pool()
            return self._pool

    def _open_pool(self) -> pebble.ProcessPool:
        context = multiprocessing.get_context("spawn")
        return pebble.ProcessPool(
            max_workers=self.count, initializer=prepare_worker, context=context
        )


def _result(pool: pebble.ProcessPool, future: Future[T]) -> T:
    """Wait for a result as long as the pool can still give one."""
    while not futures.wait([future], timeout=WATCH_S).done:
        if not pool.active:
            raise BrokenProcessPool("the pool of workers ended before this call did")
    return future.result()


def _stop(pool: pebble.ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]
    pool.join()


class ClusterWorkers:
    """Workers of a Dask cluster (`SKYSIEVE_CLUSTER`), which retries and replaces by itself."""

    def __init__(self, address: str, timeout_s: float) -> None:
        try:
            from distributed import Client, KilledWorker
        except ImportError as error:
            raise JobError(
                "SKYSIEVE_CLUSTER is set but Dask is missing: pip install 'skysieve[cluster]'"
            ) from error
        self._killed = KilledWorker
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
        except self._killed as error:
            raise WorkerLost(f"the cluster's workers died on this frame: {error}") from error

    def close(self) -> None:
        """Leave the cluster; it goes on without us."""
        self._executor.shutdown(wait=False)
        self._client.close()


def open_workers(
    count: int, timeout_s: float, cluster: str | None
) -> LocalWorkers | ClusterWorkers:
    """The cluster where one is set, processes on this machine otherwise."""
    return ClusterWorkers(cluster, timeout_s) if cluster else LocalWorkers(count, timeout_s)
