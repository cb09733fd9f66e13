"""How pages reach the store: through the owner in this process, and remembered until it changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import streamlit as st

from db.store import Store
from jobs import owner as owners
from jobs.owner import Owner

P = ParamSpec("P")
T = TypeVar("T")


def owner() -> Owner:
    """Return the owner; where there is none, say how to start one and end the page."""
    found = owners.current()
    if found is None:
        st.warning("No store is open in this process. Start the dashboard with its store:")
        st.code("skysieve serve", language="bash")
        st.stop()
    return found


def ask(query: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Answer a query of db.queries, from memory while the store has not changed."""
    store = owner().store
    name = f"{query.__module__}.{query.__qualname__}"
    moment = (str(store.home), id(store), store.changes)
    answer: T = _answer(name, moment, args, kwargs, query, store)
    return answer


@st.cache_data(max_entries=512, show_spinner=False)
def _answer(
    name: str,  # noqa: ARG001  part of the cache's key
    moment: tuple[str, int, int],  # noqa: ARG001  part of the cache's key
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    _query: Callable[..., Any],
    _store: Store,
) -> Any:
    return _query(_store, *args, **kwargs)
