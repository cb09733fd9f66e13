from __future__ import annotations

from datetime import timedelta

import pytest

from db.queries import sky
from db.store import Store
from tests.db.queries import rows
from tests.store_factory import NOW


def placed(store: Store, *places: tuple[float, float], verdict: str = "normal") -> None:
    store.write(
        {
            "runs": [rows.run("r", "f")],
            "detections": [
                rows.detection(f"{verdict}{number}", ra_deg=ra, dec_deg=dec, verdict=verdict)
                for number, (ra, dec) in enumerate(places)
            ],
        }
    )


def test_a_cell_counts_what_lies_in_it(store: Store) -> None:
    placed(store, (10.0, 1.0), (10.1, 1.1), (200.0, -70.0))
    placed(store, (10.2, 1.2), verdict="candidate")
    far, near = sky.cells(store)
    assert (near["n"], near["candidates"], far["n"]) == (3, 1, 1)
    # 45 rings of 4 degrees; the middle one has 90 cells of 4 degrees.
    assert (near["ra_deg"], near["dec_deg"]) == pytest.approx((10.0, 0.0))
    # The ring from -70 to -66 has round(90 cos 68) = 34 cells; RA 200 is in the 19th.
    assert (far["ra_deg"], far["dec_deg"]) == pytest.approx((18.5 * 360 / 34, -68.0))


def test_poles_and_the_seam_are_places_like_others(store: Store) -> None:
    placed(store, (0.0, 90.0), (359.999, -90.0), (360.0, 0.0), (-0.5, 0.0))
    assert sum(row["n"] for row in sky.cells(store)) == 4
    assert all(0 <= row["ra_deg"] < 360 and -90 < row["dec_deg"] < 90 for row in sky.cells(store))


def test_a_field_reaches_over_the_seam(store: Store) -> None:
    placed(store, (359.5, 0.0), (0.5, 0.0), (10.0, 0.0))
    assert len(sky.field(store, 0.0, 0.0, 2.0)) == 2


def test_candidates_without_a_place_are_not_on_the_map(store: Store) -> None:
    store.write(
        {
            "runs": [rows.run("r", "f")],
            "detections": [
                rows.detection("a", verdict="candidate", ra_deg=1.0, dec_deg=1.0, p_value=0.01),
                rows.detection("b", verdict="candidate", ra_deg=None, dec_deg=None),
                rows.detection("c", verdict="candidate", ra_deg=2.0, dec_deg=1.0, p_value=0.001),
            ],
        }
    )
    assert [row["detection_id"] for row in sky.best_placed(store)] == ["c", "a"]


@pytest.mark.parametrize(("days", "step"), [(1, "hour"), (30, "day"), (300, "month")])
def test_the_time_line_is_as_fine_as_it_can_be(store: Store, days: int, step: str) -> None:
    store.write(
        {
            "runs": [rows.run("r", "f")],
            "detections": [
                rows.detection("a", detected_at=NOW),
                rows.detection("b", detected_at=NOW + timedelta(days=days)),
            ],
        }
    )
    found = sky.time_line(store)
    assert [(row["step"], row["n"]) for row in found] == [(step, 1), (step, 1)]
