"""A real server over a home folder, for tests that look at pages in a real browser."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.store import Store
from tests.store_factory import fill

PROJECT = Path(__file__).parents[2]
START_S = 90.0


@dataclass(frozen=True)
class Served:
    """A running server: its address, the home it owns, and the token of its API."""

    address: str
    home: Path
    token: str

    def query(self, sql: str) -> list[list[Any]]:
        """Ask the server's own store."""
        request = urllib.request.Request(
            f"{self.address}/api/query",
            data=json.dumps({"sql": sql}).encode(),
            headers={
                "Content-Type": "application/json",
                "Authorization": f"Bearer {self.token}",
            },
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            rows: list[Any] = json.load(answer)["rows"]
        return [list(row.values()) if isinstance(row, dict) else row for row in rows]

    def number(self, sql: str) -> int:
        """Ask for a single number."""
        return int(self.query(sql)[0][0])


@contextmanager
def serve_night(
    folder: Path,
    *,
    frames: int,
    per_frame: int,
    also: Callable[[Store], object] = lambda _: None,
) -> Iterator[Served]:
    """Fill a store in `folder` with a night and what `also` adds to it, and serve it."""
    with Store.open(folder / "home") as store:
        fill(store, frames=frames, per_frame=per_frame)
        also(store)
    with serve(folder / "home", folder / "server.log") as served:
        yield served


@contextmanager
def serve(home: Path, log: Path, flags: Sequence[str] = ()) -> Iterator[Served]:
    """Serve the dashboard over the store in `home` on a free port, with more flags of Streamlit."""
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    with log.open("w") as stream:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "streamlit", "run", "dashboard/server.py"),
                *("--server.address", "127.0.0.1", "--server.port", str(port)),
                *("--server.headless", "true", "--server.fileWatcherType", "none"),
                *("--browser.gatherUsageStats", "false"),
                *flags,
            ],
            cwd=PROJECT,
            env={**os.environ, "SKYSIEVE_HOME": str(home), "SKYSIEVE_WORKERS": "1"},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_healthy(server, address, log)
        card = json.loads((home / "owner.json").read_text())
        yield Served(address, home, card["token"])
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(20)


def _wait_until_healthy(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with {server.returncode}:\n{log.read_text()}")
        try:
            with urllib.request.urlopen(f"{address}/api/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"the server did not answer within {START_S:g} s:\n{log.read_text()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
