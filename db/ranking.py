"""The ranking that labels give: what it is fitted on, and what it said each time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from db.database import Connection
from db.queries.paging import Reads, Row, only_row
from db.store import Store, select

MOST_ROWS = 20_000
KEPT_PLACES = 1000


def candidates(store: Store) -> pa.Table:
    """What can be ranked: current detections that are no artefacts, with a vector, by id.

    Columns: detection_id, frame_digest, embedder, vector, oddity. Vectors are of the commonest
    embedder and length; at most the 20 000 oddest and all labelled. `oddity` is minus the dense
    rank by p-value, then by rank score: higher is odder.
    """
    return store.table(
        """
        WITH kind AS (
            SELECT e.embedder, len(e.vector) AS length
            FROM embeddings e JOIN detections d USING (detection_id)
            JOIN current_runs USING (run_id)
            GROUP BY ALL ORDER BY count(*) DESC, e.embedder, length LIMIT 1
        ),
        placed AS (
            SELECT d.detection_id, d.frame_digest, e.embedder, e.vector,
                   -dense_rank() OVER (
                       ORDER BY d.p_value NULLS LAST, d.rank_score DESC NULLS LAST) AS oddity,
                   d.detection_id IN (SELECT detection_id FROM labels) AS is_labelled
            FROM detections d JOIN current_runs USING (run_id)
            JOIN embeddings e ON e.detection_id = d.detection_id
            JOIN kind k ON k.embedder = e.embedder AND k.length = len(e.vector)
            WHERE d.verdict <> 'artefact'
            ORDER BY is_labelled DESC, oddity DESC, d.detection_id LIMIT ?
        )
        SELECT detection_id, frame_digest, embedder, vector, CAST(oddity AS DOUBLE) AS oddity
        FROM placed ORDER BY detection_id
        """,
        [MOST_ROWS],
    )


def parts_of(store: Reads, embedder: str) -> list[Row]:
    """List the parts of an embedder's stored vectors in the order of their columns."""
    sql = "SELECT * FROM vector_parts WHERE embedder = $1 ORDER BY first_column, part"
    return store.rows(sql, [embedder])


def judged(store: Reads) -> list[Row]:
    """List the labelled detections with their votes, in the order of their first label."""
    return store.rows("""
        SELECT detection_id, count(*) FILTER (label = 'accept') AS accepts,
               count(*) FILTER (label = 'reject') AS rejects
        FROM counted_labels GROUP BY detection_id ORDER BY min(labelled_at), detection_id
    """)


def not_now(store: Reads) -> set[str]:
    """Detections that are on some screen or were skipped, so that no batch should offer them."""
    rows = store.rows("SELECT DISTINCT detection_id FROM handouts WHERE skipped_at IS NOT NULL")
    return {row["detection_id"] for row in rows}


def log_length(store: Reads) -> int:
    """How many rows the log of labels has."""
    return int(store.rows("SELECT count(*) AS n FROM labels")[0]["n"])


def keep_ranking(store: Store, ranking: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    """Append a ranking with its rows, and drop the rows of all but the two newest."""
    store.write({"rankings": [ranking], "ranking_rows": list(rows)})

    def drop(connection: Connection) -> int:
        gone = select(
            connection,
            """
            DELETE FROM ranking_rows WHERE ranking_id NOT IN (
                SELECT ranking_id FROM rankings ORDER BY number DESC LIMIT 2)
            RETURNING 1 AS gone
            """,
        )
        return int(gone.num_rows)

    store.transaction(drop, changed=lambda _: False)


def latest(store: Reads) -> Row | None:
    """The newest ranking, None before the first."""
    return only_row(store.rows("SELECT * FROM rankings ORDER BY number DESC LIMIT 1"))


def rankings(store: Reads, limit: int = 60) -> list[Row]:
    """List the rankings, newest first."""
    return store.rows("SELECT * FROM rankings ORDER BY number DESC LIMIT $1", [limit])


def changes(store: Reads, top: int = 20) -> list[Row]:
    """List who entered, left or moved in the `top` places between the two newest rankings.

    `before` and `after` are places from 1, None beyond those that are kept (1000).
    """
    return store.rows(
        """
        WITH two AS (SELECT ranking_id, row_number() OVER (ORDER BY number DESC) AS age
                     FROM rankings QUALIFY age <= 2),
        a AS (SELECT r.* FROM ranking_rows r JOIN two USING (ranking_id) WHERE age = 1),
        b AS (SELECT r.* FROM ranking_rows r JOIN two USING (ranking_id) WHERE age = 2),
        places AS (
            SELECT coalesce(a.detection_id, b.detection_id) AS detection_id, b.place AS before,
                   a.place AS after, a.interest
            FROM a FULL JOIN b ON a.detection_id = b.detection_id
            WHERE (SELECT count(*) FROM two) = 2
        )
        SELECT CASE WHEN coalesce(before, $1 + 1) > $1 THEN 'enters'
                    WHEN coalesce(after, $1 + 1) > $1 THEN 'leaves'
                    WHEN after < before THEN 'rises' ELSE 'falls' END AS change,
               p.*, d.verdict, d.p_value, d.cutout_file, d.frame_digest, o.object_id
        FROM places p JOIN detections d USING (detection_id)
        LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
        WHERE least(before, after) <= $1 AND before IS DISTINCT FROM after
        ORDER BY list_position(['enters', 'leaves', 'rises', 'falls'], change),
                 coalesce(after, before), p.detection_id
        """,
        [top],
    )


def yields(store: Reads) -> list[Row]:
    """Count, for each reason in the two newest batches, what people made of it so far."""
    return store.rows("""
        SELECT r.reason, count(DISTINCT r.detection_id) AS offered,
               count(DISTINCT l.detection_id) AS labelled,
               count(DISTINCT l.detection_id) FILTER (l.label = 'accept') AS accepted
        FROM ranking_rows r LEFT JOIN counted_labels l USING (detection_id)
        WHERE r.turn IS NOT NULL GROUP BY r.reason ORDER BY r.reason
    """)
