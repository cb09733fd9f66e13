"""The owner's API as commands call it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import requests

from jobs.errors import OwnerError, OwnerGone

Answer = dict[str, Any]
POLL_S = 0.3
ENDED = ("done", "failed", "cancelled")


class Client:
    """Calls to one owner. Raises OwnerError with the owner's own words when it refuses."""

    def __init__(self, address: str, token: str, timeout_s: float = 60.0) -> None:
        self.address = address
        self._timeout_s = timeout_s
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        """Let the connection go."""
        self._session.close()

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send one call and return its answer."""
        try:
            answer = self._session.request(
                method, f"{self.address}/api/{path}", timeout=self._timeout_s, **options
            )
        except requests.RequestException as error:
            raise OwnerGone(
                f"the owner of the store at {self.address} does not answer ({error}): is it still "
                "running?"
            ) from error
        if not answer.ok:
            raise OwnerError(_explanation(answer))
        return answer

    def get(self, path: str, **params: Any) -> Answer:
        """A JSON answer to GET."""
        document: Answer = self.call("GET", path, params=params).json()
        return document

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """A JSON answer to POST."""
        document: Answer = self.call("POST", path, json=dict(body or {})).json()
        return document

    def pages(self, path: str, **params: Any) -> Iterator[Answer]:
        """Every row of a paged answer."""
        cursor: str | None = None
        while True:
            page = self.get(path, **params, **({"cursor": cursor} if cursor else {}))
            yield from page["rows"]
            cursor = page["next"]
            if cursor is None:
                return

    def request(
        self,
        path: str,
        body: Mapping[str, Any],
        follow: Callable[[Answer], None],
        request_id: str | None = None,
    ) -> Answer:
        """Ask for something that takes a while, follow it to its end, and return how it ended.

        The request carries its own id, so that asking again after a lost answer asks once.
        """
        request_id = request_id or str(uuid.uuid4())
        row = self.post(path, {**body, "request_id": request_id})
        while row["state"] not in ENDED:
            time.sleep(POLL_S)
            row = self.get(f"scans/{request_id}")
            follow(row)
        if row["state"] != "done":
            raise OwnerError(f"{row['kind']} {row['state']}: {row['error'] or 'no reason given'}")
        return row


def _explanation(answer: requests.Response) -> str:
    try:
        document = answer.json()
        return f"{document['error']} ({document['hint']})"
    except (ValueError, KeyError, TypeError):
        return f"the owner answered {answer.status_code}: {answer.text[:200]}"
