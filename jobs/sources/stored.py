"""Stored images, looked at again: a source with nothing new to take in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jobs.sources.source import Item


@dataclass(frozen=True)
class StoredSource:
    """A source without items, for cycles that only analyse what the store has."""

    name: str = "stored"

    def items(self) -> Iterator[Item]:
        """No item: the images are in the store already."""
        return iter(())
