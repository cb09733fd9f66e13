"""One detection as the desk shows it: pictures, facts, what the machine, catalogues and people say.

Nothing here is Markdown or HTML: the desk writes every word as plain text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dashboard import pictures
from dashboard.access import owner
from dashboard.figures import age, name_of, number
from dashboard.sky_links import addresses
from dashboard.verification.cutouts import Look, layers_of, url
from db.errors import StoreError
from db.queries import catalogues, evidence, verify
from db.store import Store

Row = dict[str, Any]
NEIGHBOURS = 8


def items_of(detection_ids: Sequence[str], look: Look, *, queue: str) -> list[Row]:
    """The items of these detections, in their order."""
    store = owner().store
    if not detection_ids:
        return []
    asked = _asked(store, detection_ids)
    return [
        _item(store, found, look, queue, asked=found["detection_id"] in asked)
        for found in verify.shown(store, detection_ids)
    ]


def _asked(store: Store, detection_ids: Sequence[str]) -> set[str]:
    """Of which of them a catalogue was asked."""
    rows = store.rows(
        "SELECT DISTINCT detection_id FROM catalogue_queries "
        "WHERE list_contains($1::VARCHAR[], detection_id)",
        [list(detection_ids)],
    )
    return {row["detection_id"] for row in rows}


def small_picture(digest: str) -> bytes | None:
    """A stored picture, None where it is lost."""
    try:
        return pictures.content(digest)
    except StoreError:
        return None


def _item(store: Store, found: Row, look: Look, queue: str, *, asked: bool) -> Row:
    detection_id = found["detection_id"]
    answers = catalogues.answers(store, detection_id) if asked else []
    place, links = _place(found, answers)
    return {
        "id": detection_id,
        "name": name_of(found),
        "look": look.name,
        "layers": layers_of(found, look),
        "facts": _facts(found),
        "place": place,
        "links": [
            {"word": "everything about it", "url": f"/anomalies?detection={detection_id}"},
            *links,
        ],
        "catalogues": _answers(answers),
        "machine": _machine(found),
        "people": _people(store, detection_id) if queue == "adjudication" else [],
        "neighbours": _neighbours(store, detection_id),
    }


def _facts(found: Row) -> list[list[str]]:
    unit = found["unit"] or "counts"
    facts = [
        ["source", found["source"] or "unknown"],
        ["pixel", f"{found['x']:.1f}, {found['y']:.1f}"],
        ["size", f"{found['size_px']} px"],
        ["signal to noise", number(found["snr"])],
        ["flux", number(found["flux"], unit)],
    ]
    if found["band"]:
        facts.append(["band", found["band"]])
    if found["mjd"] is not None:
        facts.append(["MJD", f"{found['mjd']:.5f}"])
    return facts


def _place(found: Row, answers: Sequence[Row]) -> tuple[str, list[Row]]:
    if found["ra_deg"] is None:
        return "", []
    radius = max((row["radius_arcsec"] for row in answers), default=None)
    links = addresses(found["ra_deg"], found["dec_deg"], radius)
    words = {"simbad": "SIMBAD", "ned": "NED", "aladin": "Aladin"}
    return (
        f"{found['ra_deg']:.6f} {found['dec_deg']:+.6f}",
        [{"word": words[name], "url": link} for name, link in links.items()],
    )


def _answers(answers: Sequence[Row]) -> list[str]:
    if not answers:
        return ["Catalogues: not asked yet."]
    lines = []
    for row in answers:
        line = f"{row['service']}: {row['answer'].replace('_', ' ')}"
        if row["object_name"]:
            line += f", {row['object_name']} ({row['object_type']})"
            if row["separation_arcsec"] is not None:
                line += f" at {row['separation_arcsec']:.2f}″"
        if row["reason"]:
            line += f" ({row['reason']})"
        lines.append(f"{line}, {age(row['asked_at'])}")
    return lines


def _machine(found: Row) -> Row:
    numbers = [
        ["p-value", number(found["p_value"])],
        ["cosmic-ray share", number(found["cosmic_ray_share"])],
    ]
    if found["artefact_probability"] is not None:
        numbers.append(["artefact", number(found["artefact_probability"])])
    if found["class_name"]:
        share = number(found["class_probability"])
        numbers.append(["looks like", f"{found['class_name']} ({share})"])
    return {
        "verdict": found["verdict"].replace("_", " "),
        "reason": found["reason"],
        "numbers": numbers,
        "by": f"model {found['model'] or 'unnamed'}, {age(found['detected_at'])}",
    }


def _people(store: Store, detection_id: str) -> list[str]:
    rows = store.rows(
        "SELECT * FROM current_labels WHERE detection_id = $1 ORDER BY labelled_at", [detection_id]
    )
    return [
        f"{row['labeller']}: {(row['kind'] or row['label']).replace('_', ' ')}"
        + (f", interest {row['grade']}" if row["grade"] is not None else "")
        + (f", “{row['comment']}”" if row["comment"] else "")
        for row in rows
    ]


def _neighbours(store: Store, detection_id: str) -> list[Row]:
    rows = evidence.similar(store, detection_id, NEIGHBOURS)
    near = []
    for row in rows:
        picture = small_picture(row["cutout_file"])
        if picture is None:
            continue
        similarity = f"{np.clip(row['similarity'], -1, 1):.2f}"
        near.append(
            {
                "name": row["object_id"] or row["detection_id"][:12],
                "url": url(picture),
                "similarity": similarity,
                "text": f"{similarity} {row['verdict'].replace('_', ' ')}",
                "link": f"/anomalies?detection={row['detection_id']}",
            }
        )
    return near
