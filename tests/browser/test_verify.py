"""Verify in a real browser: nothing is lost, nobody meets, and the ranking is the bench's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from db.store import Store
from tests.browser.browsing import settle, watched_page
from tests.browser.serving import Served, serve, serve_night

pytestmark = pytest.mark.browser

SHOWN = ".desk:not([data-item=''])"
CURRENT = "SELECT detection_id, kind, comment, grade, blind FROM current_labels WHERE labeller = "
LINE = "SELECT detection_id FROM detections WHERE verdict <> 'artefact' ORDER BY p_value, "
LINE += "rank_score DESC, detection_id"


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of its own; pages hold theirs for a minute, so there are detections for all."""
    folder = tmp_path_factory.mktemp("verify")
    with serve_night(folder, frames=24, per_frame=8) as served:
        yield served


def open_desk(page: Page, served: Served, who: str, queue: str = "most_anomalous") -> None:
    page.goto(f"{served.address}/verify?labeller={who}&queue={queue}")
    page.locator(SHOWN).wait_for()


def on_screen(page: Page) -> str:
    return str(page.locator(SHOWN).get_attribute("data-item"))


def all_sent(page: Page) -> None:
    expect(page.locator(".desk")).to_have_attribute("data-unsent", "0", timeout=30_000)


def held(served: Served, who: str) -> dict[str, tuple[object, ...]]:
    return {row[0]: tuple(row[1:]) for row in served.query(f"{CURRENT}'{who}'")}


def test_a_hundred_keys_and_none_lost(page: Page, night: Served) -> None:
    """Labels, grades, comments, undo and skip at 150 ms a key, then a reload in the middle."""
    open_desk(page, night, "keys")
    assert on_screen(page) == night.query(f"{LINE} LIMIT 1")[0][0]
    kinds = {"a": "astrophysical", "r": "cosmic_ray", "b": "boring", "u": "unsure"}
    expected: dict[str, tuple[object, ...]] = {}
    for number in range(24):
        item, key = on_screen(page), list(kinds)[number % 4]
        comment, grade = "", None
        if number % 6 == 5:
            comment = f"note {number}: c r z"
            page.keyboard.press("c")
            page.keyboard.type(comment)
            page.keyboard.press("Enter")
        if number % 5 == 4:
            grade = number % 6
            page.keyboard.press(str(grade))
        page.wait_for_timeout(150)
        if number == 7:
            page.keyboard.press("s")
            page.wait_for_timeout(150)
            assert on_screen(page) != item
            continue
        page.keyboard.press(key)
        page.wait_for_timeout(150)
        expected[item] = (kinds[key], comment, grade, False)
        if number % 8 == 3:
            page.keyboard.press("z")
            page.wait_for_timeout(150)
            assert on_screen(page) == item
            page.keyboard.press("n")
            page.wait_for_timeout(150)
            expected[item] = ("known_object", comment, grade, False)
    last = on_screen(page)
    page.keyboard.press("i")
    following = on_screen(page)
    page.reload()
    expected[last] = ("instrument", "", None, False)
    page.locator(SHOWN).wait_for()
    all_sent(page)
    assert on_screen(page) == following
    assert held(night, "keys") == expected
    assert night.number("SELECT count(*) FROM labels WHERE seconds < 0 OR seconds > 60") == 0
    # What was labelled before the reload is taken back one by one, newest first.
    page.keyboard.press("z")
    expect(page.locator(".desk")).to_have_attribute("data-item", last)
    page.keyboard.press("b")
    all_sent(page)
    assert held(night, "keys")[last][0] == "boring"
    # The skipped one comes back in its own queue.
    open_desk(page, night, "keys", "skipped")
    assert on_screen(page) not in expected
    page.keyboard.press("b")
    all_sent(page)
    expect(page.get_by_text("Nothing is left for you in this queue")).to_be_visible()


def test_layers_share_one_zoom_and_scores_hide(page: Page, night: Served) -> None:
    open_desk(page, night, "eyes", "random")
    stage = page.locator(".stage")
    assert stage.locator("figure").count() >= 3
    page.keyboard.press("+")
    page.keyboard.press("+")
    expect(stage).to_have_attribute("data-zoom", "2.25")
    transforms = stage.locator(".sheet").evaluate_all("all => all.map(s => s.style.transform)")
    assert len(set(transforms)) == 1
    assert "scale(2.25)" in transforms[0]
    page.keyboard.press("f")
    expect(stage).to_have_attribute("data-zoom", "1.00")
    before = stage.locator("img").first.get_attribute("src")
    page.keyboard.press("t")
    expect(stage.locator("img").first).not_to_have_attribute("src", str(before), timeout=15_000)
    page.get_by_role("button", name="Show uncertainty").click()
    expect(page.get_by_text("error that the codec expects")).to_have_count(0)
    # Blind review: the scores go, and the label says so.
    machine = page.get_by_label("What the machine says")
    expect(machine).to_contain_text("p-value")
    page.keyboard.press("v")
    expect(machine).to_have_text("Machine scores are hidden (blind review).")
    first = on_screen(page)
    page.keyboard.press("b")
    expect(page.locator(".desk")).not_to_have_attribute("data-item", first)
    second = on_screen(page)
    # An own key for "boring".
    page.keyboard.press("?")
    page.get_by_role("button", name="Change the key of: Boring").click()
    page.keyboard.press("d")
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("d")
    all_sent(page)
    found = held(night, "eyes")
    assert (found[first][0], found[first][3]) == ("boring", False)  # its scores had been seen
    assert (found[second][0], found[second][3]) == ("boring", True)
    page.reload()
    page.locator(SHOWN).wait_for()
    expect(page.get_by_role("button", name="Boring")).to_contain_text("d")
    expect(page.get_by_text("error that the codec expects")).to_have_count(0)


def test_a_selection_of_the_grid_gets_one_label_and_one_undo(page: Page, night: Served) -> None:
    open_desk(page, night, "grid", "random")
    page.keyboard.press("g")
    cells = page.locator(".cell")
    expect(cells.nth(20)).to_be_visible(timeout=30_000)
    for number in (0, 2, 3):
        cells.nth(number).click()
    expect(page.get_by_text("3 of")).to_be_visible()
    page.keyboard.press("k")
    all_sent(page)
    kinds = [row[0] for row in held(night, "grid").values()]
    assert kinds == ["codec_artefact"] * 3
    page.keyboard.press("z")
    all_sent(page)
    assert held(night, "grid") == {}


def test_two_browsers_at_one_queue_never_meet(browser: Browser, night: Served) -> None:
    kinds = {"ann": "a", "bob": "b"}
    said: dict[str, list[str]] = {"ann": [], "bob": []}
    with watched_page(browser) as (ann, first), watched_page(browser) as (bob, second):
        pages = {"ann": ann, "bob": bob}
        for who, page in pages.items():
            open_desk(page, night, who, "unseen")
        for _ in range(8):
            for who, page in pages.items():
                said[who].append(on_screen(page))
                page.keyboard.press(kinds[who])
            ann.wait_for_timeout(100)
        for page in pages.values():
            all_sent(page)
        assert not set(said["ann"]) & set(said["bob"])
        for who in said:
            assert len(set(said[who])) == 8
            assert set(held(night, who)) == set(said[who])
        assert first.found == second.found == []


def test_a_dispute_is_settled_and_the_people_view_counts_it(page: Page, night: Served) -> None:
    # One that nobody labelled in the tests before: a third voice would settle it.
    (one,) = night.query(
        "SELECT detection_id FROM detections WHERE verdict = 'artefact' "
        "AND detection_id NOT IN (SELECT detection_id FROM labels) LIMIT 1"
    )
    for who, kind in (("dora", "astrophysical"), ("emil", "boring")):
        answer = page.request.post(
            f"{night.address}/api/labels",
            data={"detection_id": one[0], "labeller": who, "kind": kind, "grade": 2},
        )
        assert answer.ok, answer.text()
    agreed = page.request.get(f"{night.address}/api/labels/agreement").json()
    pair = next(p for p in agreed["pairs"] if (p["labeller"], p["other"]) == ("dora", "emil"))
    assert (pair["items"], pair["kappa"], pair["differ"]) == (1, 0.0, [one[0]])
    disputed = page.request.get(f"{night.address}/api/labels/consensus?state=disputed").json()
    assert one[0] in [row["detection_id"] for row in disputed["rows"]]
    open_desk(page, night, "judge", "adjudication")
    while on_screen(page) != one[0]:
        page.keyboard.press("s")
    expect(page.get_by_text("dora: astrophysical, interest 2")).to_be_visible()
    page.keyboard.press("a")
    all_sent(page)
    counts = page.request.get(f"{night.address}/api/labels/consensus").json()["counts"]
    assert counts["settled"] == 1
    page.goto(f"{night.address}/verify?labeller=judge&view=people")
    settle(page, "Verify")
    expect(page.get_by_text("1 settled")).to_be_visible()
    page.goto(f"{night.address}/verify?labeller=judge&view=history")
    settle(page, "Verify")
    expect(page.get_by_text("Labels of yours that hold: 1.")).to_be_visible()
    page.get_by_role("button", name="Take the latest label back").click()
    expect(page.get_by_text("You have not labelled anything yet.")).to_be_visible()


@pytest.mark.data
@pytest.mark.slow
def test_galaxies_come_in_the_order_of_the_anomaly_bench(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """True labels by keyboard: the very order and counts of the bench's learner on this pool."""
    from jobs.bench.anomalies.learning import BATCH
    from jobs.bench.labelling_pool import PLAIN, compare, fill_pool, label_by_hand
    from tests.browser.galaxies import galaxy_pool

    data = os.environ.get("SKYSIEVE_DATA")
    if not data:
        pytest.skip("SKYSIEVE_DATA does not point at the real images")
    rounds = 3
    pool = galaxy_pool(Path(data), np.random.default_rng(0))
    with Store.open(tmp_path / "home") as store:
        fill_pool(store, pool, datetime.now(UTC))
    bench = pool.bench_order(rounds)
    for name, value in PLAIN.items():
        monkeypatch.setenv(name, value)
    with (
        serve(tmp_path / "home", tmp_path / "server.log") as served,
        watched_page(browser) as (page, complaints),
    ):
        order = label_by_hand(page, served.address, pool.truth, rounds * BATCH)
        assert complaints.found == []
        kept = served.query("SELECT kind, count(*) FROM current_labels GROUP BY kind")
    found = compare(order, bench, pool.truth)
    assert order == bench, found
    assert found["found_on_the_page"] == found["found_by_the_bench"] > 0
    assert dict(kept)["astrophysical"] == found["found_by_the_bench"]


def test_a_click_on_another_page_is_never_lost(page: Page, night: Served) -> None:
    """The desk asks for more right after it opens, and stands back when somebody leaves."""
    open_desk(page, night, "leaver")
    for wait_ms in range(0, 160, 20):
        page.get_by_role("link", name="Verify", exact=True).click()
        page.locator(SHOWN).first.wait_for()
        page.wait_for_timeout(wait_ms)
        page.get_by_role("link", name="Models", exact=True).click()
        expect(page.get_by_role("heading", name="Models", exact=True, level=1)).to_be_visible()
        expect(page.locator(".desk")).to_have_count(0)
