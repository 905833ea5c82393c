"""Staff accounts and their sessions.

A password is kept as its argon2id hash, a session as the SHA-256 of its random token: whoever reads the database can
log in as nobody. An unknown name costs as much time as a wrong password. Guessing is slowed per name and address, in
the memory of this process.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from threading import BoundedSemaphore, Lock

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, insert, select, update

from hearthline.clock import NS
from hearthline.errors import RefusedError
from hearthline_cloud.database import Database
from hearthline_cloud.schema import session as session_table
from hearthline_cloud.schema import staff as staff_table

ATTEMPTS_PER_MINUTE = 10
MIN_PASSWORD = 8
MAX_PASSWORD = 256  # longer input only costs time
MAX_NAME = 64
_THROTTLE_ENTRIES = 10_000
_WINDOW_NS = 60 * NS
_HASHING = 4  # argon2 takes 64 MiB and a core each time
VIEWER_DAYS = 90  # a screen on a wall has nobody who logs in at each shift
_WAITING = 16  # logins that may hold a thread at once; the rest of the threads answer alarms


class Role(StrEnum):
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"
    VIEWER = "viewer"  # a screen on the wall: sees the wall view, and may do nothing


class LoginError(RefusedError):
    """The name or the password is wrong; nobody is told which."""


class ThrottledError(RefusedError):
    """Too many attempts for this name from this address: wait a minute."""


@dataclass(frozen=True, slots=True)
class Session:
    """A person who is logged in. `token_hash` names the session and opens nothing."""

    staff: str
    role: Role
    token_hash: str
    expires_ns: int


class Throttle:
    """At most `limit` attempts a minute for each key; the oldest keys are forgotten when there are too many."""

    def __init__(self, limit: int = ATTEMPTS_PER_MINUTE) -> None:
        self._limit = limit
        self._attempts: OrderedDict[tuple[str, str], list[int]] = OrderedDict()
        self._lock = Lock()

    def allow(self, name: str, address: str, now_ns: int) -> bool:
        """Count one attempt; False when it is one too many."""
        key = (name.casefold(), address)
        with self._lock:
            recent = [at for at in self._attempts.pop(key, []) if now_ns - at < _WINDOW_NS]
            allowed = len(recent) < self._limit
            if allowed:
                recent.append(now_ns)
            self._attempts[key] = recent
            if len(self._attempts) > _THROTTLE_ENTRIES:
                self._attempts.popitem(last=False)
            return allowed

    def forget(self, name: str, address: str) -> None:
        """A right password clears the count."""
        with self._lock:
            self._attempts.pop((name.casefold(), address), None)


class People:
    """Accounts and sessions of one database."""

    def __init__(self, database: Database, session_hours: int = 12) -> None:
        self._database = database
        self._session_ns = session_hours * 3600 * NS
        self._hasher = PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_urlsafe())
        self._throttle = Throttle()
        self._hashing = BoundedSemaphore(_HASHING)
        self._waiting = BoundedSemaphore(_WAITING)

    def add_staff(self, name: str, password: str, role: Role | str, now_ns: int) -> None:
        """Make an account. Raises RefusedError for a taken or impossible name, a short password or an unknown role."""
        name, known_role = _check_account(name, password, role)
        hashed = self._hasher.hash(password)
        with self._database.transaction() as connection:
            if connection.execute(select(staff_table.c.name).where(staff_table.c.name == name)).first():
                raise RefusedError(f"there is already an account {name!r}")
            connection.execute(
                insert(staff_table).values(name=name, password_hash=hashed, role=known_role, created_ns=now_ns)
            )

    def set_password(self, name: str, password: str) -> None:
        """Change a password and end every session of that person."""
        _check_account(name, password, Role.OPERATOR)
        hashed = self._hasher.hash(password)
        with self._database.transaction() as connection:
            changed = connection.execute(
                update(staff_table).where(staff_table.c.name == name).values(password_hash=hashed)
            )
            if not changed.rowcount:
                raise RefusedError(f"there is no account {name!r}")
            connection.execute(delete(session_table).where(session_table.c.staff_name == name))

    def check_password(self, name: str, password: str) -> Role | None:
        """The person's role, or None. An unknown name takes as long as a wrong password."""
        with self._database.reading() as connection:
            query = select(staff_table.c.password_hash, staff_table.c.role).where(staff_table.c.name == name)
            found = connection.execute(query).first()
        stored = found.password_hash if found else self._nobody
        try:
            self._hasher.verify(stored, password[:MAX_PASSWORD])
        except (VerificationError, InvalidHashError):
            return None
        return Role(found.role) if found else None

    def log_in(self, name: str, password: str, address: str, now_ns: int) -> tuple[str, Session]:
        """A new session and its token, which is told this once. Raises LoginError, ThrottledError."""
        if not self._throttle.allow(name[:MAX_NAME], address, now_ns):
            raise ThrottledError("too many attempts; wait a minute and try again")
        if not self._waiting.acquire(blocking=False):
            raise ThrottledError("too many people log in at once; try again")
        try:
            with self._hashing:
                role = self.check_password(name, password)
        finally:
            self._waiting.release()
        if role is None:
            raise LoginError("the name or the password is wrong")
        self._throttle.forget(name, address)
        token = secrets.token_urlsafe(32)
        length_ns = VIEWER_DAYS * 86_400 * NS if role is Role.VIEWER else self._session_ns
        opened = Session(name, role, hash_token(token), now_ns + length_ns)
        with self._database.transaction() as connection:
            connection.execute(delete(session_table).where(session_table.c.expires_ns <= now_ns))
            connection.execute(
                insert(session_table).values(
                    token_hash=opened.token_hash,
                    staff_name=name,
                    created_ns=now_ns,
                    expires_ns=opened.expires_ns,
                )
            )
        return token, opened

    def session(self, token: str, now_ns: int) -> Session | None:
        """Whose session the token opens now, or None."""
        return self.sessions([hash_token(token)], now_ns).get(hash_token(token))

    def sessions(self, token_hashes: list[str], now_ns: int) -> dict[str, Session]:
        """Which of these sessions still stand, with the role that each person has now."""
        query = (
            select(session_table, staff_table.c.role)
            .join(staff_table, staff_table.c.name == session_table.c.staff_name)
            .where(session_table.c.token_hash.in_(token_hashes), session_table.c.expires_ns > now_ns)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return {row.token_hash: Session(row.staff_name, Role(row.role), row.token_hash, row.expires_ns) for row in rows}

    def log_out(self, token_hash: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(delete(session_table).where(session_table.c.token_hash == token_hash))


def hash_token(token: str) -> str:
    """The token is 256 random bits, so a plain hash is enough: there is nothing to guess."""
    return hashlib.sha256(token.encode()).hexdigest()


def _check_account(name: str, password: str, role: Role | str) -> tuple[str, Role]:
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise RefusedError(f"a name has 1 to {MAX_NAME} printable characters")
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise RefusedError(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    try:
        return name, Role(role)
    except ValueError:
        raise RefusedError(f"unknown role {role!r}; there are: {', '.join(Role)}") from None
