"""Cosmic-ray masks as people left them: the model's at a threshold, with the edits that hold."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from db.mask_edits import Region, add_edit
from db.queries import cosmicrays, mask_edits
from db.store import Store
from engine.frame import Mask
from engine.masks import EditedMask, MaskEdit, connected_groups, edited
from engine.writing import write_fits
from jobs.errors import UsageError
from jobs.frames import frame_of
from jobs.packing import pack_arrays, unpack_arrays

Row = Mapping[str, Any]
PROBABILITY = "probability"
REGION = "region"


def probability_of(store: Store, run: Row) -> NDArray[np.float16]:
    """The stored probability map of a run, float16 (H, W)."""
    return unpack_arrays(store.files.get(run["probability_array"]))[PROBABILITY]


def edited_mask(store: Store, run: Row, threshold: float | None = None) -> EditedMask:
    """The mask of a run's frame at `threshold` (by default the run's) with the edits that hold."""
    mask = probability_of(store, run) > (run["threshold"] if threshold is None else threshold)
    return edited(mask, edits_of(store, mask_edits.edits_of_frame(store, run["frame_digest"])))


def edits_of(store: Store, rows: Iterable[Row]) -> list[MaskEdit]:
    """The rows of a frame's log that hold, with their pixels."""
    return [
        MaskEdit(row["action"], row["y0"], row["x0"], _bits(store, row))
        for row in rows
        if row["current"]
    ]


def region_of(store: Store, pixels: NDArray[np.int64], width: int) -> Region:
    """Keep pixels, flat indices into a frame `width` wide, as a region. Raises UsageError if none.

    A region that fills its rectangle needs no file.
    """
    if not pixels.size:
        raise UsageError("an edit needs at least one pixel: choose a group or draw a region")
    rows, columns = np.divmod(pixels, width)
    y0, x0 = int(rows.min()), int(columns.min())
    bits = np.zeros((int(rows.max()) - y0 + 1, int(columns.max()) - x0 + 1), dtype=np.bool_)
    bits[rows - y0, columns - x0] = True
    file = None if bits.all() else store.files.put(pack_arrays(**{REGION: bits}))
    return Region(y0, x0, bits.shape[0], bits.shape[1], file)


def whole_region(store: Store, mask: Mask) -> Region:
    """Keep a whole frame's mask, as a confirmation needs it."""
    height, width = mask.shape
    return Region(0, 0, height, width, store.files.put(pack_arrays(**{REGION: mask})))


def edit_from(store: Store, document: Row, *, edit_id: str, now: datetime) -> dict[str, Any]:
    """Write the edit that a script describes: a rectangle, the group at a pixel, or a whole frame.

    Raises UsageError where the description lacks something, StoreError as `add_edit` does.
    """
    run = _current_run(store, str(document["frame_digest"]))
    threshold = document.get("threshold")
    threshold = float(run["threshold"] if threshold is None else threshold)
    return add_edit(
        store,
        edit_id=edit_id,
        frame_digest=run["frame_digest"],
        action=str(document["action"]),
        region=_described_region(store, run, document, threshold),
        editor=str(document["editor"]),
        run_id=run["run_id"],
        threshold=threshold,
        comment=str(document.get("comment", "")),
        now=now,
    )


def mask_fits(store: Store, frame_digest: str) -> bytes:
    """The edited mask of a frame as a FITS file, fit for training.

    SCI is the frame as taken, MASK 1 on cosmic rays with the edits, MODEL the mask without them,
    JUDGED 1 where a person spoke, PROB the probability. Raises UsageError without a run.
    """
    run = _current_run(store, frame_digest)
    frame = frame_of(store, frame_digest)
    probability = probability_of(store, run)
    model = probability > run["threshold"]
    rows = mask_edits.edits_of_frame(store, frame_digest)
    said = edited(model, edits_of(store, rows))
    images = {
        "SCI": frame.pixels.reshape(model.shape),
        "MASK": said.mask,
        "MODEL": model,
        "JUDGED": said.judged,
        "PROB": probability.astype(np.float32),
    }
    cards = {
        "FRAMESHA": frame_digest,
        "CRMODEL": run["model_digest"],
        "CRTHRESH": run["threshold"],
        "NEDITS": sum(row["current"] for row in rows),
        "CONFIRMD": any(row["current"] and row["action"] == "confirm" for row in rows),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mask.fits"
        write_fits(path, images, header=frame.header, cards=cards)
        return path.read_bytes()


def _current_run(store: Store, frame_digest: str) -> dict[str, Any]:
    run = cosmicrays.cosmic_ray_run(store, frame_digest)
    if run is None:
        raise UsageError(
            f"no cosmic-ray run on the image {frame_digest!r}: list runs with "
            "GET /api/runs?pipeline=cosmicrays"
        )
    return run


def _described_region(store: Store, run: Row, document: Row, threshold: float) -> Region:
    if document["action"] == "confirm":
        return whole_region(store, edited_mask(store, run, threshold).mask)
    if {"y", "x"} <= document.keys():
        y, x = (_whole_number(document, name) for name in ("y", "x"))
        groups = connected_groups(edited_mask(store, run, threshold).mask)
        inside = 0 <= y < groups.shape[0] and 0 <= x < groups.shape[1]
        group = groups.at(y, x) if inside else None
        if group is None:
            raise UsageError(f"no masked pixel at row {y}, column {x} at threshold {threshold:g}")
        return region_of(store, groups.members(group), groups.shape[1])
    corners = ("y0", "x0", "height", "width")
    if not document.keys() >= set(corners):
        raise UsageError(
            "say where: y0, x0, height and width of a rectangle, or y and x of a masked pixel "
            "whose group is meant"
        )
    y0, x0, height, width = (_whole_number(document, name) for name in corners)
    return Region(y0, x0, height, width)


def _whole_number(document: Row, name: str) -> int:
    value = document[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"{name} must be a whole number of pixels, got {value!r}")
    return value


def _bits(store: Store, row: Row) -> Mask:
    if row["region_file"] is None:
        return np.ones((row["height"], row["width"]), dtype=np.bool_)
    bits: Mask = unpack_arrays(store.files.get(row["region_file"]))[REGION]
    return bits
