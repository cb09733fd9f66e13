"""The facets beside the list: what it is narrowed to, each with how many there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date

import streamlit as st

from dashboard.access import ask
from dashboard.anomaly_list import state, words
from dashboard.figures import count, number
from db.queries import anomalies, clusters
from db.queries.wanted import ALONE, MEASURES, METHOD, Range, Wanted

Named = Callable[[str], str]


def facets() -> None:
    """Lay the facets out and let the list show what they say."""
    before = state.shown().wanted
    counts = ask(anomalies.facet_counts)
    text = st.text_input(
        "Search", value=before.text or "", placeholder="object, class or reason",
        key=_key("text"), icon=":material/search:",
    )  # fmt: skip
    wanted = Wanted(
        text=text.strip() or None,
        verdicts=_pills("Machine's verdict", "verdicts", words.VERDICTS, counts, words.verdict),
        labels=_pills("People's label", "labels", words.LABELS, {}, str),
        kinds=_pills("People call it", "kinds", tuple(words.KINDS), counts, words.kind),
        grades=_pills(
            "People's interest", "grades", words.GRADES, counts, str, form="{} ({})"
        ),
        states=_pills("Catalogues", "states", tuple(words.STATES), counts, words.state),
        sources=_several("Source", "sources", counts["sources"], str),
        classes=_several("Class", "classes", counts["classes"], str),
        clusters=_several("Cluster", "clusters", counts["clusters"], _cluster_names(), (ALONE,)),
        ranges=before.ranges,
        box=before.box,
    )  # fmt: skip
    since, until = _days(before)
    wanted = replace(wanted, since=since, until=until)
    if wanted != before:
        state.show(replace(state.shown(), wanted=wanted), widgets=False)
    _bounds()


def chips() -> None:
    """What narrows the list beside the facets, each with a way to take it away."""
    wanted = state.shown().wanted
    taken = [(f"{words.measure(each.measure)} {_said(each)}", each) for each in wanted.ranges]
    if not taken and wanted.box is None and wanted == Wanted():
        return
    with st.container(horizontal=True):
        for text, each in taken:
            st.button(
                text, key=f"free_{each.measure}", icon=":material/close:", help="Take it away",
                on_click=_free, args=(each.measure,),
            )  # fmt: skip
        if wanted.box is not None:
            st.button(
                "chosen on the map", key="free_box", icon=":material/close:", help="Take it away",
                on_click=state.narrow, kwargs={"box": None},
            )  # fmt: skip
        st.button(
            "Clear all", key="clear_all", type="tertiary", icon=":material/filter_alt_off:",
            on_click=_clear,
        )  # fmt: skip


def _key(name: str) -> str:
    return f"facet_{name}_{state.revision()}"


def _pills(
    label: str,
    facet: str,
    options: Sequence[str],
    counts: dict[str, dict[str, int]],
    named: Named,
    form: str = "{} {}",
) -> tuple[str, ...]:
    numbers = counts.get(facet, {})

    def worded(value: str) -> str:
        return form.format(named(value), count(numbers.get(value, 0))) if numbers else named(value)

    before = getattr(state.shown().wanted, facet)
    chosen = st.pills(
        label, options, selection_mode="multi", format_func=worded, key=_key(facet),
        default=[value for value in before if value in options], wrap=True,
    )  # fmt: skip
    return tuple(value for value in options if value in chosen)


def _several(
    label: str, facet: str, counts: dict[str, int], named: Named, more: tuple[str, ...] = ()
) -> tuple[str, ...]:
    before = getattr(state.shown().wanted, facet)
    options = list(dict.fromkeys([*counts, *more, *before]))

    def worded(value: str) -> str:
        n = counts.get(value)
        return f"{named(value)} ({count(n)})" if n is not None else named(value)

    chosen = st.multiselect(
        label, options, default=list(before), format_func=worded, placeholder="any",
        key=_key(facet),
    )  # fmt: skip
    return tuple(chosen)


def _cluster_names() -> Named:
    names = {
        row["cluster_key"]: row["name"] or f"cluster {row['number'] + 1}"
        for row in ask(clusters.clusters)
    } | {ALONE: "in none"}
    return lambda key: names.get(key, "a cluster of before")


def _days(before: Wanted) -> tuple[date | None, date | None]:
    left, right = st.columns(2)
    since = left.date_input("Found from", value=before.since, key=_key("since"))
    until = right.date_input("to (UTC)", value=before.until, key=_key("until"))
    return since, until


def _bounds() -> None:
    """Bound a number of the detections."""
    with st.popover("Bound a score", icon=":material/tune:", width="stretch"):
        methods = [f"{METHOD}{name}" for name in ask(anomalies.methods)]
        measure = st.selectbox(
            "Number", [*MEASURES, *methods], format_func=words.measure, key="bound_measure"
        )
        left, right = st.columns(2)
        low = left.number_input("at least", value=None, format="%g", key="bound_low")
        high = right.number_input("at most", value=None, format="%g", key="bound_high")
        st.button("Bound", key="bound", on_click=_bind, args=(measure, low, high), type="primary")


def _bind(measure: str, low: float | None, high: float | None) -> None:
    now = state.shown()
    state.show(replace(now, wanted=state.with_range(now.wanted, measure, low, high)))


def _free(measure: str) -> None:
    _bind(measure, None, None)


def _clear() -> None:
    state.show(replace(state.shown(), wanted=Wanted()))


def _said(each: Range) -> str:
    if each.low is None:
        return f"≤ {number(each.high)}"
    if each.high is None:
        return f"≥ {number(each.low)}"
    return f"{number(each.low)} to {number(each.high)}"
