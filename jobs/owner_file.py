"""`owner.json`: who owns the store in this home, and where to reach them."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "owner.json"


@dataclass(frozen=True)
class OwnerCard:
    """The owner's process, the time it started (ISO 8601), its address and its token."""

    pid: int
    started_at: str
    address: str
    token: str


def write_owner(home: Path, card: OwnerCard) -> None:
    """Write the file in one step, readable by its user alone."""
    temporary = home / f"{NAME}.{card.pid}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(asdict(card), stream)
    temporary.replace(home / NAME)


def read_owner(home: Path) -> OwnerCard | None:
    """The owner's card; None when there is none, or it is stale because its process is gone."""
    try:
        card = OwnerCard(**json.loads((home / NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return card if _alive(card.pid) else None


def remove_owner(home: Path, pid: int) -> None:
    """Take the file away if it is still this process's."""
    card = read_owner(home)
    if card is not None and card.pid == pid:
        (home / NAME).unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
