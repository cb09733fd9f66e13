"""Batches of rows as Arrow tables that fit the columns they go into."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from db.errors import StoreError

Row = Mapping[str, Any]
Batch = Mapping[str, Sequence[Row]]
Columns = Mapping[str, str]

_ARROW_TYPES = {
    "VARCHAR": pa.string(),
    "JSON": pa.string(),
    "BOOLEAN": pa.bool_(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", tz="UTC"),
    "FLOAT[]": pa.list_(pa.float32()),
}


@dataclass(frozen=True)
class Part:
    """Rows of one table that name the same columns."""

    table: str
    columns: tuple[str, ...]
    rows: pa.Table


def encode(batch: Batch, schema: Mapping[str, Columns]) -> list[Part]:
    """Turn `batch` (table name -> rows) into Arrow, checked against `schema`.

    A datetime needs a time zone; a NaN in a number column means "no number" and becomes NULL;
    a mapping or sequence in a JSON column becomes its text; a vector column takes any float
    sequence or array of shape (n,). Raises StoreError for an unknown table or column and for a
    value that does not fit.
    """
    parts = []
    for table, rows in batch.items():
        if table not in schema:
            raise StoreError(f"expected a table of the schema, got {table!r}")
        for columns, group in _by_columns(rows).items():
            parts.append(_encode_part(table, columns, group, schema[table]))
    return parts


def _by_columns(rows: Sequence[Row]) -> dict[tuple[str, ...], list[Row]]:
    """Group rows by the columns they name, so that an absent column keeps its default."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(sorted(row)), []).append(row)
    return groups


def _encode_part(table: str, names: tuple[str, ...], rows: list[Row], columns: Columns) -> Part:
    unknown = [name for name in names if name not in columns]
    if unknown or not names:
        got = ", ".join(unknown) or "none"
        raise StoreError(f"expected columns of {table} ({', '.join(columns)}), got {got}")
    arrays = [_encode_column(table, name, [r[name] for r in rows], columns[name]) for name in names]
    return Part(table, names, pa.table(arrays, names=list(names)))


def _encode_column(table: str, name: str, values: list[Any], sql_type: str) -> pa.Array:
    arrow_type = _ARROW_TYPES.get(sql_type)
    if arrow_type is None:
        raise StoreError(f"column {table}.{name} has type {sql_type}, which batches cannot carry")
    if sql_type == "JSON":
        values = [_json_text(value) for value in values]
    elif sql_type == "TIMESTAMP WITH TIME ZONE":
        _require_zones(table, name, values)
    try:
        if sql_type == "FLOAT[]":
            values = [None if v is None else np.asarray(v, dtype=np.float32) for v in values]
        return pa.array(values, type=arrow_type, from_pandas=sql_type == "DOUBLE")
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise StoreError(f"a value does not fit {table}.{name} ({sql_type}): {error}") from error


def _json_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True)


def _require_zones(table: str, name: str, values: list[Any]) -> None:
    for value in values:
        if isinstance(value, datetime) and value.tzinfo is None:
            raise StoreError(
                f"expected a time with its zone in {table}.{name}, got {value.isoformat()}; "
                "make times with datetime.now(UTC)"
            )
