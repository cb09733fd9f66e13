"""The labelling queues: what to show one labeller next, and how far they are."""

from __future__ import annotations

from db.errors import StoreError
from db.queries.paging import Reads, Row, only_row

QUEUES = ("most_anomalous", "near_misses", "uncertain", "random")


def queue(store: Reads, labeller: str, which: str, limit: int = 20) -> list[Row]:
    """List the detections that `labeller` has not labelled, in the order of the queue `which`.

    "most_anomalous" goes by p-value and leaves out what the machine holds for an artefact,
    "near_misses" and "uncertain" take one verdict, "random" is an audit of everything, artefacts
    too, in an order that is fixed for each labeller.

    Raises StoreError on a queue that does not exist.
    """
    if which not in QUEUES:
        raise StoreError(f"no queue {which!r}: choose one of {', '.join(QUEUES)}")
    return store.rows(
        """
        SELECT d.*, o.source, o.object_id, m.name AS model, r.model_digest
        FROM detections d
        JOIN current_runs r USING (run_id)
        LEFT JOIN models m USING (model_digest)
        LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
        WHERE d.detection_id NOT IN (
                  SELECT detection_id FROM current_labels WHERE labeller = $1)
          AND CASE $2 WHEN 'most_anomalous' THEN d.verdict <> 'artefact'
                      WHEN 'near_misses' THEN d.verdict = 'near_miss'
                      WHEN 'uncertain' THEN d.verdict = 'uncertain' ELSE true END
        ORDER BY CASE WHEN $2 = 'random' THEN md5(d.detection_id || '/' || $1) END,
                 d.p_value NULLS LAST, d.rank_score DESC NULLS LAST, d.detection_id
        LIMIT $3
        """,
        [labeller, which, limit],
    )


def queue_lengths(store: Reads, labeller: str) -> Row:
    """Count what each queue still holds for `labeller`."""
    return store.rows(
        """
        SELECT count(*) FILTER (d.verdict <> 'artefact') AS most_anomalous,
               count(*) FILTER (d.verdict = 'near_miss') AS near_misses,
               count(*) FILTER (d.verdict = 'uncertain') AS uncertain,
               count(*) AS random
        FROM detections d JOIN current_runs USING (run_id)
        WHERE d.detection_id NOT IN (
            SELECT detection_id FROM current_labels WHERE labeller = $1)
        """,
        [labeller],
    )[0]


def done_by(store: Reads, labeller: str) -> Row:
    """Count the labels of `labeller` that hold, with the median seconds one took."""
    return store.rows(
        """
        SELECT count(*) AS done, count(*) FILTER (label = 'accept') AS accept,
               count(*) FILTER (label = 'reject') AS reject,
               count(*) FILTER (label = 'unsure') AS unsure, median(seconds) AS median_s
        FROM current_labels WHERE labeller = $1
        """,
        [labeller],
    )[0]


def label_to_undo(store: Reads, labeller: str) -> Row | None:
    """Return the latest label of `labeller` that was not taken back, None when there is none."""
    return only_row(
        store.rows(
            """
            SELECT l.label_id, l.detection_id, l.label, l.labelled_at
            FROM labels l
            WHERE l.labeller = $1 AND l.label <> 'undo'
              AND l.label_id NOT IN (SELECT undoes FROM labels WHERE undoes IS NOT NULL)
            ORDER BY l.labelled_at DESC, l.label_id DESC LIMIT 1
            """,
            [labeller],
        )
    )
