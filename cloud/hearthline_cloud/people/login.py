"""From a name and a password to a session. `guarding` slows guessing down; an unknown name is told apart by nothing."""

from __future__ import annotations

from hearthline.errors import RefusedError
from hearthline_cloud.database import Database
from hearthline_cloud.guarding import Guard, Lane, Source
from hearthline_cloud.people.accounts import MAX_NAME, Accounts
from hearthline_cloud.people.sessions import Session, Sessions, hash_token


class LoginError(RefusedError):
    """The name or the password is wrong; nobody is told which."""


class ThrottledError(RefusedError):
    """Too many attempts for this name: wait."""


class People:
    """Who logs in to one database."""

    def __init__(self, database: Database, session_hours: int = 12, idle_minutes: int = 60) -> None:
        self.accounts = Accounts(database)
        self.sessions = Sessions(database, session_hours, idle_minutes)
        self.guard = Guard()

    def log_in(
        self, name: str, password: str, address: str, now_ns: int, device: str | None = None
    ) -> tuple[str, Session]:
        """A new session and its token, which is told this once. `device`: the token of `remember_device`, if any.

        Raises LoginError, ThrottledError.
        """
        opened = self.sessions.open(name, self._password_hash(name, password, address, now_ns, device), now_ns)
        if opened is None:
            raise LoginError("the name or the password is wrong")
        return opened

    def _password_hash(self, name: str, password: str, address: str, now_ns: int, device: str | None) -> str:
        """That of a right password, as it is stored. Raises LoginError, ThrottledError."""
        source = self._source(name, address, device, now_ns)
        wait_s = self.guard.wait_s(source, now_ns)
        if wait_s > 0:
            raise ThrottledError(f"too many attempts; wait {wait_s:.0f} s and try again")
        with self.guard.turn(source.lane) as has_turn:
            if not has_turn:
                raise ThrottledError("too many people log in at once; try again")
            password_hash = self.accounts.right_password(name, password)
        if password_hash is None:
            raise LoginError("the name or the password is wrong")
        self.guard.succeeded(source)
        return password_hash

    def _source(self, name: str, address: str, device: str | None, now_ns: int) -> Source:
        name = name[:MAX_NAME]
        if device and self.sessions.knows_device(name, device, now_ns):
            return Source(name, f"device {hash_token(device)}", Lane.KNOWN)
        return Source(name, address, Lane.UNKNOWN)
