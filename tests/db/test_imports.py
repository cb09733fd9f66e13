"""The store stays light."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROBE = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(" ".join(sorted({"torch", "streamlit", "apscheduler", "transformers"} & set(sys.modules))))
"""


@pytest.mark.parametrize(
    "modules",
    [
        ("db",),
        ("db.store", "db.requests", "db.cycles", "db.labels", "db.schedules", "db.sql"),
        ("db.transfer", "db.check"),
    ],
)
def test_importing_db_loads_no_models_and_no_pages(modules: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", PROBE, *modules]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "\n"
