"""An answer has three values, and only proof of absence everywhere makes an object unknown."""

from __future__ import annotations

import math

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.catalogues.answer import (
    AnswerState,
    CatalogueAnswer,
    CatalogueMatch,
    Cause,
    Cone,
    chance_coincidence,
    known_state,
)
from jobs.catalogues.cells import CELL_ARCSEC, SLACK_ARCSEC, cell_of, near_arcsec
from jobs.catalogues.listing import NOTHING, Listing, Sighting, answer_from, sight
from jobs.errors import JobError, ServiceError, UsageError

PULSAR = CatalogueMatch("Crab", "Psr", 83.633, 22.014, 1.5)


def answer(state: AnswerState) -> CatalogueAnswer:
    matches = (PULSAR,) if state == "match" else ()
    cause: Cause = "trouble" if state == "not_determined" else ""
    return CatalogueAnswer("ned", state, "late", matches, 83.633, 22.014, 5, cause)


@given(st.lists(st.sampled_from(["match", "no_match", "not_determined"]), max_size=5))
def test_unknown_takes_proof_from_every_service(states: list[AnswerState]) -> None:
    known = known_state([answer(state) for state in states])
    assert (known == "known") == ("match" in states)
    assert (known == "unknown") == (bool(states) and all(state == "no_match" for state in states))


def test_nobody_asked_is_not_determined() -> None:
    assert known_state([]) == "not_determined"


@pytest.mark.parametrize(
    ("ra", "dec", "radius", "says"),
    [
        (0, 91, 5, "declination"),
        (0, math.nan, 5, "declination"),
        (360, 0, 5, "right ascension"),
        (-1, 0, 5, "right ascension"),
        (math.nan, 0, 5, "right ascension"),
        (0, 0, 0, "radius"),
        (0, 0, -1, "radius"),
        (0, 0, math.nan, "radius"),
        (0, 0, math.inf, "radius"),
        (0, 0, 3601, "radius"),
    ],
)
def test_what_cannot_be_asked_is_refused(ra: float, dec: float, radius: float, says: str) -> None:
    with pytest.raises(UsageError, match=says) as refused:
        Cone(ra, dec, radius)
    assert isinstance(refused.value, JobError)


def test_a_state_must_fit_its_matches() -> None:
    with pytest.raises(ValueError, match="does not go with 0 matches"):
        CatalogueAnswer("ned", "match", "", (), 0, 0, 5)
    with pytest.raises(ValueError, match="does not go with 1 matches"):
        CatalogueAnswer("ned", "no_match", "", (PULSAR,), 0, 0, 5)


def test_an_answer_that_is_not_determined_says_why() -> None:
    with pytest.raises(ValueError, match="needs its reason"):
        CatalogueAnswer("ned", "not_determined", "", (), 0, 0, 5, "trouble")
    with pytest.raises(ValueError, match="and its cause"):
        CatalogueAnswer("ned", "not_determined", "late", (), 0, 0, 5)


def test_matches_lie_inside_in_order() -> None:
    near = CatalogueMatch("near", "", 0, 0, 1.0)
    with pytest.raises(ValueError, match="sorted by separation"):
        CatalogueAnswer("ned", "match", "", (PULSAR, near), 0, 0, 5)
    with pytest.raises(ValueError, match="inside the radius"):
        CatalogueAnswer("ned", "match", "", (PULSAR,), 0, 0, 1.4)
    with pytest.raises(ValueError, match="place on the sky"):
        CatalogueMatch("x", "", 0, 100, 1)


def listing(*offsets_arcsec: float, gap: str = "") -> Listing:
    """Objects due north of (10, 20), numbered."""
    names = tuple(f"object {i}" for i in range(len(offsets_arcsec)))
    dec = 20 + np.array(offsets_arcsec, dtype=float) / 3600
    return Listing(names, ("G",) * len(names), np.full(len(names), 10.0), dec, gap)


WIDE = Cone(10, 20, 60)


def seen(
    listed: Listing, wide: Cone = WIDE, near: float = 5, *, whole_sky: bool = True
) -> Sighting:
    return sight(listed, wide, near, whole_sky=whole_sky)


def test_separations_are_sorted_and_cut_at_the_radius() -> None:
    found = answer_from(seen(listing(4, 1, 60)), Cone(10, 20, 5), "ned")
    assert found.state == "match"
    assert [match.object_name for match in found.matches] == ["object 1", "object 0"]
    assert [match.separation_arcsec for match in found.matches] == pytest.approx([1, 4], abs=1e-6)
    assert found.nearest == found.matches[0]


def test_separation_across_zero_hours() -> None:
    """0.001 deg of right ascension at declination 60 is 1.8 arcsec on the sky."""
    wrapped = Listing(("a",), ("",), np.array([359.9995]), np.array([60.0]))
    found = answer_from(seen(wrapped, Cone(0.0005, 60, 60)), Cone(0.0005, 60, 5), "ned")
    assert found.matches[0].separation_arcsec == pytest.approx(1.8, abs=1e-5)


def test_an_empty_listing_without_gap_is_proof() -> None:
    assert answer_from(seen(NOTHING), Cone(10, 20, 5), "ned").state == "no_match"


@pytest.mark.parametrize(
    ("listed", "says"),
    [
        (listing(gap="cut after 1000 objects"), "cut after 1000"),
        (listing(600), "outside the radius"),
        (Listing(("x",), ("",), np.array([np.nan]), np.array([np.nan])), "without a position"),
    ],
)
def test_absence_is_not_claimed_from_a_doubtful_listing(listed: Listing, says: str) -> None:
    found = answer_from(seen(listed), Cone(10, 20, 5), "ned")
    assert found.state == "not_determined"
    assert says in found.reason


def test_an_object_outside_the_radius_is_no_match_but_counts_for_the_density() -> None:
    found = answer_from(seen(listing(5.5, 60.5)), Cone(10, 20, 5), "ned")
    assert (found.state, found.wide_objects, found.chance) == ("no_match", 1, None)


def test_an_answer_holds_for_every_place_of_its_cell() -> None:
    """What was listed about a cell's centre is measured from the place itself."""
    here = seen(listing(4.8, 6.2), near=6.5)
    north = answer_from(here, Cone(10, 20 + 1.4 / 3600, 5), "ned")
    assert [match.object_name for match in north.matches] == ["object 0", "object 1"]
    assert north.matches[0].separation_arcsec == pytest.approx(3.4, abs=1e-6)
    south = answer_from(here, Cone(10, 20 - 0.1 / 3600, 5), "ned")
    assert [match.object_name for match in south.matches] == ["object 0"]


@settings(max_examples=40)
@given(st.floats(0, 359.999999), st.floats(-90, 90), st.floats(0.01, 600))
def test_a_cell_lies_around_its_places(ra: float, dec: float, radius: float) -> None:
    cell = cell_of(ra, dec)
    apart = SkyCoord(ra, dec, unit="deg").separation(
        SkyCoord(cell.ra_deg, cell.dec_deg, unit="deg")
    )
    assert apart.arcsec <= SLACK_ARCSEC
    assert radius + SLACK_ARCSEC <= near_arcsec(radius) + 1e-6 <= radius + SLACK_ARCSEC + 0.6
    assert abs(cell.dec_deg - dec) * 3600 <= CELL_ARCSEC / 2 + 1e-6


def test_chance_coincidence_by_hand() -> None:
    """40 objects within 60 arcsec: one within 3 by chance with 1 - exp(-40 (3/60)^2) = 9.5 %."""
    assert chance_coincidence(3, 40, 60) == pytest.approx(1 - math.exp(-0.1))
    found = answer_from(seen(listing(3, 10, 20, 30)), Cone(10, 20, 5), "ned")
    assert found.chance == pytest.approx(1 - math.exp(-4 * (3 / 60) ** 2))


@given(st.floats(0, 60), st.integers(1, 10_000))
def test_chance_is_a_probability_that_grows_with_distance(separation: float, n: int) -> None:
    chance = chance_coincidence(separation, n, 60)
    assert 0 <= chance <= 1
    assert chance <= chance_coincidence(separation + 1, n, 60)


def test_a_footprint_needs_objects_on_all_sides() -> None:
    """Across 0 h, with one object in each quarter; any three of the four are an edge."""
    corners = [(0.005, 0.005), (0.005, -0.005), (-0.005, 0.005), (-0.005, -0.005)]
    for count, covered in ((4, True), (3, False), (0, False)):
        ra = np.array([east % 360 for east, _ in corners[:count]])
        dec = np.array([north for _, north in corners[:count]])
        listed = Listing(("x",) * count, ("",) * count, ra, dec)
        assert seen(listed, Cone(0, 0, 60), whole_sky=False).covered is covered
        assert seen(listed, Cone(0, 0, 60), whole_sky=True).covered


def test_a_listing_survives_the_store() -> None:
    whole = listing(1, 2.5, gap="cut")
    back = Listing.from_json(whole.as_json(), "cut")
    assert (back.names, back.types, back.gap) == (whole.names, whole.types, "cut")
    assert np.allclose(back.dec_deg, whole.dec_deg, atol=1e-9)


def test_a_cut_listing_may_still_match_and_says_that_it_was_cut() -> None:
    found = answer_from(seen(listing(1, gap="cut")), Cone(10, 20, 5), "ned")
    assert (found.state, found.reason) == ("match", "cut")


def test_positions_off_the_sky_are_an_error() -> None:
    with pytest.raises(ServiceError, match="outside the sky"):
        listing(3600 * 80)
