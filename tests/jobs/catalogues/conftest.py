"""A loopback server in place of the three services, and answers made by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import tenacity

from jobs.catalogues import Catalogue, catalogues
from jobs.settings import Settings
from tests.jobs.catalogues import bodies
from tests.loopback import LoopbackServer, Reply


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    """All three services; each says that it has nothing until a test tells it otherwise."""
    with LoopbackServer() as running:
        running.on(bodies.SIMBAD_PATH, Reply(bodies.simbad()))
        running.on(bodies.NED_PATH, Reply(bodies.NED_NOTHING))
        running.on(bodies.VIZIER_PATH, Reply(bodies.vizier()))
        yield running


@pytest.fixture
def settings(server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The loopback services, asked without pauses."""
    monkeypatch.setattr("jobs.catalogues.transport.Limiter.wait", lambda limiter: None)
    monkeypatch.setattr("jobs.catalogues.transport._backoff", tenacity.wait_none())
    return Settings(
        home=tmp_path,
        simbad_url=f"{server.url}/simbad/sim-tap",
        ned_url=f"{server.url}/cgi-bin/objsearch",
        vizier_url=server.url,
        catalogue_timeout_s=5,
    )


@pytest.fixture
def services(settings: Settings) -> dict[str, Catalogue]:
    return {catalogue.service: catalogue for catalogue in catalogues(settings)}
