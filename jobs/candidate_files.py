"""A list of detections as a file: CSV, JSON, Parquet, VOTable or DS9 regions."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.errors import UsageError
from jobs.regions import ds9_regions

UNITS = {
    "x": "pix", "y": "pix", "size_px": "pix", "ra_deg": "deg", "dec_deg": "deg",
    "radius_arcsec": "arcsec", "mjd": "d",
}  # fmt: skip
UCDS = {"detection_id": "meta.id;meta.main", "ra_deg": "pos.eq.ra;meta.main",
        "dec_deg": "pos.eq.dec;meta.main", "p_value": "stat.probability",
        "snr": "stat.snr", "mjd": "time.epoch"}  # fmt: skip


@dataclass(frozen=True)
class Format:
    """How a list is written: its media type, the ending of its name, and the writer."""

    media_type: str
    ending: str
    write: Callable[[pa.Table, str], bytes]


def write_list(table: pa.Table, name: str, address: str = "") -> bytes:
    """Write the rows of `db.queries.anomalies.listed` in the format `name`.

    `address` says what the list was narrowed to and is kept where the format has a place for it.
    Raises UsageError for another format.
    """
    return format_named(name).write(table, address)


def format_named(name: str) -> Format:
    """The format of a name. Raises UsageError where there is none such."""
    if name not in FORMATS:
        raise UsageError(f"format must be one of {', '.join(FORMATS)}, got {name!r}")
    return FORMATS[name]


def _csv(table: pa.Table, _address: str) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(table.column_names)
    for batch in table.to_batches(max_chunksize=5000):
        columns = [[_cell(value) for value in column.to_pylist()] for column in batch.columns]
        writer.writerows(zip(*columns, strict=True))
    return stream.getvalue().encode()


def _json(table: pa.Table, address: str) -> bytes:
    rows = [{name: _plain(value) for name, value in row.items()} for row in table.to_pylist()]
    return json.dumps({"query": address, "count": len(rows), "rows": rows}, indent=1).encode()


def _parquet(table: pa.Table, address: str) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"query": address}), stream)
    return stream.getvalue()


def _votable(table: pa.Table, address: str) -> bytes:
    """VOTable 1.4 with units and UCDs; what is unknown is masked, times are ISO 8601 in UTC."""
    from astropy.io.votable import from_table
    from astropy.table import MaskedColumn, Table

    columns = []
    for name in table.column_names:
        values = [_plain(value) for value in table.column(name).to_pylist()]
        unknown = [value is None for value in values]
        kind, filler = _kind(table.schema.field(name).type)
        filled = [filler if value is None else kind(value) for value in values]
        mask = unknown if any(unknown) else False
        column = MaskedColumn(filled, name=name, mask=mask, unit=UNITS.get(name), dtype=kind)
        columns.append(column)
    made = from_table(Table(columns), table_id="detections")
    resource = made.resources[0]
    resource.description = f"Detections of skysieve. {address}".strip()
    for field in resource.tables[0].fields:
        field.ucd = UCDS.get(field.name)
    stream = io.BytesIO()
    made.to_xml(stream)
    return stream.getvalue()


def _ds9(table: pa.Table, _address: str) -> bytes:
    rows: list[Mapping[str, Any]] = [
        {**row, "state": row["catalogue_state"]}
        for row in table.to_pylist()
        if row["ra_deg"] is not None
    ]
    left_out = table.num_rows - len(rows)
    note = f"# {left_out} detections without a place on the sky are left out\n" if left_out else ""
    return (ds9_regions(rows) + note).encode()


def _kind(arrow: pa.DataType) -> tuple[type, Any]:
    """The Python type of a column, and what stands where nothing is known."""
    if pa.types.is_boolean(arrow):
        return bool, False
    if pa.types.is_integer(arrow):
        return int, 0
    if pa.types.is_floating(arrow):
        return float, float("nan")
    return str, ""


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _cell(value: Any) -> Any:
    """A value as a cell: numbers in full, nothing for what is unknown."""
    if isinstance(value, float):
        return repr(value)
    return "" if value is None else _plain(value)


FORMATS = {
    "csv": Format("text/csv; charset=utf-8", ".csv", _csv),
    "json": Format("application/json", ".json", _json),
    "parquet": Format("application/vnd.apache.parquet", ".parquet", _parquet),
    "votable": Format("application/x-votable+xml", ".vot", _votable),
    "ds9": Format("text/plain; charset=utf-8", ".reg", _ds9),
}
