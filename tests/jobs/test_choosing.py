"""The next cycle goes where verified candidates are many, or where nobody knows."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from db.queries.yields import source_yields
from db.store import Store
from jobs.choosing import draw, sources_among, told
from jobs.errors import UsageError
from tests.store_factory import NOW, fill

RICH = {"frames": 400, "candidates": 200, "accepted": 60, "rejected": 20}
POOR = {"frames": 400, "candidates": 40, "accepted": 2, "rejected": 30}
FALSE = {"frames": 400, "candidates": 800, "accepted": 0, "rejected": 200}


def firsts(yields: dict[str, dict[str, int]], turns: int = 300) -> Counter[str]:
    return Counter(draw(sorted(yields), yields, f"turn {n}")[0].source for n in range(turns))


def test_a_rich_source_gets_almost_all_turns() -> None:
    won = firsts({"rich": RICH, "poor": POOR, "false": FALSE})
    assert won["rich"] >= 295


def test_a_source_that_nobody_knows_gets_some_turns() -> None:
    won = firsts({"rich": RICH, "new": {}})
    assert 60 <= won["new"] <= 240


def test_the_same_turn_draws_the_same() -> None:
    yields = {"a": POOR, "b": RICH}
    assert draw(["a", "b"], yields, "t") == draw(["b", "a"], yields, "t")
    assert draw(["a", "b"], yields, "t") != draw(["a", "b"], yields, "u")


def test_what_is_expected_is_the_mean_of_the_draws() -> None:
    found = [each for n in range(3000) for each in draw(["a"], {"a": RICH}, str(n))]
    mean = sum(each.drawn for each in found) / len(found)
    assert mean == pytest.approx(found[0].expected, rel=0.02)
    assert found[0].expected == pytest.approx(201 / 401 * 61 / 82)


def test_the_draw_is_told() -> None:
    text = told(draw(["a", "b"], {"a": RICH, "b": FALSE}, "t"))
    assert text.startswith("a was drawn: ")
    assert "before b (" in text


@pytest.mark.parametrize("text", ["a", "", "a | a", " | "])
def test_one_source_is_no_choice(text: str) -> None:
    with pytest.raises(UsageError, match="two sources or more"):
        sources_among(text)


def test_sources_are_split() -> None:
    assert sources_among("sim:a | folder:/x y|sim:a") == ("sim:a", "folder:/x y")


def test_yields_are_counted_from_the_store(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        fill(store)
        candidates = store.rows(
            """SELECT detection_id FROM detections d JOIN current_runs USING (run_id)
               JOIN current_observations o ON o.frame_digest = d.frame_digest
               WHERE verdict = 'candidate' AND o.source = 'sim:demo' ORDER BY 1"""
        )
        said = ("accept", "accept", "reject")[: len(candidates)]
        later = NOW + timedelta(days=1)
        store.write(
            {
                "labels": [
                    {
                        "label_id": f"l{n}-{who}", "detection_id": row["detection_id"],
                        "label": label, "labeller": who, "labelled_at": later,
                    }
                    for n, (row, label) in enumerate(zip(candidates, said, strict=False))
                    for who in ("one", "two", "three", "four")
                ]
            }
        )  # fmt: skip
        rows = {row["source"]: row for row in source_yields(store)}
    row = rows["sim:demo"]
    frames = 5
    assert row["frames"] == frames
    assert row["candidates"] == len(candidates)
    assert row["candidates_per_100"] == pytest.approx(100 * len(candidates) / frames)
    assert (row["accepted"], row["rejected"]) == (said.count("accept"), said.count("reject"))
    assert row["verified_share"] == pytest.approx(said.count("accept") / len(said))
