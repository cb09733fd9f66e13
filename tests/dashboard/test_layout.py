"""What Streamlit makes of the folder: it goes first on the import path."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

DASHBOARD = Path(__file__).parents[2] / "dashboard"


def test_no_file_hides_a_module_of_another_package() -> None:
    names = {path.stem for path in DASHBOARD.iterdir() if path.suffix in ("", ".py")}
    hidden = names & (set(sys.stdlib_module_names) | set(packages_distributions()))
    assert hidden - {"dashboard"} == set()
    assert not (DASHBOARD / "pages").exists()


@pytest.mark.slow
def test_pages_load_no_torch() -> None:
    code = "import sys, dashboard.detail, dashboard.states; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
