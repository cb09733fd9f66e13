"""What a browser says: each event is written once, however often it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from db.errors import ConflictError, StoreError, StoreInvalidated
from jobs.errors import JobError
from jobs.labelling import Labelling

Event = dict[str, Any]


@dataclass
class Outcome:
    """What became of events: written ones, refused ones with the reason, what comes back."""

    acked: list[str] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)
    brought: list[tuple[str, str]] = field(default_factory=list)
    nothing_to_undo: bool = False


def carry_out(
    desk: Labelling, events: Sequence[Event], *, labeller: str, holder: str, outcome: Outcome
) -> None:
    """Write what is not in `outcome` yet, in order; labels that follow each other in one go.

    Events of one `group` (the grid's selection) are written as a whole or not at all. What the
    store refuses is refused once and for all; where the store is away, it stays unsaid and the
    browser sends it again.
    """
    known = {*outcome.acked, *(each["id"] for each in outcome.refused)}
    fresh = [event for event in events if event["id"] not in known]
    units = [list(group) for _, group in groupby(fresh, key=lambda e: e.get("group") or e["id"])]
    while units:
        count = next((n for n, unit in enumerate(units) if unit[0]["type"] != "say"), len(units))
        run, units = units[: max(count, 1)], units[max(count, 1) :]
        if len(run) > 1 and _say_together(desk, run, labeller, outcome):
            continue
        for unit in run:
            try:
                _whole(desk, unit, labeller, holder, outcome)
            except StoreInvalidated:
                return
            except (StoreError, JobError) as error:
                outcome.refused += [{"id": event["id"], "message": str(error)} for event in unit]
            else:
                outcome.acked += [event["id"] for event in unit]


def _say_together(
    desk: Labelling, units: Sequence[Sequence[Event]], labeller: str, outcome: Outcome
) -> bool:
    events = [event for unit in units for event in unit]
    try:
        desk.say([label_of(event, labeller) for event in events])
    except StoreInvalidated:
        return False
    except StoreError:
        return False  # one of them is wrong: each unit is tried by itself
    outcome.acked += [event["id"] for event in events]
    return True


def _whole(
    desk: Labelling, unit: Sequence[Event], labeller: str, holder: str, outcome: Outcome
) -> None:
    """Carry one event out, or the labels or undos of one selection in one transaction."""
    kinds = {event["type"] for event in unit}
    if len(unit) == 1:
        _one(desk, unit[0], labeller, holder, outcome)
    elif kinds == {"say"}:
        desk.say([label_of(event, labeller) for event in unit])
    elif kinds == {"undo"} and all(event["undoes"] for event in unit):
        desk.undo_all([(event["undoes"], event["id"]) for event in unit], labeller)
    else:
        raise ConflictError("expected labels or undos of one selection: reload the page")


def _one(desk: Labelling, event: Event, labeller: str, holder: str, outcome: Outcome) -> None:
    match event["type"]:
        case "say":
            desk.say([label_of(event, labeller)])
        case "undo" if event["undoes"]:
            desk.undo(event["undoes"], labeller, label_id=event["id"])
        case "undo":
            undone = desk.undo_last(labeller, label_id=event["id"])
            outcome.nothing_to_undo = undone is None
            if undone is not None:
                outcome.brought.append((event["id"], undone["detection_id"]))
        case "skip":
            desk.skip(labeller, holder, event["detection_id"])
        case "unskip":
            desk.take_skip_back(labeller, event["detection_id"])
        case "keep":
            desk.keep_preferences(labeller, event["preferences"])
        case other:
            raise ConflictError(f"expected an event of the desk, got {other!r}: reload the page")


def label_of(event: Event, labeller: str) -> dict[str, Any]:
    """The label that an event states; its labeller is who is signed in, whatever it says."""
    seconds, grade = event.get("seconds"), event.get("grade")
    return {
        "label_id": str(event["id"]),
        "detection_id": str(event["detection_id"]),
        "labeller": labeller,
        "kind": str(event["kind"]),
        "grade": None if grade is None else int(grade),
        "comment": str(event.get("comment") or "")[:2000],
        "seconds": None if seconds is None else max(float(seconds), 0.0),
        "queue": str(event.get("queue") or ""),
        "blind": bool(event.get("blind")),
    }
