"""The labelling desk in its place on the page: what it says is written, what it lacks is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.access import owner
from dashboard.figures import number
from dashboard.verification.actions import ACTIONS
from dashboard.verification.cutouts import COLOURS, STRETCHES, Look
from dashboard.verification.items import items_of
from dashboard.verification.outbox import Outcome, carry_out
from db.preferences import preferences_of
from db.queries import verify
from db.ranking import changes, latest
from jobs.labelling import LEARNED, Labelling

HERE = Path(__file__).parent
KEY = "desk"
UNFADED = """<style>
.st-key-desk_place [data-stale="true"] { opacity: 1 !important; transition: none !important; }
</style>"""
AT_ONCE, MANY = 2, 16
TOP = 20
RENEW = timedelta(seconds=20)
_PARTS = ("stage.js", "keys.js", "desk.js")

_component = st.components.v2.component(
    "skysieve_desk",
    js="\n".join((HERE / part).read_text(encoding="utf-8") for part in _PARTS),
    css=(HERE / "desk.css").read_text(encoding="utf-8"),
)


def show_desk(labeller: str, queue: str) -> None:
    """Mount the desk over one queue; only this part of the page runs at the press of a key.

    What Streamlit fades while a run takes long stays as it is: the desk never waits for the run.
    """
    st.html(UNFADED)
    with st.container(key="desk_place"):
        st.fragment(_desk)(labeller, queue)


def _desk(labeller: str, queue: str) -> None:
    desk: Labelling = owner().labelling
    outcome: Outcome = st.session_state.setdefault(f"desk_outcome_{labeller}", Outcome())
    said = _said(queue)
    holder = _holder(said)
    carry_out(desk, said.get("events", []), labeller=labeller, holder=holder, outcome=outcome)
    preferences = preferences_of(desk.store, labeller)
    look = Look.of(said.get("look") or preferences.get("look") or {})
    ids, withdrawn = _handed(desk, labeller, holder, queue, said)
    other_look = [name for name, drawn in said.get("held", []) if drawn != look.name]
    still = [name for name in other_look if name not in withdrawn]
    data = {
        "labeller": labeller,
        "queue": queue,
        "learned": queue == LEARNED,
        "actions": [action.as_dict() for action in ACTIONS],
        "looks": {"stretch": list(STRETCHES), "palette": list(COLOURS)},
        "preferences": preferences,
        "items": items_of([*still, *ids], look, queue=queue),
        "brought": _brought(outcome, said, look, queue),
        "withdrawn": list(withdrawn),
        "acked": _of_now(outcome.acked, said),
        "refused": [each for each in outcome.refused if each["id"] in _ids(said)],
        "nothing_to_undo": outcome.nothing_to_undo or not _has_labels(desk, labeller),
        "empty": bool(holder) and not ids and not desk.ranker.is_busy,
        "progress": _progress(desk, labeller),
        "news": _news(desk) if queue == LEARNED else "",
        "serial": said.get("serial", 0),
    }
    _component(key=KEY, data=data, on_outbox_change=_nothing)


def _nothing() -> None:
    """The desk's words are read where it is shown, so that a run cut short loses none."""


def _said(queue: str) -> dict[str, Any]:
    """What the browser last said; what it holds of another queue counts for nothing."""
    state = st.session_state.get(KEY) or {}
    said = dict(state.get("outbox") or {})
    if said.get("queue") != queue:
        said["held"] = []
    return said


def _holder(said: dict[str, Any]) -> str:
    """Which browser asks: what it says, or said before it went to another page and came back."""
    if "holder" in said:
        st.session_state["desk_holder"] = str(said["holder"])[:64]
    holder: str = st.session_state.get("desk_holder", "")
    return holder


def _handed(
    desk: Labelling, labeller: str, holder: str, queue: str, said: dict[str, Any]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Hand out when the browser runs short, and renew what it has before its minute is over."""
    if not holder:
        return (), ()  # the browser says first who it is, so that a reload finds what it had
    held = [name for name, _ in said.get("held", [])]
    if st.session_state.get("desk_queue") != (labeller, queue):
        st.session_state["desk_queue"] = (labeller, queue)
        desk.release(holder)
    enough = min(int(said.get("enough", 2 * AT_ONCE)), 60)
    wanted = enough - len(held) if 2 * len(held) < enough else 0
    wanted = min(wanted, MANY if held else AT_ONCE)
    renewed: datetime | None = st.session_state.get("desk_renewed")
    now = datetime.now(UTC)
    if not wanted and renewed is not None and now - renewed < RENEW:
        return (), ()
    st.session_state["desk_renewed"] = now
    handed = desk.hand_out(labeller, holder, queue, wanted, held)
    return handed.detection_ids, handed.withdrawn


def _brought(
    outcome: Outcome, said: dict[str, Any], look: Look, queue: str
) -> list[dict[str, Any]]:
    """What an undo of an earlier visit brings back."""
    wanted = [(event, one) for event, one in outcome.brought if event in _ids(said)]
    found = {item["id"]: item for item in items_of([one for _, one in wanted], look, queue=queue)}
    return [{"event": event, "item": found[one]} for event, one in wanted if one in found]


def _ids(said: dict[str, Any]) -> set[str]:
    return {event["id"] for event in said.get("events", [])}


def _of_now(acked: list[str], said: dict[str, Any]) -> list[str]:
    named = _ids(said)
    return [one for one in acked if one in named]


def _has_labels(desk: Labelling, labeller: str) -> bool:
    return verify.label_to_undo(desk.store, labeller) is not None


def _progress(desk: Labelling, labeller: str) -> str:
    done = verify.done_by(desk.store, labeller)
    pace = f", {number(done['median_s'], 's')} each" if done["median_s"] is not None else ""
    return (
        f"{labeller}: {done['done']} labelled ({done['accept']} accept, {done['reject']} reject, "
        f"{done['unsure']} unsure{pace})"
    )


def _news(desk: Labelling) -> str:
    newest = latest(desk.store)
    if newest is None:
        return "No ranking yet."
    measured = (
        f", ROC-AUC {newest['held_out_auc']:.2f} on {newest['held_out']} held-out labels"
        if newest["held_out_auc"] is not None
        else ""
    )
    entered = sum(row["change"] == "enters" for row in changes(desk.store, TOP))
    changed = f" {entered} of its first {TOP} are new there." if entered else ""
    return (
        f"Ranking {newest['number']}: learned from {newest['labelled']} labels "
        f"({newest['liked']} accepted){measured}.{changed}"
    )
