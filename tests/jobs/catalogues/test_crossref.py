"""Many detections, many services, some of them down: what is stored, and what is asked again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from db import catalogues as kept
from db.check import consistency
from db.queries import catalogues as pages
from db.store import Store
from jobs.catalogues import Catalogue, catalogues
from jobs.catalogues.radius import search_radius_arcsec
from jobs.crossref import CrossMatch, answer_request
from jobs.errors import UsageError
from jobs.regions import ds9_regions
from jobs.rounds import ask_what_is_due, services_of
from jobs.services import Services
from jobs.settings import Settings
from tests.db.queries import rows
from tests.jobs.catalogues import bodies
from tests.jobs.catalogues.conftest import Hands
from tests.jobs.catalogues.skies import PLACE, SDSS12, SDSS16, SIMBAD, Sky, around
from tests.loopback import Asked, LoopbackServer, Reply

OBJECTS = 8
MJD = 60677.0


def place(number: int) -> tuple[float, float]:
    """Objects an arcminute and a half apart."""
    return (PLACE[0], PLACE[1] + 0.025 * number)


@pytest.fixture
def sky() -> Sky:
    everywhere = [corner for n in range(OBJECTS) for corner in around(place(n))]
    return Sky({SDSS12: everywhere, SDSS16: everywhere})


@pytest.fixture
def store(tmp_path: Any, asking: tuple[Catalogue, ...]) -> Iterator[Store]:
    """Candidates on one dated image of the real sky; nobody was asked about any."""
    with Store.open(tmp_path / "home") as opened:
        opened.write(
            {
                "frames": [rows.frame("f")],
                "observations": [rows.observation("f", source="folder:/n", mjd=MJD)],
                "models": [registered("model")],
                "policies": [registered("policy")],
                "cycles": [{"cycle_id": "cycle", "source": "folder:/n", "state": "done",
                            "started_at": rows.T0}],
                "runs": [rows.run("r", "f")],
                "detections": [
                    rows.detection(f"d{n:02d}", verdict="candidate", p_value=0.001 * (n + 1),
                                   ra_deg=place(n)[0], dec_deg=place(n)[1])
                    for n in range(OBJECTS)
                ],
            }
        )  # fmt: skip
        kept.configure_services(opened, services_of(asking), rows.T0)
        yield opened


def registered(kind: str) -> dict[str, Any]:
    named = {"model": {"name": "m", "card": {}}, "policy": {"policy": {}}}[kind]
    return {f"{kind}_digest": kind, "pipeline": "anomaly", "registered_at": rows.T0, **named}


Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(store: Store, asking: tuple[Catalogue, ...], settings: Settings, hands: Hands) -> Ask:
    """Carry a request out as the owner does."""
    numbers = iter(range(1000))

    def carry_out(asked: tuple[Catalogue, ...] = asking, **payload: Any) -> dict[str, Any]:
        match = CrossMatch(store, asked, f"request {next(numbers)}", hands.now)
        return answer_request(match, payload, settings)

    return carry_out


def states(store: Store) -> dict[str, int]:
    found = pages.summary(store)
    return {state: found[state] for state in pages.STATES if found[state]}


def faults(store: Store) -> list[str]:
    """What the store lacks, but for the picture files that these rows only name."""
    return [fault for fault in consistency(store) if "_file:" not in fault]


def questions(server: LoopbackServer) -> Counter[str]:
    return Counter(asked.path for asked in server.asked)


def test_every_service_answers_in_bulk_where_it_can(
    store: Store, ask: Ask, sky: Sky, server: LoopbackServer
) -> None:
    sky.tables[SIMBAD] = [("M 1", "SNR", place(3)[0], place(3)[1] + 1 / 3600)]
    result = ask(open=True, new=True)
    assert result["objects"] == OBJECTS
    assert result["services"]["simbad"] == {"no_match": OBJECTS - 1, "match": 1}
    assert states(store) == {"match": 1, "no_match": OBJECTS - 1}
    assert questions(server) == {
        bodies.SIMBAD_PATH: 1,
        bodies.VIZIER_PATH: 3,
        bodies.NED_PATH: OBJECTS,
        bodies.SKYBOT_PATH: OBJECTS,
    }
    (known,) = pages.page_of_objects(store, state="match").rows
    assert (known["detection_id"], known["object_name"], known["nearest_in"]) == (
        "d03",
        "M 1",
        "simbad",
    )
    assert known["separation_arcsec"] == pytest.approx(1, abs=0.01)
    assert known["chance"] == pytest.approx((1 / 60) ** 2, rel=0.05)
    assert (known["answered"], known["services"]) == (6, 6)
    assert faults(store) == []


@pytest.mark.parametrize(
    "dead",
    [
        bodies.NED_PATH,
        *(
            pytest.param(path, marks=pytest.mark.slow)
            for path in (bodies.SIMBAD_PATH, bodies.VIZIER_PATH, bodies.SKYBOT_PATH)
        ),
    ],
)
def test_one_service_down_leaves_nothing_unknown_until_it_is_back(
    dead: str, store: Store, ask: Ask, sky: Sky, server: LoopbackServer, hands: Hands
) -> None:
    sky.tables[SIMBAD] = [("M 1", "SNR", *place(3))]
    alive = server._scripts[dead]
    server.on(dead, Reply(status=503))

    ask(open=True, new=True)

    first = states(store)
    assert first.get("no_match", 0) == 0
    assert first["not_determined"] == OBJECTS - (dead != bodies.SIMBAD_PATH)
    assert questions(server)[dead] == 3, "attempts at one question, not one an object"

    server.asked.clear()
    written = len(store.rows("SELECT 1 FROM catalogue_queries"))
    hands.ahead_s += 10
    ask(open=True)
    assert states(store) == first
    assert questions(server) == {}, "the circuit breaker is open, and the others have answered"
    assert len(store.rows("SELECT 1 FROM catalogue_queries")) == written, "it is no news"

    server.on(dead, *alive)
    hands.ahead_s += 120
    ask(open=True)
    assert states(store) == {"match": 1, "no_match": OBJECTS - 1}
    assert set(questions(server)) == {dead}, "who answered is not asked again"
    assert pages.summary(store)["waiting"] == 0
    assert faults(store) == []


@pytest.mark.slow
def test_a_service_that_hangs_costs_its_timeout_once(
    store: Store, settings: Settings, server: LoopbackServer, ask: Ask
) -> None:
    impatient = settings.model_copy(update={"catalogue_timeout_s": 0.5})
    asked = catalogues(impatient, Services())
    server.on(bodies.NED_PATH, Reply(delay_s=60))
    started = datetime.now(UTC)
    ask(tuple(each for each in asked if each.service == "ned"), open=True, new=True)
    assert (datetime.now(UTC) - started).total_seconds() < 3
    assert questions(server)[bodies.NED_PATH] == 1
    assert states(store) == {"not_determined": OBJECTS}


def test_a_round_asks_only_when_something_is_due(store: Store, ask: Ask) -> None:
    enqueued: list[dict[str, Any]] = []

    def enqueue(kind: str, payload: dict[str, Any], request_id: str, asked_by: str) -> None:
        enqueued.append({"kind": kind, **payload})

    assert ask_what_is_due(store, ["candidate"], enqueue)
    assert enqueued == [{"kind": "crossref", "open": True, "new": True}]
    ask(open=True, new=True)
    assert not ask_what_is_due(store, ["candidate"], enqueue)
    assert not ask_what_is_due(store, ["normal"], enqueue)


def test_one_round_at_a_time(store: Store) -> None:
    waiting = {"request_id": "q", "kind": "crossref", "payload": {"open": True}, "state": "queued",
               "asked_at": rows.T0}  # fmt: skip
    store.write({"requests": [waiting]})
    assert not ask_what_is_due(store, ["candidate"], lambda *asked: pytest.fail("asked twice"))


def test_a_simulated_sky_is_never_asked_about_by_itself(store: Store) -> None:
    later = rows.observation("f", source="sim:demo", observation_id="o2", seen_at=rows.at(1))
    store.write({"observations": [later]})
    assert kept.unasked(store, ["candidate"], 100) == []


def test_a_new_service_opens_what_was_settled(
    store: Store, ask: Ask, asking: tuple[Catalogue, ...], hands: Hands
) -> None:
    few = tuple(each for each in asking if each.service in ("simbad", "ned"))
    kept.configure_services(store, services_of(few), hands.now())
    ask(few, open=True, new=True)
    assert states(store) == {"no_match": OBJECTS}
    kept.configure_services(store, services_of(asking), hands.now())
    assert states(store) == {"not_determined": OBJECTS}
    ask(open=True)
    assert states(store) == {"no_match": OBJECTS}
    services = {row["service"]: row for row in pages.services(store)}
    assert services["gaia_dr3"]["current_no_match"] == OBJECTS
    assert services["gaia_dr3"]["title"] == "Gaia DR3"


def test_the_edge_of_a_survey_is_not_asked_again(
    store: Store, ask: Ask, sky: Sky, server: LoopbackServer
) -> None:
    sky.tables[SDSS16] = []
    ask(open=True, new=True)
    assert states(store) == {"not_determined": OBJECTS}
    assert pages.summary(store)["waiting"] == 0
    server.asked.clear()
    assert ask(open=True)["objects"] == 0
    assert server.asked == []
    (row,) = [a for a in pages.answers(store, "d00") if a["service"] == "sdss_dr16"]
    assert row["cause"] == "outside_coverage"


def test_without_a_date_nothing_is_unknown(store: Store, ask: Ask, server: LoopbackServer) -> None:
    undated = rows.observation("f", source="folder:/n", observation_id="o2", seen_at=rows.at(1))
    store.write({"observations": [undated]})
    ask(open=True, new=True)
    assert states(store) == {"not_determined": OBJECTS}
    assert pages.summary(store)["waiting"] == 0
    assert bodies.SKYBOT_PATH not in questions(server)


def test_answers_are_used_again_while_they_are_young(
    store: Store, ask: Ask, server: LoopbackServer, hands: Hands, settings: Settings
) -> None:
    """A second detection of the same object lies 0.1 arcsec off, on another image."""
    ask(detection_id="d00")
    asked_at = pages.answers(store, "d00")[0]["asked_at"]
    server.asked.clear()
    again = rows.detection("e", verdict="candidate", ra_deg=PLACE[0] + 3e-5, dec_deg=PLACE[1])
    other = rows.detection("g", verdict="candidate", ra_deg=PLACE[0] + 3e-5, dec_deg=PLACE[1])
    store.write({"detections": [again, other]})
    hands.ahead_s += settings.catalogue_age_s / 2
    assert ask(detection_id="e")["simbad"] == "no_match"
    assert server.asked == []
    assert {row["asked_at"] for row in pages.answers(store, "e")} == {
        row["asked_at"] for row in pages.answers(store, "d00")
    }
    assert abs(pages.answers(store, "e")[0]["asked_at"] - asked_at) < timedelta(seconds=1)
    hands.ahead_s += settings.catalogue_age_s / 2
    ask(detection_id="g")
    assert len(server.asked) == 6, "they have grown too old"
    server.asked.clear()
    ask(detection_id="g")
    assert len(server.asked) == 6, "who asks again by name wants to know anew"


def test_places_of_one_cell_are_asked_about_once(
    store: Store, ask: Ask, server: LoopbackServer
) -> None:
    near = [
        rows.detection(f"n{i}", verdict="candidate", ra_deg=PLACE[0] + 1e-6 * i, dec_deg=PLACE[1])
        for i in range(5)
    ]
    store.write({"detections": near})
    assert ask(detection_ids=[each["detection_id"] for each in near])["objects"] == 5
    assert questions(server)[bodies.NED_PATH] == 1


def test_a_question_that_is_nonsense_to_the_service_is_isolated(
    store: Store, ask: Ask, sky: Sky, server: LoopbackServer
) -> None:
    """One place makes SIMBAD stumble: the others of its batch are answered all the same."""

    def stumbling(asked: Asked) -> Reply:
        reply = sky.answer(asked)
        stone = f"{place(5)[1]:.3f}"
        body = asked.body.decode("latin-1")
        return Reply(bodies.tap_error("division by zero")) if stone in body else reply

    server.on(bodies.SIMBAD_PATH, stumbling)
    ask(detection_ids=[f"d{n:02d}" for n in (4, 5, 6, 7)])
    answers = {
        n: {a["service"]: a["answer"] for a in pages.answers(store, f"d{n:02d}")}["simbad"]
        for n in (4, 5, 6, 7)
    }
    assert answers[4] == answers[6] == answers[7] == "no_match"
    assert answers[5] == "not_determined"


def test_a_service_that_talks_nonsense_is_left_alone(
    store: Store, ask: Ask, server: LoopbackServer
) -> None:
    server.on(bodies.NED_PATH, Reply(b"<html>maintenance</html>"))
    ask(open=True, new=True)
    assert states(store) == {"not_determined": OBJECTS}
    assert questions(server)[bodies.NED_PATH] == 3


def test_a_request_taken_back_stops_asking(
    store: Store, asking: tuple[Catalogue, ...], settings: Settings, server: LoopbackServer,
    hands: Hands,
) -> None:  # fmt: skip
    match = CrossMatch(
        store, asking, "q", hands.now, cancelled=lambda: len(server.asked) >= OBJECTS
    )
    answer_request(match, {"open": True, "new": True}, settings)
    assert len(server.asked) < 2 * OBJECTS + 4


def test_progress_reaches_its_total(
    store: Store, asking: tuple[Catalogue, ...], settings: Settings, hands: Hands
) -> None:
    told: list[tuple[int, int]] = []
    match = CrossMatch(
        store, asking, "q", hands.now, progress=lambda done, total: told.append((done, total))
    )
    answer_request(match, {"open": True, "new": True}, settings)
    assert max(told) == (6 * OBJECTS, 6 * OBJECTS)


def test_a_detection_without_a_position_cannot_be_asked_about(store: Store, ask: Ask) -> None:
    store.write({"detections": [rows.detection("lost")]})
    with pytest.raises(UsageError, match="'lost' has no sky position"):
        ask(detection_id="lost")


# How far around.

WCS = {
    "CTYPE1": "'RA---TAN'", "CTYPE2": "'DEC--TAN'", "CRPIX1": "64.0", "CRPIX2": "64.0",
    "CRVAL1": "10.0", "CRVAL2": "20.0", "CDELT1": "-0.0001", "CDELT2": "0.0001",
    "CUNIT1": "'deg'", "CUNIT2": "'deg'",
}  # fmt: skip


def header(**cards: str) -> str:
    return "".join(f"{name:<8}= {value:>20}".ljust(80) for name, value in {**WCS, **cards}.items())


def radius(
    snr: float | None = 1e9, kind: str = "source", floor: float = 0.1, **cards: str
) -> float:
    return search_radius_arcsec(
        header(**cards), kind=kind, size_px=100, snr=snr, floor_arcsec=floor
    )


def test_the_radius_comes_from_the_image() -> None:
    """0.36 arcsec a pixel: 3.44 times half a pixel of WCS error, where stars are bright."""
    assert radius() == pytest.approx(3.4393 * 0.18, rel=1e-3)
    # A PSF of 2 arcsec: two sources within 1 arcsec are one.
    assert radius(SEEING="2.0") == pytest.approx(1.0)
    # Faint: a centroid is as good as FWHM / (2.355 S/N) per axis.
    faint = 3.4393 * (0.18**2 + (2.0 / 2.3548 / 3) ** 2) ** 0.5
    assert radius(3.0, SEEING="2.0") == pytest.approx(faint, rel=1e-3)
    assert radius(CRDER1="0.0005", CRDER2="0.0001") == pytest.approx(3.4393 * 1.8, rel=1e-3)
    assert radius(kind="image") == pytest.approx((1.8**2 + (3.4393 * 0.18) ** 2) ** 0.5, rel=1e-3)
    assert radius(CDELT1="-0.00583", CDELT2="0.00583") == pytest.approx(36.1, abs=0.1), "TESS"


def test_the_radius_has_a_floor_and_a_ceiling() -> None:
    assert radius(floor=2.0) == 2.0
    assert radius(CDELT1="-1.0", CDELT2="1.0") == 900
    for nothing in ("", header(CTYPE1="'LINEAR'", CTYPE2="'LINEAR'")):
        found = search_radius_arcsec(nothing, kind="source", size_px=9, snr=9.0, floor_arcsec=3.0)
        assert found == 3.0


def test_what_moves_is_looked_for_farther_away_the_longer_the_exposure(
    store: Store, ask: Ask, server: LoopbackServer
) -> None:
    ask(detection_id="d00")
    long = rows.observation("f", mjd=MJD, exposure_s=600.0, observation_id="o2", seen_at=rows.at(1))
    store.write({"observations": [long]})
    found = {row["service"]: row["radius_arcsec"] for row in pages.answers(store, "d00")}
    ask(detection_id="d01")
    moved = {row["service"]: row["radius_arcsec"] for row in pages.answers(store, "d01")}
    assert (found["simbad"], found["skybot"]) == (2.0, 5.0)
    assert (moved["simbad"], moved["skybot"]) == (2.0, 17.0)


def test_regions_for_ds9(store: Store, ask: Ask, sky: Sky) -> None:
    sky.tables[SIMBAD] = [("M 1", "SNR", *place(0))]
    ask(detection_id="d00")
    text = ds9_regions(pages.regions(store))
    assert text.startswith("# Region file format: DS9 version 4.1\n")
    lines = text.splitlines()
    assert lines[2] == "icrs"
    assert lines[3] == ('circle(83.6331100,+22.0144600,5.00") # color=green text={name of f d00}')
    assert len(lines) == 3 + OBJECTS
    hostile = {**pages.regions(store)[0], "object_id": "a} color=red\n{b"}
    assert ds9_regions([hostile]).splitlines()[3].endswith("text={a] color=red [b d00}")


def test_a_crash_between_two_portions_loses_nothing(
    store: Store, asking: tuple[Catalogue, ...], settings: Settings, hands: Hands, ask: Ask,
    server: LoopbackServer,
) -> None:  # fmt: skip
    """The same request carried out again, as after kill -9, ends where it would have ended."""
    server.on(bodies.NED_PATH, Reply(status=503))
    match = CrossMatch(store, asking, "same", hands.now)
    answer_request(match, {"open": True, "new": True}, settings)
    server.on(bodies.NED_PATH, Reply(bodies.NED_NOTHING))
    hands.ahead_s += 120
    answer_request(replace(match), {"open": True, "new": True}, settings)
    assert states(store) == {"no_match": OBJECTS}
