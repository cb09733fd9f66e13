"""The queue's working end: threads that claim requests and carry them out."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from db import requests as queue
from db.cycles import add_event
from db.errors import StoreError, StoreInvalidated
from db.store import Store
from engine.errors import EngineError
from jobs.errors import JobError

log = logging.getLogger(__name__)
Request = dict[str, Any]
Carrier = Callable[[Request], Mapping[str, Any]]
POLL_S = 0.5
CYCLES = ("scan", "upload", "analyze", "calibrate")


class RequestCancelled(JobError):
    """Somebody took the request back while it was running."""


class Dispatcher:
    """`lanes` threads, so that a long scan does not keep an upload waiting."""

    def __init__(
        self,
        store: Store,
        carriers: Mapping[str, Carrier],
        *,
        clock: Callable[[], datetime],
        on_invalidated: Callable[[], None],
        lanes: int = 2,
    ) -> None:
        self._store = store
        self._carriers = dict(carriers)
        self._clock = clock
        self._on_invalidated = on_invalidated
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"dispatcher-{lane}", daemon=True)
            for lane in range(lanes)
        ]

    def start(self) -> None:
        """Take up what a killed owner left running, then wait for more."""
        queue.requeue_running(self._store)
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Look at the queue now."""
        self._wake.set()

    def stop(self) -> None:
        """Take no further request; one that is running is left to be taken up again."""
        self._stop.set()
        self._wake.set()

    def join(self, timeout_s: float = 5.0) -> None:
        """Wait for the threads, whose calls to workers have been ended."""
        for thread in self._threads:
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(timeout_s)

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                request = queue.claim_next(self._store, self._clock())
            except StoreInvalidated:
                self._on_invalidated()
                continue
            except StoreError:
                log.exception("the queue cannot be read")
                request = None
            if request is None:
                self._wake.wait(POLL_S)
                self._wake.clear()
                continue
            self._carry_out(request)

    def _carry_out(self, request: Request) -> None:
        state, result, error = "done", None, ""
        try:
            result = dict(self._carriers[request["kind"]](request))
        except RequestCancelled:
            state = "cancelled"
        except StoreInvalidated as trouble:
            self._on_invalidated()
            state, error = "failed", str(trouble)
        except (EngineError, JobError, StoreError) as trouble:
            state, error = "failed", str(trouble)
        except Exception as trouble:
            log.exception("request %s failed", request["request_id"])
            state, error = "failed", f"{type(trouble).__name__}: {trouble}"
            self._note(request, traceback.format_exc(limit=20))
        if self._stop.is_set() and state != "done":
            return
        self._finish(request, state, result, error)

    def _note(self, request: Request, trace: str) -> None:
        """Keep a traceback in the history, where the Jobs page shows it."""
        try:
            cycle_id = request["request_id"] if request["kind"] in CYCLES else None
            add_event(self._store, cycle_id, "traceback", trace, self._clock())
        except StoreError:
            log.exception("the traceback of request %s cannot be kept", request["request_id"])

    def _finish(
        self, request: Request, state: str, result: dict[str, Any] | None, error: str
    ) -> None:
        try:
            queue.finish(
                self._store, request["request_id"], state=state, result=result, error=error,
                now=self._clock(),
            )  # fmt: skip
        except StoreError:
            log.exception("the end of request %s cannot be written", request["request_id"])
