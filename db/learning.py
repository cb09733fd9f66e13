"""What is learned from people: labelled vectors in, numbers out, and which model holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from db.queries.paging import Reads, Row, only_row
from db.store import Store

MOST_ROWS = 20_000
INTEREST = "interest"


def judged_vectors(store: Store) -> pa.Table:
    """The current detections with a vector of the commonest embedder and length, newest first.

    Columns: detection_id, frame_digest, vector, p_value, verdict, accepts, rejects (people, each
    counted once; where somebody adjudicated, that label alone). At most 20 000, the labelled ones
    before all others.
    """
    return store.table(
        """
        WITH said AS (
            SELECT detection_id, count(*) FILTER (label = 'accept') AS accepts,
                   count(*) FILTER (label = 'reject') AS rejects
            FROM counted_labels GROUP BY detection_id
        ),
        kind AS (
            SELECT e.embedder, len(e.vector) AS length
            FROM embeddings e JOIN detections d USING (detection_id)
            JOIN current_runs USING (run_id)
            GROUP BY ALL ORDER BY count(*) DESC, e.embedder LIMIT 1
        )
        SELECT d.detection_id, d.frame_digest, e.vector, d.p_value, d.verdict,
               coalesce(s.accepts, 0) AS accepts, coalesce(s.rejects, 0) AS rejects
        FROM detections d JOIN current_runs USING (run_id)
        JOIN embeddings e ON e.detection_id = d.detection_id
        JOIN kind k ON k.embedder = e.embedder AND k.length = len(e.vector)
        LEFT JOIN said s ON s.detection_id = d.detection_id
        WHERE d.verdict <> 'artefact'
        ORDER BY coalesce(s.accepts, 0) + coalesce(s.rejects, 0) > 0 DESC,
                 d.detected_at DESC, d.detection_id
        LIMIT ?
        """,
        [MOST_ROWS],
    )


def unscored_vectors(store: Store, model_digest: str, length: int) -> pa.Table:
    """Detections of the current runs that a model has no number for: id, vector, p_value."""
    return store.table(
        """
        SELECT d.detection_id, e.vector, d.p_value
        FROM detections d JOIN current_runs USING (run_id)
        JOIN embeddings e ON e.detection_id = d.detection_id
        WHERE len(e.vector) = ? AND d.verdict <> 'artefact' AND d.detection_id NOT IN (
            SELECT detection_id FROM interest WHERE model_digest = ?)
        ORDER BY d.detection_id
        """,
        [length, model_digest],
    )


def current_model(store: Reads, role: str = INTEREST) -> str | None:
    """The digest of the model that has a role; None before anything was promoted."""
    row = only_row(store.rows("SELECT model_digest FROM current_models WHERE role = $1", [role]))
    return None if row is None else row["model_digest"]


def model_before(store: Reads, role: str = INTEREST) -> tuple[bool, str | None]:
    """Whether there is a promotion to take back, and which model held before it (None: none)."""
    stack: list[str | None] = []
    for row in store.rows(
        "SELECT model_digest, action FROM model_choices WHERE role = $1 ORDER BY number", [role]
    ):
        if row["action"] == "promote":
            stack.append(row["model_digest"])
        elif stack:
            stack.pop()
    return bool(stack), stack[-2] if len(stack) > 1 else None


def training_history(store: Reads, role: str = INTEREST, limit: int = 60) -> list[Row]:
    """List the trainings of a role, newest first, with their metrics as JSON text."""
    return store.rows(
        "SELECT * FROM training_runs WHERE role = $1 "
        "ORDER BY started_at DESC, training_id LIMIT $2",
        [role, limit],
    )


def choices(store: Reads, role: str = INTEREST) -> list[Row]:
    """List who chose which model when, newest first."""
    return store.rows("SELECT * FROM model_choices WHERE role = $1 ORDER BY number DESC", [role])


def list_changes(store: Reads, champion: str | None, challenger: str, top: int = 50) -> list[Row]:
    """List who enters and who leaves the `top` of the ranking when one model follows another.

    Without a champion the ranking goes by p-value. `change` is "enters" or "leaves", `before` and
    `after` are places from 1, None beyond what is ranked.
    """
    return store.rows(
        """
        WITH before AS (
            SELECT d.detection_id, row_number() OVER (
                ORDER BY i.interest DESC NULLS LAST, d.p_value NULLS LAST, d.detection_id) AS place
            FROM detections d JOIN current_runs USING (run_id)
            LEFT JOIN interest i ON i.detection_id = d.detection_id AND i.model_digest = $1
            WHERE d.verdict <> 'artefact'
        ),
        after AS (
            SELECT d.detection_id, row_number() OVER (
                ORDER BY i.interest DESC NULLS LAST, d.p_value NULLS LAST, d.detection_id) AS place
            FROM detections d JOIN current_runs USING (run_id)
            LEFT JOIN interest i ON i.detection_id = d.detection_id AND i.model_digest = $2
            WHERE d.verdict <> 'artefact'
        )
        SELECT CASE WHEN a.place <= $3 THEN 'enters' ELSE 'leaves' END AS change,
               d.detection_id, o.source, o.object_id, d.p_value, d.verdict, d.cutout_file,
               b.place AS before, a.place AS after
        FROM before b JOIN after a USING (detection_id) JOIN detections d USING (detection_id)
        LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
        WHERE (b.place <= $3) <> (a.place <= $3)
        ORDER BY change, least(a.place, b.place), d.detection_id
        """,
        [champion, challenger, top],
    )


def choose_model(
    store: Store,
    *,
    choice_id: str,
    model_digest: str | None,
    action: str,
    training_id: str | None,
    reason: str,
    chosen_by: str,
    now: datetime,
    role: str = INTEREST,
) -> None:
    """Append to the log of models; the same choice_id is written once."""
    row: dict[str, Any] = {
        "choice_id": choice_id, "role": role, "model_digest": model_digest, "action": action,
        "training_id": training_id, "reason": reason, "chosen_by": chosen_by, "chosen_at": now,
    }  # fmt: skip
    store.write({"model_choices": [row]})


def keep_interest(
    store: Store,
    model_digest: str,
    detection_ids: Sequence[str],
    numbers: Sequence[tuple[float, float]],
    now: datetime,
) -> None:
    """Keep a model's probability and interest for detections; what is there stays."""
    rows = [
        {
            "model_digest": model_digest, "detection_id": detection_id,
            "probability": probability, "interest": interest, "scored_at": now,
        }
        for detection_id, (probability, interest) in zip(detection_ids, numbers, strict=True)
    ]  # fmt: skip
    store.write({"interest": rows})
