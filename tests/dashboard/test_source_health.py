"""The Sources section says where each source stands, and which services are left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from db import sources
from db.queries.sources import sources as on_page
from tests.dashboard.conftest import Open
from tests.dashboard.fakes import FakeOwner

NOW = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)


def resting(service: str) -> dict[str, object]:
    row: dict[str, object] = dict.fromkeys(sources.HEALTH_COLUMNS)
    return row | {
        "service": service, "url": "http://a", "breaker": "open", "failures": 5, "rests": 1,
        "resting_until": NOW + timedelta(minutes=2), "asked": 9, "succeeded": 4, "failed": 5,
        "last_success_at": NOW, "last_failure_at": NOW, "last_error": "HTTP 503",
        "changed_at": NOW,
    }  # fmt: skip


def test_what_waits_and_what_rests_is_shown(filled_owner: FakeOwner, open_page: Open) -> None:
    store = filled_owner.store
    items = [{"uri": f"sdss:{n}", "fingerprint": "1", "facts": {"ra": 1.0}} for n in range(3)]
    assert sources.keep_page(store, "sdss", items, "42", NOW) == 3
    assert sources.keep_page(store, "sdss", items, "43", NOW) == 0, "listed again is not new"
    sources.write_health(store, resting("sdss"), [(86400, 20513, 7, 5000)])

    app = open_page("jobs", part="Sources")

    rows = on_page(store)
    text = "\n".join(markdown.value for markdown in app.markdown)
    assert f"**{len(rows)}** sources; **3** listed items wait" in text
    (warning,) = app.warning
    assert "sdss is left alone until 04:02 UTC" in warning.value
    (services,) = [frame.value for frame in app.dataframe if "quotas" in frame.value]
    assert services.iloc[0]["quotas"] == "7 of 5000 a day"
    (shown,) = [frame.value for frame in app.dataframe if "cursor" in frame.value]
    sdss = shown.set_index("source").loc["sdss"]
    assert (sdss["waiting"], sdss["cursor"]) == (3, '"43"')
