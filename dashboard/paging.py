"""Pages of a list on screen: where the page begins, and the way back and on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import streamlit as st

T = TypeVar("T")


def cut(rows: Sequence[T], cursor: str | None, limit: int) -> tuple[Sequence[T], str | None]:
    """A page of rows that are at hand as a whole, and the cursor of the next one."""
    start = int(cursor or 0)
    end = start + limit
    return rows[start:end], str(end) if end < len(rows) else None


class Pager:
    """The cursors of one list, which begin anew when what it is narrowed to changes."""

    def __init__(self, name: str, wanted: Any, per_page: int) -> None:
        self._name, self._per_page = name, per_page
        key = f"{name}_wanted"
        if st.session_state.get(key) != wanted:
            st.session_state[key] = wanted
            st.session_state[self._key] = []
        st.session_state.setdefault(self._key, [])

    @property
    def _key(self) -> str:
        return f"{self._name}_cursors"

    @property
    def cursor(self) -> str | None:
        """Where the page on screen begins; None at the top."""
        cursors: list[str] = st.session_state[self._key]
        return cursors[-1] if cursors else None

    @property
    def first(self) -> int:
        """The number of the first row on screen, from 1."""
        return len(st.session_state[self._key]) * self._per_page + 1

    def turn(self, following: str | None, order: str) -> None:
        """Show the way back and on; `order` says how the list is sorted. Nothing for one page."""
        if self.cursor is None and following is None:
            return
        back, where, on = st.columns([1, 3, 1], vertical_alignment="center")
        back.button(
            "Previous",
            key=f"{self._name}_previous",
            disabled=self.cursor is None,
            on_click=self._previous,
            icon=":material/chevron_left:",
        )
        where.caption(f"From number {self.first:,} on, {order}.")
        on.button(
            "Next",
            key=f"{self._name}_next",
            disabled=following is None,
            on_click=self._next,
            args=(following,),
            icon=":material/chevron_right:",
        )

    def _previous(self) -> None:
        st.session_state[self._key].pop()

    def _next(self, cursor: str) -> None:
        st.session_state[self._key].append(cursor)
