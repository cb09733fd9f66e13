"""Which of several sources comes next: where the yield is high, or nobody knows yet."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jobs.errors import UsageError

SEPARATOR = "|"
FIXED, THOMPSON = "fixed", "thompson"
CHOICES = (FIXED, THOMPSON)


@dataclass(frozen=True)
class Drawn:
    """One source's part in a draw: verified candidates a frame, as drawn and as expected."""

    source: str
    drawn: float
    expected: float


def sources_among(text: str) -> tuple[str, ...]:
    """The sources of "A | B | C". Raises UsageError unless there are two different ones."""
    sources = tuple(dict.fromkeys(filter(None, (part.strip() for part in text.split(SEPARATOR)))))
    if len(sources) < 2:
        raise UsageError(f"a choice needs two sources or more, as 'A {SEPARATOR} B', got {text!r}")
    return sources


def draw(
    sources: Sequence[str], yields: Mapping[str, Mapping[str, Any]], turn: str
) -> tuple[Drawn, ...]:
    """Draw each source's yield from what is known of it, the highest draw first.

    Thompson sampling (Thompson 1933, Biometrika 25): verified candidates a frame = candidates a
    frame, Gamma(1 + candidates, 1 + frames), times the share that people confirm, Beta(1 +
    accepted, 1 + rejected). A source that nobody scanned is drawn wide, and so gets its turns.
    `turn` names the turn: the same turn and counts draw the same.
    """
    seed = int.from_bytes(hashlib.sha256(turn.encode()).digest()[:8], "big")
    rng = np.random.default_rng(seed)
    drawn = []
    for source in sorted(sources):
        known = yields.get(source, {})
        frames, candidates = known.get("frames", 0), known.get("candidates", 0)
        accepted, rejected = known.get("accepted", 0), known.get("rejected", 0)
        rate = rng.gamma(1 + candidates, 1 / (1 + frames))
        share = rng.beta(1 + accepted, 1 + rejected)
        expected = (1 + candidates) / (1 + frames) * (1 + accepted) / (2 + accepted + rejected)
        drawn.append(Drawn(source, float(rate * share), expected))
    return tuple(sorted(drawn, key=lambda each: (-each.drawn, each.source)))


def told(drawn: Sequence[Drawn]) -> str:
    """The draw in a sentence."""
    first, *others = drawn
    rest = ", ".join(f"{each.source} ({each.drawn:.3g})" for each in others)
    return (
        f"{first.source} was drawn: {first.drawn:.3g} verified candidates a frame (expected "
        f"{first.expected:.3g}), before {rest}"
    )
