"""The command line in real processes, each test with a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from db.store import Store
from jobs.owner_file import OwnerCard, read_owner
from tests.jobs.processes import wait_until

TINY = "sim:x,frames=1,terrain=1,size=64"
QUICK = {
    "SKYSIEVE_WORKERS": "1",
    "SKYSIEVE_COSMIC_RAY_SAMPLES": "1",
    "SKYSIEVE_CODEC_SAMPLES": "2",
}


@dataclass(frozen=True)
class Home:
    """A folder for a store, and how to run commands on it."""

    path: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if "SKYSIEVE" not in name}
        return {**own, "SKYSIEVE_HOME": str(self.path), "COLUMNS": "200", **self.settings}

    def run(self, *arguments: str, timeout_s: float = 600) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            command(*arguments), env=self.environment, timeout=timeout_s, text=True,
            capture_output=True, check=False,
        )  # fmt: skip

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            command(*arguments), env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def opened(self) -> Store:
        """The store, once nobody owns it."""
        return Store.open(self.path)

    def owner(self, pid: int | None = None, seconds: float = 60) -> OwnerCard:
        """The living owner's card, waited for."""
        found: list[OwnerCard] = []

        def is_there() -> bool:
            card = read_owner(self.path)
            if card is not None and pid in (None, card.pid):
                found.append(card)
            return bool(found)

        wait_until(is_there, seconds)
        return found[0]


@contextmanager
def running(home: Home, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], OwnerCard]]:
    """An owner that runs until the end of the block."""
    with home.start(*arguments) as process:
        try:
            yield process, home.owner(process.pid)
        finally:
            if process.poll() is None:
                process.terminate()
            process.communicate(timeout=60)


def command(*arguments: str) -> list[str]:
    """The command line, as this Python runs it."""
    return [sys.executable, "-m", "jobs.cli.app", *arguments]


def ask(card: OwnerCard, path: str) -> Any:
    """A JSON answer of an owner's API."""
    headers = {"Authorization": f"Bearer {card.token}"}
    return requests.get(f"{card.address}/api/{path}", headers=headers, timeout=30).json()


def one_line(completed: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr of a command that was refused."""
    assert completed.returncode == 1, (completed.stdout, completed.stderr)
    assert "Traceback" not in completed.stderr
    lines = completed.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def succeeded(completed: subprocess.CompletedProcess[str]) -> str:
    """What a command that must succeed printed."""
    assert completed.returncode == 0, (completed.stdout, completed.stderr)
    return completed.stdout


def elapsed(*arguments: str) -> float:
    """How long a command takes, at best of three."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run(command(*arguments), check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return min(times)
