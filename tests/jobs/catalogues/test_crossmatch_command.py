"""`skysieve crossmatch` exits 0 only when something was determined."""

from __future__ import annotations

import json

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from jobs.cli.crossmatch import crossmatch
from jobs.errors import UsageError
from jobs.settings import Settings
from tests.jobs.catalogues import bodies
from tests.loopback import LoopbackServer, Reply

CRAB: bodies.Row = ("V* CM Tau", "Psr", 83.633076, 22.014493)


@pytest.fixture(autouse=True)
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command reads its settings itself."""
    monkeypatch.setenv("SKYSIEVE_HOME", str(settings.home))
    for name in ("simbad_url", "ned_url", "vizier_url"):
        monkeypatch.setenv(f"SKYSIEVE_{name.upper()}", getattr(settings, name))


def run(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(crossmatch)
    place = ["--ra", "83.63311", "--dec", "22.01446", "--radius", "5"]
    return CliRunner().invoke(app, [*place, *arguments])


def test_known(server: LoopbackServer) -> None:
    server.on(bodies.SIMBAD_PATH, Reply(bodies.simbad(CRAB)))
    ran = run()
    assert ran.exit_code == 0
    lines = dict(line.split(maxsplit=1) for line in ran.stdout.splitlines())
    assert lines["simbad"] == "match: V* CM Tau (Psr) at 0.16 arcsec"
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
    assert "ned: HTTP 500" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert ran.stdout.splitlines()[-1].split() == ["overall", "not", "determined"]


def test_json(server: LoopbackServer) -> None:
    server.on(bodies.SIMBAD_PATH, Reply(bodies.simbad(CRAB)))
    server.on(bodies.NED_PATH, Reply(status=500))
    ran = run("--json")
    document = json.loads(ran.stdout)
    assert ran.exit_code == 0, "a match decides, whoever failed"
    assert document["state"] == "known"
    states = {answer["service"]: answer["state"] for answer in document["answers"]}
    assert states == {"simbad": "match", "ned": "not_determined", "vizier": "no_match"}
    assert document["answers"][0]["matches"][0]["object_name"] == "V* CM Tau"


def test_the_radius_of_the_settings(
    server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYSIEVE_CATALOGUE_RADIUS_ARCSEC", "18")
    crossmatch(10, -5, None)
    radii = [asked.params["radius"] for asked in server.asked if "radius" in asked.params]
    assert [float(radius) for radius in radii] == [0.3]


def test_a_place_that_is_not_on_the_sky(server: LoopbackServer) -> None:
    with pytest.raises(UsageError, match="declination must be in"):
        crossmatch(10, 91, 5)
    assert server.asked == []
