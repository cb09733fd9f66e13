"""Whether vectors changed: what is made of them is kept until they do."""

from __future__ import annotations

from db.queries.paging import Reads


def fingerprint(store: Reads) -> str:
    """A text that changes when other detections or vectors are current."""
    row = store.rows("""
        SELECT (SELECT count(*) FROM embeddings) AS vectors, (SELECT count(*) FROM runs) AS runs,
               (SELECT max(finished_at) FROM runs) AS newest,
               (SELECT count(*) FROM run_recalls) AS recalls,
               (SELECT max(recalled_at) FROM run_recalls) AS recalled_at,
               (SELECT count(*) FROM vector_parts) AS parts
    """)[0]
    return "/".join(str(value) for value in row.values())
