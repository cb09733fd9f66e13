"""Clusters of the current detections with their names, and stored maps of search vectors."""

from __future__ import annotations

from db.queries.paging import Reads, Row


def clusters(store: Reads) -> list[Row]:
    """List the current clusters, the largest first, with their name and who gave it when.

    `size` counts current detections, `verdicts` how many of them are candidates; `cutout_file` is
    that of the detection nearest to the centre.
    """
    return store.rows(
        """
        SELECT c.cluster_key, c.cluster_id, c.clustering_id, c.number, c.example,
               g.embedder, g.made_at, n.name, n.named_by, n.named_at,
               count(d.detection_id) AS size,
               count(d.detection_id) FILTER (d.verdict = 'candidate') AS candidates,
               any_value(x.cutout_file) AS cutout_file
        FROM clusters c
        JOIN current_clusterings g ON g.clustering_id = c.clustering_id
        LEFT JOIN current_cluster_names n ON n.cluster_key = c.cluster_key
        LEFT JOIN cluster_members m ON m.cluster_id = c.cluster_id
        LEFT JOIN (SELECT detection_id, verdict FROM detections JOIN current_runs USING (run_id)) d
               ON d.detection_id = m.detection_id
        LEFT JOIN detections x ON x.detection_id = c.example
        GROUP BY ALL ORDER BY size DESC, g.embedder, c.number
        """
    )


def clusterings(store: Reads) -> list[Row]:
    """List the clusterings that hold, the newest first, with what has come in since."""
    return store.rows(
        """
        SELECT g.*, (SELECT count(*) FROM clusters c WHERE c.clustering_id = g.clustering_id)
               AS clusters
        FROM current_clusterings g ORDER BY made_at DESC, clustering_id
        """
    )


def maps(store: Reads) -> list[Row]:
    """List the maps that hold, those with the most detections first."""
    return store.rows("SELECT * FROM current_maps ORDER BY detections DESC, method, map_id")


def map_points(store: Reads, map_id: str, limit: int) -> list[Row]:
    """List points of a map with what colours them: what is no normal first, then by chance.

    The chance is a hash of the id, so that the same points come every time.
    """
    return store.rows(
        """
        SELECT m.detection_id, m.x, m.y, d.verdict, d.p_value, d.class_name, o.object_id, o.source,
               coalesce(n.name, CASE WHEN c.cluster_key IS NULL THEN 'alone'
                                     ELSE 'cluster ' || (k.number + 1) END) AS cluster
        FROM map_points m
        JOIN detections d ON d.detection_id = m.detection_id
        JOIN current_runs r ON r.run_id = d.run_id
        LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
        LEFT JOIN current_cluster_members c ON c.detection_id = d.detection_id
        LEFT JOIN clusters k ON k.cluster_id = c.cluster_id
        LEFT JOIN current_cluster_names n ON n.cluster_key = c.cluster_key
        WHERE m.map_id = $1
        ORDER BY d.verdict = 'normal', hash(m.detection_id), m.detection_id LIMIT $2
        """,
        [map_id, limit],
    )
