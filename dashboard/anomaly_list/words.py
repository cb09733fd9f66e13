"""Names of facets, measures and orders as people read them."""

from __future__ import annotations

from dashboard.verification.actions import KIND_WORDS
from db.labels import HIGHEST_GRADE
from db.queries.wanted import METHOD

SORTS = {
    "anomalous": "most anomalous",
    "interesting": "most interesting (learned)",
    "odd_for_its_size": "odd for its size",
    "nearest_miss": "nearest miss",
    "newest": "newest",
    "brightest": "highest signal to noise",
    "artefact_like": "most artefact-like",
    "graded": "highest interest (people)",
}
MEASURES = {
    "p_value": "p-value",
    "conditioned_p_value": "p among its size",
    "snr": "signal to noise",
    "cosmic_ray_share": "cosmic-ray share",
    "artefact_probability": "artefact probability",
    "class_probability": "class probability",
    "interest": "learned interest",
    "missed_by_decades": "missed by (decades)",
}
STATES = {
    "match": "known",
    "no_match": "unknown",
    "not_determined": "not determined",
    "not_asked": "not asked",
}
VERDICTS = ("candidate", "near_miss", "uncertain", "normal", "artefact")
LABELS = ("unlabelled", "accept", "reject", "unsure")
KINDS = {name: word for name, (word, _) in KIND_WORDS.items()}
GRADES = tuple(str(grade) for grade in range(HIGHEST_GRADE + 1))
FACES = {
    "gallery": "Gallery",
    "table": "Table",
    "map": "Map",
    "scores": "Scores",
    "clusters": "Clusters",
    "nights": "Night lists",
    "flares": "Flares",
}


def measure(name: str) -> str:
    """A measure as people read it."""
    if name.startswith(METHOD):
        return f"{name.removeprefix(METHOD)} percentile"
    return MEASURES[name]


def verdict(name: str) -> str:
    """A verdict as people read it."""
    return name.replace("_", " ")


def kind(name: str) -> str:
    """What people call a thing, as people read it."""
    return KINDS[name]


def state(name: str) -> str:
    """What the catalogues say, as people read it."""
    return STATES[name]
