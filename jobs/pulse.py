"""The owner's pulse: that it lives, how long nobody did, and whether the clock was set."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from db.cycles import add_event
from db.errors import StoreError
from db.heartbeats import beat, begin_beating
from db.store import Store
from jobs.rounds import Rounds

log = logging.getLogger(__name__)
BEAT_S = 5.0
JUMP_S = 30.0
LONG_AWAY = timedelta(minutes=1)


class Pulse:
    """Beats every few seconds; `on_jump` is called when the clock went another way than time."""

    def __init__(
        self,
        store: Store,
        owner_id: str,
        clock: Callable[[], datetime],
        on_jump: Callable[[], None],
        *,
        every_s: float = BEAT_S,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._owner_id, self._clock, self._on_jump = store, owner_id, clock, on_jump
        self._elapsed = elapsed
        self._began = False
        self._rounds = Rounds(every_s, self.beat, name="pulse")
        self.beat_at = clock()
        self._beat_elapsed = elapsed()

    def start(self) -> None:
        """Note that this owner lives; an absence before it becomes an event."""
        self.beat_at, self._beat_elapsed = self._clock(), self._elapsed()
        before = begin_beating(self._store, self._owner_id, os.getpid(), self.beat_at)
        self._began = True
        if before is not None:
            away = self.beat_at - before["beat_at"]
            how = before["ended"] or "nobody saw it end"
            if away > LONG_AWAY or not before["ended"]:
                message = (
                    f"the owner before was last alive {away.total_seconds():.0f} s ago ({how}); "
                    "what was due since is caught up once"
                )
                add_event(self._store, None, "owner", message, self.beat_at)
        self._rounds.start()

    def beat(self) -> None:
        """Say that we live, and look whether the clock was set since the last time."""
        now, elapsed = self._clock(), self._elapsed()
        ahead = (now - self.beat_at).total_seconds() - (elapsed - self._beat_elapsed)
        self.beat_at, self._beat_elapsed = now, elapsed
        beat(self._store, self._owner_id, now)
        if abs(ahead) > JUMP_S:
            message = f"the clock was set by {ahead:+.0f} s; schedules are reckoned anew"
            add_event(self._store, None, "clock", message, now)
            self._on_jump()

    def close(self) -> None:
        """Stop, and say that this owner ended as it should."""
        self._rounds.close()
        if self._began:
            try:
                beat(self._store, self._owner_id, self._clock(), "closed")
            except StoreError:
                log.exception("the end of this owner cannot be written")
