"""Files of a list: each format read back by the reader that people use."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import votable

from db.queries import anomalies
from db.queries.wanted import Wanted
from db.store import Store
from jobs.candidate_files import FORMATS, write_list
from jobs.errors import UsageError
from tests.store_factory import fill

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(tmp_path_factory.mktemp("night")) as store:
        fill(store, frames=4, per_frame=4)
        yield store


@pytest.fixture(scope="module")
def table(night: Store) -> Any:
    return anomalies.listed(night)


def test_csv_gives_every_number_back_bit_by_bit(table: Any) -> None:
    read = list(csv.DictReader(io.StringIO(write_list(table, "csv").decode(), newline="")))
    rows = table.to_pylist()
    assert len(read) == len(rows) == 12
    for cells, row in zip(read, rows, strict=True):
        assert cells["object_id"] == row["object_id"]
        assert cells["detected_at"] == row["detected_at"].isoformat()
        for name in ("p_value", "ra_deg", "snr"):
            assert (None if cells[name] == "" else float(cells[name])) == row[name]


def test_json_keeps_unknown_as_null_and_says_what_it_was_narrowed_to(table: Any) -> None:
    read = json.loads(write_list(table, "json", "verdict=candidate"))
    assert (read["query"], read["count"]) == ("verdict=candidate", 12)
    rows = table.to_pylist()
    assert [row["p_value"] for row in read["rows"]] == [row["p_value"] for row in rows]
    assert {row["calibration_expired"] for row in read["rows"]} == {False}


def test_parquet_keeps_types_and_rows(table: Any) -> None:
    read = pq.read_table(io.BytesIO(write_list(table, "parquet", "q=ring")))
    assert read.to_pylist() == table.to_pylist()
    assert read.schema.metadata[b"query"] == b"q=ring"


def test_votable_has_units_and_masks_what_is_unknown(table: Any) -> None:
    found = votable.parse(io.BytesIO(write_list(table, "votable", "q=<ring>")))
    first = found.get_first_table()
    read, rows = first.to_table(), table.to_pylist()
    assert str(read["ra_deg"].unit) == "deg"
    assert first.get_field_by_id_or_name("ra_deg").ucd == "pos.eq.ra;meta.main"
    assert [str(value) for value in read["detection_id"]] == [r["detection_id"] for r in rows]
    assert [str(value) for value in read["object_id"]] == [r["object_id"] for r in rows]
    p_values = [None if value is None else float(value) for value in read["p_value"].tolist()]
    assert p_values == [row["p_value"] for row in rows]
    assert [int(value) for value in read["accepts"]] == [row["accepts"] for row in rows]


def test_regions_have_a_circle_for_each_place_in_order(table: Any) -> None:
    text = write_list(table, "ds9").decode()
    circles = re.findall(r"circle\(([\d.]+),([+-][\d.]+),([\d.]+)\"\)", text)
    placed = [row for row in table.to_pylist() if row["ra_deg"] is not None]
    assert [float(ra) for ra, _, _ in circles] == pytest.approx(
        [r["ra_deg"] for r in placed], abs=1e-6, rel=0
    )
    assert "\nicrs\n" in text
    assert "<img" not in write_list(table, "votable").decode()


def test_regions_say_how_many_have_no_place(night: Store) -> None:
    table = anomalies.listed(night).slice(0, 3)
    index = table.column_names.index("ra_deg")
    nowhere = table.set_column(index, "ra_deg", pa.array([None, 1.0, None], pa.float64()))
    text = write_list(nowhere, "ds9").decode()
    assert "# 2 detections without a place on the sky are left out" in text
    assert text.count("circle(") == 1


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_an_empty_list_is_a_file_too(night: Store, name: str) -> None:
    assert write_list(anomalies.listed(night, Wanted(text="no such thing")), name)


def test_another_format_is_refused(table: Any) -> None:
    with pytest.raises(UsageError, match="format must be one of csv, json"):
        write_list(table, "xls")
