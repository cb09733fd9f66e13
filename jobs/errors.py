"""The errors that jobs raises.

JobError
├── SettingsError      a setting has a value that cannot work
├── SourceError        a source cannot be read or does not exist
├── ServiceError       a catalogue or archive failed, timed out or answered nonsense
├── OwnerError         the store's owner cannot be reached, or refused
│   └── OwnerGone      it does not answer, or ended in between
└── UsageError         a command was asked for something that cannot be
"""


class JobError(Exception):
    """Base of every error that jobs raises on purpose."""


class SettingsError(JobError):
    """A setting has a value that cannot work."""


class SourceError(JobError):
    """A source cannot be read or does not exist."""


class ServiceError(JobError):
    """A catalogue or archive failed, timed out, or answered with something else."""


class OwnerError(JobError):
    """The owner of the store cannot be reached, or refused the request."""


class OwnerGone(OwnerError):
    """The owner of the store does not answer, or ended in between."""


class UsageError(JobError):
    """A command was asked for something that cannot be done as asked."""
