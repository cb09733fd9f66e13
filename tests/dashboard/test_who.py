"""Where sign-in is set up, no page asks for a name; what is missing for it is said."""

from __future__ import annotations

import pytest
from streamlit.runtime.secrets import secrets_singleton

from tests.dashboard.conftest import Open
from tests.dashboard.fakes import FakeOwner

pytestmark = pytest.mark.slow

HALF = {"auth": {"redirect_uri": "http://127.0.0.1/oauth2callback", "cookie_secret": "c" * 32}}


@pytest.fixture(autouse=True)
def half_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets with an [auth] section that names no provider."""
    monkeypatch.setattr(secrets_singleton, "_secrets", HALF)


@pytest.mark.parametrize(
    ("page", "query", "button"),
    [
        ("verify", {"labeller": "mallory"}, "sign_in"),
        ("anomalies", {}, "bulk_labeller_sign_in"),
        ("anomalies", {}, "view_by_sign_in"),
    ],
)
def test_a_name_cannot_be_typed_and_what_is_missing_is_said(
    looking: FakeOwner, open_page: Open, page: str, query: dict[str, str], button: str
) -> None:
    app = open_page(page, **query)
    assert not [field.label for field in app.text_input if field.label.startswith(("Who", "Your"))]
    assert looking.store.rows("SELECT * FROM handouts") == []
    app.button(key=button).click().run()
    (error,) = app.error
    assert "expected [auth] in secrets.toml to name a provider" in error.value.replace("\\", "")
