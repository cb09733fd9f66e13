"""`skysieve serve`, `run` and `configure`."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.cli.output import AsJson, report

Host = Annotated[str, typer.Option(help="Address to listen on.")]


def serve(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8501,
) -> None:
    """Serve the dashboard, the schedules and the API over this home's store."""
    from jobs.serve import serve as become_server
    from jobs.settings import load_settings

    become_server(load_settings(), host=host, port=port)


def run(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
) -> None:
    """The same without pages, for a server: schedules, queue and API until stopped."""
    from jobs.serve import run as keep_running
    from jobs.settings import load_settings

    keep_running(load_settings(), host=host, port=port)


def configure(
    name: Annotated[str | None, typer.Argument(help="The setting to show or change.")] = None,
    value: Annotated[str | None, typer.Argument(help="Its new value, as JSON or text.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the settings, or change one in SKYSIEVE_HOME/settings.json."""
    from jobs.errors import UsageError
    from jobs.settings import change_setting, load_settings

    settings = load_settings()
    if name is not None and value is not None:
        settings = change_setting(settings, name, value)
    shown = settings.model_dump(mode="json")
    if name is not None:
        if name not in shown:
            raise UsageError(f"no setting {name!r}: `skysieve configure` lists them")
        shown = {name: shown[name]}
    for secret in ("token", "nasa_api_key", "openai_api_key"):
        if shown.get(secret):
            shown[secret] = "(set)"
    report(shown, as_json=as_json)
