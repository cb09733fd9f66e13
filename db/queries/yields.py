"""What each source yields: candidates a frame, and how many of them people confirmed."""

from __future__ import annotations

from db.queries.paging import Reads, Row


def source_yields(store: Reads) -> list[Row]:
    """List every source that has frames, by verified candidates a frame, best first.

    `candidates` are current detections that the machine holds for such; `accepted` and `rejected`
    count those of them that more people said so of than the contrary; `verified_share` is accepted
    over both, None before anybody judged one; `candidates_per_100` is over the source's frames.
    """
    return store.rows("""
        WITH seen AS (
            SELECT DISTINCT source, frame_digest FROM intake
            WHERE outcome = 'stored' AND frame_digest IS NOT NULL
        ),
        said AS (
            SELECT detection_id, sum(CASE label WHEN 'accept' THEN 1 WHEN 'reject' THEN -1
                                     ELSE 0 END) AS vote
            FROM current_labels GROUP BY detection_id
        ),
        found AS (
            SELECT d.frame_digest, count(*) AS candidates,
                   count(*) FILTER (s.vote > 0) AS accepted,
                   count(*) FILTER (s.vote < 0) AS rejected
            FROM detections d JOIN current_runs USING (run_id)
            LEFT JOIN said s USING (detection_id)
            WHERE d.verdict = 'candidate' GROUP BY d.frame_digest
        )
        SELECT source, count(*) AS frames,
               coalesce(sum(f.candidates), 0)::BIGINT AS candidates,
               coalesce(sum(f.accepted), 0)::BIGINT AS accepted,
               coalesce(sum(f.rejected), 0)::BIGINT AS rejected,
               100.0 * coalesce(sum(f.candidates), 0) / count(*) AS candidates_per_100,
               sum(f.accepted) / nullif(sum(f.accepted) + sum(f.rejected), 0) AS verified_share
        FROM seen LEFT JOIN found f USING (frame_digest)
        GROUP BY source
        ORDER BY coalesce(verified_share, 0.5) * candidates_per_100 DESC, source
    """)
