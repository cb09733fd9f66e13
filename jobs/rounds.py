"""The rounds of the cross-match: what trouble left open is asked again, what is new is asked."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from db import catalogues as kept
from db.errors import StoreError
from db.store import Store
from jobs.catalogues import Catalogue
from jobs.errors import JobError

log = logging.getLogger(__name__)
ROUND = "catalogue round"
Enqueue = Callable[[str, dict[str, Any], str, str], object]


def services_of(catalogues: Sequence[Catalogue]) -> list[dict[str, Any]]:
    """The catalogues as the store notes them."""
    return [
        {name: getattr(catalogue, name) for name in kept.SERVICE_COLUMNS}
        for catalogue in catalogues
    ]


def ask_what_is_due(store: Store, verdicts: Sequence[str], enqueue: Enqueue) -> bool:
    """Enqueue one request for all that is open, unless nothing is or one is on its way already."""
    if store.rows(
        "SELECT 1 FROM requests WHERE kind = 'crossref' AND state IN ('queued', 'running') "
        "AND json_extract_string(payload, '$.open') = 'true'"
    ):
        return False
    if not kept.waiting(store, 1) and not kept.unasked(store, verdicts, 1):
        return False
    enqueue("crossref", {"open": True, "new": True}, uuid.uuid4().hex, ROUND)
    return True


class Rounds:
    """Goes its round every `every_s` seconds in a thread of its own; 0 = never."""

    def __init__(
        self, every_s: float, go: Callable[[], object], *, name: str = "catalogue-rounds"
    ) -> None:
        self._every_s = every_s
        self._go = go
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._walk, name=name, daemon=True)

    def start(self) -> None:
        """Begin; the first round comes after one interval."""
        if self._every_s > 0:
            self._thread.start()

    def close(self) -> None:
        """End, and wait until no round is under way."""
        self._stop.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(5.0)

    def _walk(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self._go()
            except (StoreError, JobError):
                log.exception("a round of %s failed; the next one tries again", self._thread.name)
