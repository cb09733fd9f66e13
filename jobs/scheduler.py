"""The schedules of the store, kept by APScheduler; each turn only asks for a scan."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.schedulers.background import BackgroundScheduler

from db.cycles import add_event
from db.schedules import list_schedules
from db.store import Store
from jobs.errors import UsageError

TURN = "schedule"
LONGEST_S = 366 * 86_400.0
Enqueue = Callable[[str, dict[str, Any], str, str], object]


def check_interval(every_s: float) -> None:
    """Raise UsageError unless a schedule can come round in this many seconds."""
    if not 1 <= every_s <= LONGEST_S:
        raise UsageError(
            f"a schedule comes round every 1 to {LONGEST_S:.0f} seconds, got {every_s!r}"
        )


class Schedules:
    """The memory job store is rebuilt from the table whenever that changes."""

    def __init__(self, store: Store, enqueue: Enqueue) -> None:
        self._store = store
        self._enqueue = enqueue
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(self._note_trouble, EVENT_JOB_ERROR | EVENT_JOB_MISSED)

    def start(self) -> None:
        """Begin; a schedule whose turn passed while nobody was there runs at once."""
        self._scheduler.start()
        self.refresh()

    def close(self) -> None:
        """Stop taking turns."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def refresh(self) -> None:
        """Make the jobs what the table says."""
        rows = {row["schedule_id"]: row for row in list_schedules(self._store)}
        for job in self._scheduler.get_jobs():
            if job.id not in rows:
                job.remove()
        for schedule_id, row in rows.items():
            self._scheduler.add_job(
                self._take_turn,
                "interval",
                seconds=row["every_s"],
                args=[schedule_id],
                id=schedule_id,
                replace_existing=True,
                next_run_time=None if row["paused"] else self._next_turn(row),
            )

    def next_turns(self) -> dict[str, datetime | None]:
        """When each schedule runs next; None while it is paused."""
        return {job.id: job.next_run_time for job in self._scheduler.get_jobs()}

    def run_now(self, schedule_id: str, request_id: str) -> None:
        """Ask for this schedule's scan at once; its rhythm stays as it is."""
        self._ask(schedule_id, request_id, asked_by="run now")

    def _next_turn(self, row: dict[str, Any]) -> datetime:
        sql = """SELECT max(asked_at) AS last FROM requests WHERE asked_by = ?
                 AND json_extract_string(payload, '$.schedule_id') = ?"""
        last = self._store.rows(sql, [TURN, row["schedule_id"]])[0]["last"] or row["created_at"]
        due: datetime = last + timedelta(seconds=row["every_s"])
        return max(datetime.now(UTC), due)

    def _take_turn(self, schedule_id: str) -> None:
        sql = """SELECT 1 FROM requests WHERE state IN ('queued', 'running')
                 AND json_extract_string(payload, '$.schedule_id') = ?"""
        if self._store.rows(sql, [schedule_id]):
            message = f"schedule {schedule_id}: its last scan is still going, this turn is skipped"
            add_event(self._store, None, "skipped", message, datetime.now(UTC))
            return
        self._ask(schedule_id, str(uuid.uuid4()), asked_by=TURN)

    def _ask(self, schedule_id: str, request_id: str, *, asked_by: str) -> None:
        for row in list_schedules(self._store):
            if row["schedule_id"] == schedule_id:
                payload = {
                    "source": row["source"],
                    "limit": row["frame_limit"],
                    "schedule_id": schedule_id,
                }
                self._enqueue("scan", payload, request_id, asked_by)

    def _note_trouble(self, event: JobExecutionEvent) -> None:
        trouble = getattr(event, "exception", None) or "missed"
        message = f"schedule {event.job_id}: {trouble}"
        add_event(self._store, None, "schedule", message, datetime.now(UTC))
