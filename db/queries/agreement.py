"""Who said what of the same things: votes, disputes, and each labeller's pace."""

from __future__ import annotations

from collections.abc import Sequence

from db.consensus import STANDING, Rule
from db.queries.paging import Page, Reads, Row, keyed_page, rows_to_fetch, start_of_page


def ratings(store: Reads) -> list[Row]:
    """List the labels on detections that several people judged, by detection and labeller.

    Adjudications are left out: who settles a dispute has seen what the others said.
    """
    return store.rows("""
        WITH judged AS (
            SELECT detection_id, labeller, label, kind, grade, comment, labelled_at
            FROM current_labels WHERE queue <> 'adjudication'
        )
        SELECT * FROM judged
        WHERE detection_id IN (
            SELECT detection_id FROM judged GROUP BY detection_id HAVING count(*) > 1)
        ORDER BY detection_id, labeller
    """)


def standing_of(
    store: Reads,
    rule: Rule,
    state: str | None = None,
    *,
    limit: int = 200,
    cursor: str | None = None,
) -> Page:
    """List the labelled detections with their votes and state, disputed ones first.

    After that the one that was labelled last comes first. Raises StoreError on a cursor or limit
    that cannot be.
    """
    rows = store.rows(
        f"""
        WITH {STANDING},
        words AS (
            SELECT detection_id, string_agg(labeller || ': ' || coalesce(kind, label), '; '
                       ORDER BY labelled_at, label_id) AS said
            FROM current_labels GROUP BY detection_id
        )
        SELECT s.*, w.said, d.verdict, d.p_value, d.cutout_file, d.frame_digest, o.source,
               o.object_id, (s.state <> 'disputed')::DOUBLE AS key_0,
               -epoch_us(s.last_at)::DOUBLE AS key_1
        FROM standing s JOIN words w USING (detection_id) JOIN detections d USING (detection_id)
        LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
        WHERE ($4::VARCHAR IS NULL OR s.state = $4)
          AND ($7::VARCHAR IS NULL
               OR (key_0, key_1, s.detection_id) > ($5::DOUBLE, $6::DOUBLE, $7))
        ORDER BY key_0, key_1, s.detection_id LIMIT $8
        """,  # noqa: S608  the piece is db.consensus's own
        [*rule.params, state, *start_of_page(cursor, keys=3), rows_to_fetch(limit)],
    )
    return keyed_page(rows, limit)


def said_by_both(store: Reads, detection_ids: Sequence[str], a: str, b: str) -> list[Row]:
    """List what two labellers say of detections, in the order of the ids."""
    rows = store.rows(
        """
        SELECT d.detection_id, d.verdict, d.p_value, d.frame_digest, o.object_id,
               coalesce(x.kind, x.label) AS a_said, x.grade AS a_grade, x.comment AS a_comment,
               coalesce(y.kind, y.label) AS b_said, y.grade AS b_grade, y.comment AS b_comment
        FROM detections d
        JOIN current_labels x ON x.detection_id = d.detection_id AND x.labeller = $2
        JOIN current_labels y ON y.detection_id = d.detection_id AND y.labeller = $3
        LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
        WHERE list_contains($1::VARCHAR[], d.detection_id)
        """,
        [list(detection_ids), a, b],
    )
    by_id = {row["detection_id"]: row for row in rows}
    return [by_id[one] for one in detection_ids if one in by_id]


def standing_counts(store: Reads, rule: Rule) -> Row:
    """Count the labelled detections by state."""
    return store.rows(
        f"""
        WITH {STANDING}
        SELECT count(*) FILTER (state = 'open') AS open,
               count(*) FILTER (state = 'agreed') AS agreed,
               count(*) FILTER (state = 'disputed') AS disputed,
               count(*) FILTER (state = 'exhausted') AS exhausted,
               count(*) FILTER (state = 'settled') AS settled,
               count(*) FILTER (is_retired) AS retired
        FROM standing
        """,  # noqa: S608  the piece is db.consensus's own
        rule.params,
    )[0]


def labellers(store: Reads) -> list[Row]:
    """List who labelled how much, how fast and when last; `undone` counts what they took back."""
    return store.rows("""
        WITH undone AS (
            SELECT labeller, count(*) AS undone FROM labels WHERE label = 'undo' GROUP BY labeller
        )
        SELECT l.labeller, count(*) AS labels, count(*) FILTER (label = 'accept') AS accept,
               count(*) FILTER (label = 'reject') AS reject,
               count(*) FILTER (label = 'unsure') AS unsure,
               count(*) FILTER (blind) AS blind, median(seconds) AS median_s,
               quantile_cont(seconds, 0.9) AS slow_s, coalesce(any_value(u.undone), 0) AS undone,
               max(labelled_at) AS last_at
        FROM current_labels l LEFT JOIN undone u USING (labeller)
        GROUP BY l.labeller ORDER BY labels DESC, l.labeller
    """)
