"""After a scan: tell people about new candidates, once a cycle and target."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from db.store import Store
from jobs.ids import stable_id
from jobs.notify import notify


def announce_candidates(store: Store, cycle_id: str, urls: Sequence[str], now: datetime) -> int:
    """Send one message to each URL that has not had one for this cycle; returns how many went."""
    if not urls:
        return 0
    found = store.rows(
        """SELECT d.detection_id, d.p_value, d.reason, o.object_id, o.source
           FROM detections d JOIN runs r USING (run_id)
           JOIN current_observations o ON o.frame_digest = d.frame_digest
           WHERE r.cycle_id = ? AND d.verdict = 'candidate' ORDER BY d.p_value, d.detection_id""",
        [cycle_id],
    )
    told = {
        row["notification_id"]
        for row in store.rows("SELECT notification_id FROM notifications WHERE state = 'sent'")
    }
    waiting = {stable_id("alert", cycle_id, url): url for url in urls if found}
    subject = f"skysieve: {len(found)} new candidates"
    body = "\n".join(f"{row['source']} {row['object_id']}: {row['reason']}" for row in found)
    went = 0
    for notification_id, url in waiting.items():
        if notification_id in told:
            continue
        (outcome,) = notify([url], subject, body)
        went += outcome.sent
        row = {
            # A failed attempt is kept under its own key, so that the next one can succeed.
            "notification_id": notification_id if outcome.sent else stable_id(url, cycle_id, now),
            "target": outcome.target,
            "subject": subject,
            "body": body,
            "state": "sent" if outcome.sent else f"failed: {outcome.reason}",
            "sent_at": now,
        }
        store.write({"notifications": [row]})
    return went
