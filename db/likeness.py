"""Frames that look like a new one: found by hash, told apart by what is kept of them."""

from __future__ import annotations

from typing import Any

from db.store import Store

HALF = 1 << 63


def signed(value: int) -> int:
    """An unsigned 64-bit number as the signed one with the same bits, as a BIGINT holds it."""
    return value - 2 * HALF if value >= HALF else value


def look_alikes(
    store: Store, value: int, bits: int, *, height: int, width: int, limit: int = 20
) -> list[dict[str, Any]]:
    """Frames whose hash differs from `value` (unsigned, 64 bits) in at most `bits`.

    Only frames of the same shape, with hash distance, thumbnail and first observation's mjd, band
    and position; nearest first.
    """
    return store.rows(
        """SELECT l.frame_digest, bit_count(xor(l.hash, $1::BIGINT)) AS distance_bits,
                  l.thumbnail, o.mjd, o.band, o.ra_deg, o.dec_deg
           FROM frame_likeness l JOIN frames f USING (frame_digest)
           JOIN observations o USING (frame_digest)
           WHERE bit_count(xor(l.hash, $1::BIGINT)) <= $2 AND f.height = $3 AND f.width = $4
           ORDER BY distance_bits, l.frame_digest LIMIT $5""",
        [signed(value), bits, height, width, limit],
    )
