"""A real server on loopback over an owner whose pipelines are stubs, and a client of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from jobs.owner import Owner
from jobs.owner_file import OwnerCard, read_owner
from jobs.server import owning
from jobs.settings import load_settings
from tests.jobs import stubs
from tests.loopback import free_port

ENDED = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Served:
    """A server, who owns it, and where it is."""

    owner: Owner
    card: OwnerCard

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Call a path below /api, as a script without a token would."""
        return requests.request(method, f"{self.card.address}/api/{path}", timeout=30, **options)

    def get(self, path: str, **params: Any) -> Any:
        """The JSON answer to a GET that must succeed."""
        return self._succeeded(self.call("GET", path, params=params))

    def post(self, path: str, **body: Any) -> Any:
        """The JSON answer to a POST that must succeed."""
        return self._succeeded(self.call("POST", path, json=body))

    def ended(self, request: dict[str, Any]) -> dict[str, Any]:
        """A request once it has come to its end."""
        for _ in range(600):
            row: dict[str, Any] = self.get(f"scans/{request['request_id']}")
            if row["state"] in ENDED:
                return row
            time.sleep(0.05)
        raise TimeoutError(f"request {request['request_id']} does not end")

    def scanned(self, source: str, **options: Any) -> dict[str, int]:
        """The counts of a scan that must succeed."""
        row = self.ended(self.post("scans", source=source, **options))
        assert row["state"] == "done", row["error"]
        counts: dict[str, int] = row["result"]
        return counts

    @staticmethod
    def _succeeded(answer: requests.Response) -> Any:
        assert answer.ok, answer.text
        return answer.json()


@contextmanager
def served(home: Path, *, host: str = "127.0.0.1", **settings: Any) -> Iterator[Served]:
    """Serve a store whose scans cost nothing and whose catalogues do not answer."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    services = dict.fromkeys(("simbad_url", "ned_url", "vizier_url", "skybot_url"), nowhere)
    with pytest.MonkeyPatch.context() as patch:
        stubs.use_stub_pipelines(patch)
        patch.setattr("jobs.owner.open_workers", lambda *_: stubs.InlineWorkers())
        patch.setattr("jobs.carriers.make_plan", lambda *_, **__: stubs.plan())
        chosen = load_settings(home=home, catalogue_timeout_s=1, **services, **settings)
        with owning(chosen, host=host) as owner:
            card = read_owner(home)
            assert card is not None
            yield Served(owner, card)
