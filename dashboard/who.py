"""Who acts on the pages: the person signed in through OIDC where that is set up, else a name."""

from __future__ import annotations

import streamlit as st
from streamlit.errors import StreamlitAuthError

from dashboard.states import failure
from jobs.errors import UsageError

NAME = "labeller"
LONGEST = 60
_ERROR = "sign_in_error"


def is_configured() -> bool:
    """Whether secrets.toml has an [auth] section, so that people sign in."""
    return "is_logged_in" in st.user


def person() -> str:
    """Who is signed in, or the name that was given in this session; '' before that.

    Of what the provider says, the e-mail address counts, else the name, else the subject. Where
    people sign in, no typed name counts.
    """
    if is_configured():
        if not st.user.is_logged_in:
            return ""
        said = (st.user.get(claim) for claim in ("email", "name", "sub"))
        return str(next(filter(None, said), ""))
    return str(st.session_state.get(NAME) or "")


def remember(name: str) -> None:
    """Keep a typed name for the session."""
    st.session_state[NAME] = name.strip()[:LONGEST]


def name_field(label: str, key: str, help: str | None = None) -> str:  # noqa: A002
    """Ask for a name, or say who is signed in, or offer to sign in; '' while nobody is known."""
    if not is_configured():
        given = st.text_input(label, value=person(), max_chars=LONGEST, key=key, help=help)
        return given.strip()
    if person():
        st.text_input(label, value=person(), key=f"{key}_signed", disabled=True, help=help)
    else:
        sign_in_button(f"{key}_sign_in")
    return person()


def given(key: str) -> str:
    """In a callback: what `name_field` of this key holds."""
    return person() if is_configured() else str(st.session_state.get(key) or "").strip()


def sign_in_button(key: str = "sign_in") -> None:
    """Lead to the provider; what is missing for that is said here."""
    st.button("Sign in", key=key, on_click=_sign_in, type="primary")
    if (error := st.session_state.pop(_ERROR, None)) is not None:
        failure(error)


def _sign_in() -> None:
    try:
        st.login()
    except StreamlitAuthError as error:
        what = " ".join(str(error).split())
        st.session_state[_ERROR] = UsageError(
            f"expected [auth] in secrets.toml to name a provider, and the extra skysieve[auth] to "
            f"be installed: {what}"
        )
