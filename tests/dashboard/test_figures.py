from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import figures

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.5, "just now"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (7200, "2 h ago"),
        (86400, "1 d ago"),
        (86400 * 400, "400 d ago"),
    ],
)
def test_ages(seconds: float, expected: str) -> None:
    assert figures.age(NOW - timedelta(seconds=seconds), NOW) == expected


def test_what_never_happened_and_what_is_unknown() -> None:
    assert figures.age(None) == "never"
    assert figures.count(None) == figures.number(None, "dB") == figures.size(None) == "–"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0 dB"), (39.4213, "39.4 dB"), (3968.3, "3,968 dB"), (1e-5, "1e-05 dB")],
)
def test_numbers_keep_three_digits_and_their_unit(value: float, expected: str) -> None:
    assert figures.number(value, "dB") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "0 B"), (999, "999 B"), (44800, "44.8 kB"), (1_310_000, "1.31 MB"), (5e12, "5000 GB")],
)
def test_sizes(value: int, expected: str) -> None:
    assert figures.size(value) == expected


@given(st.text())
def test_literal_text_leaves_no_markup_unescaped(text: str) -> None:
    shown = figures.literal(text)
    bare = shown.replace("\\\\", "")
    for character in "<>[]()*_`$:#!|~":
        assert bare.count(character) == bare.count("\\" + character)
    assert "\n" not in shown


@pytest.mark.parametrize("text", ["http://evil.example", "www.evil.example", "a@evil.example"])
def test_literal_text_makes_no_links(text: str) -> None:
    assert figures.WORD_JOINER in figures.literal(text)
    plain = figures.literal(text).replace("\\", "").replace(figures.WORD_JOINER, "")
    assert plain == text
