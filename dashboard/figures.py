"""Numbers and names as text: with their unit, their age and the model they come from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

UNKNOWN = "–"
STEPS = ((60, "s", 1), (3600, "min", 60), (86400, "h", 3600), (float("inf"), "d", 86400))
PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
# Where Markdown would find an address to link; a word joiner there is seen by nobody.
ADDRESSES = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?=@)", re.IGNORECASE)
WORD_JOINER = "\u2060"


def age(moment: datetime | None, now: datetime | None = None) -> str:
    """Say how long ago `moment` was, as one number with its unit."""
    if moment is None:
        return "never"
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    if seconds < 1:
        return "just now"
    unit, size = next((unit, size) for limit, unit, size in STEPS if seconds < limit)
    return f"{int(seconds // size)} {unit} ago"


def count(value: int | None) -> str:
    """Write a count with separators."""
    return UNKNOWN if value is None else f"{value:,}"


def counted(n: int, one: str, many: str | None = None) -> str:
    """Write a count with its noun: one of it, or many."""
    return f"{count(n)} {one if n == 1 else many or f'{one}s'}"


def number(value: float | None, unit: str = "", digits: int = 3) -> str:
    """Write a measured value with so many significant digits and its unit."""
    if value is None:
        return UNKNOWN
    shown = f"{value:,.0f}" if 10**digits <= abs(value) < 10**9 else f"{value:.{digits}g}"
    return f"{shown} {unit}".rstrip()


def size(value: int | None) -> str:
    """Write a number of bytes in the unit that suits it."""
    if value is None:
        return UNKNOWN
    amount = float(value)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.4g} GB"


def literal(text: object) -> str:
    """Escape text so that Markdown shows it as it is: names of files may hold anything."""
    plain = ADDRESSES.sub(WORD_JOINER, " ".join(str(text).split()))
    return PUNCTUATION.sub(r"\\\1", plain)


def name_of(row: Mapping[str, object]) -> str:
    """Name a frame or detection by its object, or by its digest where it has no name."""
    return str(row.get("object_id") or str(row["frame_digest"])[:12])


def made_by(model: str | None, digest: str | None, moment: datetime | None) -> str:
    """Say which model a number comes from, and how old it is (Markdown)."""
    version = f" ({digest[:8]})" if digest else ""
    return f"model {literal(model or 'unnamed')}{version}, {age(moment)}"
