"""Evidence on a detection's page, and what a night's list claims, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from db.store import Store
from tests.browser.browsing import settle
from tests.browser.serving import Served, serve_night
from tests.store_factory import NOW

pytestmark = pytest.mark.browser

MESSAGE = "no list can be given at 10%: these are merely the top 1"


def evidence_of(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Rows about two detections with nearly the same picture: the first one looks like a ghost."""
    first, second = store.rows(
        "SELECT * FROM detections ORDER BY p_value NULLS LAST, detection_id LIMIT 2"
    )
    heat = first["cutout_file"]
    judged = [
        {"detection_id": row["detection_id"], "good_share": 0.75, "perceptual_hash": code,
         "preprocessing": "0" * 64, "area_px": 321, "artefact_probability": 0.625,
         "artefact_kind": "ghost", "heat_map_file": heat}
        for row, code in ((first, "00000000000000ff"), (second, "00000000000000fe"))
    ]  # fmt: skip
    name = first["detection_id"]
    versions = {"raw": 3.5, "cleaned": 2.5, "decoded": 1.5}
    night = {"list_id": "l", "cycle_id": "c", "source": "sim:night", "rate": 0.1, "tested": 5,
             "claimed": 0, "smallest_p_value": 0.03, "calibrated_on": 632, "message": MESSAGE,
             "made_at": NOW}  # fmt: skip
    listed = {"list_id": "l", "place": 1, "detection_id": name, "adjusted_p_value": 0.15,
              "is_discovery": False}  # fmt: skip
    drift = {"report_id": "d", "source": "sim:night", "reference": "r", "model_digest": "m",
             "n": 90, "expired": True, "reason": "the median percentile is 80 instead of 50",
             "cycle_id": "c", "measured_at": NOW}  # fmt: skip
    return {
        "detection_evidence": judged,
        "detection_versions": [
            {"detection_id": name, "version": version, "snr": 9.0, "found": True}
            for version in versions
        ],
        "version_scores": [
            {"detection_id": name, "version": version, "method": "combined", "raw": raw,
             "percentile": 99.0, "p_value": 0.01}
            for version, raw in versions.items()
        ],
        "score_contributions": [{"detection_id": name, "method": "knn", "share": 0.8}],
        "night_lists": [night],
        "night_list_rows": [listed],
        "drift_reports": [drift],
    }  # fmt: skip


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose first two detections carry evidence."""
    folder: Path = tmp_path_factory.mktemp("evidence")

    def add(store: Store) -> None:
        store.write(evidence_of(store))

    with serve_night(folder, frames=4, per_frame=4, also=add) as served:
        yield served


def opened(page: Page, judged: Served) -> str:
    (detection_id,) = judged.query("SELECT detection_id FROM detection_versions LIMIT 1")[0]
    page.goto(f"{judged.address}/anomalies?detection={detection_id}")
    settle(page, "Anomalies")
    return str(detection_id)


def test_what_speaks_against_a_detection_is_beside_its_scores(page: Page, judged: Served) -> None:
    opened(page, judged)
    main = page.get_by_test_id("stMain")
    probability = page.get_by_test_id("stMetric").filter(has_text="Artefact probability")
    expect(probability.get_by_test_id("stMetricValue")).to_have_text("0.625")
    expect(main).to_contain_text("looks like a ghost")
    expect(main).to_contain_text("25% of the cutout masked or beyond the frame")
    expect(main).to_contain_text("The same place on other versions of the frame")
    expect(main).to_contain_text("Shares in the combined score: knn 80%")
    expect(main).to_contain_text("It explains, and never ranks.")


def test_the_list_says_what_cannot_be_claimed_and_that_the_calibration_expired(
    page: Page, judged: Served
) -> None:
    page.goto(f"{judged.address}/anomalies")
    settle(page, "Anomalies")
    expect(page.get_by_text("Calibration expired for sim:night")).to_be_visible()
    page.get_by_role("radio", name="Night lists").click()
    expect(page.get_by_text(MESSAGE)).to_be_visible()
    expect(page.get_by_text("over 5 detections; smallest p 0.03")).to_be_visible()
    apart = judged.number("SELECT count(*) FROM detections WHERE verdict = 'artefact'")
    assert apart > 0
    expect(page.get_by_text(f"{apart} of them are kept apart as artefacts")).to_be_visible()


def test_neighbours_are_steered_by_examples(page: Page, judged: Served) -> None:
    opened(page, judged)
    more = page.get_by_role("button", name="More like this")
    expect(more.first).to_be_visible()
    before = more.count()
    more.first.click()
    expect(page.get_by_text("Steered by 1 more and 0 less like them")).to_be_visible()
    page.get_by_role("button", name="Less like this").first.click()
    expect(page.get_by_text("Steered by 1 more and 1 less like them")).to_be_visible()
    page.get_by_role("button", name="Start over").click()
    expect(page.get_by_text("Steered by")).not_to_be_visible()
    expect(more).to_have_count(before)
