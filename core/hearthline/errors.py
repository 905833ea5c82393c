"""One tree of errors, by cause.

Anything that is not in this tree is a bug: it crashes loudly and the supervisor restarts the process.
"""


class HearthlineError(Exception):
    """What happened, where, and what to do: `str(error)` is written for a person."""

    exit_code = 1


class ConfigError(HearthlineError):
    """Wrong use or configuration; the message names the file and the key."""

    exit_code = 2


class NotInstalledError(HearthlineError):
    """A part was called whose extra is not installed."""

    exit_code = 3


class LinkError(HearthlineError):
    """A port, broker or database is away: retry with backoff and jitter."""


class ProtocolError(HearthlineError):
    """Bytes or a payload that the specification does not allow: count and go on."""


class StorageError(HearthlineError):
    """Something could not be committed to disk: nothing may be acknowledged."""


class RefusedError(HearthlineError):
    """A request that the rules do not allow, with the reason."""
