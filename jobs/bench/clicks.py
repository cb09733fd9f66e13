"""How soon a click is answered: pages by the menu, filters by their widgets; the browser warm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROUNDS = 8
LABELLER = "bench"
SETTLED = "[data-testid=stApp][data-test-script-state=notRunning]"
# What makes a first row of each page: the numbers, pictures or rows that it is there for.
# Downlink and Models may have nothing to show of a bench's store and then say so.
CARD, ROW = "[data-testid=stMetricValue]", "[data-testid=stDataFrame]"
SAID = "[data-testid=stAlert]"
FIRST_ROWS = {
    "Overview": CARD,
    "Compression": CARD,
    "Downlink": f"{CARD}, {SAID}",
    "Cosmic rays": CARD,
    "Calibration": CARD,
    "Anomalies": CARD,
    "Cross-match": CARD,
    "Verify": ".desk:not([data-item=''])",
    "Models": f"{ROW}, {SAID}",
    "Jobs": "[data-testid=stForm]",
}
# Page, its address, and the words of a button, pill or tab there whose click narrows what is shown.
FILTERS = {
    "Overview, since 24 hours ago": ("Overview", "", "24 hours ago"),
    "Anomalies, one verdict": ("Anomalies", "anomalies", "near miss"),
    "Anomalies, as a table": ("Anomalies", "anomalies", "Table"),
    "Jobs, history": ("Jobs", "jobs", "History"),
    "Jobs, yield": ("Jobs", "jobs", "Yield"),
}

# Clicks a link of the menu and waits until the page of that title shows its first row.
OPEN = """
([title, selector]) => new Promise((resolve, reject) => {
  const link = [...document.querySelectorAll("[data-testid=stTopNavLink]")]
    .find((each) => each.innerText.trim().endsWith(title));
  if (!link) { reject(new Error("no link " + title)); return; }
  const began = performance.now();
  link.click();
  const within = (root) => {  // the desk lies in a shadow tree
    const found = [...root.querySelectorAll(selector)];
    for (const each of root.querySelectorAll("*"))
      if (each.shadowRoot) found.push(...each.shadowRoot.querySelectorAll(selector));
    return found;
  };
  const look = () => {
    const main = document.querySelector("[data-testid=stMain]");
    const heading = main && main.querySelector("h1");
    const fresh = (each) => !each.closest("[data-stale=true]");
    const there = heading && heading.innerText.trim() === title && fresh(heading) &&
      within(main).some(fresh);
    if (there) resolve(performance.now() - began);
    else if (performance.now() - began > 30000) reject(new Error("no first row of " + title));
    else requestAnimationFrame(look);
  };
  look();
})
"""
# Clicks what is named and waits until the script that it starts has ended.
CLICK = """
([words]) => new Promise((resolve, reject) => {
  const main = document.querySelector("[data-testid=stMain]");
  const found = [...main.querySelectorAll("button, [role=tab], [role=radio], label")]
    .find((each) => each.innerText.trim().startsWith(words));
  if (!found) { reject(new Error("nothing says " + words)); return; }
  const app = document.querySelector("[data-testid=stApp]");
  const began = performance.now();
  let ran = false;
  found.click();
  const look = () => {
    const running = app.dataset.testScriptState !== "notRunning";
    ran = ran || running;
    const took = performance.now() - began;
    if ((ran && !running) || (!ran && took > 2000)) resolve(ran ? took : null);
    else if (took > 30000) reject(new Error("no end after " + words));
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})
"""


def measure_clicks(page: Page, address: str, *, rounds: int = ROUNDS) -> dict[str, Any]:
    """Click through the menu and the filters `rounds` times; milliseconds by page and filter.

    `first_row_ms` is from the click on the menu until the page's first numbers, rows or pictures
    stand, `filter_ms` from the click on a filter until the page is drawn anew. The first round
    warms the browser and the server and does not count.
    """
    page.goto(f"{address}/?labeller={LABELLER}")
    page.locator(SETTLED).wait_for()
    rows: dict[str, list[float]] = {title: [] for title in FIRST_ROWS}
    for number in range(rounds + 1):
        for title, selector in FIRST_ROWS.items():
            if title == "Verify" and number == 0:
                _begin(page, address)
                continue
            took = float(page.evaluate(OPEN, [title, selector]))
            page.locator(SETTLED).wait_for()
            if number:
                rows[title].append(took)
    filters: dict[str, list[float]] = {}
    for name, (title, path, words) in FILTERS.items():
        for number in range(rounds + 1):
            page.goto(f"{address}/{path}")
            page.get_by_role("heading", name=title, exact=True, level=1).wait_for()
            page.locator(SETTLED).wait_for()
            page.get_by_test_id("stMain").get_by_text(words).first.wait_for()
            page.wait_for_timeout(300)
            took_or_none = page.evaluate(CLICK, [words])
            if number and took_or_none is not None:
                filters.setdefault(name, []).append(float(took_or_none))
    return {
        "rounds": rounds,
        "first_row_ms": _summary(rows),
        "filter_ms": _summary(filters),
    }


def _begin(page: Page, address: str) -> None:
    """Give a name on Verify, which it asks for once."""
    page.goto(f"{address}/verify?labeller={LABELLER}")
    page.get_by_role("heading", name="Verify", exact=True, level=1).wait_for()
    page.locator(SETTLED).wait_for()


def _summary(times: Mapping[str, list[float]]) -> dict[str, Any]:
    """Median and 95th percentile of each, and of all together."""
    everything = [value for values in times.values() for value in values]
    figures = {name: _quantiles(values) for name, values in times.items() if values}
    return figures | ({"all": _quantiles(everything)} if everything else {})


def _quantiles(values: list[float]) -> dict[str, float]:
    median, p95 = np.quantile(values, [0.5, 0.95])
    return {"median": round(float(median), 1), "p95": round(float(p95), 1)}
