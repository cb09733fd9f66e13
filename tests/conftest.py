"""What all tests share: the real images, and no network but the machine's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import pytest_socket

PROJECT = Path(__file__).parent.parent
LOOPBACK = ["127.0.0.1", "::1", "localhost"]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Let a test and its fixtures speak to this machine alone."""
    pytest_socket.socket_allow_hosts(LOOPBACK, allow_unix_socket=True)


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
