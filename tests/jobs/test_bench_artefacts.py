"""The artefact benchmark's own promises: what it counts, and nights that no head was trained on."""

from __future__ import annotations

import pytest

from engine.anomalies.artefacts.nights import ARTEFACT, Named
from jobs.bench.artefacts import (
    Judgement,
    Night,
    artefacts,
    compared,
    judge_night,
    lost_anomalies,
    ranking,
)

REASON = "the artefact head gives 99.9%: it looks like a trail"
TRAIL, RING, STAR = Named(ARTEFACT, "trail"), Named("anomaly", "ring"), Named("normal", "star")


def row(statistic: float, named: Named, apart: str | None = None, p: float = 0.01) -> Judgement:
    return Judgement(statistic, p, apart, named)


def test_the_top_100_leave_out_what_was_kept_apart() -> None:
    rows = [row(1000 - n, TRAIL, REASON if n < 60 else None) for n in range(80)]
    rows += [row(500 - n, RING) for n in range(90)]
    found = ranking(rows)
    assert found["artefacts_in_top_100"] == 20
    assert found["anomalies_in_top_100"] == 80
    assert found["artefact_kinds_in_top_100"] == {"trail": 20}
    assert found["kept_apart"] == {"anomaly": 0.0, "artefact": 0.75}
    assert found["artefacts_kept_apart_by_kind"] == {"trail": 0.75}


def test_an_anomaly_is_lost_when_it_was_a_candidate_and_is_called_an_artefact() -> None:
    rows = [row(9, RING), row(8, RING, REASON), row(7, RING, REASON, p=0.2), row(6, STAR, REASON)]
    assert lost_anomalies(rows) == {"candidates": 2, "lost": 1, "share": 0.5, "reasons": [REASON]}


def test_parts_of_a_night_are_added_up() -> None:
    without = [row(3, TRAIL), row(2, TRAIL), row(1, RING)]
    knowing = [row(3, TRAIL, REASON), row(2, TRAIL), row(1, RING)]
    rankings = {"without": without, "hits": without, "with": knowing}
    nights = [Night(1, rankings, {"anomaly": 1, ARTEFACT: 2})] * 2
    found = compared(nights)
    assert found["injected"] == {"anomaly": 2, ARTEFACT: 4}
    assert found["fewer_artefacts_than_without"] == 0.5
    assert found["fewer_artefacts_than_with_hits_alone"] == 0.5
    assert found["anomalies_lost"]["share"] == 0


def test_training_nights_are_refused() -> None:
    with pytest.raises(ValueError, match="belong to training nights, got 1000"):
        artefacts(seed=1000, frames=1)


@pytest.mark.slow
def test_the_head_only_takes_from_what_hits_leave() -> None:
    night = judge_night(7, 2)
    assert night.frames == 2
    hits, knowing = night.rankings["hits"], night.rankings["with"]
    assert len(hits) == len(knowing) > 10
    assert all(b.apart is not None for a, b in zip(hits, knowing, strict=True) if a.apart)
    assert not any(found.apart for found in night.rankings["without"])
    assert night.injected[ARTEFACT] > 0
