"""What is in deploy/ names commands, folders and settings that exist."""

from __future__ import annotations

import configparser
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from jobs.cli.app import app
from jobs.owner import EXIT_INVALIDATED
from jobs.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def options_of(command: str) -> set[str]:
    import typer.main

    group = typer.main.get_command(app)
    assert hasattr(group, "commands")
    return {option for each in group.commands[command].params for option in each.opts}


def assert_runs(line: list[str]) -> None:
    name, command, *rest = line
    assert Path(name).name == "skysieve"
    assert {part for part in rest if part.startswith("--")} <= options_of(command)


@pytest.fixture
def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(DEPLOY / "skysieve.service")
    return parser


def test_the_unit_runs_the_loop_and_starts_it_again(unit: configparser.ConfigParser) -> None:
    service = unit["Service"]
    assert_runs(shlex.split(service["ExecStart"]))
    assert service["Restart"] == "on-failure"
    assert EXIT_INVALIDATED != 0
    home = service["Environment"].partition("SKYSIEVE_HOME=")[2]
    assert home == f"/var/lib/{service['StateDirectory']}"


def test_the_image_has_every_package_and_starts_the_server() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    copied = re.findall(r"^COPY (.+) (\S+)$", text, re.MULTILINE)
    sources = {name for names, _ in copied for name in names.split()}
    assert set(packages) <= sources
    assert all((ROOT / name).exists() for name in sources)
    command = re.findall(r"^CMD \[(.+)\]$", text, re.MULTILINE)[-1]
    assert_runs([part.strip().strip('"') for part in command.split(",")])


def test_compose_sets_what_there_is_and_listens_on_loopback() -> None:
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["skysieve"]
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    for port in service["ports"]:
        assert port.startswith("127.0.0.1:")
    for name in service["environment"]:
        field = name.removeprefix("SKYSIEVE_").lower()
        assert field in Settings.model_fields, name
