"""Jobs as a person uses them: live while a cycle runs, and nothing that is typed gets lost."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.browsing import settle
from tests.browser.serving import Served, serve_night

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of its own, for cycles that run."""
    folder: Path = tmp_path_factory.mktemp("busy")
    with serve_night(folder, frames=4, per_frame=3) as served:
        yield served


def opened(page: Page, served: Served, part: str = "") -> None:
    page.goto(f"{served.address}/jobs{f'?part={part}' if part else ''}")
    settle(page, "Jobs")


def scan(served: Served, source: str) -> None:
    """Ask for a scan as another client does."""
    request = urllib.request.Request(
        f"{served.address}/api/scans",
        data=json.dumps({"source": source, "limit": 1}).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {served.token}"},
    )
    urllib.request.urlopen(request, timeout=20).close()


def test_what_is_typed_outlives_a_cycle_that_comes_and_goes(page: Page, busy: Served) -> None:
    opened(page, busy)
    page.locator("summary", has_text="Add a schedule").click()
    form = page.get_by_test_id("stForm").filter(has_text="Learn from labels instead")
    line = form.get_by_role("textbox", name="Cron line")
    line.fill("7 7 * * 7")
    source = page.get_by_role("textbox", name="Source").first
    source.fill("sim:half-typ")
    scan(busy, "sim:meanwhile")
    expect(page.get_by_text("scan of sim:meanwhile").first).to_be_visible()
    expect(page.get_by_text("scan of sim:meanwhile")).to_have_count(0, timeout=120_000)
    assert source.input_value() == "sim:half-typ"
    assert line.input_value() == "7 7 * * 7"
    expect(line).to_be_visible()


def test_the_history_grows_by_itself_and_its_log_stays_open(page: Page, busy: Served) -> None:
    opened(page, busy, "History")
    options = page.get_by_role("option", name="11-20 05:00:00 sim:demo (done)")
    while not options.count():  # a click before the page listens opens nothing
        page.get_by_role("combobox", name="Log of").click()
        page.wait_for_timeout(500)
    options.click()
    log = page.get_by_test_id("stCode").first
    expect(log).to_contain_text("4 frames stored")
    count = busy.number("SELECT count(*) FROM cycles")
    expect(page.get_by_text(f"The last {count} cycles")).to_be_visible()
    scan(busy, f"folder:{busy.home.parent}")
    expect(page.get_by_text(f"The last {count + 1} cycles")).to_be_visible()
    expect(log).to_contain_text("4 frames stored")


def test_a_part_is_kept_in_the_address(page: Page, busy: Served) -> None:
    opened(page, busy)
    page.get_by_role("tab", name="Failures").click()
    expect(page).to_have_url(f"{busy.address}/jobs?part=Failures")
    page.reload()
    settle(page, "Jobs")
    failed = page.locator("summary", has_text="the worker was killed twice").first
    failed.click()
    expect(page.get_by_text("MemoryError").first).to_be_visible()
    page.wait_for_timeout(6000)  # it is looked at anew meanwhile
    expect(page.get_by_text("MemoryError").first).to_be_visible()


def test_a_schedule_is_added_paused_and_removed(page: Page, busy: Served) -> None:
    opened(page, busy)
    page.locator("summary", has_text="Add a schedule").click()
    form = page.get_by_test_id("stForm").filter(has_text="Learn from labels instead")
    form.get_by_role("textbox", name="Source").fill("sim:nightly")
    form.get_by_role("button", name="Add").click()
    expect(page.get_by_text("sim:nightly every 1 h")).to_be_visible()
    sql = "SELECT count(*) FROM schedules WHERE source = 'sim:nightly' AND NOT paused"
    assert busy.number(sql) == 1
    page.get_by_role("button", name="Pause").last.click()
    expect(page.get_by_role("button", name="Resume")).to_have_count(2)
    assert busy.number(sql) == 0
    page.get_by_role("button", name="Change").last.click()
    page.get_by_role("button", name="Remove this schedule").click()
    expect(page.get_by_text("sim:nightly every 1 h")).to_have_count(0)


def test_a_source_that_cannot_be_is_refused_with_the_reason(page: Page, busy: Served) -> None:
    opened(page, busy)
    page.get_by_role("textbox", name="Source").first.fill("nonsense")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("alert").first).to_contain_text("nonsense")
