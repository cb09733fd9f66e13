"""Routes about labellers: how far they agree, what is settled, what is gold, what was learned."""

from __future__ import annotations

from typing import Any

from db import gold as gold_log
from db import ranking as kept
from db.queries import agreement as votes
from jobs.agreement import agreement_of
from jobs.api.call import Call
from jobs.errors import UsageError
from jobs.owner import Owner

Answer = dict[str, Any]


def label_of(call: Call, label_id: str) -> Answer:
    """The label that a JSON body describes: a `label`, a `kind`, or both."""
    detection_id, labeller = call.required("detection_id", "labeller")
    label, kind = call.text("label"), call.text("kind")
    if label is None and kind is None:
        raise UsageError("the body lacks label or kind as text")
    return {
        "label_id": label_id,
        "detection_id": detection_id,
        "label": label,
        "labeller": labeller,
        "comment": call.text("comment") or "",
        "seconds": call.number("seconds", low=0),
        "kind": kind,
        "grade": call.count("grade", low=0),
        "queue": call.text("queue") or "",
        "blind": bool(call.flag("blind")),
    }


def agreement(owner: Owner, call: Call) -> Answer:  # noqa: ARG001
    """Kappa of every pair and of all labellers, their pace, and each measured by gold."""
    return {
        **agreement_of(owner.store),
        "labellers": votes.labellers(owner.store),
        "by_gold": gold_log.labellers_by_gold(owner.store),
    }


def consensus(owner: Owner, call: Call) -> Answer:
    """What people made of each labelled detection; ?state= for one state."""
    rule = owner.labelling.rule
    page = votes.standing_of(
        owner.store, rule, call.query.get("state"), limit=call.limit, cursor=call.cursor
    )
    return {
        "rule": {"least_votes": rule.least_votes, "share": rule.share,
                 "most_votes": rule.most_votes},
        "counts": votes.standing_counts(owner.store, rule),
        "rows": page.rows,
        "next": page.next,
    }  # fmt: skip


def gold(owner: Owner, call: Call) -> Answer:
    """The gold items, with what labellers and the pipeline made of them."""
    page = gold_log.gold_items(owner.store, limit=call.limit, cursor=call.cursor)
    return {
        "rows": page.rows,
        "labellers": gold_log.labellers_by_gold(owner.store),
        "nights": gold_log.pipeline_by_gold(owner.store),
        "next": page.next,
    }


def set_gold(owner: Owner, call: Call) -> Answer:
    """Keep the truth about one detection (`detection_id`, `kind`), or take a simulated night's.

    With `source` ("sim:...") the injected anomalies and normals of its frames become gold, by a
    request whose progress can be followed.
    """
    document = call.json()
    if "source" in document:
        (source,) = call.required("source")
        payload = {"source": source}
        return owner.enqueue(
            "gold", payload, request_id=call.text("request_id") or _fresh(), asked_by="api"
        )
    detection_id, kind, set_by = call.required("detection_id", "kind", "set_by")
    added = owner.labelling.set_gold(
        [(detection_id, kind)], origin="expert", set_by=set_by, note=call.text("note") or ""
    )
    return {"added": added}


def rankings(owner: Owner, call: Call) -> Answer:
    """What the labels taught the ranking each time, newest first, and what changed last."""
    return {
        "rows": kept.rankings(owner.store, call.limit),
        "changes": kept.changes(owner.store),
        "next": None,
    }


def rank(owner: Owner, call: Call) -> Answer:  # noqa: ARG001
    """Fit the ranking on the labels of now and wait for it."""
    found = owner.labelling.ranker.ask("asked").result()
    if found is None:
        raise UsageError("nothing can be ranked: at least 3 detections with a vector are needed")
    return found


def _fresh() -> str:
    from uuid import uuid4

    return uuid4().hex
