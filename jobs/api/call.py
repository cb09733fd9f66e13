"""One call of the API: what came, taken apart once, and what may be asked of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.errors import UsageError

MAX_PAGE = 500
LARGEST = 2**31 - 1


@dataclass(frozen=True)
class Call:
    """Path parameters, query parameters, content type and body of one request."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    content_type: str
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; an empty body is an empty object."""
        if not self.body:
            return {}
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"the body is not JSON ({error}): send a JSON object") from error
        if not isinstance(document, dict):
            raise UsageError("the body must be a JSON object, such as {}")
        return document

    def required(self, *names: str) -> list[str]:
        """Text fields of the JSON body that must be there."""
        document = self.json()
        missing = [name for name in names if not isinstance(document.get(name), str)]
        if missing:
            raise UsageError(f"the body lacks {', '.join(missing)} as text")
        return [document[name] for name in names]

    def text(self, name: str) -> str | None:
        """An optional text of the JSON body."""
        value = self.json().get(name)
        if value is not None and not isinstance(value, str):
            raise UsageError(f"{name} must be text, got {value!r}")
        return value

    def number(self, name: str, *, low: float) -> float | None:
        """An optional number of the JSON body."""
        value = self.json().get(name)
        if value is None:
            return None
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        if not plain or not low <= value <= LARGEST:
            raise UsageError(f"{name} must be a number from {low:g} to {LARGEST:g}, got {value!r}")
        return float(value)

    def count(self, name: str, *, low: int = 1) -> int | None:
        """An optional whole number of the JSON body."""
        value = self.number(name, low=low)
        if value is not None and value != int(value):
            raise UsageError(f"{name} must be a whole number, got {value!r}")
        return None if value is None else int(value)

    def flag(self, name: str) -> bool | None:
        """An optional truth value of the JSON body."""
        value = self.json().get(name)
        if value is not None and not isinstance(value, bool):
            raise UsageError(f"{name} must be true or false, got {value!r}")
        return value

    @property
    def limit(self) -> int:
        """How many rows a page may have."""
        text = self.query.get("limit", "50")
        if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= MAX_PAGE:
            raise UsageError(f"limit must be a number from 1 to {MAX_PAGE}, got {text!r}")
        return int(text)

    @property
    def cursor(self) -> str | None:
        """Where the page before this one ended."""
        return self.query.get("cursor")
