from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from db.store import Store
from jobs import owner as owners
from jobs.owner import Owner
from jobs.settings import Settings
from tests.dashboard.fakes import FakeOwner
from tests.store_factory import fill

APP = Path(__file__).parents[2] / "dashboard" / "app.py"

Open = Callable[..., AppTest]


def install(store: Store) -> FakeOwner:
    fake = FakeOwner(store, Settings(home=store.home))
    owners.install(cast(Owner, fake))
    return fake


@pytest.fixture(autouse=True)
def nobody_owns_afterwards() -> Iterator[None]:
    owners.install(None)
    st.cache_data.clear()
    yield
    owners.install(None)


@pytest.fixture
def empty_owner(tmp_path: Path) -> Iterator[FakeOwner]:
    with Store.open(tmp_path) as store:
        yield install(store)


@pytest.fixture(scope="session")
def night_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of 6 frames, 4 detections on each of the first 5, that nobody opens."""
    home = tmp_path_factory.mktemp("night")
    with Store.open(home) as store:
        fill(store, frames=6, per_frame=4)
    return home


@pytest.fixture
def filled_owner(night_home: Path, tmp_path: Path) -> Iterator[FakeOwner]:
    """Over a night of one's own."""
    home = shutil.copytree(night_home, tmp_path / "home")
    with Store.open(home) as store:
        yield install(store)


@pytest.fixture(scope="session")
def night(night_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A night for tests that only look."""
    home = shutil.copytree(night_home, tmp_path_factory.mktemp("looked-at") / "home")
    with Store.open(home) as store:
        yield store


@pytest.fixture
def looking(night: Store) -> FakeOwner:
    """Own the night that is only looked at."""
    return install(night)


@pytest.fixture
def open_page() -> Open:
    """Open one page of the app by its file name, with query parameters."""

    def open_it(name: str, **query: Any) -> AppTest:
        app = AppTest.from_file(str(APP), default_timeout=60)
        app.switch_page(f"views/{name}.py")
        for key, value in query.items():
            app.query_params[key] = value
        app.run()
        assert not app.exception, [error.value for error in app.exception]
        return app

    return open_it
