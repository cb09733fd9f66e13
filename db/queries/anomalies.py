"""Detections: the ranked list, its facets, and one detection in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from db.errors import StoreError
from db.queries.paging import Page, Reads, Row, only_row, page_of, rows_to_fetch, start_of_page
from db.queries.wanted import Selection, Wanted, selection_of, sort_keys, value_of

EVERYTHING = Wanted()
LISTED_JOINS = """
LEFT JOIN models m ON m.model_digest = r.model_digest
LEFT JOIN clusters u ON u.cluster_id = c.cluster_id
LEFT JOIN current_cluster_names q ON q.cluster_key = c.cluster_key
LEFT JOIN expired_calibrations x ON x.source = o.source AND x.model_digest = r.model_digest
LEFT JOIN (SELECT detection_id, count(*) FILTER (label = 'accept') AS accepts,
                  count(*) FILTER (label = 'reject') AS rejects,
                  count(*) FILTER (label = 'unsure') AS unsures
           FROM current_labels GROUP BY detection_id) s ON s.detection_id = d.detection_id
"""


class Tables(Protocol):
    """What an export needs of the store."""

    def table(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """Return an Arrow table."""
        ...


def page_of_detections(
    store: Reads,
    *,
    limit: int = 50,
    cursor: str | None = None,
    wanted: Wanted = EVERYTHING,
    sort: str = "anomalous",
    verdict: str | None = None,
    source: str | None = None,
    label: str | None = None,
    text: str | None = None,
) -> Page:
    """List the detections of the current runs that are `wanted`, in one of SORTS.

    `verdict`, `source`, `label` and `text` are short for a `wanted` of one value each. The order
    "anomalous" is artefacts after all others, p_value with unknown last, rank_score from high to
    low, detection_id. Rows are those of `detection_cards`.

    Raises StoreError on a cursor, limit, sort or measure that cannot be.
    """
    chosen = selection_of(_with(wanted, verdict, source, label, text))
    keys = sort_keys(sort)
    chosen.reach(*keys)
    where, params = "", list[object]()
    if cursor is not None:
        where = f"AND ({', '.join(keys)}, d.detection_id) > (?::DOUBLE, ?::DOUBLE, ?::DOUBLE, ?)"
        params = start_of_page(cursor, keys=4)
    listed = ", ".join(f"{key} AS key_{number}" for number, key in enumerate(keys))
    rows = store.rows(
        f"SELECT d.detection_id, {listed} {chosen.sql} {where} "
        "ORDER BY key_0, key_1, key_2, d.detection_id LIMIT ?",
        [*chosen.params, *params, rows_to_fetch(limit)],
    )
    page = page_of(rows, limit, ("key_0", "key_1", "key_2", "detection_id"))
    return Page(detection_cards(store, [row["detection_id"] for row in page.rows]), page.next)


def detection_cards(store: Reads, ids: Sequence[str]) -> list[Row]:
    """Return what a list shows of detections, in the order of `ids`; unknown ids are left out.

    `calibration_expired` says that the drift monitor raised its flag over the source and no
    calibration followed; `missed_by_decades` is log10 of a near miss's p-value over the rate that
    candidates are allowed; `state` is what the catalogues' answers add up to.
    """
    if not ids:
        return []
    return store.rows(
        """
        WITH named AS (
            SELECT unnest(?::VARCHAR[]) AS detection_id, unnest(range(?)) AS place
        ), said AS (
            SELECT detection_id, count(*) FILTER (label = 'accept') AS accepts,
                   count(*) FILTER (label = 'reject') AS rejects,
                   count(*) FILTER (label = 'unsure') AS unsures
            FROM current_labels WHERE detection_id IN (SELECT detection_id FROM named)
            GROUP BY detection_id
        )
        SELECT d.*, o.source, o.object_id, coalesce(s.accepts, 0) AS accepts,
               coalesce(s.rejects, 0) AS rejects, coalesce(s.unsures, 0) AS unsures,
               r.model_digest, r.policy_digest, m.name AS model,
               x.source IS NOT NULL AS calibration_expired, n.decades AS missed_by_decades,
               c.cluster_key, coalesce(q.name, 'cluster ' || (k.number + 1)) AS cluster,
               e.conditioned_p_value, e.artefact_probability, i.interest
        FROM named JOIN detections d USING (detection_id)
        LEFT JOIN runs r ON r.run_id = d.run_id
        LEFT JOIN models m USING (model_digest)
        LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
        LEFT JOIN said s ON s.detection_id = d.detection_id
        LEFT JOIN expired_calibrations x
               ON x.source = o.source AND x.model_digest = r.model_digest
        LEFT JOIN near_misses n ON n.detection_id = d.detection_id
        LEFT JOIN current_cluster_members c ON c.detection_id = d.detection_id
        LEFT JOIN clusters k ON k.cluster_id = c.cluster_id
        LEFT JOIN current_cluster_names q ON q.cluster_key = c.cluster_key
        LEFT JOIN detection_evidence e ON e.detection_id = d.detection_id
        LEFT JOIN current_interest i ON i.detection_id = d.detection_id
        ORDER BY named.place
        """,
        [list(ids), len(ids)],
    )


def listed(store: Tables, wanted: Wanted = EVERYTHING, sort: str = "anomalous") -> Any:
    """Return all wanted detections in an order as one Arrow table, with what a file of them says.

    `catalogue_state` is what the catalogues' answers add up to, `radius_arcsec` how far they were
    asked around; `cluster` is the name people gave, or its number.
    """
    chosen = selection_of(wanted)
    keys = sort_keys(sort)
    chosen.reach(*keys, "o.source e.x i.x n.x c.x k.x")
    chosen.more = LISTED_JOINS
    return store.table(
        f"""
        SELECT d.detection_id, o.object_id, o.source, d.frame_digest, d.kind, d.x, d.y, d.size_px,
               d.ra_deg, d.dec_deg, d.flux, d.snr, d.verdict, d.reason, d.p_value, d.rank_score,
               e.conditioned_p_value, n.decades AS missed_by_decades, i.interest,
               d.cosmic_ray_share, e.artefact_probability, e.artefact_kind,
               d.class_name, d.class_probability,
               coalesce(q.name, 'cluster ' || (u.number + 1)) AS cluster, c.cluster_key,
               coalesce(k.state, 'not_asked') AS catalogue_state, k.radius_arcsec,
               coalesce(s.accepts, 0) AS accepts, coalesce(s.rejects, 0) AS rejects,
               coalesce(s.unsures, 0) AS unsures, x.source IS NOT NULL AS calibration_expired,
               m.name AS model, r.model_digest, r.policy_digest, d.embedder, d.reference,
               o.mjd, o.band, o.instrument, o.uri, d.detected_at
        {chosen.sql}
        ORDER BY {", ".join(keys)}, d.detection_id
        """,
        chosen.params,
    )


def ids_of(
    store: Reads, wanted: Wanted = EVERYTHING, sort: str = "anomalous", limit: int | None = None
) -> list[str]:
    """List the ids of all detections that are wanted (`limit` of them at most), in an order."""
    chosen = selection_of(wanted)
    keys = sort_keys(sort)
    chosen.reach(*keys)
    rows = store.rows(
        f"SELECT d.detection_id {chosen.sql} ORDER BY {', '.join(keys)}, d.detection_id LIMIT ?",
        [*chosen.params, 2**62 if limit is None else limit],
    )
    return [row["detection_id"] for row in rows]


def count_of(store: Reads, wanted: Wanted = EVERYTHING) -> int:
    """Count the detections that are wanted."""
    chosen = selection_of(wanted)
    rows = store.rows(f"SELECT count(*) AS n {chosen.sql}", chosen.params)
    return int(rows[0]["n"])


def facet_counts(store: Reads) -> dict[str, dict[str, int]]:
    """Count the current detections by each facet's values, the most frequent first.

    The facets are verdicts, sources, classes, clusters (keys), states, and what people said:
    kinds and grades, under which one detection can count several times.
    """
    counted = {}
    for facet, column in (
        ("verdicts", "d.verdict"),
        ("sources", "o.source"),
        ("classes", "d.class_name"),
        ("clusters", "c.cluster_key"),
        ("states", "coalesce(k.state, 'not_asked')"),
    ):
        chosen = Selection()
        chosen.require(f"{column} IS NOT NULL")
        rows = store.rows(
            f"SELECT {column} AS value, count(*) AS n {chosen.sql} "
            "GROUP BY value ORDER BY n DESC, value",
            chosen.params,
        )
        counted[facet] = {row["value"]: row["n"] for row in rows}
    return counted | _said_counts(store)


def _said_counts(store: Reads) -> dict[str, dict[str, int]]:
    """How many current detections some person called or graded so."""
    counted: dict[str, dict[str, int]] = {}
    for facet, column in (("kinds", "l.kind"), ("grades", "l.grade::VARCHAR")):
        rows = store.rows(
            f"SELECT {column} AS value, count(DISTINCT d.detection_id) AS n "  # noqa: S608
            "FROM current_labels l JOIN detections d USING (detection_id) "
            "JOIN current_runs USING (run_id) WHERE value IS NOT NULL "
            "GROUP BY value ORDER BY n DESC, value"
        )
        counted[facet] = {row["value"]: row["n"] for row in rows}
    return counted


def histogram(
    store: Reads, measure: str, edges: Sequence[float], wanted: Wanted = EVERYTHING
) -> list[Row]:
    """Count wanted detections between `edges` of a measure, each bin closed above.

    The first bin takes its lower edge too; what lies outside counts in no bin. Raises StoreError
    for fewer than two edges, or a measure that does not exist.
    """
    if len(edges) < 2:
        raise StoreError(f"a histogram needs two edges or more, got {len(edges)}")
    value, params = value_of(measure)
    chosen = selection_of(wanted)
    chosen.reach(value)
    rows = store.rows(
        f"WITH given AS (SELECT {value} AS v {chosen.sql}) "  # noqa: S608  no outside text
        "SELECT list_count(list_filter(?::DOUBLE[], lambda edge: edge < v)) AS bin, count(*) AS n "
        "FROM given WHERE v BETWEEN ? AND ? GROUP BY bin",
        [*params, *chosen.params, list(edges), edges[0], edges[-1]],
    )
    counts = [0] * (len(edges) - 1)
    for row in rows:
        counts[max(row["bin"] - 1, 0)] += row["n"]
    return [
        {"low": low, "high": high, "n": n}
        for low, high, n in zip(edges, edges[1:], counts, strict=False)
    ]


def extent(store: Reads, measure: str) -> tuple[float, float] | None:
    """The lowest and highest value of a measure among current detections, None without any."""
    value, params = value_of(measure)
    chosen = Selection()
    chosen.reach(value)
    (row,) = store.rows(
        f"WITH given AS (SELECT {value} AS v {chosen.sql}) "  # noqa: S608  no outside text
        "SELECT min(v) AS low, max(v) AS high FROM given WHERE isfinite(v)",
        params,
    )
    return None if row["low"] is None else (row["low"], row["high"])


def methods(store: Reads) -> list[str]:
    """The names of the scores of which some detection has a percentile."""
    rows = store.rows(
        "SELECT DISTINCT method FROM scores WHERE percentile IS NOT NULL ORDER BY method"
    )
    return [row["method"] for row in rows]


def _with(
    wanted: Wanted, verdict: str | None, source: str | None, label: str | None, text: str | None
) -> Wanted:
    given = {"verdicts": verdict, "sources": source, "labels": label}
    lists: dict[str, Any] = {k: (value,) for k, value in given.items() if value is not None}
    return replace(wanted, **lists, text=text or wanted.text)


def verdict_counts(store: Reads) -> list[Row]:
    """Count the current detections by the machine's verdict, most frequent first."""
    return store.rows("""
        SELECT verdict, count(*) AS n FROM detections JOIN current_runs USING (run_id)
        GROUP BY verdict ORDER BY n DESC, verdict
    """)


def label_counts(store: Reads) -> Row:
    """Count the current detections by what people said; one can count under several labels."""
    return store.rows("""
        SELECT count(DISTINCT d.detection_id) FILTER (l.label = 'accept') AS accept,
               count(DISTINCT d.detection_id) FILTER (l.label = 'reject') AS reject,
               count(DISTINCT d.detection_id) FILTER (l.label = 'unsure') AS unsure,
               count(DISTINCT d.detection_id) FILTER (l.label IS NULL) AS unlabelled
        FROM detections d JOIN current_runs USING (run_id)
        LEFT JOIN current_labels l USING (detection_id)
    """)[0]


def p_values(store: Reads, bins: int = 20) -> list[Row]:
    """Count the current detections in equal bins of p-value over (0, 1]."""
    return store.rows(
        """
        SELECT b.bin / $1::DOUBLE AS low, (b.bin + 1) / $1::DOUBLE AS high, count(d.p_value) AS n
        FROM range($1::BIGINT) b(bin)
        LEFT JOIN (SELECT p_value FROM detections JOIN current_runs USING (run_id)) d
               ON least(ceil(d.p_value * $1), $1) - 1 = b.bin
        GROUP BY b.bin ORDER BY b.bin
        """,
        [bins],
    )


def detection(store: Reads, detection_id: str) -> Row | None:
    """Return one detection with its frame, run, model and policy; `current` says if still shown."""
    return only_row(
        store.rows(
            """
            SELECT d.*, o.source, o.object_id, o.uri, o.mjd, o.band, o.instrument,
                   f.height, f.width, f.preview_file, f.unit,
                   r.pipeline, r.model_digest, r.policy_digest, r.cycle_id, m.name AS model,
                   p.policy, d.run_id IN (SELECT run_id FROM current_runs) AS current,
                   (o.source, r.model_digest) IN (
                       SELECT (source, model_digest) FROM expired_calibrations
                   ) AS calibration_expired,
                   n.decades AS missed_by_decades, n.rate AS candidate_rate,
                   c.cluster_key, coalesce(q.name, 'cluster ' || (k.number + 1)) AS cluster
            FROM detections d
            LEFT JOIN near_misses n ON n.detection_id = d.detection_id
            LEFT JOIN current_cluster_members c ON c.detection_id = d.detection_id
            LEFT JOIN clusters k ON k.cluster_id = c.cluster_id
            LEFT JOIN current_cluster_names q ON q.cluster_key = c.cluster_key
            LEFT JOIN runs r ON r.run_id = d.run_id
            LEFT JOIN frames f ON f.frame_digest = d.frame_digest
            LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
            LEFT JOIN models m USING (model_digest)
            LEFT JOIN policies p USING (policy_digest)
            WHERE d.detection_id = $1
            """,
            [detection_id],
        )
    )


def scores(store: Reads, detection_id: str) -> list[Row]:
    """List every method's score of one detection, most significant first."""
    return store.rows(
        """
        SELECT method, raw, percentile, p_value FROM scores WHERE detection_id = $1
        ORDER BY p_value NULLS LAST, method
        """,
        [detection_id],
    )


def label_log(store: Reads, detection_id: str) -> list[Row]:
    """List all that people said about one detection, oldest first; `current` marks what holds."""
    return store.rows(
        """
        SELECT l.*, l.label_id IN (SELECT label_id FROM current_labels) AS current
        FROM labels l WHERE l.detection_id = $1 ORDER BY l.labelled_at, l.label_id
        """,
        [detection_id],
    )


def neighbours(store: Reads, detection_id: str, limit: int = 8) -> list[Row]:
    """List the current detections whose embeddings point the most nearly the same way.

    `similarity` is the cosine in [-1, 1] between vectors of the same embedder and length.
    """
    return store.rows(
        """
        SELECT d.detection_id, d.verdict, d.p_value, d.class_name, d.cutout_file, o.object_id,
               list_cosine_similarity(e.vector, mine.vector)::DOUBLE AS similarity
        FROM embeddings mine
        JOIN embeddings e ON e.embedder = mine.embedder AND len(e.vector) = len(mine.vector)
                         AND e.detection_id <> mine.detection_id
        JOIN detections d ON d.detection_id = e.detection_id
        JOIN current_runs r USING (run_id)
        LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
        WHERE mine.detection_id = $1
        ORDER BY similarity DESC, d.detection_id LIMIT $2
        """,
        [detection_id, limit],
    )


def detections_of_frame(store: Reads, frame_digest: str) -> list[Row]:
    """List the current detections on one frame, most anomalous first."""
    return store.rows(
        """
        SELECT d.* FROM detections d JOIN current_runs USING (run_id)
        WHERE d.frame_digest = $1
        ORDER BY d.p_value NULLS LAST, d.rank_score DESC NULLS LAST, d.detection_id
        """,
        [frame_digest],
    )
