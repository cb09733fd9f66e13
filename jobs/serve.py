"""Becoming the server: the dashboard by Streamlit, or the same owner without pages."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
import threading
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.access import living_owner
from jobs.errors import OwnerError, UsageError
from jobs.owner_file import read_owner
from jobs.server import owning
from jobs.settings import Settings


def serve(settings: Settings, *, host: str, port: int) -> None:
    """Replace this process by Streamlit on dashboard/server.py. Does not return."""
    _refuse_if_owned(settings)
    specification = importlib.util.find_spec("dashboard.server")
    if specification is None or specification.origin is None:
        raise UsageError("the dashboard is not installed: reinstall skysieve")
    script = Path(specification.origin)
    flags = {
        "server.address": host,
        "server.port": port,
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "server.maxUploadSize": max(1, settings.max_upload_bytes // 2**20),
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "client.showErrorLinks": "false",
        **theme_flags(script.parent),
        **secrets_flags(settings.home),
    }
    arguments = [f"--{name}={value}" for name, value in flags.items()]
    os.environ["SKYSIEVE_HOME"] = str(settings.home)
    print(f"skysieve: store in {settings.home}", file=sys.stderr, flush=True)  # noqa: T201
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", str(script), *arguments])


def run(settings: Settings, *, host: str, port: int) -> None:
    """Own the store, serve the API and keep the schedules until told to stop."""
    _refuse_if_owned(settings)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with owning(settings, host=host, port=port):
        card = read_owner(settings.home)
        where = card.address if card else "nowhere"
        print(f"skysieve: store in {settings.home}, API at {where}", file=sys.stderr, flush=True)  # noqa: T201
        stop.wait()


def theme_flags(dashboard: Path) -> dict[str, Any]:
    """The theme as Streamlit flags: from the wheel's copy, or from the checkout."""
    candidates = (dashboard / "theme.toml", dashboard.parent / ".streamlit" / "config.toml")
    for path in candidates:
        if path.is_file():
            config = tomllib.loads(path.read_text(encoding="utf-8"))
            return dict(_flat("theme", config.get("theme", {})))
    return {}


def secrets_flags(home: Path) -> dict[str, Any]:
    """Where Streamlit looks for secrets: in the store's home, where there are any; else at its
    own places."""
    path = home / "secrets.toml"
    return {"secrets.files": path} if path.is_file() else {}


def _flat(prefix: str, table: Mapping[str, Any]) -> list[tuple[str, Any]]:
    flags: list[tuple[str, Any]] = []
    for key, value in table.items():
        name = f"{prefix}.{key}"
        if isinstance(value, Mapping):
            flags.extend(_flat(name, value))
        else:
            flags.append((name, json.dumps(value) if isinstance(value, list) else value))
    return flags


def _refuse_if_owned(settings: Settings) -> None:
    client = living_owner(settings)
    if client is not None:
        client.close()
        raise OwnerError(
            f"the store in {settings.home} is already served at {client.address}: open that, or "
            "stop it first"
        )
