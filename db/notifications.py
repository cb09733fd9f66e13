"""Messages that leave once: claimed before they are sent, told apart where nobody knows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from db.database import Connection
from db.store import Store, select

Row = dict[str, Any]
MOST_ATTEMPTS = 5
UNKNOWN = "unknown: its owner ended while it was being sent, so it is not sent again"


def claim(store: Store, row: Mapping[str, Any], told: Mapping[str, str], now: datetime) -> bool:
    """Claim a message for sending and say whether it is ours to send.

    `row` holds notification_id, kind, target, target_key, subject, body and html_file; `told` maps
    the places that it tells of to their detections. One that was claimed before is ours again only
    if it failed, at most five times in all. The claim is durable when this returns.
    """

    def run(connection: Connection) -> bool:
        columns = (*row, "state", "attempts", "sent_at")
        marks = ", ".join("?" for _ in columns)
        new = select(
            connection,
            f"INSERT INTO notifications ({', '.join(columns)}) VALUES ({marks}) "  # noqa: S608
            "ON CONFLICT DO NOTHING RETURNING notification_id",
            [*row.values(), "sending", 1, now],
        )
        if not new.num_rows:
            again = select(
                connection,
                "UPDATE notifications SET state = 'sending', attempts = attempts + 1, sent_at = ? "
                "WHERE notification_id = ? AND state LIKE 'failed%' AND attempts < ? "
                "RETURNING notification_id",
                [now, row["notification_id"], MOST_ATTEMPTS],
            )
            return bool(again.num_rows)
        for place, detection_id in told.items():
            connection.execute(
                "INSERT INTO announcements VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [place, row["target_key"], detection_id, row["notification_id"]],
            )
        return True

    return store.transaction(run)


def settle(store: Store, notification_id: str, state: str, target: str, now: datetime) -> None:
    """Say how the sending of a claimed message ended: "sent", or "failed: ..."."""
    store.move(
        "UPDATE notifications SET state = ?, target = ?, sent_at = ? "
        "WHERE notification_id = ? AND state = 'sending' RETURNING notification_id",
        [state, target, now, notification_id],
    )


def close_interrupted(store: Store) -> int:
    """Mark what a killed owner was sending as unknown; return how many those were."""
    sql = "UPDATE notifications SET state = ? WHERE state = 'sending' RETURNING notification_id"
    return len(store.move(sql, [UNKNOWN]))


def to_retry(store: Store, target_key: str, now: datetime) -> list[Row]:
    """List the failed messages of a target whose next attempt is due: 1, 4, 9, 16 min later."""
    rows = store.rows(
        "SELECT notification_id, kind, target, target_key, subject, body, html_file, attempts, "
        "sent_at FROM notifications WHERE target_key = ? AND state LIKE 'failed%' AND attempts < ? "
        "ORDER BY sent_at, notification_id",
        [target_key, MOST_ATTEMPTS],
    )
    return [row for row in rows if now >= row["sent_at"] + timedelta(minutes=row["attempts"] ** 2)]


def untold(
    store: Store, target_key: str, rate: float, since: datetime, limit: int = 200
) -> list[Row]:
    """List current candidates with p-value <= `rate`, found since then, that a target was not told.

    What people rejected is left out. `place` stays when a model or policy changes.
    """
    return store.rows(
        """
        SELECT d.detection_id, d.p_value, d.reason, o.object_id, o.source, r.cycle_id,
               md5(concat_ws('/', d.frame_digest, d.kind, round(d.x), round(d.y))) AS place,
               x.source IS NOT NULL AS calibration_expired
        FROM detections d JOIN current_runs r USING (run_id)
        JOIN current_observations o ON o.frame_digest = d.frame_digest
        LEFT JOIN expired_calibrations x
               ON x.source = o.source AND x.model_digest = r.model_digest
        WHERE d.verdict = 'candidate' AND d.p_value <= ? AND d.detected_at >= ?
          AND d.detection_id NOT IN (
              SELECT detection_id FROM current_labels WHERE label = 'reject')
          AND md5(concat_ws('/', d.frame_digest, d.kind, round(d.x), round(d.y))) NOT IN (
              SELECT place FROM announcements WHERE target_key = ?)
        ORDER BY d.p_value, d.detection_id LIMIT ?
        """,
        [rate, since, target_key, limit],
    )
