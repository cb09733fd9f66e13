"""What the dashboard is started with."""

from __future__ import annotations

from pathlib import Path

from jobs.serve import secrets_flags


def test_secrets_in_the_home_are_the_ones_that_count(tmp_path: Path) -> None:
    assert secrets_flags(tmp_path) == {}
    secrets = tmp_path / "secrets.toml"
    secrets.write_text("[auth]\n")
    assert secrets_flags(tmp_path) == {"secrets.files": secrets}
