"""Processes as /proc shows them, and waiting for things to happen."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def children_of(pid: int) -> set[int]:
    """The processes that `pid` started and that have not ended."""
    return {child for child, parent, state in _processes() if parent == pid and state != "Z"}


def wait_until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait for a condition. Raises TimeoutError when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{condition} did not come true within {seconds:g} s")
        time.sleep(0.05)


def _processes() -> list[tuple[int, int, str]]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        found.append((int(path.parent.name), int(parent), state))
    return found
