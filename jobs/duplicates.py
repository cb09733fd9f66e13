"""Near duplicates: frames that show what a stored one shows, kept as links and not stored again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from db.likeness import look_alikes, signed
from db.store import Store
from engine.frame import Frame
from engine.likeness import correlation, may_be_the_same
from jobs.ids import stable_id
from jobs.records import Record
from jobs.sources.source import Item, Offer


@dataclass(frozen=True)
class NearDuplicates:
    """When two frames are taken for one: `bits` of the hash that may differ (-1: never)."""

    bits: int = 3
    correlation: float = 0.995

    def of(self, store: Store, offer: Offer) -> tuple[str, int, float] | None:
        """The stored frame that an offer's frame nearly is: digest, distance, correlation."""
        frame, likeness = offer.frame, offer.likeness
        if frame is None or likeness is None or self.bits < 0 or not any(likeness.thumbnail):
            return None
        mine = np.array(likeness.thumbnail)
        near = look_alikes(store, likeness.hash, self.bits, height=frame.height, width=frame.width)
        for row in near:
            alike = correlation(mine, np.array(row["thumbnail"], dtype=np.float64))
            if alike >= self.correlation and may_be_the_same(frame, row):
                return row["frame_digest"], int(row["distance_bits"]), alike
        return None


def add_likeness(record: Record, offer: Offer) -> None:
    """Keep what a new frame looks like."""
    if offer.frame is not None and offer.likeness is not None:
        record.row(
            "frame_likeness",
            frame_digest=offer.frame.digest,
            hash=signed(offer.likeness.hash),
            thumbnail=np.array(offer.likeness.thumbnail, dtype=np.float32),
        )


def add_link(
    record: Record,
    item: Item,
    frame: Frame,
    found: tuple[str, int, float],
    source: str,
    now: datetime,
) -> None:
    """Keep that a frame came in and which stored one it nearly is."""
    digest, distance, alike = found
    origin = frame.origin
    record.row(
        "near_duplicates",
        link_id=stable_id("near", digest, frame.digest, source, item.uri, origin.part),
        frame_digest=digest,
        other_digest=frame.digest,
        source=source,
        uri=item.uri,
        part=origin.part,
        object_id=origin.object_id,
        ra_deg=origin.ra_deg,
        dec_deg=origin.dec_deg,
        mjd=origin.mjd,
        distance_bits=distance,
        correlation=min(alike, 1.0),
        seen_at=now,
    )
