"""Frames back from the store, for a second look with another model or policy."""

from __future__ import annotations

from db.retention import released_at
from db.store import Store
from engine.frame import Frame
from jobs.errors import UsageError
from jobs.packing import unpack_frame


def frame_of(store: Store, frame_digest: str) -> Frame:
    """The stored frame with the context of its first observation. Raises UsageError if unknown."""
    rows = store.rows(
        """SELECT f.*, o.* EXCLUDE (frame_digest) FROM frames f
           JOIN observations o USING (frame_digest)
           WHERE f.frame_digest = ? ORDER BY o.seen_at, o.observation_id LIMIT 1""",
        [frame_digest],
    )
    if not rows:
        raise UsageError(f"no stored image {frame_digest!r}: list them with GET /api/images")
    given_up = released_at(store, frame_digest)
    if given_up is not None:
        raise UsageError(
            f"the pixels of image {frame_digest} were given up on {given_up:%Y-%m-%d} to keep "
            "within the disk budget; fetch it again from its source, with another budget"
        )
    return unpack_frame(store.files.get(rows[0]["pixels_file"]), rows[0])


def source_of(store: Store, frame_digest: str) -> str:
    """The source that a stored frame was first seen in, which says what is normal for it."""
    rows = store.rows(
        "SELECT source FROM observations WHERE frame_digest = ? ORDER BY seen_at, observation_id "
        "LIMIT 1",
        [frame_digest],
    )
    if not rows:
        raise UsageError(f"no stored image {frame_digest!r}: list them with GET /api/images")
    return str(rows[0]["source"])
