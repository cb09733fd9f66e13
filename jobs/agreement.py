"""How far the labellers of a store agree: every pair by Cohen's kappa, all of them by Fleiss'."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from db.labels import LABELS
from db.queries.agreement import ratings
from db.queries.paging import Reads
from engine.agreement import Agreement, cohen_kappa, fleiss_kappa

Row = dict[str, Any]


def agreement_of(store: Reads) -> dict[str, Any]:
    """Kappa of accept, reject and unsure: `pairs`, and `all` over the commonest number of labels.

    Each of `pairs` names the detections on which the two differ; `all` is None where nothing has
    two labels. Adjudications take no part.
    """
    said: dict[str, dict[str, str]] = {}
    for row in ratings(store):
        said.setdefault(row["detection_id"], {})[row["labeller"]] = row["label"]
    people = sorted({name for each in said.values() for name in each})
    pairs = [_pair(said, a, b) for a, b in combinations(people, 2)]
    return {"pairs": [pair for pair in pairs if pair["items"]], "all": _everybody(said)}


def _pair(said: Mapping[str, Mapping[str, str]], a: str, b: str) -> Row:
    both = {one: (each[a], each[b]) for one, each in said.items() if a in each and b in each}
    row: Row = {"labeller": a, "other": b, "items": len(both)}
    if not both:
        return row
    first, second = zip(*both.values(), strict=True)
    differ = [one for one, (x, y) in both.items() if x != y]
    return row | _figures(cohen_kappa(first, second)) | {"differ": differ}


def _everybody(said: Mapping[str, Mapping[str, str]]) -> Row | None:
    """Fleiss' kappa over the detections with the number of labels that most of them have."""
    if not said:
        return None
    common = Counter(len(each) for each in said.values()).most_common()
    most = max(times for _, times in common)
    labels = max(number for number, times in common if times == most)
    chosen = [list(each.values()) for each in said.values() if len(each) == labels]
    found = fleiss_kappa(np.array([_counts(each) for each in chosen]))
    return {"labels_each": labels} | _figures(found)


def _counts(labels: Sequence[str]) -> list[int]:
    return [labels.count(name) for name in LABELS]


def _figures(found: Agreement) -> Row:
    return {
        "items": found.items, "observed": found.observed, "expected": found.expected,
        "kappa": found.kappa,
    }  # fmt: skip
