"""How soon a click is answered: pages by the menu, filters by their widgets; the browser warm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROUNDS = 8
LABELLER = "bench"
REST_MS = 500
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


@dataclass(frozen=True)
class Filter:
    """Something that narrows a page: what is used, and the part of the page that it changes.

    `control` is a role and a name, `option` the place in its list of what is chosen, `text` what is
    typed into it.
    """

    page: str
    path: str
    control: tuple[Literal["radio", "button", "tab", "combobox", "textbox"], str]
    option: int | None = None
    text: str = ""
    part: str = "[data-testid=stMain]"


PANEL, GALLERY, DESK = "[role=tabpanel]", ".st-key-list_gallery", ".st-key-desk_place"
FILTERS = {
    "Overview, since 24 hours ago": Filter("Overview", "", ("radio", "24 hours ago")),
    "Compression, by MS-SSIM": Filter("Compression", "compression", ("radio", "MS-SSIM")),
    "Compression, another frame": Filter(
        "Compression", "compression", ("combobox", "Frame"), option=1
    ),
    "Cosmic rays, stretch": Filter("Cosmic rays", "cosmicrays", ("radio", "asinh")),
    "Cosmic rays, another frame": Filter(
        "Cosmic rays", "cosmicrays", ("combobox", "Frame"), option=1
    ),
    "Calibration, history of Brier": Filter("Calibration", "calibration", ("radio", "Brier")),
    "Anomalies, one verdict": Filter(
        "Anomalies", "anomalies", ("button", "near miss"), part=GALLERY
    ),
    "Anomalies, search": Filter(
        "Anomalies", "anomalies", ("textbox", "Search"), text="frame-1", part=GALLERY
    ),
    "Anomalies, order": Filter(
        "Anomalies", "anomalies", ("combobox", "Order"), option=5, part=GALLERY
    ),
    "Anomalies, next page": Filter("Anomalies", "anomalies", ("button", "Next"), part=GALLERY),
    "Anomalies, as a table": Filter("Anomalies", "anomalies", ("radio", "Table")),
    "Anomalies, scores": Filter("Anomalies", "anomalies", ("radio", "Scores")),
    "Cross-match, one verdict": Filter(
        "Cross-match", "crossmatch", ("combobox", "Machine's verdict"), option=1
    ),
    "Cross-match, search": Filter(
        "Cross-match", "crossmatch", ("textbox", "Text"), text="frame-1", part=".st-key-objects"
    ),
    "Verify, queue": Filter(
        "Verify",
        f"verify?labeller={LABELLER}",
        ("combobox", "Queue"),
        option=5,
        part=DESK,
    ),
    "Jobs, history": Filter("Jobs", "jobs", ("tab", "History"), part=PANEL),
    "Jobs, yield": Filter("Jobs", "jobs", ("tab", "Yield"), part=PANEL),
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
    else if (performance.now() - began > 30000)
      reject(new Error(`no first row of ${title}, but: ${main && main.innerText.slice(0, 300)}`));
    else requestAnimationFrame(look);
  };
  look();
})
"""
# From the next click or Enter until the part says or shows something else, nothing in it waits to
# be drawn anew, and every picture of it that is in sight has come.
WATCH = """
async (selector) => {
  const parts = () => [...document.querySelectorAll(selector)]
    .filter((each) => each.checkVisibility());
  const trees = (root) => [...root.querySelectorAll("*")].filter((each) => each.shadowRoot)
    .flatMap((each) => [each.shadowRoot, ...trees(each.shadowRoot)]);
  const inSight = (each) => {
    const box = each.getBoundingClientRect();
    return box.width && box.top < innerHeight && box.bottom > 0;
  };
  const filled = (part) => part.textContent || trees(part).length;
  const ink = (canvas) => {  // a table's text and a chart are drawn
    const high = Math.min(canvas.height, 160);
    if (!canvas.width || !high) return 0;
    const seen = canvas.getContext("2d").getImageData(0, 0, canvas.width, high).data;
    let sum = 0;
    for (let at = 0; at < seen.length; at += 101) sum = (31 * sum + seen[at]) | 0;
    return sum;
  };
  const read = () => parts().filter(filled).map((part) => {
    const images = [part, ...trees(part)].flatMap((root) => [...root.querySelectorAll("img")]);
    const waits = part.querySelector("[data-stale=true]") || part.closest("[data-stale=true]")
      || images.some((each) => inSight(each) && !each.complete);
    if (waits) return null;
    const said = [part, ...trees(part)].map((each) => each.textContent);
    const drawn = [...part.querySelectorAll("canvas")].map(ink);
    return [...said, ...images.map((each) => each.src), ...drawn].join("\\n");
  });
  const opened = performance.now();
  while (read().includes(null)) {
    if (performance.now() - opened > 30000) throw new Error("no rest in " + selector);
    await new Promise(requestAnimationFrame);
  }
  const before = read().join();
  window.skysieveTook = new Promise((resolve, reject) => {
    const start = () => {
      const began = performance.now();
      const look = () => {
        const now = read();
        const took = performance.now() - began;
        if (now.length && !now.includes(null) && now.join() !== before) resolve(took);
        else if (took > 30000) reject(new Error("nothing changed in " + selector));
        else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    };
    const enter = (event) => event.key === "Enter" && start();
    addEventListener("click", start, { capture: true, once: true });
    addEventListener("keydown", enter, { capture: true });
  });
}
"""


def measure_clicks(page: Page, address: str, *, rounds: int = ROUNDS) -> dict[str, Any]:
    """Click through the menu and the filters `rounds` times; milliseconds by page and filter.

    `first_row_ms` is from the click on the menu until the page's first numbers, rows or pictures
    stand, `filter_ms` from the click or key that uses a filter until what it narrows is drawn anew.
    The first round warms the browser and the server and does not count.
    """
    _begin(page, address)
    rows: dict[str, list[float]] = {title: [] for title in FIRST_ROWS}
    for number in range(rounds + 1):
        for title, selector in FIRST_ROWS.items():
            took = float(page.evaluate(OPEN, [title, selector]))
            page.locator(SETTLED).wait_for()
            if number:
                rows[title].append(took)
    filters = {
        name: [_use(page, address, each) for _ in range(rounds + 1)][1:]
        for name, each in FILTERS.items()
    }
    return {
        "rounds": rounds,
        "first_row_ms": _summary(rows),
        "filter_ms": _summary(filters),
    }


def _use(page: Page, address: str, each: Filter) -> float:
    """Open a page, use one of its filters, and return how many milliseconds the answer took."""
    page.goto(f"{address}/{each.path}")
    page.get_by_role("heading", name=each.page, exact=True, level=1).wait_for()
    page.locator(SETTLED).wait_for()
    role, name = each.control
    found = page.get_by_test_id("stMain").get_by_role(role, name=name).first
    found.wait_for()
    page.wait_for_timeout(REST_MS)
    if each.text:
        found.fill(each.text)
    if each.option is not None:
        found.focus()
        found.press("ArrowDown")
        page.get_by_role("option").nth(each.option).wait_for()
    page.evaluate(WATCH, each.part)
    if each.text:
        found.press("Enter")
    elif each.option is not None:
        page.get_by_role("option").nth(each.option).click()
    else:
        found.click()
    return float(page.evaluate("window.skysieveTook"))


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
