"""SIMBAD, NED and VizieR over loopback.

| service | answer                         | where it comes from                                 |
|---------|--------------------------------|-----------------------------------------------------|
| SIMBAD  | match, empty, overflow, error  | by hand, after TAP 1.1, DALI 1.1 and SIMBAD's table |
| SIMBAD  | table of column names          | recorded (TAP, simbad_basic_columns.xml)            |
| SIMBAD  | sexagesimal list near M1       | recorded (older interface, query_coo.data)          |
| NED     | 475 objects near M42           | recorded (query_near_position.xml)                  |
| NED     | "No note found"                | recorded (error.xml)                                |
| NED     | match, "No object found"       | by hand, in the form of the recorded error          |
| VizieR  | 14 rows at AFGL 2591           | recorded (afgl2591_iram.xml)                        |
| VizieR  | catalogue without positions    | recorded (kang2010.xml)                             |
| VizieR  | database not reachable         | recorded (no_server_error.xml)                      |
| VizieR  | match, empty table, no table   | by hand, in the form of recorded tables             |
| all     | 4xx, 5xx, 429, late, cut short | by hand                                             |

Recorded answers lie in SKYSIEVE_DATA (astropy/astroquery, BSD-3); those tests are marked `data`.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from astropy.io import votable

from jobs.catalogues import Catalogue, catalogues, cross_match, known_state
from jobs.errors import UsageError
from jobs.settings import Settings
from tests.jobs.catalogues import bodies
from tests.loopback import Asked, LoopbackServer, Reply, free_port

PLACE = (83.63311, 22.01446)
CRAB: bodies.Row = ("V* CM Tau", "Psr", 83.633076, 22.014493)
NEIGHBOUR: bodies.Row = ("neighbour", "*", 83.6335, 22.0146)
BODIES: dict[str, tuple[str, Callable[..., bytes]]] = {
    "simbad": (bodies.SIMBAD_PATH, bodies.simbad),
    "ned": (bodies.NED_PATH, bodies.ned),
    "vizier": (bodies.VIZIER_PATH, bodies.vizier),
}
SERVICES = pytest.mark.parametrize("service", sorted(BODIES))


@SERVICES
def test_match(service: str, services: dict[str, Catalogue], server: LoopbackServer) -> None:
    path, body = BODIES[service]
    server.on(path, Reply(body(NEIGHBOUR, CRAB)))
    answer = services[service].cone(*PLACE, 5)
    assert (answer.service, answer.state, answer.reason) == (service, "match", "")
    assert [match.object_name for match in answer.matches] == ["V* CM Tau", "neighbour"]
    assert answer.matches[0].object_type == "Psr"
    assert answer.matches[0].separation_arcsec == pytest.approx(0.165, abs=0.001)
    assert (answer.ra_deg, answer.dec_deg, answer.radius_arcsec) == (*PLACE, 5)


@SERVICES
def test_nothing_there(service: str, services: dict[str, Catalogue]) -> None:
    answer = services[service].cone(*PLACE, 5)
    assert (answer.state, answer.matches) == ("no_match", ())


def test_simbad_is_asked_in_adql(services: dict[str, Catalogue], server: LoopbackServer) -> None:
    services["simbad"].cone(*PLACE, 7.2)
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("GET", "/simbad/sim-tap/sync")
    assert asked.params == {
        "REQUEST": "doQuery",
        "LANG": "ADQL",
        "MAXREC": "1000",
        "QUERY": "SELECT main_id, otype_txt, ra, dec FROM basic WHERE "
        "CONTAINS(POINT('ICRS', ra, dec), "
        "CIRCLE('ICRS', 83.63311000, 22.01446000, 0.0020000000)) = 1",
    }
    assert asked.headers["user-agent"].startswith("skysieve/")


def test_ned_is_asked_in_arcminutes(services: dict[str, Catalogue], server: LoopbackServer) -> None:
    services["ned"].cone(10, -5.5, 30)
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("GET", "/cgi-bin/objsearch")
    assert asked.params["search_type"] == "Near Position Search"
    assert asked.params["of"] == "xml_main"
    assert (asked.params["in_csys"], asked.params["in_equinox"]) == ("Equatorial", "J2000.0")
    place = [float(asked.params[name]) for name in ("lon", "lat", "radius")]
    assert place == [10, -5.5, 0.5]


def test_vizier_is_asked_for_the_table_of_the_settings(
    services: dict[str, Catalogue], server: LoopbackServer
) -> None:
    services["vizier"].cone(10, 5.5, 30)
    services["vizier"].cone(10, -5.5, 30)
    north, south = server.asked
    assert (north.method, north.path) == ("GET", "/viz-bin/votable")
    assert north.params["-source"] == "V/147/sdss12"
    assert north.params["-c"] == "10.00000000+5.50000000"
    assert south.params["-c"] == "10.00000000-5.50000000"
    assert north.params["-c.rs"] == "30.000000"
    assert north.params["-out.add"] == "_r,_RAJ2000,_DEJ2000"


@SERVICES
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(b"internal error", status=500), "HTTP 500"),
        (Reply(b"", status=404), "HTTP 404 Not Found"),
        (Reply(b"", status=204), "HTTP 204"),
        (Reply(b"slow down", status=429, headers={"Retry-After": "60"}), "HTTP 429"),
        (Reply(b"<html><body>maintenance</body></html>"), "no readable VOTable"),
        (Reply(b"{}"), "no readable VOTable"),
        (Reply(b""), "no readable VOTable"),
        (Reply(b"<VOTABLE/>"), "holds"),
        (Reply(bodies.tap_error("table basic is locked")), "table basic is locked"),
    ],
)
def test_failures_are_not_determined_and_named(
    service: str,
    reply: Reply,
    reason: str,
    services: dict[str, Catalogue],
    server: LoopbackServer,
) -> None:
    server.on(BODIES[service][0], reply)
    answer = services[service].cone(*PLACE, 5)
    assert (answer.state, answer.matches) == ("not_determined", ())
    assert reason in answer.reason


@SERVICES
def test_a_body_cut_on_its_way(
    service: str, services: dict[str, Catalogue], server: LoopbackServer
) -> None:
    path, body = BODIES[service]
    whole = body(CRAB)
    server.on(path, Reply(whole[:-30], withheld=30))
    assert "cut short" in services[service].cone(*PLACE, 5).reason
    server.on(path, Reply(whole[:-30]))
    assert "no readable VOTable" in services[service].cone(*PLACE, 5).reason


@SERVICES
def test_a_service_that_hangs(service: str, settings: Settings, server: LoopbackServer) -> None:
    impatient = settings.model_copy(update={"catalogue_timeout_s": 0.2})
    asking = {catalogue.service: catalogue for catalogue in catalogues(impatient)}
    server.on(BODIES[service][0], Reply(delay_s=30))
    answer = asking[service].cone(*PLACE, 5)
    assert (answer.state, answer.reason) == ("not_determined", "timed out after 0.2 s")


@SERVICES
def test_a_service_that_is_not_there(service: str, tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    settings = Settings(home=tmp_path, simbad_url=nowhere, ned_url=nowhere, vizier_url=nowhere)
    asking = {catalogue.service: catalogue for catalogue in catalogues(settings)}
    answer = asking[service].cone(*PLACE, 5)
    assert answer.state == "not_determined"
    assert "cannot be reached at 127.0.0.1" in answer.reason


@SERVICES
def test_bad_input_is_refused_before_anyone_is_asked(
    service: str, services: dict[str, Catalogue], server: LoopbackServer
) -> None:
    with pytest.raises(UsageError, match="declination"):
        services[service].cone(0, 91, 5)
    with pytest.raises(UsageError, match="radius"):
        services[service].cone(0, 0, 0)
    assert server.asked == []


@SERVICES
def test_a_position_that_is_no_number(
    service: str, services: dict[str, Catalogue], server: LoopbackServer
) -> None:
    path, body = BODIES[service]
    server.on(path, Reply(body(("x", "*", "soon", 22.0))))
    assert services[service].cone(*PLACE, 5).state == "not_determined"


def test_simbad_overflow(services: dict[str, Catalogue], server: LoopbackServer) -> None:
    """Rows were left out: a match stands, absence does not."""
    far: bodies.Row = ("far", "*", 83.9, 22.0)
    server.on(bodies.SIMBAD_PATH, Reply(bodies.simbad(far, status="OVERFLOW")))
    answer = services["simbad"].cone(*PLACE, 5)
    assert (answer.state, answer.reason) == ("not_determined", "the answer was cut after 1 objects")
    server.on(bodies.SIMBAD_PATH, Reply(bodies.simbad(CRAB, status="OVERFLOW")))
    answer = services["simbad"].cone(*PLACE, 5)
    assert (answer.state, answer.reason) == ("match", "the answer was cut after 1 objects")


def test_ned_errors_are_not_absence(services: dict[str, Catalogue], server: LoopbackServer) -> None:
    server.on(bodies.NED_PATH, Reply(bodies.ned_error("Name checking server EGRET error.")))
    answer = services["ned"].cone(*PLACE, 5)
    assert answer.state == "not_determined"
    assert "EGRET error" in answer.reason


def test_vizier_without_any_table_is_not_absence(
    services: dict[str, Catalogue], server: LoopbackServer
) -> None:
    server.on(bodies.VIZIER_PATH, Reply(bodies.VIZIER_WITHOUT_TABLE))
    answer = services["vizier"].cone(*PLACE, 5)
    assert answer.state == "not_determined"
    assert "catalogue's name" in answer.reason


def test_one_failure_keeps_an_object_from_being_unknown(
    settings: Settings, server: LoopbackServer
) -> None:
    asking = catalogues(settings)
    assert known_state(cross_match(asking, *PLACE, 5)) == "unknown"
    server.on(bodies.NED_PATH, Reply(status=500))
    answers = cross_match(asking, *PLACE, 5)
    assert [answer.state for answer in answers] == ["no_match", "not_determined", "no_match"]
    assert known_state(answers) == "not_determined"
    server.on(bodies.SIMBAD_PATH, Reply(bodies.simbad(CRAB)))
    assert known_state(cross_match(asking, *PLACE, 5)) == "known"


def test_services_are_asked_at_the_same_time(settings: Settings, server: LoopbackServer) -> None:
    """Each answers only once all three were asked, so one that hangs delays no other."""
    all_asked = threading.Barrier(3, timeout=4)

    def together(body: bytes) -> Callable[[Asked], Reply]:
        def reply(asked: Asked) -> Reply:
            all_asked.wait()
            return Reply(body)

        return reply

    for path, body in BODIES.values():
        server.on(path, together(body(CRAB)))
    answers = cross_match(catalogues(settings), *PLACE, 5)
    assert [(answer.service, answer.state) for answer in answers] == [
        ("simbad", "match"),
        ("ned", "match"),
        ("vizier", "match"),
    ]


def test_cross_match_refuses_bad_input_even_with_nobody_to_ask() -> None:
    with pytest.raises(UsageError, match="declination"):
        cross_match((), 0, 91, 5)
    assert cross_match((), 0, 0, 5) == ()


def recorded(data_root: Path, name: str) -> bytes:
    return (data_root / "catalog" / name).read_bytes()


@pytest.mark.data
def test_recorded_ned_list_near_m42(
    data_root: Path, services: dict[str, Catalogue], server: LoopbackServer
) -> None:
    """Our separations agree with NED's own column of distances (arcmin, three decimals)."""
    body = recorded(data_root, "ipac/ned/tests/data/query_near_position.xml")
    server.on(bodies.NED_PATH, Reply(body))
    answer = services["ned"].cone(83.822083, -5.391111, 120)
    table = votable.parse(io.BytesIO(body), verify="ignore").get_first_table().array
    theirs = sorted(float(arcmin) * 60 for arcmin in table["main_col10"])
    assert [match.separation_arcsec for match in answer.matches] == pytest.approx(theirs, abs=0.08)
    assert len(answer.matches) == 475
    assert answer.nearest is not None
    assert (answer.nearest.object_name, answer.nearest.object_type) == ("COUP 0900", "*")


@pytest.mark.data
def test_recorded_ned_list_is_cut_at_the_radius(
    data_root: Path, services: dict[str, Catalogue], server: LoopbackServer
) -> None:
    body = recorded(data_root, "ipac/ned/tests/data/query_near_position.xml")
    server.on(bodies.NED_PATH, Reply(body))
    names = [m.object_name for m in services["ned"].cone(83.822083, -5.391111, 6.95).matches]
    assert names == ["COUP 0900", "CXO J053517.0-052333"]
    elsewhere = services["ned"].cone(200, 40, 5)
    assert elsewhere.state == "not_determined"
    assert "outside the radius" in elsewhere.reason


@pytest.mark.data
def test_recorded_vizier_answer(
    data_root: Path, services: dict[str, Catalogue], server: LoopbackServer
) -> None:
    body = recorded(data_root, "vizier/tests/data/afgl2591_iram.xml")
    server.on(bodies.VIZIER_PATH, Reply(body))
    answer = services["vizier"].cone(307.353875, 40.188583, 300)
    assert {match.object_name for match in answer.matches} == {"AFGL2591"}
    assert len(answer.matches) == body.count(b"<TR>")
    assert answer.matches[-1].separation_arcsec < 2


@pytest.mark.data
@pytest.mark.parametrize(
    ("service", "name", "reason"),
    [
        ("ned", "ipac/ned/tests/data/error.xml", "No note found"),
        ("vizier", "vizier/tests/data/no_server_error.xml", "not currently reachable"),
        ("vizier", "vizier/tests/data/kang2010.xml", "without positions"),
        ("simbad", "simbad/tests/data/simbad_basic_columns.xml", "lacks the columns"),
        ("simbad", "simbad_legacy_0.4.6/query_coo.data", "no readable VOTable"),
        ("simbad", "ipac/irsa/tests/data/Cone.xml", "lacks the columns"),
    ],
)
def test_recorded_answers_that_determine_nothing(
    service: str,
    name: str,
    reason: str,
    data_root: Path,
    services: dict[str, Catalogue],
    server: LoopbackServer,
) -> None:
    server.on(BODIES[service][0], Reply(recorded(data_root, name)))
    answer = services[service].cone(*PLACE, 5)
    assert answer.state == "not_determined"
    assert reason in answer.reason


@pytest.mark.data
def test_sexagesimal_positions_are_not_taken_for_degrees(
    data_root: Path, services: dict[str, Catalogue], server: LoopbackServer
) -> None:
    script = recorded(data_root, "simbad_legacy_0.4.6/query_coo.data")
    body = script[script.index(b"<?xml") :]
    for old, new in ((b'"MAIN_ID"', b'"main_id"'), (b'"RA"', b'"ra"'), (b'"DEC"', b'"dec"')):
        body = body.replace(b"name=" + old, b"name=" + new)
    server.on(bodies.SIMBAD_PATH, Reply(body))
    answer = services["simbad"].cone(*PLACE, 5)
    assert (answer.state, answer.reason) == (
        "not_determined",
        "positions were not given as numbers",
    )
