"""The schedules of the store, kept by APScheduler; each turn only asks for a request."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.events import (
    EVENT_JOB_ERROR,
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_MISSED,
    JobEvent,
)
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from db.cycles import add_event
from db.errors import StoreError
from db.queries.yields import source_yields
from db.schedules import list_schedules
from db.store import Store
from jobs.choosing import THOMPSON, draw, sources_among, told
from jobs.rhythm import first_turn, next_turn

log = logging.getLogger(__name__)
TURN = "schedule"
SAME = timedelta(seconds=1)
Enqueue = Callable[[str, dict[str, Any], str, str], object]
Clock = Callable[[], datetime]
Schedule = dict[str, Any]


def system_clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


class Schedules:
    """The memory job store is rebuilt from the table whenever that changes, or the clock jumps.

    `clock` says what time it is for the schedules; APScheduler waits by the system's.
    """

    def __init__(self, store: Store, enqueue: Enqueue, clock: Clock = system_clock) -> None:
        self._store = store
        self._enqueue = enqueue
        self._clock = clock
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(
            self._note_trouble, EVENT_JOB_ERROR | EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES
        )

    def start(self) -> None:
        """Begin; a schedule whose turn passed while nobody was there runs at once."""
        self._scheduler.start()
        self.refresh()

    def close(self) -> None:
        """Stop taking turns."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def refresh(self) -> None:
        """Make the jobs what the table and the clock say."""
        rows = {row["schedule_id"]: row for row in list_schedules(self._store)}
        for job in self._scheduler.get_jobs():
            if job.id not in rows:
                job.remove()
        for schedule_id, row in rows.items():
            due = first_turn(row, self._last_turn(schedule_id), self._clock())
            self._scheduler.add_job(
                self._take_turn,
                _Rhythm(row, self._clock),
                args=[schedule_id],
                id=schedule_id,
                replace_existing=True,
                next_run_time=None if row["paused"] else due - self._ahead(),
            )

    def next_turns(self) -> dict[str, datetime | None]:
        """When each schedule runs next, by the clock of the schedules; None while it is paused."""
        ahead = self._ahead()
        return {
            job.id: job.next_run_time + ahead if job.next_run_time else None
            for job in self._scheduler.get_jobs()
        }

    def run_now(self, schedule_id: str, request_id: str) -> None:
        """Ask for this schedule's request at once; its rhythm stays as it is."""
        self._ask(schedule_id, request_id, asked_by="run now")

    def _ahead(self) -> timedelta:
        """By how much the schedules' clock is ahead of the system's."""
        ahead = self._clock() - system_clock()
        return ahead if abs(ahead) >= SAME else timedelta(0)

    def _last_turn(self, schedule_id: str) -> datetime | None:
        sql = """SELECT max(asked_at) AS last FROM requests WHERE asked_by = ?
                 AND json_extract_string(payload, '$.schedule_id') = ?"""
        last: datetime | None = self._store.rows(sql, [TURN, schedule_id])[0]["last"]
        return last

    def _take_turn(self, schedule_id: str) -> None:
        sql = """SELECT 1 FROM requests WHERE state IN ('queued', 'running')
                 AND json_extract_string(payload, '$.schedule_id') = ?"""
        if self._store.rows(sql, [schedule_id]):
            message = f"schedule {schedule_id}: its last request still goes, this turn is skipped"
            add_event(self._store, None, "skipped", message, self._clock())
            return
        self._ask(schedule_id, str(uuid.uuid4()), asked_by=TURN)

    def _ask(self, schedule_id: str, request_id: str, *, asked_by: str) -> None:
        for row in list_schedules(self._store):
            if row["schedule_id"] == schedule_id:
                payload = self._payload(row, request_id)
                self._enqueue(row["kind"], payload, request_id, asked_by)

    def _payload(self, row: Schedule, request_id: str) -> dict[str, Any]:
        if row["kind"] != "scan":
            return {"role": row["source"], "schedule_id": row["schedule_id"]}
        return {
            "source": self._chosen(row, request_id),
            "limit": row["frame_limit"],
            "aggressive": row["policy"] == "aggressive",
            "schedule_id": row["schedule_id"],
        }

    def _chosen(self, row: Schedule, request_id: str) -> str:
        source: str = row["source"]
        if row["choice"] != THOMPSON:
            return source
        yields = {each["source"]: each for each in source_yields(self._store)}
        drawn = draw(sources_among(source), yields, request_id)
        add_event(self._store, None, "chosen", told(drawn), self._clock())
        return drawn[0].source

    def _note_trouble(self, event: JobEvent) -> None:
        trouble = getattr(event, "exception", None) or "missed"
        if event.code == EVENT_JOB_MAX_INSTANCES:
            trouble = "its last turn is still being taken, this one is skipped"
        message = f"schedule {event.job_id}: {trouble}"
        try:
            add_event(self._store, None, "schedule", message, self._clock())
        except StoreError:
            log.exception("%s; and that cannot be kept", message)


class _Rhythm(BaseTrigger):  # type: ignore[misc]
    """A schedule's rhythm by a clock of its own, as APScheduler asks for it."""

    def __init__(self, row: Schedule, clock: Clock) -> None:
        self._row, self._clock = row, clock

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The turn after the previous one, in the system's time."""
        here = self._clock()
        previous = here if previous_fire_time is None else here - (now - previous_fire_time)
        return now + (next_turn(self._row, previous, here) - here)
