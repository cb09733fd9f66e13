"""Whom to tell what, and when: candidates at once or in the digest, quiet hours, nothing twice."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from db import digests, notifications
from db.errors import StoreError
from db.store import Store
from jobs.digests import make_due_digest
from jobs.ids import stable_id
from jobs.notify import NotificationOutcome, masked, notify_one
from jobs.settings import Settings

log = logging.getLogger(__name__)
REACH = timedelta(days=2)
Send = Callable[..., NotificationOutcome]


def is_quiet(hours: str, now: datetime) -> bool:
    """Whether `now` (UTC) lies in quiet hours "HH:MM-HH:MM", which may go over midnight."""
    if not hours:
        return False
    start, _, end = hours.partition("-")
    time = f"{now:%H:%M}"
    return start <= time < end if start <= end else time >= start or time < end


class Teller:
    """Makes digests and sends messages; may be called at any moment, from any thread.

    A message is claimed in the store before it leaves. Killed in between, it is not sent again,
    and says so: rather a message that is looked up on the page than one that comes twice.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        clock: Callable[[], datetime],
        send: Send = notify_one,
    ) -> None:
        self._store, self._settings, self._clock, self._send = store, settings, clock, send
        self._one_at_a_time = threading.Lock()

    def start(self) -> None:
        """Close what a killed owner was sending."""
        notifications.close_interrupted(self._store)

    def go(self) -> int:
        """Make the digest that is due, send all that waits; returns how many messages went out."""
        with self._one_at_a_time:
            now = self._clock()
            make_due_digest(self._store, self._settings, now)
            if is_quiet(self._settings.notify_quiet, now):
                return 0
            return sum(self._serve(url, now) for url in self._settings.notify_urls)

    def _serve(self, url: str, now: datetime) -> int:
        target_key = stable_id("target", url)
        went = 0
        for row in notifications.to_retry(self._store, target_key, now):
            went += self._post(url, {key: row[key] for key in COLUMNS}, {})
        went += self._tell_candidates(url, target_key, now)
        for digest in digests.digests(self._store, 3):
            if digest["until_at"] >= now - REACH:
                went += self._tell_digest(url, target_key, digest)
        return went

    def _tell_candidates(self, url: str, target_key: str, now: datetime) -> int:
        rate = self._settings.notify_at_once_rate
        found = notifications.untold(self._store, target_key, rate, now - REACH) if rate else []
        if not found:
            return 0
        places = {row["place"]: row["detection_id"] for row in found}
        message = {
            "notification_id": stable_id("alert", target_key, *sorted(places)),
            "kind": "candidates",
            "target": masked(url),
            "target_key": target_key,
            "subject": f"skysieve: {_many(len(found), 'new candidate')}",
            "body": "\n".join(_line(row) for row in found),
            "html_file": None,
        }
        return self._post(url, message, places)

    def _tell_digest(self, url: str, target_key: str, digest: dict[str, Any]) -> int:
        message = {
            "notification_id": stable_id("digest", digest["digest_id"], target_key),
            "kind": "digest",
            "target": masked(url),
            "target_key": target_key,
            "subject": digest["subject"],
            "body": digest["body"],
            "html_file": digest["html_file"],
        }
        known = "SELECT 1 FROM notifications WHERE notification_id = ?"
        if self._store.rows(known, [message["notification_id"]]):
            return 0
        return self._post(url, message, {})

    def _post(self, url: str, message: dict[str, Any], told: dict[str, str]) -> int:
        if not notifications.claim(self._store, message, told, self._clock()):
            return 0
        outcome = self._send(url, message["subject"], message["body"], self._html(message))
        state = "sent" if outcome.sent else f"failed: {outcome.reason}"
        notifications.settle(
            self._store, message["notification_id"], state, outcome.target, self._clock()
        )
        return int(outcome.sent)

    def _html(self, message: dict[str, Any]) -> str:
        if not message["html_file"]:
            return ""
        try:
            return self._store.files.get(message["html_file"]).decode()
        except StoreError:
            log.exception("the page of message %s is gone", message["notification_id"])
            return ""


COLUMNS = ("notification_id", "kind", "target", "target_key", "subject", "body", "html_file")


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _line(row: dict[str, Any]) -> str:
    expired = " (calibration expired)" if row["calibration_expired"] else ""
    return f"{row['source']} {row['object_id']}: {row['reason']}{expired}"


def targets(urls: Sequence[str]) -> list[str]:
    """The targets with their secrets masked, as pages show them."""
    return [masked(url) for url in urls]
