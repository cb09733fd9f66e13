"""Specifications of sources: `KIND:key=value,...`, read by one table of options a kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from jobs.errors import SourceError

REQUIRED = object()


@dataclass(frozen=True)
class Option:
    """One option: how its text becomes a value (ValueError says what was expected)."""

    read: Callable[[str], Any]
    text: str
    default: Any = REQUIRED


def number(low: float, high: float) -> Callable[[str], float]:
    """Read a finite number from `low` to `high`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise ValueError(f"a number from {low:g} to {high:g}")
        return value

    return read


def whole(low: int, high: int) -> Callable[[str], int]:
    """Read a whole number from `low` to `high`."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return read


def one_of(*choices: str) -> Callable[[str], str]:
    """Read one of these words."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return text

    return read


def day(text: str) -> str:
    """Read a date as YYYY-MM-DD."""
    try:
        return date.fromisoformat(text).isoformat() if len(text) == 10 else _no_day()
    except ValueError as error:
        raise ValueError("a date as YYYY-MM-DD") from error


def words(text: str) -> str:
    """Read any text without control characters, at most 80 long."""
    if not text.strip() or len(text) > 80 or not text.isprintable():
        raise ValueError("a name of at most 80 characters")
    return text.strip()


def read_options(kind: str, rest: str, options: Mapping[str, Option]) -> dict[str, Any]:
    """The values of `key=value,...`. Raises SourceError that says what the options are."""
    values = {key: option.default for key, option in options.items()}
    for pair in filter(None, (part.strip() for part in rest.split(","))):
        key, equals, text = pair.partition("=")
        option = options.get(key.strip())
        if option is None or not equals:
            raise SourceError(
                f"cannot use {pair[:60]!r} in {kind}:...: its options are {usage(options)}"
            )
        try:
            values[key.strip()] = option.read(text.strip())
        except ValueError as error:
            raise SourceError(
                f"cannot use {pair[:60]!r} in {kind}:...: expected {key.strip()} to be {error}"
            ) from error
    missing = [key for key, value in values.items() if value is REQUIRED]
    if missing:
        example = ",".join(f"{key}=..." for key in missing)
        raise SourceError(f"{kind} needs {', '.join(missing)}: write {kind}:{example}")
    return values


def name_of(kind: str, values: Mapping[str, Any], options: Mapping[str, Option]) -> str:
    """The specification in its one canonical form: options that are not the default, by name."""
    told = [
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in sorted(values.items())
        if value is not None and value != options[key].default
    ]
    return f"{kind}:{','.join(told)}" if told else kind


def usage(options: Mapping[str, Option]) -> str:
    """The options in a line."""
    return ", ".join(f"{key} ({option.text})" for key, option in options.items()) or "none"


def _no_day() -> str:
    raise ValueError("no date")
