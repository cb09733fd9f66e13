"""One digest a day: an HTML page and a text, made once, stored, and sent to every target."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any

from db import digests
from db.errors import StoreError
from db.store import Store
from jobs.ids import stable_id
from jobs.settings import Settings

Row = Mapping[str, Any]
DAY = timedelta(days=1)
KNOWN = {
    "match": "known",
    "no_match": "in no catalogue asked",
    "not_determined": "not determined",
    "not asked": "not asked yet",
}
STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;
color:#1b1f24;background:#fff}h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}td,th{padding:.4rem .6rem;border-bottom:1px solid #d8dee4;
text-align:left;vertical-align:top}img{width:96px;height:96px;image-rendering:pixelated;
background:#000}.p{font-variant-numeric:tabular-nums}.dim{color:#59636e}"""


def period_due(
    at: str, last_until: datetime | None, now: datetime
) -> tuple[datetime, datetime] | None:
    """The period of the digest that is due, None where none is; `at` is HH:MM in UTC, "" = never.

    It ends at the last such time before `now` and begins where the digest before it ended, so that
    an absence of days makes one digest.
    """
    if not at:
        return None
    hour, minute = (int(part) for part in at.split(":"))
    until = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    until -= DAY if until > now else timedelta(0)
    if last_until is not None and last_until >= until:
        return None
    return (last_until or until - DAY, until)


def make_due_digest(store: Store, settings: Settings, now: datetime) -> str | None:
    """Make the digest that is due and return its id; None where none is, or nothing happened."""
    last = digests.last_digest(store)
    period = period_due(settings.digest_at, last["until_at"] if last else None, now)
    if period is None:
        return None
    since, until = period
    figures = digests.figures_between(store, since, until)
    failed = digests.failures_between(store, since, until)
    if not any(figures.values()) and not failed:
        return None
    found = digests.candidates_between(store, since, until, 10 * settings.digest_top)
    new = [row for row in found if not row["told"]][: settings.digest_top]
    told = sum(1 for row in found if row["told"])
    digest_id = stable_id("digest", until.isoformat())
    failures = sum(row["n"] for row in failed)
    subject = (
        f"skysieve {until:%Y-%m-%d}: {figures['candidates']} candidates in {figures['frames']} "
        f"frames, {failures} failures"
    )
    page = html_page(store, settings, subject, period, figures, new, failed, told)
    row = {
        "digest_id": digest_id,
        "since_at": since,
        "until_at": until,
        "subject": subject,
        "body": text_body(settings, figures, new, failed, told),
        "html_file": store.files.put(page.encode()),
        "frames": figures["frames"],
        "candidates": figures["candidates"],
        "failures": failures,
        "made_at": now,
    }
    store.write({"digests": [row]})
    return digest_id


def text_body(
    settings: Settings, figures: Row, found: Sequence[Row], failed: Sequence[Row], told: int
) -> str:
    """The digest as plain text."""
    lines = [_figures(figures), ""]
    lines += [f"{_name(row)}: p = {row['p_value']:.2g}, {_known(row)}{_link(settings, row)}"
              for row in found]  # fmt: skip
    if not found:
        lines.append("No candidates to tell of.")
    if told:
        lines.append(f"{told} more were told at once when they were found.")
    if failed:
        lines += ["", "What failed:"]
        lines += [f"{row['n']} x {row['what']}: {row['reason']}" for row in failed]
    return "\n".join(lines)


def html_page(
    store: Store,
    settings: Settings,
    subject: str,
    period: tuple[datetime, datetime],
    figures: Row,
    found: Sequence[Row],
    failed: Sequence[Row],
    told: int,
) -> str:
    """The digest as one HTML page that needs nothing else: the pictures are inside."""
    since, until = period
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(subject)}</title>",
        f"<style>{STYLE}</style><h1>{escape(subject)}</h1>",
        f"<p class=dim>{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC</p>",
        f"<p>{escape(_figures(figures))}</p><h2>Candidates</h2>",
    ]
    if found:
        parts.append("<table><tr><th></th><th>object</th><th>p-value</th><th>known</th></tr>")
        parts += [_html_row(store, settings, row) for row in found]
        parts.append("</table>")
    else:
        parts.append("<p>No candidates to tell of.</p>")
    if told:
        parts.append(f"<p>{told} more were told at once when they were found.</p>")
    parts.append("<h2>What failed</h2>")
    if failed:
        parts.append("<table><tr><th>times</th><th>what</th><th>why</th></tr>")
        parts += [
            f"<tr><td class=p>{row['n']}</td><td>{escape(row['what'])}</td>"
            f"<td>{escape(row['reason'])}</td></tr>"
            for row in failed
        ]
        parts.append("</table>")
    else:
        parts.append("<p>Nothing.</p>")
    return "".join([*parts, "</html>"])


def _html_row(store: Store, settings: Settings, row: Row) -> str:
    name, link = escape(_name(row)), _address(settings, row)
    if link:
        name = f'<a href="{escape(link)}">{name}</a>'
    reason = escape(row["reason"])
    expired = "<br><b>calibration expired</b>" if row["calibration_expired"] else ""
    return (
        f"<tr><td>{_picture(store, row)}</td><td>{name}<br><span class=dim>{reason}</span></td>"
        f"<td class=p>{row['p_value']:.2g}{expired}</td><td>{escape(_known(row))}</td></tr>"
    )


def _picture(store: Store, row: Row) -> str:
    try:
        content = store.files.get(row["cutout_file"])
    except StoreError:
        return "<span class=dim>no picture</span>"
    encoded = base64.b64encode(content).decode()
    return f'<img alt="cutout of {escape(_name(row))}" src="data:image/png;base64,{encoded}">'


def _figures(figures: Row) -> str:
    return (
        f"{figures['cycles']} cycles stored {figures['frames']} frames with "
        f"{figures['candidates']} candidates; people gave {figures['labels']} labels."
    )


def _name(row: Row) -> str:
    return f"{row['source']} {row['object_id']}"


def _known(row: Row) -> str:
    if row["nearest"]:
        kind = f" ({row['nearest_type']})" if row["nearest_type"] else ""
        return f"{row['nearest']}{kind} at {row['separation_arcsec']:.1f} arcsec"
    return KNOWN.get(row["known"], str(row["known"]))


def _address(settings: Settings, row: Row) -> str:
    if not re.match(r"https?://", settings.page_url):
        return ""
    return f"{settings.page_url.rstrip('/')}/anomalies?detection={row['detection_id']}"


def _link(settings: Settings, row: Row) -> str:
    address = _address(settings, row)
    return f" {address}" if address else ""
