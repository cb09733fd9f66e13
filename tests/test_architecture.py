"""The house stands as it is drawn: who imports whom, what loads what, what the wheel holds."""

from __future__ import annotations

import importlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
PACKAGES = ("dashboard", "db", "engine", "jobs")
BRANCHES = "├└│─ "


def python(code: str) -> str:
    """Run a few lines in a fresh interpreter and return what they print."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_imports_go_down_only() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")], capture_output=True, text=True,
        cwd=PROJECT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("db.store", ("torch", "streamlit", "engine", "jobs", "astropy")),
        ("db.transfer", ("torch", "streamlit", "engine", "jobs", "astropy")),
        ("engine", ("torch",)),
        ("engine.frame", ("torch", "duckdb", "streamlit", "requests")),
        ("engine.results", ("torch", "duckdb")),
        ("engine.metrics", ("torch", "duckdb")),
        ("jobs.owner", ("torch", "streamlit", "transformers", "dashboard")),
        ("jobs.server", ("torch", "streamlit", "transformers", "dashboard")),
        ("jobs.worker", ("torch", "streamlit", "duckdb", "dashboard")),
        ("jobs.cli.app", ("torch", "numpy", "astropy", "duckdb", "streamlit", "requests")),
    ],
)
def test_what_must_stay_light_loads_nothing_heavy(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print([m for m in {heavy!r} if m in sys.modules])"
    assert python(code) == "[]"


def test_no_file_of_the_dashboard_shadows_a_package() -> None:
    """Streamlit puts dashboard/ first on the import path."""
    distributions = {*PACKAGES, *sys.stdlib_module_names, "streamlit", "duckdb", "numpy", "pandas"}
    names = {path.stem for path in (PROJECT / "dashboard").iterdir()} - {"__init__"}
    assert names & distributions == set()
    assert not (PROJECT / "dashboard" / "pages").exists()


@pytest.mark.parametrize("package", ["engine", "db", "jobs"])
def test_the_tree_of_errors_is_drawn_where_they_are(package: str) -> None:
    errors = importlib.import_module(f"{package}.errors")
    defined = {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and value.__module__ == errors.__name__
    }
    drawn = drawn_tree(errors.__doc__ or "")
    assert drawn == {
        name: value.__base__.__name__ if value.__base__.__module__ == errors.__name__ else None
        for name, value in defined.items()
    }


def drawn_tree(doc: str) -> dict[str, str | None]:
    """Each error of a drawing, with the one that it hangs from."""
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in doc.splitlines():
        name = line.strip(BRANCHES).partition(" ")[0]
        if not name.isidentifier() or not (line[0] in BRANCHES or line == name):
            continue
        depth = (len(line) - len(line.lstrip(BRANCHES))) // 4
        parents[name] = path[depth - 1] if depth else None
        path[depth:] = [name]
    return parents


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    code = f"from hatchling.build import build_wheel; print(build_wheel({str(folder)!r}))"
    return zipfile.ZipFile(folder / python(code).splitlines()[-1])


@pytest.mark.slow
def test_the_wheel_holds_the_four_packages_and_all_they_need(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    for package in PACKAGES:
        here = {path.relative_to(PROJECT).as_posix() for path in tracked(package)}
        assert here - names == set()
        assert f"{package}/py.typed" in names
    assert [name for name in names if name.startswith("db/migrations/0001")]
    assert "dashboard/theme.toml" in names
    weights = {name for name in names if name.startswith("engine/weights/")}
    assert {Path(name).suffix for name in weights} >= {".json", ".safetensors"}


@pytest.mark.slow
def test_the_wheel_holds_nothing_of_tests_and_nothing_large(wheel: zipfile.ZipFile) -> None:
    assert not [name for name in wheel.namelist() if "test" in Path(name).name.split("_")[0]]
    assert not [entry for entry in wheel.infolist() if entry.file_size > 10_000_000]


def tracked(package: str) -> list[Path]:
    """Every source file of a package."""
    kinds = ("*.py", "*.sql", "*.typed", "*.json", "*.safetensors")
    found = [path for kind in kinds for path in (PROJECT / package).rglob(kind)]
    return [path for path in found if "__pycache__" not in path.parts]
