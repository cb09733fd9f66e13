"""Schedules that a new store begins with, from `SKYSIEVE_SCHEDULE`."""

from __future__ import annotations

import re
from datetime import datetime

from db import schedules
from db.store import Store
from jobs.errors import SettingsError
from jobs.ids import stable_id
from jobs.rhythm import check_interval
from jobs.settings import Settings
from jobs.sources import open_source

ENTRY = re.compile(r"^(?P<source>\S.*?)\s+every\s+(?P<seconds>\d+(\.\d+)?)$")


def schedules_from(settings: Settings, store: Store, now: datetime) -> None:
    """Write the schedules of the setting that the store does not have yet.

    Raises SettingsError unless it reads `SOURCE every SECONDS; ...`.
    """
    if not settings.schedule:
        return
    present = {row["schedule_id"] for row in schedules.list_schedules(store)}
    for entry in filter(None, (part.strip() for part in settings.schedule.split(";"))):
        match = ENTRY.match(entry)
        if match is None:
            raise SettingsError(
                f"SKYSIEVE_SCHEDULE: expected 'SOURCE every SECONDS; ...', got {entry!r}"
            )
        schedule_id = stable_id("schedule", match["source"])
        if schedule_id not in present:
            open_source(match["source"], max_pixels=settings.max_pixels)
            check_interval(float(match["seconds"]))
            schedules.put_schedule(
                store, schedule_id=schedule_id, source=match["source"],
                every_s=float(match["seconds"]), frame_limit=None, paused=False, now=now,
            )  # fmt: skip
