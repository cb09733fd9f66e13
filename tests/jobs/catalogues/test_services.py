"""SIMBAD, NED, VizieR and SkyBoT over loopback, through pyvo and requests.

| service | answer                                  | where it comes from                          |
|---------|-----------------------------------------|----------------------------------------------|
| SIMBAD  | match, empty, many cones, overflow      | not recorded: by hand, after TAP and DALI    |
| SIMBAD  | table of column names                   | recorded (TAP, simbad_basic_columns.xml)     |
| SIMBAD  | sexagesimal list near M1                | recorded (older interface, query_coo.data)   |
| NED     | 475 objects near M42                    | recorded (query_near_position.xml)           |
| NED     | "No note found"                         | recorded (error.xml)                         |
| NED     | match, "No object found"                | not recorded: by hand, as the recorded error |
| VizieR  | SDSS and Gaia: match, empty, many cones | not recorded: by hand, after TAP and DALI    |
| VizieR  | catalogue of another form               | recorded (older interface, kang2010.xml)     |
| VizieR  | database not reachable                  | recorded (no_server_error.xml)               |
| SkyBoT  | 4 objects on 2025-01-02                 | recorded (skybot_query.vot of astroquery)    |
| SkyBoT  | nobody there                            | not recorded: by hand, with its known words  |
| all     | 4xx, 5xx, 429, late, slow, cut short    | not recorded: by hand                        |

Recorded answers lie in SKYSIEVE_DATA (astropy/astroquery, BSD-3; those tests are marked `data`) or
in the installed astroquery. What was asked is checked against TAP 1.1 (sections 2.3 and 2.5), the
parameters of NED's objsearch and those of SkyBoT's conesearch as astroquery sends them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from jobs.catalogues import Catalogue, catalogues, cross_match, known_state
from jobs.catalogues.answer import Cone
from jobs.catalogues.vizier import tap_address
from jobs.errors import SettingsError, UsageError
from jobs.services import Services
from jobs.settings import Settings
from tests.jobs.catalogues import bodies
from tests.jobs.catalogues.conftest import Hands
from tests.jobs.catalogues.skies import (
    CRAB,
    GAIA,
    PLACE,
    SDSS12,
    SDSS16,
    SIMBAD,
    Sky,
    around,
    form,
    uploaded,
)
from tests.loopback import Asked, LoopbackServer, Reply, free_port

MJD = 60677.0
NEIGHBOUR: bodies.Row = ("neighbour", "*", 83.6335, 22.0146)
PATHS = {
    "simbad": bodies.SIMBAD_PATH,
    "ned": bodies.NED_PATH,
    "sdss_dr12": bodies.VIZIER_PATH,
    "sdss_dr16": bodies.VIZIER_PATH,
    "gaia_dr3": bodies.VIZIER_PATH,
    "skybot": bodies.SKYBOT_PATH,
}
BODIES: dict[str, Callable[..., bytes]] = {
    **dict.fromkeys(PATHS, bodies.simbad),
    "ned": bodies.ned,
    "skybot": bodies.skybot,
}
SERVICES = pytest.mark.parametrize("service", PATHS)


def near(service: str) -> str:
    """How the service names the object that bodies call V* CM Tau."""
    prefix = {"sdss_dr12": "SDSS DR12 objID ", "sdss_dr16": "SDSS DR16 objID "}
    return {**prefix, "gaia_dr3": "Gaia DR3 "}.get(service, "") + "V* CM Tau"


@SERVICES
def test_match(service: str, services: dict[str, Catalogue], server: LoopbackServer) -> None:
    server.on(PATHS[service], Reply(BODIES[service](NEIGHBOUR, CRAB)))
    answer = services[service].cone(*PLACE, 5, MJD)
    assert (answer.service, answer.state, answer.reason) == (service, "match", "")
    assert answer.nearest is not None
    assert len(answer.matches) == 2
    assert (answer.nearest.object_name, answer.nearest.object_type) == (near(service), "Psr")
    assert answer.nearest.separation_arcsec == pytest.approx(0.165, abs=0.001)
    assert (answer.ra_deg, answer.dec_deg, answer.radius_arcsec) == (*PLACE, 5)
    assert answer.wide_objects == 2
    wide = services[service].wide_arcsec
    assert answer.chance == pytest.approx(2 * (0.165 / wide) ** 2, rel=0.02)


@SERVICES
def test_nothing_there(service: str, services: dict[str, Catalogue]) -> None:
    answer = services[service].cone(*PLACE, 5, MJD)
    assert (answer.state, answer.matches, answer.chance) == ("no_match", (), None)


def test_simbad_is_asked_in_adql(services: dict[str, Catalogue], server: LoopbackServer) -> None:
    services["simbad"].cone(*PLACE, 7.2)
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/simbad/sim-tap/sync")
    assert form(asked) == {
        "REQUEST": b"doQuery",
        "LANG": b"ADQL",
        "MAXREC": b"2000",
        "QUERY": b"SELECT o.main_id AS object_name, o.ra AS object_ra, o.dec AS object_dec, "
        b"o.otype_txt AS object_type FROM basic AS o WHERE CONTAINS(POINT('ICRS', o.ra, o.dec), "
        b"CIRCLE('ICRS', 83.63311000, 22.01446000, 0.01666667)) = 1",
    }
    assert asked.headers["user-agent"].startswith("skysieve/")


def test_many_cones_go_up_as_a_table(
    services: dict[str, Catalogue], server: LoopbackServer
) -> None:
    cones = [Cone(10.0 + i, -5.5, 2.0) for i in range(3)]
    seen = services["simbad"].sightings(cones, [2.0, 2.0, 30.0])
    (asked,) = server.asked
    fields = form(asked)
    assert asked.headers["content-type"].startswith("multipart/form-data")
    assert fields["QUERY"].decode() == (
        "SELECT u.cone_number AS cone_number, o.main_id AS object_name, o.ra AS object_ra, "
        "o.dec AS object_dec, o.otype_txt AS object_type FROM TAP_UPLOAD.cones AS u JOIN basic AS "
        "o ON CONTAINS(POINT('ICRS', o.ra, o.dec), CIRCLE('ICRS', u.cone_ra, u.cone_dec, "
        "u.cone_radius)) = 1"
    )
    sent = uploaded(fields)
    assert list(sent["cone_number"]) == [0, 1, 2]
    assert list(sent["cone_ra"]) == [10, 11, 12]
    assert list(sent["cone_radius"] * 3600) == pytest.approx([60, 60, 120])
    assert [each.wide_objects for each in seen] == [0, 0, 0]


def test_rows_find_their_cones(services: dict[str, Catalogue], sky: Sky) -> None:
    sky.tables[SIMBAD] = [("a", "G", 10.0, -5.5), ("c", "*", 12.0, -5.5001)]
    cones = [Cone(10.0 + i, -5.5, 2.0) for i in range(3)]
    seen = services["simbad"].sightings(cones, [2.0] * 3)
    assert [each.near.names for each in seen] == [("a",), (), ("c",)]


def test_a_cut_answer_for_many_is_asked_again_in_halves(
    services: dict[str, Catalogue],
    sky: Sky,
    server: LoopbackServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("jobs.catalogues.tap.MOST_ROWS_OF_MANY", 4)
    sky.tables[SIMBAD] = [(f"{n}", "*", 10.0 + i, -5.5) for i in range(4) for n in range(2)]
    cones = [Cone(10.0 + i, -5.5, 2.0) for i in range(4)]
    seen = services["simbad"].sightings(cones, [2.0] * 4)
    assert [(each.wide_objects, each.doubt) for each in seen] == [(2, "")] * 4
    sizes = [len(uploaded(fields)) if "UPLOAD" in (fields := form(a)) else 1 for a in server.asked]
    assert sizes == [4, 2, 1, 1, 2, 1, 1]


def test_a_crowded_cone_is_narrowed_until_its_list_is_whole(
    services: dict[str, Catalogue], sky: Sky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.catalogues.tap.MOST_ROWS", 50)
    crowd = [(f"{n}", "*", 10.0, -5.5 + (10 + n) / 3600) for n in range(49)]
    sky.tables[SIMBAD] = [*crowd, ("a", "*", 10.0, -5.5), ("b", "*", 10.0, -5.5001)]
    answer = services["simbad"].cone(10, -5.5, 2)
    assert (answer.state, answer.reason) == ("match", "")
    assert (answer.wide_arcsec, answer.wide_objects) == (15, 8)


def test_an_answer_about_cones_that_were_not_asked(
    services: dict[str, Catalogue], server: LoopbackServer
) -> None:
    server.on(bodies.SIMBAD_PATH, Reply(bodies.tap((7, *CRAB))))
    answer = services["simbad"].cone(*PLACE, 5)
    assert answer.state == "match", "one cone was asked, so that every row is about it"
    seen = services["simbad"].sightings
    with pytest.raises(Exception, match="cones that were not asked about"):
        seen([Cone(*PLACE, 5), Cone(10, 10, 5)], [5, 5])


def test_ned_is_asked_in_arcminutes(services: dict[str, Catalogue], server: LoopbackServer) -> None:
    services["ned"].cone(10, -5.5, 30)
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("GET", "/cgi-bin/objsearch")
    assert asked.params["search_type"] == "Near Position Search"
    assert asked.params["of"] == "xml_main"
    assert (asked.params["in_csys"], asked.params["in_equinox"]) == ("Equatorial", "J2000.0")
    place = [float(asked.params[name]) for name in ("lon", "lat", "radius")]
    assert place == [10, -5.5, 2.0]


@pytest.mark.parametrize(
    ("service", "table", "name"),
    [
        ("sdss_dr12", "V/147/sdss12", "objID"),
        ("sdss_dr16", "V/154/sdss16", "objID"),
        ("gaia_dr3", "I/355/gaiadr3", "Source"),
    ],
)
def test_vizier_is_asked_for_each_table(
    service: str, table: str, name: str, services: dict[str, Catalogue], server: LoopbackServer
) -> None:
    services[service].cone(10, -5.5, 2)
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/TAPVizieR/tap/sync")
    query = form(asked)["QUERY"].decode()
    assert f'SELECT o."{name}" AS object_name' in query
    assert f"""FROM "{table}" AS o WHERE CONTAINS(POINT('ICRS', o."RA_ICRS", """ in query
    assert "CIRCLE('ICRS', 10.00000000, -5.50000000, 0.01666667)" in query


def test_sdss_classes_are_said_in_words(services: dict[str, Catalogue], sky: Sky) -> None:
    sky.tables[SDSS16] = [("1", "3", *PLACE), ("2", "6", PLACE[0], PLACE[1] + 1 / 3600)]
    found = services["sdss_dr16"].cone(*PLACE, 5).matches
    assert [(each.object_name, each.object_type) for each in found] == [
        ("SDSS DR16 objID 1", "galaxy"),
        ("SDSS DR16 objID 2", "star"),
    ]


def test_any_table_with_positions_can_be_configured(
    settings: Settings, server: LoopbackServer
) -> None:
    own = settings.model_copy(
        update={"vizier_catalogues": ("II/328/allwise",), "catalogue_services": ("vizier",)}
    )
    (catalogue,) = catalogues(own)
    assert (catalogue.service, catalogue.coverage) == ("vizier II/328/allwise", "footprint")
    assert catalogue.cone(*PLACE, 5).state == "not_determined"
    query = form(server.asked[0])["QUERY"].decode()
    assert 'o."recno" AS object_name, o."RAJ2000" AS object_ra' in query
    hostile = own.model_copy(update={"vizier_catalogues": ('x" AS o; DROP',)})
    with pytest.raises(SettingsError, match="expected a VizieR table"):
        catalogues(hostile)
    with pytest.raises(SettingsError, match="no catalogue service 'simbat'"):
        catalogues(own.model_copy(update={"catalogue_services": ("simbat",)}))


def test_vizier_has_its_tap_service_on_a_host_of_its_own() -> None:
    cds = "https://tapvizier.cds.unistra.fr/TAPVizieR/tap"
    assert tap_address("https://vizier.cds.unistra.fr") == cds
    assert tap_address("http://127.0.0.1:9/") == "http://127.0.0.1:9/TAPVizieR/tap"


@pytest.mark.parametrize("table", [SDSS12, SDSS16])
def test_absence_outside_a_footprint_proves_nothing(
    table: str, services: dict[str, Catalogue], sky: Sky
) -> None:
    service = "sdss_dr12" if table == SDSS12 else "sdss_dr16"
    sky.tables[table] = []
    answer = services[service].cone(*PLACE, 5)
    assert (answer.state, answer.cause) == ("not_determined", "outside_coverage")
    assert "0 objects within 60 arcsec" in answer.reason
    sky.tables[table] = around(PLACE)[:3]
    edge = services[service].cone(*PLACE, 5)
    assert (edge.state, edge.cause) == ("not_determined", "outside_coverage"), "one side is empty"
    sky.tables[table] = [("here", "3", *PLACE)]
    assert services[service].cone(*PLACE, 5).state == "match", "what is there was seen"
    sky.tables[table] = around(PLACE)
    assert services[service].cone(*PLACE, 5).state == "no_match"


def test_gaia_covers_the_whole_sky(services: dict[str, Catalogue], sky: Sky) -> None:
    sky.tables[GAIA] = []
    assert services["gaia_dr3"].cone(*PLACE, 5).state == "no_match"


def test_skybot_is_asked_about_a_moment(
    services: dict[str, Catalogue], server: LoopbackServer
) -> None:
    services["skybot"].cone(81.2833, 4.49278, 6, MJD)
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("GET", bodies.SKYBOT_PATH)
    assert asked.params == {
        "-ra": "81.28330000",
        "-dec": "4.49278000",
        "-rd": "0.33333333",
        "-ep": "2460677.500000",
        "-loc": "500",
        "-filter": "120",
        "-objFilter": "111",
        "-refsys": "EQJ2000",
        "-output": "object",
        "-mime": "votable",
        "-from": "skysieve",
    }


def test_skybot_needs_a_date(services: dict[str, Catalogue], server: LoopbackServer) -> None:
    answer = services["skybot"].cone(*PLACE, 5)
    assert (answer.state, answer.cause) == ("not_determined", "no_date")
    assert "no date" in answer.reason
    assert server.asked == []


def test_recorded_skybot_answer(services: dict[str, Catalogue], server: LoopbackServer) -> None:
    body = files("astroquery.imcce.tests").joinpath("data/skybot_query.vot").read_bytes()
    server.on(bodies.SKYBOT_PATH, Reply(body))
    answer = services["skybot"].cone(81.2833, 4.49278, 80, MJD)
    assert answer.nearest is not None
    assert (answer.nearest.object_name, answer.nearest.object_type) == (
        "G!kun||'homdima",
        "KBO>Detached",
    )
    assert answer.nearest.separation_arcsec == pytest.approx(71.942, abs=0.2), "as SkyBoT says"
    assert answer.wide_objects == 4


@SERVICES
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(b"internal error", status=500), "HTTP 500"),
        (Reply(b"", status=404), "HTTP 404"),
        (Reply(b"slow down", status=429, headers={"Retry-After": "90"}), "HTTP 429"),
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
    server.on(PATHS[service], reply)
    answer = services[service].cone(*PLACE, 5, MJD)
    assert (answer.state, answer.cause, answer.matches) == ("not_determined", "trouble", ())
    assert reason in answer.reason


def test_a_refused_query_comes_with_its_reason(
    services: dict[str, Catalogue], server: LoopbackServer
) -> None:
    """DALI 1.1, section 4.2: an error document may come with status 400."""
    server.on(bodies.SIMBAD_PATH, Reply(bodies.tap_error("unknown column"), status=400))
    reason = services["simbad"].cone(*PLACE, 5).reason
    assert reason == "HTTP 400: the service reported an error: unknown column"


@SERVICES
def test_a_body_cut_on_its_way(
    service: str, services: dict[str, Catalogue], server: LoopbackServer
) -> None:
    whole = BODIES[service](CRAB)
    server.on(PATHS[service], Reply(whole[:-30], withheld=30))
    assert "cut short" in services[service].cone(*PLACE, 5, MJD).reason


@SERVICES
def test_a_body_that_ends_too_soon(
    service: str, services: dict[str, Catalogue], server: LoopbackServer
) -> None:
    server.on(PATHS[service], Reply(BODIES[service](CRAB)[:-30]))
    assert "no readable VOTable" in services[service].cone(*PLACE, 5, MJD).reason


@pytest.mark.slow
@SERVICES
@pytest.mark.parametrize("reply", [Reply(delay_s=30), Reply(b"x" * 400, trickle_s=0.05)])
def test_a_service_that_hangs_or_drips(
    service: str, reply: Reply, settings: Settings, server: LoopbackServer
) -> None:
    impatient = settings.model_copy(update={"catalogue_timeout_s": 0.3})
    asking = {catalogue.service: catalogue for catalogue in catalogues(impatient)}
    server.on(PATHS[service], reply)
    answer = asking[service].cone(*PLACE, 5, MJD)
    assert (answer.state, answer.cause) == ("not_determined", "trouble")
    assert "timed out after 0.3 s" in answer.reason


@SERVICES
def test_a_service_that_is_not_there(service: str, settings: Settings, hands: Hands) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    names = ("simbad_url", "ned_url", "vizier_url", "skybot_url")
    gone = settings.model_copy(update=dict.fromkeys(names, nowhere))
    asking = {each.service: each for each in catalogues(gone, Services(clock=hands.clock))}
    answer = asking[service].cone(*PLACE, 5, MJD)
    assert (answer.state, answer.cause) == ("not_determined", "trouble")
    assert "cannot be reached at 127.0.0.1" in answer.reason


@SERVICES
def test_bad_input_is_refused_before_anyone_is_asked(
    service: str, services: dict[str, Catalogue], server: LoopbackServer
) -> None:
    with pytest.raises(UsageError, match="declination"):
        services[service].cone(0, 91, 5)
    with pytest.raises(UsageError, match="radius"):
        services[service].cone(0, 0, 0)
    with pytest.raises(UsageError, match="date"):
        services[service].cone(0, 0, 5, float("nan"))
    assert server.asked == []


@SERVICES
def test_a_position_that_is_no_number(
    service: str, services: dict[str, Catalogue], server: LoopbackServer
) -> None:
    server.on(PATHS[service], Reply(BODIES[service](("x", "*", "soon", 22.0))))
    assert services[service].cone(*PLACE, 5, MJD).state == "not_determined"


def test_simbad_overflow(services: dict[str, Catalogue], server: LoopbackServer) -> None:
    """Rows were left out: a match stands, absence does not."""
    far: bodies.Row = ("far", "*", 83.64, 22.0145)
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


def test_one_failure_keeps_an_object_from_being_unknown(
    asking: tuple[Catalogue, ...], sky: Sky, server: LoopbackServer
) -> None:
    assert known_state(cross_match(asking, *PLACE, 5, MJD)) == "unknown"
    server.on(bodies.NED_PATH, Reply(status=500))
    answers = cross_match(asking, *PLACE, 5, MJD)
    states = {answer.service: answer.state for answer in answers}
    assert {s for s, state in states.items() if state == "not_determined"} == {"ned"}
    assert known_state(answers) == "not_determined"
    sky.tables[SIMBAD] = [CRAB]
    assert known_state(cross_match(asking, *PLACE, 5, MJD)) == "known"


def test_without_a_date_what_moves_is_not_asked(asking: tuple[Catalogue, ...]) -> None:
    answers = cross_match(asking, *PLACE, 5)
    assert "skybot" not in {answer.service for answer in answers}
    assert known_state(answers) == "unknown"


def test_services_are_asked_at_the_same_time(settings: Settings, server: LoopbackServer) -> None:
    """Each answers only once all were asked, so one that hangs delays no other."""
    all_asked = threading.Barrier(4, timeout=4)

    def together(body: bytes) -> Callable[[Asked], Reply]:
        def reply(asked: Asked) -> Reply:
            all_asked.wait()
            return Reply(body)

        return reply

    one = settings.model_copy(update={"vizier_catalogues": (GAIA,)})
    for service, path in PATHS.items():
        server.on(path, together(BODIES[service](CRAB)))
    answers = cross_match(catalogues(one), *PLACE, 5, MJD)
    assert [(answer.service, answer.state) for answer in answers] == [
        ("simbad", "match"),
        ("ned", "match"),
        ("gaia_dr3", "match"),
        ("skybot", "match"),
    ]


def test_at_most_five_questions_a_second(services: dict[str, Catalogue], hands: Hands) -> None:
    for _ in range(6):
        services["ned"].cone(*PLACE, 5)
    assert sum(hands.slept_s) >= 5 * 0.2 - 0.5, "what the questions took counts too"
    assert len(hands.slept_s) == 5


def test_tables_of_vizier_share_its_rate(services: dict[str, Catalogue], hands: Hands) -> None:
    for service in ("sdss_dr12", "sdss_dr16", "gaia_dr3"):
        services[service].cone(*PLACE, 5)
    assert len(hands.slept_s) == 2


# Recorded answers.


def recorded(data_root: Path, name: str) -> bytes:
    return (data_root / "catalog" / name).read_bytes()


@pytest.mark.data
def test_recorded_ned_list(
    data_root: Path, services: dict[str, Catalogue], server: LoopbackServer
) -> None:
    body = recorded(data_root, "ipac/ned/tests/data/query_near_position.xml")
    server.on(bodies.NED_PATH, Reply(body))
    answer = services["ned"].cone(83.822083, -5.391111, 600)
    assert len(answer.matches) == body.count(b"<TR>") == 475
    assert answer.nearest is not None
    assert (answer.nearest.object_name, answer.nearest.object_type) == ("COUP 0900", "*")
    near = services["ned"].cone(83.822083, -5.391111, 6.95)
    assert [m.object_name for m in near.matches] == ["COUP 0900", "CXO J053517.0-052333"]
    elsewhere = services["ned"].cone(200, 40, 5)
    assert elsewhere.state == "not_determined"
    assert "outside the radius" in elsewhere.reason


@pytest.mark.data
@pytest.mark.parametrize(
    ("service", "name", "reason"),
    [
        ("ned", "ipac/ned/tests/data/error.xml", "No note found"),
        ("gaia_dr3", "vizier/tests/data/no_server_error.xml", "not currently reachable"),
        ("gaia_dr3", "vizier/tests/data/kang2010.xml", "lacks the column"),
        ("simbad", "simbad/tests/data/simbad_basic_columns.xml", "lacks the column"),
        ("simbad", "simbad_legacy_0.4.6/query_coo.data", "no readable VOTable"),
        ("simbad", "ipac/irsa/tests/data/Cone.xml", "lacks the column"),
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
    server.on(PATHS[service], Reply(recorded(data_root, name)))
    answer = services[service].cone(*PLACE, 5)
    assert answer.state == "not_determined"
    assert reason in answer.reason


@pytest.mark.data
def test_sexagesimal_positions_are_not_taken_for_degrees(
    data_root: Path, services: dict[str, Catalogue], server: LoopbackServer
) -> None:
    script = recorded(data_root, "simbad_legacy_0.4.6/query_coo.data")
    body = script[script.index(b"<?xml") :]
    for old, new in (
        (b'"MAIN_ID"', b'"object_name"'),
        (b'"RA"', b'"object_ra"'),
        (b'"DEC"', b'"object_dec"'),
    ):
        body = body.replace(b"name=" + old, b"name=" + new)
    server.on(bodies.SIMBAD_PATH, Reply(body))
    answer = services["simbad"].cone(*PLACE, 5)
    assert answer.reason == "positions were not given as numbers"
