"""What all tests share: the real images, and no network but the machine's own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_socket

from db.store import DATABASE_NAME, Store

PROJECT = Path(__file__).parent.parent
LOOPBACK = ["127.0.0.1", "::1", "localhost"]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Let a test and its fixtures speak to this machine alone."""
    pytest_socket.socket_allow_hosts(LOOPBACK, allow_unix_socket=True)


@pytest.fixture(autouse=True, scope="session")
def _migrated_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let new stores begin as copies of one that was migrated, in less than half the time."""
    empty = tmp_path_factory.mktemp("migrated")
    Store.open(empty).close()
    plain = Store.open.__func__  # type: ignore[attr-defined]

    def opened(cls: type[Store], home: Path, **options: Any) -> Store:
        if not (home / DATABASE_NAME).exists():
            home.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(empty / DATABASE_NAME, home / DATABASE_NAME)
        return cast(Store, plain(cls, home, **options))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Store, "open", classmethod(opened))
        yield


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real images: SKYSIEVE_DATA, or shared/data beside the project.

    Without it tests skip and say why; on a build server (CI=true) they fail.
    """
    named = os.environ.get("SKYSIEVE_DATA")
    folder = Path(named) if named else PROJECT.parent / "shared" / "data"
    if folder.is_dir():
        return folder
    reason = f"no real images in {folder}: set SKYSIEVE_DATA to their folder"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
