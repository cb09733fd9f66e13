"""How fast labelling goes: keys sent to the desk in Chromium, and what the store made of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import numpy as np

from jobs.errors import UsageError
from jobs.owner_file import read_owner

if TYPE_CHECKING:
    from playwright.sync_api import Page

EVERY_MS = 150
OBJECTS = 100
COMMENT_EVERY, UNDO_EVERY, GRADE_EVERY = 10, 12, 3
KINDS = {"a": "astrophysical", "r": "cosmic_ray", "b": "boring", "u": "unsure"}
SHOWN = ".desk:not([data-item=''])"
SENT_S = 30.0

# Notes, before the desk sees it, each key and the object on screen, and when the next one stands
# with all its pictures.
PROBE = """
(() => {
  window.presses = [];
  let desk = null;
  const within = (root) => {
    for (const each of root.querySelectorAll("*")) {
      if (!each.shadowRoot) continue;
      const found = each.shadowRoot.querySelector(".desk") ?? within(each.shadowRoot);
      if (found) return found;
    }
    return null;
  };
  window.deskNow = () => {
    if (!desk || !desk.isConnected) desk = document.querySelector(".desk") ?? within(document);
    return desk;
  };
  window.addEventListener("keydown", (event) => {
    const found = window.deskNow();
    if (!found) return;
    const press = { key: event.key, item: found.dataset.item, took: null };
    const began = performance.now();
    window.presses.push(press);
    const look = () => {
      const item = found.dataset.item;
      const pictures = [...found.querySelectorAll(".stage img")];
      if (item && item !== press.item && pictures.every((each) => each.complete)) {
        press.took = performance.now() - began;
        press.next = item;
      } else if (performance.now() - began < 5000) requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }, true);
})()
"""


@dataclass
class Script:
    """What the labeller does, and what the store must hold afterwards: item -> (kind, comment)."""

    expected: dict[str, tuple[str, str]]
    undone: int = 0


def measure_labelling(
    page: Page, address: str, home: Path, *, objects: int = OBJECTS, every_ms: int = EVERY_MS
) -> dict[str, Any]:
    """Label `objects` by keyboard, with undo, grades and comments, and compare with the store.

    Raises UsageError when the page never shows an object.
    """
    page.add_init_script(PROBE)
    page.goto(f"{address}/verify?labeller=bench&queue=most_anomalous")
    page.locator(SHOWN).wait_for(timeout=60_000)
    page.wait_for_timeout(3000)
    script = _play(page, objects, every_ms)
    if not _all_sent(page):
        raise UsageError("the desk did not send its labels within 30 s: read the server's log")
    presses = page.evaluate("window.presses")
    labels = [press for press in presses if press["key"] in KINDS and press["took"] is not None]
    took = np.array([press["took"] for press in labels])
    held = held_labels(home, "bench")
    wrong = {item for item, said in script.expected.items() if held.get(item) != said}
    return {
        "objects": len(script.expected),
        "every_ms": every_ms,
        "keys": len(presses),
        "undone": script.undone,
        "comments": sum(bool(comment) for _, comment in script.expected.values()),
        "lost_or_wrong": len(wrong) + len(held.keys() - script.expected.keys()),
        "next_object_ms": {
            "n": len(took),
            "median": round(float(np.median(took)), 1),
            "p95": round(float(np.percentile(took, 95)), 1),
            "worst": round(float(took.max()), 1),
        },
    }


def _play(page: Page, objects: int, every_ms: int) -> Script:
    script = Script({})
    press = _metronome(page, every_ms)
    keys = list(KINDS)
    for number in range(objects):
        comment = ""
        if number % COMMENT_EVERY == COMMENT_EVERY - 1:
            comment = f"note {number}"
            press("c")
            page.keyboard.insert_text(comment)
            press("Enter")
        if number % GRADE_EVERY == 0:
            press(str(number % 6))
        item, key = _on_screen(page), keys[number % len(keys)]
        press(key)
        if number % UNDO_EVERY == UNDO_EVERY - 1:
            press("z")
            script.undone += 1
            key = keys[(number + 1) % len(keys)]
            press(key)
        script.expected[item] = (KINDS[key], comment)
    return script


def _metronome(page: Page, every_ms: int) -> Callable[[str], None]:
    """A function that presses a key, but no sooner than `every_ms` after the one before."""
    last = [0.0]

    def press(key: str) -> None:
        wait = last[0] + every_ms / 1000 - time.monotonic()
        if wait > 0:
            page.wait_for_timeout(1000 * wait)
        last[0] = time.monotonic()
        page.keyboard.press(key)

    return press


def _on_screen(page: Page) -> str:
    """The object on screen; where the desk has run dry, the one that comes."""
    page.wait_for_function("window.deskNow()?.dataset.item", timeout=60_000)
    return str(page.evaluate("window.deskNow().dataset.item"))


def _all_sent(page: Page) -> bool:
    deadline = time.monotonic() + SENT_S
    while time.monotonic() < deadline:
        if page.evaluate("window.deskNow()?.dataset.unsent") == "0":
            return True
        page.wait_for_timeout(100)
    return False


def held_labels(home: Path, labeller: str) -> Mapping[str, tuple[str, str]]:
    """The labels of one person that hold, by detection: (kind, comment)."""
    rows = ask(home, "SELECT detection_id, labeller, kind, comment FROM current_labels")
    return {
        row["detection_id"]: (row["kind"], row["comment"])
        for row in rows
        if row["labeller"] == labeller
    }


def ask(home: Path, sql: str) -> list[dict[str, Any]]:
    """Ask the owner that serves `home`. Raises UsageError when there is none."""
    card = read_owner(home)
    if card is None:
        raise UsageError(f"nobody serves the store in {home}")
    answer = httpx2.post(
        f"{card.address}/api/query",
        json={"sql": sql},
        headers={"Authorization": f"Bearer {card.token}"},
        timeout=30,
    )
    answer.raise_for_status()
    document = answer.json()
    rows: list[dict[str, Any]] = [
        row if isinstance(row, dict) else dict(zip(document["columns"], row, strict=True))
        for row in document["rows"]
    ]
    return rows
