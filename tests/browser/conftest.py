from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.browsing import chromium, chromium_path, watched_page
from tests.browser.serving import Served, serve, serve_night


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; without it these tests fail, for a page nobody opened is a page nobody tested."""
    if chromium_path() is None:
        pytest.fail("no Chromium on the path: apt-get install chromium")
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server over a night of 6 frames, 4 detections on each of the first 5."""
    folder = tmp_path_factory.mktemp("filled")
    with serve_night(folder, frames=6, per_frame=4) as served:
        yield served


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server over a new store."""
    folder: Path = tmp_path_factory.mktemp("empty")
    with serve(folder / "home", folder / "server.log") as served:
        yield served


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that must not complain: no error, and no request beyond this machine."""
    with watched_page(browser) as (opened, complaints):
        yield opened
        assert complaints.found == []
