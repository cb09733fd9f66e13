"""Notifications through apprise: every target gets an outcome, none stops the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import apprise


@dataclass(frozen=True)
class NotificationOutcome:
    """What became of one notification; `target` is the address with its secrets masked."""

    target: str
    sent: bool
    reason: str = ""


def notify(urls: Iterable[str], subject: str, body: str) -> tuple[NotificationOutcome, ...]:
    """Send to every apprise URL. Failures are reported in the outcomes, not raised."""
    return tuple(_send(url, subject, body) for url in urls)


def _send(url: str, subject: str, body: str) -> NotificationOutcome:
    service = apprise.Apprise.instantiate(url)
    if service is None:
        scheme = url.partition("://")[0] if "://" in url else "(no scheme)"
        return NotificationOutcome(
            f"{scheme}://****", sent=False, reason="not an address that apprise understands"
        )
    target = _masked(service)
    if not body.strip():
        return NotificationOutcome(target, sent=False, reason="there is no text to send")
    with apprise.LogCapture(  # type: ignore[no-untyped-call]
        level=apprise.logging.WARNING, fmt="%(message)s"
    ) as log:
        sent = bool(service.notify(title=subject, body=body))
        said = " ".join(log.getvalue().split())
    return NotificationOutcome(target, sent, "" if sent else said or "refused without a reason")


def _masked(service: apprise.NotifyBase) -> str:
    address: str = service.url(privacy=True)  # type: ignore[no-untyped-call]
    return address.partition("?")[0]
