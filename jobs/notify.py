"""Notifications through apprise: every target gets an outcome, none stops the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import apprise


@dataclass(frozen=True)
class NotificationOutcome:
    """What became of one notification; `target` is the address with its secrets masked."""

    target: str
    sent: bool
    reason: str = ""


def notify(urls: Iterable[str], subject: str, body: str) -> tuple[NotificationOutcome, ...]:
    """Send to every apprise URL. Failures are reported in the outcomes, not raised."""
    return tuple(notify_one(url, subject, body) for url in urls)


def notify_one(url: str, subject: str, body: str, html: str = "") -> NotificationOutcome:
    """Send to one apprise URL: `html` to those that take it (e-mail), `body` to all others."""
    service = apprise.Apprise.instantiate(url)
    if service is None:
        return NotificationOutcome(
            masked(url), sent=False, reason="not an address that apprise understands"
        )
    target = masked(url)
    if not body.strip():
        return NotificationOutcome(target, sent=False, reason="there is no text to send")
    rich = bool(html) and _takes_html(service)
    written_in = apprise.NotifyFormat.HTML if rich else apprise.NotifyFormat.TEXT
    with apprise.LogCapture(  # type: ignore[no-untyped-call]
        level=apprise.logging.WARNING, fmt="%(message)s"
    ) as log:
        text = html if rich else body
        sent = bool(service.notify(title=subject, body=text, body_format=written_in))
        said = " ".join(log.getvalue().split())
    return NotificationOutcome(target, sent, "" if sent else said or "refused without a reason")


def _takes_html(service: apprise.NotifyBase) -> bool:
    """Whether a page is what it takes best: some take several formats, the best one first."""
    formats: Any = service.notify_format
    best = formats[0] if isinstance(formats, tuple) else formats
    return bool(best == apprise.NotifyFormat.HTML)


def masked(url: str) -> str:
    """The address without its secrets."""
    service = apprise.Apprise.instantiate(url)
    if service is None:
        scheme = url.partition("://")[0] if "://" in url else "(no scheme)"
        return f"{scheme}://****"
    address: str = service.url(privacy=True)  # type: ignore[no-untyped-call]
    return address.partition("?")[0]
