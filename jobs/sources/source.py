"""What a source is: a cheap listing of items, each of which is read elsewhere and later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, Protocol

from engine.errors import FrameError
from engine.frame import Frame
from engine.likeness import Likeness, likeness_of
from jobs.errors import ServiceError
from jobs.services.failures import PassingFailure


@dataclass(frozen=True)
class Offer:
    """One part of an item: a frame, or the reason why there is none."""

    part: str
    frame: Frame | None = None
    outcome: Literal["stored", "failed", "ignored"] = "stored"
    reason: str = ""
    passing: bool = False
    """Whether the failure may be over later, so that the item is asked for again."""
    likeness: Likeness | None = None


@dataclass(frozen=True)
class Item:
    """One thing a source has. `fingerprint` changes when its content does; `read` is picklable.

    What lies elsewhere is fetched in the owner's process, where rates and breakers are shared;
    `read` then runs in a worker and is given what `fetch` returned.
    """

    uri: str
    fingerprint: str
    read: Callable[..., tuple[Offer, ...]]
    fetch: Callable[[], tuple[bytes, ...]] | None = None


class Source(Protocol):
    """A place that frames come from; `name` is what observations are filed under."""

    @property
    def name(self) -> str:
        """The source's specification, without options."""
        ...

    def items(self) -> Iterator[Item]:
        """List what there is, in a stable order, without reading any image."""
        ...


def load(item: Item) -> tuple[Offer, ...]:
    """Read an item; an image that cannot be read becomes one failed offer with its reason."""
    try:
        return tuple(_likened(offer) for offer in item.read())
    except FrameError as error:
        reason = str(error)
    except OSError as error:
        why = error.strerror or error
        reason = f"the file cannot be read ({why}): check that it is still there"
    except Exception as error:  # noqa: BLE001  one odd file must not stop the cycle
        reason = f"reading it failed ({type(error).__name__}: {error}): leave it out, or report it"
    return (Offer(part="", outcome="failed", reason=_storable(reason)),)


def fetch(item: Item) -> Item | Offer:
    """The item with what it needs at hand, or the failure to fetch it. Runs in the owner."""
    if item.fetch is None:
        return item
    try:
        contents = item.fetch()
    except ServiceError as error:
        passing = isinstance(error, PassingFailure)
        return Offer("", outcome="failed", reason=_storable(str(error)), passing=passing)
    return replace(item, read=partial(item.read, contents), fetch=None)


def _likened(offer: Offer) -> Offer:
    """The offer with what its frame looks like, worked out where there is time for it."""
    if offer.frame is None or offer.likeness is not None:
        return offer
    return replace(offer, likeness=likeness_of(offer.frame))


def _storable(text: str) -> str:
    """Text that a store can hold, also where it names a file whose name is no text."""
    return text.encode("utf-8", "backslashreplace").decode()
