"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

WeightsFolder = Annotated[
    Path | None, typer.Option(help="Folder for weights and card; the package's by default.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")]
