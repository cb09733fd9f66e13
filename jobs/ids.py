"""Identifiers made of what they name, so that doing a thing twice names it once."""

from __future__ import annotations

import hashlib


def stable_id(*parts: object) -> str:
    """The first 32 hex digits of the sha256 of the parts."""
    joined = "\x1f".join(str(part) for part in parts)
    return hashlib.sha256(joined.encode()).hexdigest()[:32]
