"""The file that a benchmark writes: every published number points to one."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any


def write_result(
    path: Path,
    *,
    bench: str,
    command: str,
    seed: int,
    now: datetime,
    digests: Mapping[str, str],
    figures: Mapping[str, Any],
    notes: str = "",
) -> None:
    """Write one benchmark's figures with date, seed, digests of models and data, and the device."""
    document = {
        "bench": bench,
        "command": command,
        "date": now.isoformat(timespec="seconds"),
        "seed": seed,
        "device": f"{platform.machine()}, {platform.processor() or 'CPU'}, Python "
        f"{platform.python_version()}",
        "digests": dict(digests),
        "figures": dict(figures),
        "notes": notes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2, default=str) + "\n", encoding="utf-8")
