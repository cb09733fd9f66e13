"""How commands report: readable lines, or one JSON document with --json."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def report(facts: Mapping[str, Any], *, as_json: bool) -> None:
    """Print `facts` as aligned lines, or as JSON."""
    if as_json:
        print(json.dumps(facts, indent=2, default=str))
        return
    width = max((len(key) for key in facts), default=0)
    for key, value in facts.items():
        shown = f"{value:.6g}" if isinstance(value, float) else value
        label = key.replace("_", " ") if key.isidentifier() else key
        print(f"{label:<{width}}  {shown}")


def progress(text: str) -> None:
    """Say on stderr what is going on; replaces the line on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr, flush=True)
