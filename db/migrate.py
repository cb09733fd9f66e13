"""Numbered SQL migrations, each applied once, in a transaction."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from importlib.resources.abc import Traversable

import duckdb

from db.errors import MigrationError, StoreTooNew

_FILE_NAME = re.compile(r"(\d{4})_(\w+)\.sql")

_HISTORY = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version     INTEGER PRIMARY KEY,
    name        VARCHAR NOT NULL,
    sha256      VARCHAR NOT NULL,
    applied_at  TIMESTAMPTZ NOT NULL
)
"""


@dataclass(frozen=True)
class Migration:
    """One numbered step of the schema."""

    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """The digest of the SQL text, newlines as `\\n`."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def load_migrations(folder: Traversable | None = None) -> list[Migration]:
    """Read the numbered `.sql` files of `folder` (default: those shipped with db), in order."""
    folder = folder or files("db").joinpath("migrations")
    found = []
    for entry in folder.iterdir():
        match = _FILE_NAME.fullmatch(entry.name)
        if match:
            sql = entry.read_text(encoding="utf-8")
            found.append(Migration(int(match[1]), match[2], sql))
    found.sort(key=lambda migration: migration.version)
    versions = [migration.version for migration in found]
    if versions != list(range(1, len(found) + 1)):
        raise MigrationError(f"expected migrations numbered from 1 without gaps, got {versions}")
    return found


def migrate(
    connection: duckdb.DuckDBPyConnection,
    now: datetime,
    migrations: Sequence[Migration] | None = None,
) -> list[int]:
    """Bring the schema up to date and return the versions applied now.

    Raises StoreTooNew when the database knows a later migration than this program, and
    MigrationError when an applied migration was changed since or a new one fails; a migration
    that fails leaves the schema as the one before it.
    """
    known = load_migrations() if migrations is None else migrations
    connection.execute(_HISTORY)
    applied = _applied(connection)
    _check_history(applied, known)
    pending = [migration for migration in known if migration.version not in applied]
    for migration in pending:
        _apply(connection, migration, now)
    return [migration.version for migration in pending]


def _applied(connection: duckdb.DuckDBPyConnection) -> dict[int, str]:
    rows = connection.sql("SELECT version, sha256 FROM schema_migrations").fetchall()
    return dict(rows)


def _check_history(applied: dict[int, str], known: Sequence[Migration]) -> None:
    newest = max((migration.version for migration in known), default=0)
    if max(applied, default=0) > newest:
        raise StoreTooNew(
            f"the database has schema version {max(applied)}, this program knows up to {newest}; "
            "install the newer program, or restore an older backup"
        )
    for migration in known:
        if applied.get(migration.version, migration.sha256) != migration.sha256:
            raise MigrationError(
                f"migration {migration.version} ({migration.name}) was changed after it was "
                "applied to this database; put its file back and add a new migration instead"
            )


def _apply(connection: duckdb.DuckDBPyConnection, migration: Migration, now: datetime) -> None:
    connection.execute("BEGIN TRANSACTION")
    try:
        connection.execute(migration.sql)
        connection.execute(
            "INSERT INTO schema_migrations VALUES (?, ?, ?, ?)",
            [migration.version, migration.name, migration.sha256, now],
        )
        connection.execute("COMMIT")
    except duckdb.Error as error:
        connection.execute("ROLLBACK")
        raise MigrationError(
            f"migration {migration.version} ({migration.name}) failed: {error}; "
            "the database is as it was before it"
        ) from error
