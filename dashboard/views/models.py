"""Models: what each was fitted on, how it fares, which one holds, promote and roll back."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.access import ask, owner
from dashboard.figures import age, count, literal
from dashboard.learning import say_error, show_learning
from dashboard.model_card import choices_table, show_model, trained_at
from dashboard.states import empty
from dashboard.tables import moment, table
from db.queries import models

Row = dict[str, Any]
PIPELINES = {
    "codec": "codec",
    "cosmicrays": "cosmic rays",
    "anomaly": "anomalies",
    "interest": "ranking",
}


def show() -> None:
    """Lay the page out."""
    st.title("Models")
    owner()
    rows = ask(models.models)
    if not rows:
        empty("models", "A model shows here once a cycle used it.")
        return
    say_error()
    _list(rows)
    chosen = _choice(rows)
    show_model(chosen)
    show_learning()
    made = ask(models.choices)
    if made:
        with st.expander(f"Promotions and roll-backs ({len(made)})"):
            choices_table(made)


def _list(rows: list[Row]) -> None:
    used = sum(row["in_use"] for row in rows)
    st.markdown(f"**{count(len(rows))}** models, **{count(used)}** of them in use.")
    table(
        [
            {
                **row,
                "for": PIPELINES.get(row["pipeline"], row["pipeline"]),
                "link": f"/models?model={row['model_digest']}",
                "trained_at": trained_at(row),
                "digest": row["model_digest"][:12],
                "age": age(trained_at(row) or row["registered_at"]),
            }
            for row in rows
        ],
        {
            "for": "for",
            "name": "model",
            "in_use": "in use",
            "trained_at": moment("trained"),
            "age": "age",
            "fitted_on": "fitted on (rows)",
            "current_runs": "current runs",
            "newest_run_at": moment("newest run"),
            "digest": "digest",
        },
        key="models",
        alt="Every model with its age, what it was fitted on and what it made",
    )


def _choice(rows: list[Row]) -> Row:
    """The model that the address names, else the first; choosing another changes the address."""
    by_digest = {row["model_digest"]: row for row in rows}
    digests = list(by_digest)
    named = st.query_params.get("model")
    if named and named not in by_digest:
        st.error(f"No model {literal(named)} in this store.")
    names = {
        key: f"{PIPELINES.get(row['pipeline'], row['pipeline'])}: {row['name']} ({key[:8]})"
        for key, row in by_digest.items()
    }
    chosen = st.selectbox(
        "Model", digests, digests.index(named) if named in by_digest else 0,
        format_func=lambda key: names.get(key, key), key="model_chosen", on_change=_remember,
    )  # fmt: skip
    return by_digest[chosen]


def _remember() -> None:
    st.query_params["model"] = st.session_state["model_chosen"]


show()
