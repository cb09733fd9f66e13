"""`sim:NIGHT`: a night of the simulated sky, the same one every time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from jobs.errors import SourceError
from jobs.sources.source import Item, Offer

OPTIONS = {"frames": (0, 100_000), "terrain": (0, 100_000), "size": (64, 4096)}
NIGHT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}(?<!-rover)")
NUMBER = re.compile(r"[0-9]{1,7}")


@dataclass(frozen=True)
class SimulatedSource:
    """`frames` fields of sky and `terrain` pictures of ground, each `size` pixels square."""

    name: str
    night: str
    frames: int = 48
    terrain: int = 4
    size: int = 256

    @classmethod
    def parse(cls, rest: str, max_pixels: int) -> SimulatedSource:
        """Read `NIGHT[,frames=N][,terrain=N][,size=N]`."""
        night, *pairs = rest.split(",")
        if not NIGHT.fullmatch(night):
            raise SourceError(
                f"{night!r} cannot name a night: use letters, digits, '.', '_' and '-', "
                "such as 2026-03-01"
            )
        source = cls(f"sim:{night}", night, **dict(_option(pair, rest) for pair in pairs))
        if source.size**2 > max_pixels:
            raise SourceError(f"size={source.size} is more than max_pixels={max_pixels} allows")
        return source

    def items(self) -> Iterator[Item]:
        """One item a simulated frame."""
        for index in range(self.frames):
            read = partial(render_sky, self.night, index, self.size)
            yield Item(f"{self.name}/sky/{index}", f"{self.size}", read)
        for index in range(self.terrain):
            read = partial(render_terrain, self.night, index, self.size)
            yield Item(f"{self.name}/terrain/{index}", f"{self.size}", read)


def render_sky(night: str, index: int, size: int) -> tuple[Offer, ...]:
    """Render one field of the night."""
    from engine.sky import simulated_frame

    return (Offer(part="", frame=simulated_frame(night, index, size=size).frame),)


def render_terrain(night: str, index: int, size: int) -> tuple[Offer, ...]:
    """Render one terrain picture of the night."""
    from engine.sky import simulated_rover_frame

    return (Offer(part="", frame=simulated_rover_frame(night, index, size=size).frame),)


def _option(pair: str, rest: str) -> tuple[str, int]:
    key, _, value = pair.partition("=")
    low, high = OPTIONS.get(key, (1, 0))
    if not NUMBER.fullmatch(value) or not low <= int(value) <= high:
        allowed = ", ".join(f"{name}={low}..{high}" for name, (low, high) in OPTIONS.items())
        raise SourceError(f"cannot use {pair!r} in sim:{rest}: expected {allowed}")
    return key, int(value)
