"""The owner: the one process that holds the store, its queue, its schedules and its workers."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from db import clusters, cycles, mask_edits, saved_views, schedules
from db import requests as queue
from db.catalogues import configure_services
from db.errors import StoreInvalidated
from db.store import Store
from jobs import masks
from jobs.alerts import Teller
from jobs.carriers import Carriers
from jobs.catalogues import catalogues
from jobs.dispatcher import Dispatcher
from jobs.errors import JobError, UsageError
from jobs.intake_checks import check_upload
from jobs.labelling import Labelling
from jobs.pool import Workers, open_workers
from jobs.pulse import Pulse
from jobs.rounds import Rounds, ask_what_is_due, services_of
from jobs.schedule_checks import check_schedule
from jobs.scheduler import Clock, Schedules, system_clock
from jobs.seeding import schedules_from
from jobs.settings import Settings
from jobs.sources import open_network, open_source

log = logging.getLogger(__name__)
EXIT_INVALIDATED = 70
DRAIN_POLL_S = 0.2
MESSAGES_EVERY_S = 20.0
_current: Owner | None = None


def current() -> Owner | None:
    """The owner in this process, or None where the store is not owned here."""
    return _current


def install(owner: Owner | None) -> None:
    """Make `owner` the one that `current` returns."""
    global _current
    _current = owner


def start(settings: Settings, *, takes_turns: bool = True) -> Owner:
    """Open the store and start queue, schedules and workers. Raises StoreLocked if it is owned.

    An owner that is one for a single command neither `takes_turns` of the schedules nor begins a
    calibration that drift asks for: the command would wait for it.
    """
    owner = Owner(
        settings if takes_turns else settings.model_copy(update={"auto_calibrate": False})
    )
    try:
        owner.start(takes_turns=takes_turns)
    except BaseException:
        owner.close()
        raise
    install(owner)
    return owner


class Owner:
    """What pages and the HTTP API are given; every write goes through here."""

    def __init__(
        self, settings: Settings, *, clock: Clock = system_clock, workers: Workers | None = None
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.started_at = clock()
        self.owner_id = uuid.uuid4().hex
        self.token = settings.token or uuid.uuid4().hex
        self._workers: Workers = workers or open_workers(
            settings.workers, settings.frame_timeout_s, settings.cluster
        )
        try:
            self.store = Store.open(settings.home, memory_limit=settings.memory_limit, now=clock)
        except BaseException:
            self._workers.close()
            raise
        self.labelling = Labelling.over(self.store, settings, clock)
        self._network = open_network(settings, self.store)
        self._teller = Teller(self.store, settings, clock)
        self._catalogues = catalogues(settings, self._network.services)
        carriers = Carriers(
            self.store, self._workers, self._catalogues, settings, clock, self._network,
            ask=self._enqueue_scheduled, tell=self._teller.go,
        )  # fmt: skip
        by_kind = carriers.by_kind()
        self._kinds = frozenset(by_kind)
        self._dispatcher = Dispatcher(
            self.store, by_kind, clock=clock, on_invalidated=self._store_invalidated
        )
        self._schedules = Schedules(self.store, self._enqueue_scheduled, clock)
        self._rounds = Rounds(settings.catalogue_ask_every_s, self.ask_open_crossrefs)
        self._messages = Rounds(MESSAGES_EVERY_S, self._teller.go, name="messages")
        self._pulse = Pulse(self.store, self.owner_id, clock, self._clock_jumped)
        self._close_lock = threading.Lock()
        self._closed = False

    def start(self, *, takes_turns: bool = True) -> None:
        """Take up interrupted work and begin the schedules."""
        self._pulse.start()
        self._teller.start()
        schedules_from(self.settings, self.store, self.clock())
        cycles.close_interrupted(self.store, self.clock())
        configure_services(self.store, services_of(self._catalogues), self.clock())
        self._dispatcher.start()
        if takes_turns:
            self._schedules.start()
            self._rounds.start()
            self._messages.start()

    def close(self) -> None:
        """Stop everything and let the store go; work that was interrupted goes on next time."""
        with self._close_lock:
            if self._closed:
                return
            self._closed = True
        self._schedules.close()
        self._rounds.close()
        self._messages.close()
        self._pulse.close()
        self._dispatcher.stop()
        self._workers.close()
        self._dispatcher.join()
        self._network.close()
        self.labelling.close()
        self.store.close()
        if current() is self:
            install(None)

    def drain(self) -> None:
        """Wait until all that was asked since the start has ended."""
        sql = """SELECT 1 FROM requests WHERE state IN ('queued', 'running') AND asked_at >= ?"""
        while self.store.rows(sql, [self.started_at]):
            time.sleep(DRAIN_POLL_S)

    # What pages and the API ask for.

    def enqueue(
        self, kind: str, payload: Mapping[str, Any], *, request_id: str, asked_by: str = ""
    ) -> dict[str, Any]:
        """Ask for something to be done; the same request_id asks once."""
        self._check(kind, payload)
        row = queue.enqueue(
            self.store, kind, dict(payload), request_id=request_id, asked_by=asked_by,
            now=self.clock(),
        )  # fmt: skip
        self._dispatcher.wake()
        return row

    def ask_open_crossrefs(self) -> bool:
        """Ask the catalogues about all that is open; False where nothing is due."""
        return ask_what_is_due(
            self.store, self.settings.catalogue_verdicts, self._enqueue_scheduled
        )

    def cancel(self, request_id: str) -> dict[str, Any]:
        """Take a request back; what it has stored stays. Raises StoreError if unknown."""
        return queue.cancel(self.store, request_id, self.clock())

    def label(
        self,
        detection_id: str,
        label: str,
        labeller: str,
        *,
        label_id: str,
        comment: str = "",
        seconds: float | None = None,
    ) -> None:
        """Write a person's label; the same label_id is written once."""
        row = {
            "label_id": label_id, "detection_id": detection_id, "label": label,
            "labeller": labeller, "comment": comment, "seconds": seconds,
        }  # fmt: skip
        self.labelling.say([row])

    def undo(self, undoes: str, labeller: str, *, label_id: str) -> None:
        """Take a label back by a further row."""
        self.labelling.undo(undoes, labeller, label_id=label_id)

    def edit_mask(
        self,
        frame_digest: str,
        action: str,
        region: mask_edits.Region,
        editor: str,
        *,
        edit_id: str,
        run_id: str,
        threshold: float,
    ) -> None:
        """Write what a person said about pixels; the same edit_id is written once."""
        mask_edits.add_edit(
            self.store, edit_id=edit_id, frame_digest=frame_digest, action=action, region=region,
            editor=editor, run_id=run_id, threshold=threshold, now=self.clock(),
        )  # fmt: skip

    def describe_mask_edit(self, document: Mapping[str, Any], *, edit_id: str) -> dict[str, Any]:
        """Write the mask edit that a script describes; returns its row."""
        return masks.edit_from(self.store, document, edit_id=edit_id, now=self.clock())

    def undo_mask_edit(self, undoes: str, editor: str, *, edit_id: str) -> dict[str, Any]:
        """Take a mask edit back by a further row, which is returned."""
        return mask_edits.undo_edit(
            self.store, edit_id=edit_id, undoes=undoes, editor=editor, now=self.clock()
        )

    def schedules(self) -> list[dict[str, Any]]:
        """The schedules with their next turns."""
        turns = self._schedules.next_turns()
        return [
            {**row, "next_turn": turns.get(row["schedule_id"])}
            for row in schedules.list_schedules(self.store)
        ]

    def add_schedule(
        self,
        source: str,
        every_s: float | None = None,
        limit: int | None = None,
        *,
        cron: str | None = None,
        kind: str = "scan",
        policy: str = "normal",
        choice: str = "fixed",
    ) -> str:
        """Ask for `kind` on `source` in this rhythm from now on; returns the schedule's id."""
        row = {
            "source": source, "every_s": every_s, "cron": cron, "frame_limit": limit,
            "kind": kind, "policy": policy, "choice": choice, "paused": False,
        }  # fmt: skip
        return self._put_schedule(uuid.uuid4().hex, row)

    def change_schedule(
        self,
        schedule_id: str,
        *,
        every_s: float | None = None,
        cron: str | None = None,
        paused: bool | None = None,
        limit: int | None = None,
        policy: str | None = None,
        choice: str | None = None,
    ) -> None:
        """Change what is given, keep the rest. Raises UsageError when there is no such schedule."""
        row = self._schedule(schedule_id)
        if every_s is not None or cron is not None:
            row |= {"every_s": every_s, "cron": cron}
        given = {"paused": paused, "frame_limit": limit, "policy": policy, "choice": choice}
        row |= {name: value for name, value in given.items() if value is not None}
        self._put_schedule(schedule_id, row)

    def _put_schedule(self, schedule_id: str, row: dict[str, Any]) -> str:
        check_schedule(row, lambda source: self._check("scan", {"source": source}))
        columns = ("source", "every_s", "cron", "frame_limit", "paused", "kind", "policy", "choice")
        schedules.put_schedule(
            self.store, schedule_id=schedule_id, now=self.clock(),
            **{name: row[name] for name in columns},
        )  # fmt: skip
        self._schedules.refresh()
        return schedule_id

    def remove_schedule(self, schedule_id: str) -> None:
        """Forget a schedule; its cycles stay in the history."""
        self._schedule(schedule_id)
        schedules.remove_schedule(self.store, schedule_id)
        self._schedules.refresh()

    def run_schedule_now(self, schedule_id: str, request_id: str) -> None:
        """Scan once now; the rhythm stays."""
        self._schedule(schedule_id)
        self._schedules.run_now(schedule_id, request_id)

    def name_cluster(
        self, cluster_key: str, name: str, named_by: str, *, naming_id: str
    ) -> dict[str, Any]:
        """Give a cluster a name; the same naming_id does it once."""
        return dict(
            clusters.name_cluster(
                self.store, naming_id=naming_id, cluster_key=cluster_key, name=name,
                named_by=named_by, now=self.clock(),
            )
        )  # fmt: skip

    def save_view(
        self, page: str, name: str, query: str, saved_by: str, *, saving_id: str
    ) -> dict[str, Any]:
        """Keep a view of a page under a name; the same saving_id does it once."""
        return saved_views.save_view(
            self.store, saving_id=saving_id, page=page, name=name, query=query,
            saved_by=saved_by, now=self.clock(),
        )  # fmt: skip

    def remove_view(self, page: str, name: str, removed_by: str, *, saving_id: str) -> None:
        """Take a saved view away by a further row."""
        saved_views.remove_view(
            self.store, saving_id=saving_id, page=page, name=name, removed_by=removed_by,
            now=self.clock(),
        )  # fmt: skip

    def store_upload(self, name: str, content: bytes) -> dict[str, Any]:
        """Keep an uploaded file; returns the payload of its "upload" request."""
        check_upload(name, content, self.settings)
        return {"name": Path(name).name, "digest": self.store.files.put(content)}

    def health(self) -> dict[str, Any]:
        """Whether the owner is well, and how much it holds."""
        counts = self.store.rows(
            """SELECT (SELECT count(*) FROM frames) AS images,
                      (SELECT count(*) FROM detections) AS detections,
                      (SELECT count(*) FROM requests WHERE state = 'queued') AS queued,
                      (SELECT count(*) FROM requests WHERE state = 'running') AS running"""
        )[0]
        return {
            "status": "ok",
            "pid": os.getpid(),
            "started_at": self.started_at.isoformat(),
            "beat_at": self._pulse.beat_at.isoformat(),
            "home": str(self.settings.home),
            **counts,
        }

    def _check(self, kind: str, payload: Mapping[str, Any]) -> None:
        """Refuse at the door what cannot be carried out."""
        if kind == "scan":
            open_source(str(payload.get("source", "")), max_pixels=self.settings.max_pixels)
        elif kind not in self._kinds:
            raise UsageError(f"no request of kind {kind!r}")

    def _schedule(self, schedule_id: str) -> dict[str, Any]:
        for row in schedules.list_schedules(self.store):
            if row["schedule_id"] == schedule_id:
                return row
        raise UsageError(f"no schedule {schedule_id!r}: list them with GET /api/schedules")

    def _enqueue_scheduled(
        self, kind: str, payload: dict[str, Any], request_id: str, asked_by: str
    ) -> None:
        try:
            self.enqueue(kind, payload, request_id=request_id, asked_by=asked_by)
        except JobError as error:
            message = f"scheduled {kind} of {payload.get('source')}: {error}"
            cycles.add_event(self.store, None, "schedule", message, self.clock())

    def _clock_jumped(self) -> None:
        """The clock was set: the schedules' next turns are reckoned anew."""
        self._schedules.refresh()

    def _store_invalidated(self) -> None:
        """DuckDB gave the instance up (a full disk): once it is reopened, twice we end."""
        try:
            self.store.rows("SELECT 1")
        except StoreInvalidated as error:
            log.critical("the store cannot be used any more, so its owner ends: %s", error)
            os._exit(EXIT_INVALIDATED)
        log.error("the store was invalidated and opened again")
