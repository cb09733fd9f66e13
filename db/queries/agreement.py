"""Who said what of the same things: votes, disputes, and each labeller's pace."""

from __future__ import annotations

from db.consensus import STANDING, Rule
from db.queries.paging import Reads, Row


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


def standing_of(store: Reads, rule: Rule, state: str | None = None, limit: int = 200) -> list[Row]:
    """List the labelled detections with their votes and state, disputed ones first."""
    return store.rows(
        f"""
        WITH {STANDING},
        words AS (
            SELECT detection_id, string_agg(labeller || ': ' || coalesce(kind, label), '; '
                       ORDER BY labelled_at, label_id) AS said
            FROM current_labels GROUP BY detection_id
        )
        SELECT s.*, w.said, d.verdict, d.p_value, d.cutout_file, d.frame_digest, o.source,
               o.object_id
        FROM standing s JOIN words w USING (detection_id) JOIN detections d USING (detection_id)
        LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
        WHERE $4::VARCHAR IS NULL OR s.state = $4
        ORDER BY s.state <> 'disputed', s.last_at DESC, s.detection_id LIMIT $5
        """,  # noqa: S608  the piece is db.consensus's own
        [*rule.params, state, limit],
    )


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
