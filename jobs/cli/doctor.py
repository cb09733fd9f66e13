"""`skysieve doctor`: is everything here that is needed, and what to do where it is not."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from jobs.cli.output import AsJson, report


def doctor(
    online: Annotated[
        bool, typer.Option("--online", help="Also ask each catalogue and archive.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check this installation; exit 1 if something failed."""
    from dataclasses import asdict

    from jobs.checkup import check_catalogues, check_host, check_sources
    from jobs.settings import load_settings

    settings = load_settings()
    checks = check_host(settings)
    if online:
        checks += [*check_catalogues(settings), *check_sources(settings)]
    failed = [check.name for check in checks if check.state == "failed"]
    if as_json:
        report({"ok": not failed, "checks": [asdict(check) for check in checks]}, as_json=True)
    else:
        report(
            {
                check.name: f"{check.state:<8} {check.finding}"
                + (f" -> {check.advice}" if check.advice else "")
                for check in checks
            },
            as_json=False,
        )
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
        raise typer.Exit(1)
