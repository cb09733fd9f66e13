"""A loopback server in place of the services, and a clock that waits for nobody."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.catalogues import Catalogue, catalogues
from jobs.services import Clock, Services
from jobs.settings import Settings
from tests.jobs.catalogues import bodies
from tests.jobs.catalogues.skies import PLACE, SDSS12, SDSS16, Sky, around
from tests.loopback import LoopbackServer, Reply


@dataclass
class Hands:
    """A clock whose sleep only moves its own hands; `slept_s` is what was waited for."""

    slept_s: list[float] = field(default_factory=list)
    ahead_s: float = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.ahead_s += seconds

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead_s)

    @property
    def clock(self) -> Clock:
        return Clock(lambda: time.monotonic() + self.ahead_s, self.now, self.sleep)


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def sky() -> Sky:
    """SDSS has been at PLACE and saw nothing there; nobody else knows anything."""
    return Sky({SDSS12: around(PLACE), SDSS16: around(PLACE)})


@pytest.fixture
def server(sky: Sky) -> Iterator[LoopbackServer]:
    """All the services; each says that it has nothing until a test tells it otherwise."""
    with LoopbackServer() as running:
        sky.serve(running)
        running.on(bodies.NED_PATH, Reply(bodies.NED_NOTHING))
        running.on(bodies.SKYBOT_PATH, Reply(bodies.SKYBOT_NOBODY))
        yield running


@pytest.fixture
def settings(server: LoopbackServer, tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path,
        simbad_url=f"{server.url}/simbad/sim-tap",
        ned_url=f"{server.url}{bodies.NED_PATH}",
        vizier_url=server.url,
        skybot_url=f"{server.url}{bodies.SKYBOT_PATH}",
        catalogue_timeout_s=60,  # the clock of all threads moves while one of them waits
    )


@pytest.fixture
def asking(settings: Settings, hands: Hands) -> tuple[Catalogue, ...]:
    return catalogues(settings, Services(clock=hands.clock))


@pytest.fixture
def services(asking: tuple[Catalogue, ...]) -> dict[str, Catalogue]:
    return {catalogue.service: catalogue for catalogue in asking}
