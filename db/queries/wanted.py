"""Which detections a list shows and in which order: facets, ranges, text, sort, as SQL."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from db.errors import StoreError

ALONE = "alone"
UNLABELLED = "unlabelled"
METHOD = "percentile:"

MEASURES = {
    "p_value": "d.p_value",
    "conditioned_p_value": "e.conditioned_p_value",
    "snr": "d.snr",
    "cosmic_ray_share": "d.cosmic_ray_share",
    "artefact_probability": "e.artefact_probability",
    "class_probability": "d.class_probability",
    "interest": "i.interest",
    "missed_by_decades": "n.decades",
}
"""Numbers of a detection that can be bounded; `percentile:METHOD` is one more for each score."""

# Three ascending keys each, none of them NULL; the id follows.
_NONE = "0::DOUBLE"
_RANK = "coalesce(-d.rank_score, 'inf'::DOUBLE)"
SORTS = {
    "anomalous": ("(d.verdict = 'artefact')::DOUBLE", "coalesce(d.p_value, 2)", _RANK),
    "interesting": (
        "coalesce(g.place, 'inf'::DOUBLE)",
        "coalesce(-i.interest, 'inf'::DOUBLE)",
        "coalesce(d.p_value, 2)",
    ),
    "newest": ("-epoch_us(d.detected_at)::DOUBLE", _NONE, _NONE),
    "brightest": ("coalesce(-d.snr, 'inf'::DOUBLE)", _NONE, _NONE),
    "odd_for_its_size": ("coalesce(e.conditioned_p_value, 2)", "coalesce(d.p_value, 2)", _RANK),
    "nearest_miss": ("coalesce(n.decades, 'inf'::DOUBLE)", "coalesce(d.p_value, 2)", _RANK),
    "artefact_like": ("coalesce(-e.artefact_probability, 'inf'::DOUBLE)", _NONE, _NONE),
    "graded": ("coalesce(-l.grade, 'inf'::DOUBLE)", "coalesce(d.p_value, 2)", _RANK),
}

_JOINS = {
    "o": "LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest",
    "e": "LEFT JOIN detection_evidence e ON e.detection_id = d.detection_id",
    "i": "LEFT JOIN current_interest i ON i.detection_id = d.detection_id",
    "g": "LEFT JOIN current_ranking g ON g.detection_id = d.detection_id",
    "n": "LEFT JOIN near_misses n ON n.detection_id = d.detection_id",
    "c": "LEFT JOIN current_cluster_members c ON c.detection_id = d.detection_id",
    "k": "LEFT JOIN object_states k ON k.detection_id = d.detection_id",
    "l": "LEFT JOIN (SELECT detection_id, list(DISTINCT label) AS labels, "
    "list(DISTINCT kind) AS kinds, list(DISTINCT grade::VARCHAR) AS grades, avg(grade) AS grade "
    "FROM current_labels GROUP BY detection_id) l ON l.detection_id = d.detection_id",
}


_ALIAS = re.compile(r"\b([a-z])\.")


@dataclass(frozen=True)
class Range:
    """A closed interval of one of MEASURES or of `percentile:METHOD`; None leaves an end open."""

    measure: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Box:
    """A rectangle on a stored map."""

    map_id: str
    x: tuple[float, float]
    y: tuple[float, float]


@dataclass(frozen=True)
class Wanted:
    """What a list of detections is narrowed to; an empty facet takes everything.

    `labels` keeps those to which some person gave one of them ("unlabelled": nobody gave any),
    `kinds` those that some person called so (`db.labels.KINDS`), `grades` those to which some
    person gave one of these interests ("0" to "5"),
    `clusters` are keys ("alone": looked at and in none, or never looked at), `states` what the
    catalogues' answers add up to. `since` and `until` are days in UTC, both included. `text` is
    looked for in object, class and reason, case ignored.
    """

    verdicts: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    grades: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None
    text: str | None = None
    ranges: tuple[Range, ...] = ()
    box: Box | None = None


@dataclass
class Selection:
    """A FROM clause over current detections `d` of runs `r`, with its conditions and parameters.

    `joins` are those that conditions need, by their letter; `more` is for what is shown besides.
    """

    conditions: list[str] = field(default_factory=lambda: ["true"])
    params: list[Any] = field(default_factory=list)
    joins: dict[str, str] = field(default_factory=dict)
    more: str = ""

    def require(self, condition: str, *params: Any) -> None:
        """Add a condition with its parameters (?), and the joins of the tables that it names."""
        self.reach(condition)
        self.conditions.append(condition)
        self.params.extend(params)

    def reach(self, *expressions: str) -> None:
        """Add the joins of the tables that expressions name by their letter."""
        for alias in _ALIAS.findall(" ".join(expressions)):
            if alias in _JOINS:
                self.joins.setdefault(alias, _JOINS[alias])

    @property
    def sql(self) -> str:
        """FROM and WHERE."""
        joins, conditions = " ".join(self.joins.values()), " AND ".join(self.conditions)
        return (
            f"FROM detections d JOIN current_runs r USING (run_id) {joins} {self.more} "
            f"WHERE {conditions}"
        )


def selection_of(wanted: Wanted) -> Selection:
    """The clause that keeps what is wanted. Raises StoreError for a measure that does not exist."""
    chosen = Selection()
    for column, values in (
        ("d.verdict", wanted.verdicts),
        ("o.source", wanted.sources),
        ("d.class_name", wanted.classes),
        ("coalesce(k.state, 'not_asked')", wanted.states),
    ):
        if values:
            chosen.require(f"list_contains(?::VARCHAR[], {column})", list(values))
    if wanted.clusters:
        chosen.require(
            "(list_contains(?::VARCHAR[], c.cluster_key) OR (? AND c.cluster_key IS NULL))",
            list(wanted.clusters), ALONE in wanted.clusters,
        )  # fmt: skip
    if wanted.labels:
        chosen.require(
            "(list_has_any(?::VARCHAR[], l.labels) OR (? AND l.labels IS NULL))",
            list(wanted.labels), UNLABELLED in wanted.labels,
        )  # fmt: skip
    for column, values in (("l.kinds", wanted.kinds), ("l.grades", wanted.grades)):
        if values:
            chosen.require(f"list_has_any(?::VARCHAR[], {column})", list(values))
    if wanted.since:
        chosen.require("d.detected_at >= ?", _midnight(wanted.since))
    if wanted.until:
        chosen.require("d.detected_at < ?", _midnight(wanted.until + timedelta(days=1)))
    if wanted.text:
        chosen.require(
            "contains(lower(concat_ws(' ', o.object_id, d.class_name, d.reason)), lower(?))",
            wanted.text,
        )
    for each in wanted.ranges:
        _bound(chosen, each)
    if wanted.box:
        chosen.require(
            "d.detection_id IN (SELECT detection_id FROM map_points WHERE map_id = ? "
            "AND x BETWEEN ? AND ? AND y BETWEEN ? AND ?)",
            wanted.box.map_id, *wanted.box.x, *wanted.box.y,
        )  # fmt: skip
    return chosen


def value_of(measure: str) -> tuple[str, list[str]]:
    """The SQL of a measure and its parameters. Raises StoreError where there is none such."""
    if measure.startswith(METHOD):
        sql = (
            "(SELECT percentile FROM scores s WHERE s.detection_id = d.detection_id AND method = ?)"
        )
        return sql, [measure.removeprefix(METHOD)]
    if measure not in MEASURES:
        raise StoreError(
            f"no measure {measure!r}: choose one of {', '.join(MEASURES)}, {METHOD}METHOD"
        )
    return MEASURES[measure], []


def sort_keys(sort: str) -> tuple[str, str, str]:
    """The three ascending keys of an order. Raises StoreError where there is none such."""
    if sort not in SORTS:
        raise StoreError(f"no order {sort!r}: choose one of {', '.join(SORTS)}")
    return SORTS[sort]


def _bound(chosen: Selection, wanted: Range) -> None:
    value, params = value_of(wanted.measure)
    for sign, bound in ((">=", wanted.low), ("<=", wanted.high)):
        if bound is not None:
            chosen.require(f"{value} {sign} ?", *params, bound)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
