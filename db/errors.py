"""The errors that db raises.

StoreError
├── StoreLocked        another process, or another Store of this one, owns the database file
├── StoreTooNew        the database was written by a newer version of this program
├── StoreInvalidated   DuckDB declared its instance dead (full disk, input/output error)
├── MigrationError     a migration failed, is missing, or was changed after it was applied
├── ConflictError      a row breaks a rule of its table
├── QueryRefused       user SQL is not one read-only statement, or ran too long
└── TransferError      a backup, restore, import or export cannot be done as asked
"""


class StoreError(Exception):
    """Base of every error that db raises on purpose."""


class StoreLocked(StoreError):
    """The database file is owned by another process, or by another Store of this one."""


class StoreTooNew(StoreError):
    """The database was written by a newer version of this program."""


class StoreInvalidated(StoreError):
    """DuckDB declared its instance dead; what was in flight may or may not have been committed."""


class MigrationError(StoreError):
    """A migration failed, is missing, or was changed after it was applied."""


class ConflictError(StoreError):
    """A row breaks a rule of its table (a required column, a check, a unique key)."""


class QueryRefused(StoreError):
    """The statement is not exactly one that only reads, or it ran longer than allowed."""


class TransferError(StoreError):
    """A backup, restore, import or export cannot be done as asked; nothing was changed."""
