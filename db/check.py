"""Is the store whole? Every reference between tables, and from tables to files."""

from __future__ import annotations

from db.store import Store

# (table, column, table that it refers to, column there); NULL refers to nothing.
REFERENCES = (
    ("observations", "frame_digest", "frames", "frame_digest"),
    ("intake", "frame_digest", "frames", "frame_digest"),
    ("intake", "cycle_id", "cycles", "cycle_id"),
    ("runs", "frame_digest", "frames", "frame_digest"),
    ("runs", "model_digest", "models", "model_digest"),
    ("runs", "policy_digest", "policies", "policy_digest"),
    ("runs", "cycle_id", "cycles", "cycle_id"),
    ("codec_runs", "run_id", "runs", "run_id"),
    ("codec_tiles", "run_id", "codec_runs", "run_id"),
    ("cosmic_ray_runs", "run_id", "runs", "run_id"),
    ("calibration_reports", "model_digest", "models", "model_digest"),
    ("reliability_bins", "report_id", "calibration_reports", "report_id"),
    ("risk_coverage_points", "report_id", "calibration_reports", "report_id"),
    ("detections", "run_id", "runs", "run_id"),
    ("detections", "frame_digest", "frames", "frame_digest"),
    ("scores", "detection_id", "detections", "detection_id"),
    ("embeddings", "detection_id", "detections", "detection_id"),
    ("catalogue_queries", "detection_id", "detections", "detection_id"),
    ("catalogue_matches", "query_id", "catalogue_queries", "query_id"),
    ("catalogue_queries", "cone_id", "catalogue_cones", "cone_id"),
    ("run_recalls", "run_id", "runs", "run_id"),
    ("labels", "detection_id", "detections", "detection_id"),
    ("labels", "undoes", "labels", "label_id"),
    ("mask_edits", "frame_digest", "frames", "frame_digest"),
    ("mask_edits", "run_id", "runs", "run_id"),
    ("mask_edits", "undoes", "mask_edits", "edit_id"),
    ("frame_likeness", "frame_digest", "frames", "frame_digest"),
    ("near_duplicates", "frame_digest", "frames", "frame_digest"),
    ("released_files", "frame_digest", "frames", "frame_digest"),
    ("cycles", "request_id", "requests", "request_id"),
    ("run_events", "cycle_id", "cycles", "cycle_id"),
    ("run_recalls", "cycle_id", "cycles", "cycle_id"),
    ("announcements", "detection_id", "detections", "detection_id"),
    ("announcements", "notification_id", "notifications", "notification_id"),
    ("calibrations", "model_digest", "models", "model_digest"),
    ("interest", "detection_id", "detections", "detection_id"),
    ("interest", "model_digest", "models", "model_digest"),
    ("model_choices", "model_digest", "models", "model_digest"),
    ("model_choices", "training_id", "training_runs", "training_id"),
    ("descriptions", "detection_id", "detections", "detection_id"),
    ("clusters", "clustering_id", "clusterings", "clustering_id"),
    ("clusters", "example", "detections", "detection_id"),
    ("cluster_members", "cluster_id", "clusters", "cluster_id"),
    ("cluster_members", "detection_id", "detections", "detection_id"),
    ("cluster_names", "cluster_key", "clusters", "cluster_key"),
    ("map_points", "map_id", "maps", "map_id"),
    ("map_points", "detection_id", "detections", "detection_id"),
)


def consistency(store: Store) -> list[str]:
    """Return one sentence for each kind of thing that is missing; none when the store is whole.

    Checks that what a row refers to exists, that each successful codec or cosmic-ray run has its
    row of figures, and that each file a row names is there (`Files.get` verifies the content) or
    was given up to keep within the disk budget.
    """
    return [*_dangling(store), *_runs_without_figures(store), *_missing_files(store)]


def _dangling(store: Store) -> list[str]:
    faults = []
    for table, column, parent, key in REFERENCES:
        found = store.rows(
            f"SELECT count(*) AS n, min({column}) AS example FROM {table} "  # noqa: S608
            f"WHERE {column} IS NOT NULL AND {column} NOT IN (SELECT {key} FROM {parent})"
        )[0]
        if found["n"]:
            faults.append(
                f"{table}.{column}: {found['n']} rows refer to no row of {parent}, "
                f"such as {found['example']}"
            )
    return faults


def _runs_without_figures(store: Store) -> list[str]:
    faults = []
    for pipeline, table in (("codec", "codec_runs"), ("cosmicrays", "cosmic_ray_runs")):
        found = store.rows(
            "SELECT count(*) AS n, min(run_id) AS example FROM runs "  # noqa: S608
            f"WHERE pipeline = ? AND status = 'ok' AND run_id NOT IN (SELECT run_id FROM {table})",
            [pipeline],
        )[0]
        if found["n"]:
            faults.append(
                f"runs: {found['n']} successful {pipeline} runs have no row in {table}, "
                f"such as {found['example']}"
            )
    return faults


def _missing_files(store: Store) -> list[str]:
    kept = set(store.files.digests())
    kept |= {row["file_digest"] for row in store.rows("SELECT file_digest FROM released_files")}
    faults = []
    for table, columns in store.tables.items():
        for column in (name for name in columns if name.endswith(("_file", "_array"))):
            named = store.table(
                f"SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL"  # noqa: S608
            )[0].to_pylist()
            missing = sorted(set(named) - kept)
            if missing:
                faults.append(
                    f"{table}.{column}: {len(missing)} files are not on disk, such as {missing[0]}"
                )
    return faults
