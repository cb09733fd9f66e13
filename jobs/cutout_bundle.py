"""Cutouts of a list of detections in one FITS file, each with its own WCS where the frame has one.

The file begins with an empty primary, then the binary table CATALOG with all rows of the list in
its order, then one image extension a detection, frame by frame, under the EXTNAME that the table
gives in `cutout`: the pixels as they were measured, NaN where they are bad or beyond the frame.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from db.errors import StoreError
from db.queries import anomalies
from db.store import Store
from jobs.addresses import wanted_of
from jobs.errors import UsageError
from jobs.frames import frame_of
from jobs.pool import Workers

BLOCK = 2880
KEPT = 10
CARDS = {
    "DETID": ("detection_id", "detection of skysieve"),
    "OBJECT": ("object_id", ""),
    "VERDICT": ("verdict", "the machine's verdict"),
    "PVALUE": ("p_value", "p-value against held-out normals"),
    "SNR": ("snr", "signal to noise"),
    "FRAME": ("frame_digest", "sha256 of the frame"),
    "FRAME_X": ("x", "[pix] centre on the frame, 0-based"),
    "FRAME_Y": ("y", "[pix] centre on the frame, 0-based"),
}
Progress = Callable[[int, int], object]


def export_cutouts(
    store: Store, workers: Workers, home: Path, request: Mapping[str, Any], progress: Progress
) -> dict[str, Any]:
    """Carry an "export" request out: its payload is the query of a list's address.

    The file lies under `home`/exports by the request's id; of older ones the newest ten stay.
    """
    wanted, sort = wanted_of(request["payload"])
    folder = home / "exports"
    target = folder / f"{request['request_id']}.fits"
    table = anomalies.listed(store, wanted, sort)
    written = write_bundle(store, workers, table, target, progress=progress)
    for old in sorted(folder.glob("*.fits"), key=lambda path: -path.stat().st_mtime)[KEPT:]:
        old.unlink(missing_ok=True)
    return {**written, "file": target.name}


def write_bundle(
    store: Store, workers: Workers, table: pa.Table, target: Path, *, progress: Progress
) -> dict[str, int]:
    """Write the bundle of the rows of `db.queries.anomalies.listed` to `target`.

    Frames are read one after the other, so that the file may be larger than the memory. A frame
    whose pixels were given up or cannot be read leaves its detections in the table alone, counted
    in `without_pixels`. Raises UsageError for an empty list.
    """
    rows = [row | {"cutout": extension_name(row["detection_id"])} for row in table.to_pylist()]
    if not rows:
        raise UsageError("nothing fits these filters, so there is nothing to export")
    partial, done, without = target.with_suffix(".partial"), 0, 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("wb") as stream:
        stream.write(workers.run(head, rows))
        for frame_digest, of_frame in by_frame(rows).items():
            try:
                frame = frame_of(store, frame_digest)
            except (StoreError, UsageError):
                without += len(of_frame)
            else:
                stream.write(workers.run(extensions, frame, of_frame))
            done += len(of_frame)
            progress(done, len(rows))
    partial.replace(target)
    return {"rows": len(rows), "cutouts": len(rows) - without, "without_pixels": without,
            "bytes": target.stat().st_size}  # fmt: skip


def by_frame(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The rows of each frame, frames in the order of their first row."""
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        grouped.setdefault(row["frame_digest"], []).append(row)
    return grouped


def head(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """In a worker: the empty primary and the table CATALOG."""
    from astropy.io import fits

    columns = []
    for name in rows[0]:
        values = [row[name] for row in rows]
        known = [value for value in values if value is not None]
        if known and all(isinstance(value, bool) for value in known):
            columns.append(fits.Column(name, "L", array=np.array([bool(v) for v in values])))
        elif known and all(isinstance(value, int | float) for value in known):
            numbers = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
            columns.append(fits.Column(name, "D", array=numbers))
        else:
            texts = [_ascii("" if value is None else value) for value in values]
            width = max(1, *map(len, texts))
            columns.append(fits.Column(name, f"{width}A", array=np.array(texts)))
    stream = io.BytesIO()
    catalogue = fits.BinTableHDU.from_columns(columns, name="CATALOG")
    fits.HDUList([fits.PrimaryHDU(), catalogue]).writeto(stream)
    return stream.getvalue()


def extensions(frame: Any, rows: Sequence[Mapping[str, Any]]) -> bytes:
    """In a worker: an image extension for each detection on one frame."""
    return b"".join(_extension(frame, row) for row in rows)


def _extension(frame: Any, row: Mapping[str, Any]) -> bytes:
    from astropy.io import fits
    from astropy.nddata import Cutout2D

    from engine.finder import cutout_wcs

    planes = np.where(frame.mask, np.float32(np.nan), frame.pixels)
    place, size = (row["x"], row["y"]), (row["size_px"], row["size_px"])
    cut = [
        Cutout2D(plane, place, size, mode="partial", fill_value=np.nan).data
        for plane in (planes[None] if planes.ndim == 2 else planes)
    ]
    image = fits.ImageHDU(np.asarray(cut[0] if planes.ndim == 2 else cut, dtype=np.float32))
    wcs = cutout_wcs(frame, row["x"], row["y"], row["size_px"])
    if wcs is not None:
        image.header.update(wcs.to_header(relax=True))
    image.header["EXTNAME"] = extension_name(row["detection_id"])
    image.header["BUNIT"] = _ascii(frame.unit)
    for card, (name, comment) in CARDS.items():
        value = row[name]
        if value is not None:
            image.header[card] = (_ascii(value) if isinstance(value, str) else value, comment)
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
        fits.HDUList([fits.PrimaryHDU(), image]).writeto(stream)
    return stream.getvalue()[BLOCK:]


def extension_name(detection_id: str) -> str:
    """The EXTNAME of a detection's cutout."""
    return f"CUT_{_ascii(detection_id)[:16]}".upper()


def _ascii(value: object) -> str:
    """Printable ASCII, as FITS cards and tables hold it."""
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text)
