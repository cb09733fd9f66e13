"""`skysieve crossmatch` exits 0 only when something was determined."""

from __future__ import annotations

import json

import pytest
import tenacity
import typer
from click.testing import Result
from typer.testing import CliRunner

from jobs.cli.crossmatch import crossmatch
from jobs.errors import UsageError
from jobs.settings import Settings
from tests.jobs.catalogues import bodies
from tests.jobs.catalogues.skies import CRAB, SIMBAD, Sky
from tests.loopback import LoopbackServer, Reply


@pytest.fixture(autouse=True)
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command reads its settings itself; it asks without pauses."""
    monkeypatch.setattr("jobs.catalogues.QUERIES_PER_SECOND", 1000.0)
    monkeypatch.setattr("jobs.services.transport._backoff", tenacity.wait_none())
    monkeypatch.setenv("SKYSIEVE_HOME", str(settings.home))
    for name in ("simbad_url", "ned_url", "vizier_url", "skybot_url"):
        monkeypatch.setenv(f"SKYSIEVE_{name.upper()}", getattr(settings, name))


def run(*arguments: str, radius: str | None = "5") -> Result:
    app = typer.Typer()
    app.command()(crossmatch)
    place = ["--ra", "83.63311", "--dec", "22.01446"]
    within = ["--radius", radius] if radius else []
    return CliRunner().invoke(app, [*place, *within, *arguments])


def test_known(sky: Sky) -> None:
    sky.tables[SIMBAD] = [CRAB]
    ran = run()
    assert ran.exit_code == 0
    lines = dict(line.split(maxsplit=1) for line in ran.stdout.splitlines())
    assert lines["simbad"] == "match: V* CM Tau (Psr) at 0.16 arcsec, by chance with 7.5e-06"
    assert lines["ned"] == "no match"
    assert lines["overall"] == "known"


def test_unknown_is_a_determination() -> None:
    ran = run()
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout.splitlines()[-1].split() == ["overall", "unknown"]


def test_not_determined_exits_1_and_names_the_service(server: LoopbackServer) -> None:
    server.on(bodies.NED_PATH, Reply(status=500))
    ran = run()
    assert ran.exit_code == 1
    assert "HTTP 500" in ran.stderr
    assert "because of ned" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert ran.stdout.splitlines()[-1].split() == ["overall", "not", "determined"]


def test_json(sky: Sky, server: LoopbackServer) -> None:
    sky.tables[SIMBAD] = [CRAB]
    server.on(bodies.NED_PATH, Reply(status=500))
    ran = run("--json")
    document = json.loads(ran.stdout)
    assert ran.exit_code == 0, "a match decides, whoever failed"
    assert document["state"] == "known"
    states = {answer["service"]: answer["state"] for answer in document["answers"]}
    assert states == {
        "simbad": "match",
        "ned": "not_determined",
        "sdss_dr12": "no_match",
        "sdss_dr16": "no_match",
        "gaia_dr3": "no_match",
    }
    assert document["answers"][0]["matches"][0]["object_name"] == "V* CM Tau"


def test_the_radius_of_the_settings(
    server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYSIEVE_CATALOGUE_RADIUS_ARCSEC", "18")
    ran = run("--json", radius=None)
    assert {answer["radius_arcsec"] for answer in json.loads(ran.stdout)["answers"]} == {18}


def test_with_a_date_what_moves_is_asked_too(server: LoopbackServer) -> None:
    rock: bodies.Row = ("Ceres", "MB>Middle", 83.6335, 22.0144)
    server.on(bodies.SKYBOT_PATH, Reply(bodies.skybot(rock)))
    lines = dict(line.split(maxsplit=1) for line in run("--mjd", "60677").stdout.splitlines())
    assert lines["skybot"].startswith("match: Ceres (MB>Middle) at 1.")
    assert lines["overall"] == "known"
    assert "skybot" not in run().stdout


def test_a_place_that_is_not_on_the_sky(server: LoopbackServer) -> None:
    with pytest.raises(UsageError, match="declination must be in"):
        crossmatch(10, 91, 5)
    assert server.asked == []
