"""README says what is there: its figures, its links, its commands."""

from __future__ import annotations

import re
from pathlib import Path

from jobs.bench.summary import with_summary

PROJECT = Path(__file__).parents[1]
README = PROJECT / "README.md"


def test_every_figure_is_the_one_in_the_results() -> None:
    text = README.read_text(encoding="utf-8")
    assert with_summary(text, PROJECT / "docs" / "results") == text


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert len(links) > 8
    assert [link for link in links if not (PROJECT / link).exists()] == []


def test_the_five_files_are_named() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(re.findall(r"^\d\. \[`", text, re.MULTILINE)) == 5


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    pages = (README, PROJECT / "CONTRIBUTING.md")
    named = {
        target
        for page in pages
        for target in re.findall(r"(?m)(?:`|^)make ([a-z]+)", page.read_text(encoding="utf-8"))
    }
    assert {"run", "test", "check", "help"} <= named
    assert [target for target in named if not re.search(rf"^{target}:", makefile, re.M)] == []
