"""The labelling queues: what to show one labeller next, and how far they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from db.consensus import STANDING, Rule
from db.errors import StoreError
from db.queries.paging import (
    Page,
    Reads,
    Row,
    keyed_page,
    only_row,
    rows_to_fetch,
    start_of_page,
)

QUEUES = (
    "most_anomalous",
    "most_interesting",
    "near_misses",
    "uncertain",
    "disagree",
    "random",
    "gold",
    "unseen",
    "skipped",
    "adjudication",
)
SHARED = ("random", "gold", "adjudication")
"""Queues that want several eyes: what somebody else holds, or what is retired, is in them too."""
RULE = Rule()

# Which detections a queue holds and in which order; $4 is the labeller.
_TAKES = {
    "most_anomalous": "d.verdict <> 'artefact'",
    "most_interesting": "k.turn IS NOT NULL",
    "near_misses": "d.verdict = 'near_miss'",
    "uncertain": "d.verdict = 'uncertain'",
    "disagree": "p.spread IS NOT NULL AND d.verdict <> 'artefact'",
    "random": "true",
    "gold": "d.detection_id IN (SELECT detection_id FROM gold_items)",
    "unseen": """d.detection_id NOT IN (SELECT detection_id FROM labels WHERE labeller = $4)
                 AND h.skipped_at IS NULL""",
    "skipped": "h.skipped_at IS NOT NULL",
    "adjudication": "s.state = 'disputed'",
}
_ORDER = {
    "most_interesting": "k.turn, ",
    "disagree": "p.spread DESC, ",
    "random": "md5(d.detection_id || '/' || $4), ",
    "gold": "md5(d.detection_id || '/' || $4), ",
    "unseen": "d.detected_at DESC, ",
    "adjudication": "s.n DESC, s.first_at, ",
}
_LATEST = "ORDER BY h.skipped_at NULLS FIRST, {first} d.p_value NULLS LAST, "
_LATEST += "d.rank_score DESC NULLS LAST, d.detection_id"


def queue(
    store: Reads,
    labeller: str,
    which: str,
    limit: int = 20,
    *,
    rule: Rule = RULE,
    holder: str = "",
    now: datetime | None = None,
    without: Sequence[str] = (),
) -> list[Row]:
    """List the detections that `labeller` has not labelled, in the order of the queue `which`.

    "most_anomalous" goes by p-value and leaves out what the machine holds for an artefact,
    "most_interesting" is the next batch of the learned ranking, "near_misses" and "uncertain" take
    one verdict, "disagree" goes by the spread of the methods' percentiles, "random" is an audit of
    everything, artefacts too, in an order that is fixed for each labeller, as in "gold"; "unseen"
    is what the labeller never judged nor skipped, newest first, "adjudication" what others disagree
    about. What the labeller skipped comes last, and alone in "skipped".

    With `now`, what another holder than `holder` has on screen is left out; so is what the rule
    retires. Neither holds for the SHARED queues. `without` names detections to leave out.

    Raises StoreError on a queue that does not exist.
    """
    if which not in QUEUES:
        raise StoreError(f"no queue {which!r}: choose one of {', '.join(QUEUES)}")
    shared = which in SHARED
    done = "queue = 'adjudication'" if which == "adjudication" else "labeller = $4"
    spread = _SPREAD if which == "disagree" else "SELECT NULL AS detection_id, NULL AS spread"
    order = _LATEST.format(first=_ORDER.get(which, ""))
    return store.rows(
        f"""
        WITH {STANDING},
        skips AS (
            SELECT detection_id, max(skipped_at) AS skipped_at FROM handouts
            WHERE labeller = $4 AND skipped_at IS NOT NULL GROUP BY detection_id
        ),
        spreads AS ({spread}),
        chosen AS (
            SELECT d.detection_id, k.reason AS turn_reason, k.interest, p.spread,
                   coalesce(s.state, 'open') AS standing, row_number() OVER ({order}) AS place
            FROM detections d
            SEMI JOIN current_runs r ON r.run_id = d.run_id
            LEFT JOIN standing s ON s.detection_id = d.detection_id
            LEFT JOIN skips h ON h.detection_id = d.detection_id
            LEFT JOIN spreads p ON p.detection_id = d.detection_id
            LEFT JOIN current_ranking k ON k.detection_id = d.detection_id
            WHERE d.detection_id NOT IN (SELECT detection_id FROM current_labels WHERE {done})
              AND ({_TAKES[which]})
              AND NOT list_contains($5::VARCHAR[], d.detection_id)
              AND ($9 OR NOT coalesce(s.is_retired, false))
              AND ($9 OR $6::TIMESTAMPTZ IS NULL OR d.detection_id NOT IN (
                      SELECT detection_id FROM handouts WHERE holder <> $7 AND held_until > $6))
            ORDER BY place LIMIT $8
        )
        SELECT d.*, o.source, o.object_id, m.name AS model, r.model_digest,
               c.* EXCLUDE (detection_id, place)
        FROM chosen c JOIN detections d USING (detection_id) JOIN runs r USING (run_id)
        LEFT JOIN models m USING (model_digest)
        LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
        ORDER BY c.place
        """,  # noqa: S608  the pieces are this module's own
        [*rule.params, labeller, list(without), now, holder, limit, shared],
    )


_SPREAD = """
    SELECT detection_id, max(percentile) - min(percentile) AS spread FROM scores
    WHERE percentile IS NOT NULL AND method <> 'combined'
    GROUP BY detection_id HAVING count(*) > 1
"""


def queue_lengths(store: Reads, labeller: str, rule: Rule = RULE) -> Row:
    """Count what each queue still holds for `labeller`, whoever has it on screen."""
    return store.rows(
        f"""
        WITH {STANDING},
        mine AS (SELECT detection_id FROM current_labels WHERE labeller = $4),
        open AS (
            SELECT d.detection_id, d.verdict, d.detection_id IN (SELECT detection_id FROM mine)
                       AS is_mine, coalesce(s.is_retired, false) AS is_retired, s.state
            FROM detections d JOIN current_runs USING (run_id)
            LEFT JOIN standing s ON s.detection_id = d.detection_id
        ),
        told AS (SELECT DISTINCT detection_id FROM scores
                 WHERE percentile IS NOT NULL AND method <> 'combined'
                 GROUP BY detection_id HAVING count(*) > 1),
        skips AS (SELECT DISTINCT detection_id FROM handouts
                  WHERE labeller = $4 AND skipped_at IS NOT NULL),
        seen AS (SELECT detection_id FROM labels WHERE labeller = $4
                 UNION SELECT detection_id FROM skips),
        free AS (SELECT * FROM open WHERE NOT is_mine AND NOT is_retired)
        SELECT (SELECT count(*) FROM free WHERE verdict <> 'artefact') AS most_anomalous,
               (SELECT count(*) FROM free JOIN current_ranking USING (detection_id)
                WHERE turn IS NOT NULL) AS most_interesting,
               (SELECT count(*) FROM free WHERE verdict = 'near_miss') AS near_misses,
               (SELECT count(*) FROM free WHERE verdict = 'uncertain') AS uncertain,
               (SELECT count(*) FROM free JOIN told USING (detection_id)
                WHERE verdict <> 'artefact') AS disagree,
               (SELECT count(*) FROM open WHERE NOT is_mine) AS random,
               (SELECT count(*) FROM open JOIN gold_items USING (detection_id)
                WHERE NOT is_mine) AS gold,
               (SELECT count(*) FROM free
                WHERE detection_id NOT IN (SELECT detection_id FROM seen)) AS unseen,
               (SELECT count(*) FROM free JOIN skips USING (detection_id)) AS skipped,
               (SELECT count(*) FROM open WHERE state = 'disputed') AS adjudication
        """,  # noqa: S608  the pieces are this module's own
        [*rule.params, labeller],
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
            SELECT l.label_id, l.detection_id, l.label, l.labelled_at, l.kind, l.grade, l.comment
            FROM labels l
            WHERE l.labeller = $1 AND l.label <> 'undo'
              AND l.label_id NOT IN (SELECT undoes FROM labels WHERE undoes IS NOT NULL)
            ORDER BY l.labelled_at DESC, l.label_id DESC LIMIT 1
            """,
            [labeller],
        )
    )


def history_of(store: Reads, labeller: str, *, limit: int = 50, cursor: str | None = None) -> Page:
    """List the labels of `labeller` that hold, newest first, with what they are about.

    Raises StoreError on a cursor or limit that cannot be.
    """
    rows = store.rows(
        """
        SELECT l.*, d.verdict, d.p_value, d.cutout_file, d.frame_digest, o.source, o.object_id,
               0::DOUBLE AS key_0, -epoch_us(l.labelled_at)::DOUBLE AS key_1
        FROM current_labels l JOIN detections d USING (detection_id)
        LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
        WHERE l.labeller = $1
          AND ($4::VARCHAR IS NULL
               OR (key_0, key_1, l.detection_id) > ($2::DOUBLE, $3::DOUBLE, $4))
        ORDER BY key_0, key_1, l.detection_id LIMIT $5
        """,
        [labeller, *start_of_page(cursor, keys=3), rows_to_fetch(limit)],
    )
    return keyed_page(rows, limit)


def shown(store: Reads, detection_ids: Sequence[str]) -> list[Row]:
    """List what a labeller is shown of these detections, in the order that they are named."""
    rows = store.rows(
        """
        SELECT d.*, o.source, o.object_id, o.mjd, o.band, f.height, f.width, f.planes, f.unit,
               o.part, f.pixels_file, f.preview_file, r.model_digest, m.name AS model,
               e.heat_map_file, e.artefact_probability, c.reconstruction_file,
               c.predicted_file, y.run_id AS rays_run, y.cleaned_file, y.cleaned_values_file,
               y.probability_array, y.threshold AS rays_threshold
        FROM detections d
        LEFT JOIN frames f ON f.frame_digest = d.frame_digest
        LEFT JOIN runs r ON r.run_id = d.run_id
        LEFT JOIN models m USING (model_digest)
        LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
        LEFT JOIN detection_evidence e ON e.detection_id = d.detection_id
        LEFT JOIN (SELECT r.frame_digest, c.* FROM codec_runs c JOIN current_runs r USING (run_id))
               c ON c.frame_digest = d.frame_digest
        LEFT JOIN (SELECT r.frame_digest, y.* FROM cosmic_ray_runs y
                   JOIN current_runs r USING (run_id)) y ON y.frame_digest = d.frame_digest
        WHERE list_contains($1::VARCHAR[], d.detection_id)
        """,
        [list(detection_ids)],
    )
    by_id = {row["detection_id"]: row for row in rows}
    return [by_id[name] for name in detection_ids if name in by_id]
