"""`skysieve doctor` finds what is wrong, says what to do, and fails only where something failed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from engine.cards import ModelCard, file_digest, write_card
from jobs import checkup
from jobs.cli.doctor import doctor
from jobs.owner_file import OwnerCard, write_owner
from tests.loopback import LoopbackServer, Reply, free_port


def run(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(doctor)
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder with one model and a card that fits it."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "codec.safetensors").write_bytes(b"weights")
    digest = file_digest(folder / "codec.safetensors")
    card = ModelCard("codec", "codec", digest, "", {}, "", 0, "", "", "")
    write_card(folder, card)
    return folder


@pytest.fixture
def healthy(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, and weights that fit, whatever this checkout holds."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("SKYSIEVE_HOME", str(home))
    monkeypatch.delenv("SKYSIEVE_DATA", raising=False)
    monkeypatch.setattr(
        "jobs.checkup.check_weights", lambda: original_check_weights(folder=weights)
    )
    return home


original_check_weights = checkup.check_weights


def test_a_healthy_installation(healthy: Path) -> None:
    ran = run("--json")
    document = json.loads(ran.stdout)
    states = {check["name"]: check["state"] for check in document["checks"]}
    assert set(states) == {
        "python", "packages", "home", "disk", "weights codec", "store", "data", "chromium",
    }  # fmt: skip
    assert (ran.exit_code, document["ok"]) == (0, True), states
    assert "failed" not in states.values()


def test_one_failure_fails_the_command(healthy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYSIEVE_DATA", str(healthy / "nowhere"))
    ran = run()
    assert (ran.exit_code, ran.stderr) == (1, "failed: data\n")
    (line,) = [line for line in ran.stdout.splitlines() if line.startswith("data")]
    assert "failed" in line
    assert "-> set SKYSIEVE_DATA" in line


def test_packages_are_compared_with_what_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checkup.check_packages().state == "ok"
    declared = ["numpy>=999", "no-such-package-here", "typer", 'absent; extra == "dev"']
    monkeypatch.setattr("jobs.checkup.metadata.requires", lambda name: declared)
    check = checkup.check_packages()
    assert check.state == "failed"
    assert "needed >=999" in check.finding
    assert "no-such-package-here is missing" in check.finding
    assert "typer" not in check.finding
    assert "absent" not in check.finding


def test_python_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.python_version", lambda: "3.10.14")
    check = checkup.check_python()
    assert (check.state, check.finding) == ("failed", "3.10.14, needed >=3.11")


def test_a_home_that_is_not_there_yet_is_fine(tmp_path: Path) -> None:
    check = checkup.check_home(tmp_path / "new" / "home")
    assert check.state == "ok"
    assert "made at the first start" in check.finding
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(dir: Path) -> None:  # noqa: A002
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    check = checkup.check_home(tmp_path)
    assert check.state == "failed"
    assert "Permission denied" in check.finding
    assert "SKYSIEVE_HOME" in check.advice


@pytest.mark.parametrize(
    ("free", "state"), [(100 * 2**20, "failed"), (2**30, "warning"), (2**35, "ok")]
)
def test_free_space(free: int, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=free)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    assert checkup.check_space(tmp_path).state == state


def test_weights_that_fit_their_card(weights: Path) -> None:
    (check,) = checkup.check_weights(weights)
    assert (check.name, check.state) == ("weights codec", "ok")


def test_weights_that_are_not_those_of_their_card(weights: Path) -> None:
    (weights / "codec.safetensors").write_bytes(b"tampered")
    (weights / "anomaly-sim.safetensors").write_bytes(b"without a card")
    checks = {check.name: check for check in checkup.check_weights(weights)}
    assert checks["weights codec"].state == "failed"
    assert "not the file its card describes" in checks["weights codec"].finding
    assert checks["weights anomaly-sim"].state == "failed"


def test_no_weights_at_all(tmp_path: Path) -> None:
    (check,) = checkup.check_weights(tmp_path)
    assert check.state == "failed"


def test_store_without_owner_with_owner_and_after_its_death(tmp_path: Path) -> None:
    assert checkup.check_store(tmp_path).finding.startswith("no owner")
    write_owner(tmp_path, OwnerCard(os.getpid(), "2026-11-21T02:00:00", "http://x", "t0ken"))
    check = checkup.check_store(tmp_path)
    assert (check.state, check.finding) == ("ok", f"owned by process {os.getpid()} at http://x")
    finished = subprocess.Popen([sys.executable, "-c", ""])
    finished.wait()
    write_owner(tmp_path, OwnerCard(finished.pid, "2026-11-21T02:00:00", "http://x", "t0ken"))
    assert checkup.check_store(tmp_path).state == "warning"


def test_data_folder(tmp_path: Path) -> None:
    assert checkup.check_data(None).state == "ok"
    assert checkup.check_data(tmp_path).state == "failed", "an empty folder holds no images"
    (tmp_path / "mars").mkdir()
    assert checkup.check_data(tmp_path).state == "ok"


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


@pytest.mark.slow
def test_online_asks_each_service_and_failure_there_is_a_warning(
    server: LoopbackServer, healthy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = b'<VOTABLE><RESOURCE><PARAM name="Error" value=" No object found." datatype="char" arraysize="*"/></RESOURCE></VOTABLE>'  # noqa: E501
    server.on("/objsearch", Reply(nothing))
    monkeypatch.setenv("SKYSIEVE_NED_URL", f"{server.url}/objsearch")
    monkeypatch.setenv("SKYSIEVE_VIZIER_URL", f"{server.url}/vizier")
    gone = f"http://127.0.0.1:{free_port()}"
    for name in ("SIMBAD", "SKYBOT", "ZTF", "MAST", "SKYVIEW", "GALAXYZOO", "APOD"):
        monkeypatch.setenv(f"SKYSIEVE_{name}_URL", gone)
    monkeypatch.setenv("SKYSIEVE_SDSS_URL", server.url)
    server.on("/dr18/SkyServerWS/SearchTools/SqlSearch", Reply(b'[{"Rows": []}]'))
    ran = run("--online", "--json")
    checks = {check["name"]: check for check in json.loads(ran.stdout)["checks"]}
    assert ran.exit_code == 0, "a service that is down is not this installation's failure"
    assert checks["catalogue ned"]["finding"] == "reachable (no match)"
    assert checks["catalogue sdss_dr12"]["state"] == "warning"
    assert "HTTP 404" in checks["catalogue sdss_dr12"]["finding"]
    assert "SKYSIEVE_SIMBAD_URL" in checks["catalogue simbad"]["advice"]
    assert checks["source sdss"]["finding"] == "reachable (0 listed)"
    for name in ("ztf", "mast", "skyview", "galaxyzoo", "apod"):
        assert "cannot be reached" in checks[f"source {name}"]["finding"]
    sdss = [asked for asked in server.asked if asked.path.endswith("SqlSearch")]
    assert len(sdss) == 1, "each service is asked once"


def test_offline_asks_nobody(
    server: LoopbackServer, healthy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYSIEVE_NED_URL", f"{server.url}/objsearch")
    run()
    assert server.asked == []


@pytest.mark.slow
def test_no_torch_is_loaded() -> None:
    code = (
        "import sys, jobs.cli.doctor, jobs.checkup, jobs.cli.models, jobs.hub, jobs.catalogues; "
        "from jobs.settings import Settings; jobs.checkup.check_host(Settings()); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
