"""Staff accounts and their sessions.

A password is kept as its argon2id hash, a session as the SHA-256 of its random token: whoever reads the database can
log in as nobody. An unknown name costs as much time as a wrong password. `guarding` slows guessing down.

A session ends at its time, after `idle` without a request or an open stream, by logging out, with a new password, with
the account, and when the clock turns out to have been ahead as it was opened.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, Row, delete, insert, or_, select, update

from hearthline.clock import NS
from hearthline.errors import RefusedError
from hearthline_cloud import journal
from hearthline_cloud.database import Database
from hearthline_cloud.guarding import Guard, Lane, Source
from hearthline_cloud.permissions import Permission, Role, may
from hearthline_cloud.schema import community as community_table
from hearthline_cloud.schema import known_device as device_table
from hearthline_cloud.schema import session as session_table
from hearthline_cloud.schema import staff as staff_table
from hearthline_cloud.schema import staff_community as belongs_table
from hearthline_cloud.scoping import EVERY, Communities

ACCOUNT = "account"  # of the journal: an account was made or changed
MIN_PASSWORD = 8
MAX_PASSWORD = 256  # longer input only costs time
MAX_NAME = 64
VIEWER_DAYS = 90  # a screen on a wall has nobody who logs in at each shift
DEVICE_DAYS = 180  # so long a browser is known that somebody has logged in with
_DEVICES = 20  # of one account; the oldest is forgotten
_TOUCH_NS = 60 * NS  # a session's use is written down once a minute
_AHEAD_NS = 300 * NS  # a session opened later than that from now was opened by a wrong clock


class LoginError(RefusedError):
    """The name or the password is wrong; nobody is told which."""


class ThrottledError(RefusedError):
    """Too many attempts for this name: wait."""


@dataclass(frozen=True, slots=True)
class Session:
    """A person who is logged in. `token_hash` names the session and opens nothing; `communities` None: every one."""

    staff: str
    role: Role
    token_hash: str
    expires_ns: int
    communities: Communities = EVERY

    def may(self, permission: Permission) -> bool:
        return may(self.role, permission, self.communities is None)

    @property
    def rights(self) -> tuple[Role, Communities]:
        """What a stream was opened with; it ends when that changes."""
        return self.role, self.communities

    @property
    def scope_key(self) -> str:
        """The same for all who see the same communities."""
        return "*" if self.communities is None else "\n".join(sorted(self.communities))


@dataclass(frozen=True, slots=True)
class Account:
    """One account, for those who manage them. `communities` None: every one."""

    name: str
    role: Role
    communities: list[str] | None
    disabled: bool
    sessions: int


class People:
    """Accounts and sessions of one database."""

    def __init__(self, database: Database, session_hours: int = 12, idle_minutes: int = 60) -> None:
        self._database = database
        self._session_ns = session_hours * 3600 * NS
        self._idle_ns = idle_minutes * 60 * NS
        self._hasher = PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_urlsafe())
        self.guard = Guard()

    # --- accounts ---------------------------------------------------------------------------------------------

    def add_staff(
        self,
        name: str,
        password: str,
        role: Role | str,
        now_ns: int,
        communities: Iterable[str] | None = None,
        by: str = journal.SYSTEM,
    ) -> None:
        """Make an account, for some communities or (None) the whole center.

        Raises RefusedError for a taken or impossible name, a short password, an unknown role or community.
        """
        name, known_role = _check_account(name, password, role)
        hashed = self._hasher.hash(password)
        with self._database.transaction() as connection:
            if connection.execute(select(staff_table.c.name).where(staff_table.c.name == name)).first():
                raise RefusedError(f"there is already an account {name!r}")
            values = {"name": name, "password_hash": hashed, "role": known_role, "created_ns": now_ns}
            connection.execute(insert(staff_table).values(**values, center_wide=communities is None))
            _set_communities(connection, name, communities)
            _tell(connection, name, now_ns, by, role=known_role.value, **_told(communities))

    def set_password(self, name: str, password: str, now_ns: int, by: str = journal.SYSTEM) -> None:
        """Change a password; every session of that person ends, and no browser is known any more."""
        _check_account(name, password, Role.OPERATOR)
        hashed = self._hasher.hash(password)
        with self._database.transaction() as connection:
            _change(connection, name, password_hash=hashed)
            connection.execute(delete(device_table).where(device_table.c.staff_name == name))
            _tell(connection, name, now_ns, by, password="changed")

    def set_role(self, name: str, role: Role | str, now_ns: int, by: str = journal.SYSTEM) -> None:
        known_role = _role(role)
        with self._database.transaction() as connection:
            _change(connection, name, role=known_role)
            _tell(connection, name, now_ns, by, role=known_role.value)

    def set_communities(
        self, name: str, communities: Iterable[str] | None, now_ns: int, by: str = journal.SYSTEM
    ) -> None:
        """Whose homes the person sees from now on; None: every community's."""
        with self._database.transaction() as connection:
            _change(connection, name, center_wide=communities is None)
            _set_communities(connection, name, communities)
            _tell(connection, name, now_ns, by, **_told(communities))

    def set_disabled(self, name: str, disabled: bool, now_ns: int, by: str = journal.SYSTEM) -> None:
        """Close an account, or open it again. Its name stays in the journal, so it is never removed."""
        with self._database.transaction() as connection:
            _change(connection, name, disabled=disabled)
            _tell(connection, name, now_ns, by, disabled=disabled)

    def log_out_everywhere(self, name: str, now_ns: int, by: str = journal.SYSTEM) -> None:
        with self._database.transaction() as connection:
            _change(connection, name)
            _tell(connection, name, now_ns, by, sessions="ended")

    def accounts(self, now_ns: int) -> list[Account]:
        """Every account, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(select(staff_table).order_by(staff_table.c.name)).all()
            belongs = _communities(connection, [row.name for row in rows])
            open_sessions = connection.execute(
                select(session_table.c.staff_name).where(session_table.c.expires_ns > now_ns)
            )
            names = [row.staff_name for row in open_sessions]
        return [
            Account(
                row.name,
                Role(row.role),
                None if row.center_wide else sorted(belongs.get(row.name, ())),
                row.disabled,
                names.count(row.name),
            )
            for row in rows
        ]

    # --- sessions ---------------------------------------------------------------------------------------------

    def check_password(self, name: str, password: str) -> bool:
        """Whether an open account has this password. An unknown name takes as long as a wrong password."""
        with self._database.reading() as connection:
            query = select(staff_table.c.password_hash, staff_table.c.disabled).where(staff_table.c.name == name)
            found = connection.execute(query).first()
        stored = found.password_hash if found else self._nobody
        try:
            self._hasher.verify(stored, password[:MAX_PASSWORD])
        except (VerificationError, InvalidHashError):
            return False
        return found is not None and not found.disabled

    def log_in(
        self, name: str, password: str, address: str, now_ns: int, device: str | None = None
    ) -> tuple[str, Session]:
        """A new session and its token, which is told this once. `device`: the token of `remember_device`, if any.

        Raises LoginError, ThrottledError.
        """
        source = self._source(name, address, device, now_ns)
        wait_s = self.guard.wait_s(source, now_ns)
        if wait_s > 0:
            raise ThrottledError(f"too many attempts; wait {wait_s:.0f} s and try again")
        with self.guard.turn(source.lane) as has_turn:
            if not has_turn:
                raise ThrottledError("too many people log in at once; try again")
            is_right = self.check_password(name, password)
        if not is_right:
            raise LoginError("the name or the password is wrong")
        self.guard.succeeded(source)
        return self._open(name, now_ns)

    def session(self, token: str, now_ns: int) -> Session | None:
        """Whose session the token opens now, or None. It counts as used."""
        return self.sessions([hash_token(token)], now_ns).get(hash_token(token))

    def sessions(self, token_hashes: list[str], now_ns: int) -> dict[str, Session]:
        """Which of these sessions still stand, with the rights that each person has now. They count as used."""
        query = (
            select(session_table, staff_table.c.role, staff_table.c.center_wide)
            .join(staff_table, staff_table.c.name == session_table.c.staff_name)
            .where(
                session_table.c.token_hash.in_(token_hashes),
                session_table.c.expires_ns > now_ns,
                session_table.c.created_ns <= now_ns + _AHEAD_NS,
                or_(staff_table.c.role == Role.VIEWER, session_table.c.seen_ns > now_ns - self._idle_ns),
                ~staff_table.c.disabled,
            )
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
            belongs = _communities(connection, [row.staff_name for row in rows if not row.center_wide])
        self._touch([row.token_hash for row in rows if abs(now_ns - row.seen_ns) > _TOUCH_NS], now_ns)
        return {row.token_hash: _session(row, belongs) for row in rows}

    def log_out(self, token_hash: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(delete(session_table).where(session_table.c.token_hash == token_hash))

    def remember_device(self, name: str, now_ns: int) -> str:
        """A token by which this browser is known from now on when the person logs in; it opens nothing."""
        token = secrets.token_urlsafe(32)
        with self._database.transaction() as connection:
            own = device_table.c.staff_name == name
            kept = select(device_table.c.token_hash).where(own).order_by(device_table.c.created_ns.desc())
            newest = connection.execute(kept.limit(_DEVICES - 1)).scalars().all()
            connection.execute(delete(device_table).where(own, device_table.c.token_hash.not_in(newest)))
            values = {"token_hash": hash_token(token), "staff_name": name, "created_ns": now_ns}
            connection.execute(insert(device_table).values(**values))
        return token

    def knows_device(self, name: str, device: str | None, now_ns: int) -> bool:
        if not device:
            return False
        is_it = (device_table.c.token_hash == hash_token(device)) & (device_table.c.staff_name == name)
        is_recent = device_table.c.created_ns > now_ns - DEVICE_DAYS * 86_400 * NS
        with self._database.reading() as connection:
            return connection.execute(select(device_table.c.token_hash).where(is_it, is_recent)).first() is not None

    def _source(self, name: str, address: str, device: str | None, now_ns: int) -> Source:
        name = name[:MAX_NAME]
        if device and self.knows_device(name, device, now_ns):
            return Source(name, f"device {hash_token(device)}", Lane.KNOWN)
        return Source(name, address, Lane.UNKNOWN)

    def _open(self, name: str, now_ns: int) -> tuple[str, Session]:
        token = secrets.token_urlsafe(32)
        with self._database.transaction() as connection:
            row = connection.execute(select(staff_table).where(staff_table.c.name == name)).one()
            length_ns = VIEWER_DAYS * 86_400 * NS if row.role == Role.VIEWER else self._session_ns
            is_from_ahead = session_table.c.created_ns > now_ns + _AHEAD_NS
            connection.execute(delete(session_table).where(or_(session_table.c.expires_ns <= now_ns, is_from_ahead)))
            values = {"token_hash": hash_token(token), "staff_name": name, "created_ns": now_ns, "seen_ns": now_ns}
            connection.execute(insert(session_table).values(**values, expires_ns=now_ns + length_ns))
            belongs = _communities(connection, [name])
        communities = EVERY if row.center_wide else frozenset(belongs.get(name, ()))
        return token, Session(name, Role(row.role), hash_token(token), now_ns + length_ns, communities)

    def _touch(self, token_hashes: list[str], now_ns: int) -> None:
        if token_hashes:
            with self._database.transaction() as connection:
                where = session_table.c.token_hash.in_(token_hashes)
                connection.execute(update(session_table).where(where).values(seen_ns=now_ns))


def hash_token(token: str) -> str:
    """The token is 256 random bits, so a plain hash is enough: there is nothing to guess."""
    return hashlib.sha256(token.encode()).hexdigest()


def _session(row: Row[Any], belongs: dict[str, set[str]]) -> Session:
    communities = EVERY if row.center_wide else frozenset(belongs.get(row.staff_name, ()))
    return Session(row.staff_name, Role(row.role), row.token_hash, row.expires_ns, communities)


def _communities(connection: Connection, names: list[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    if names:
        for row in connection.execute(select(belongs_table).where(belongs_table.c.staff_name.in_(names))):
            found.setdefault(row.staff_name, set()).add(row.community_id)
    return found


def _set_communities(connection: Connection, name: str, communities: Iterable[str] | None) -> None:
    connection.execute(delete(belongs_table).where(belongs_table.c.staff_name == name))
    for community in sorted(set(communities or ())):
        known = connection.execute(select(community_table.c.id).where(community_table.c.id == community)).first()
        if known is None:
            raise RefusedError(f"there is no community {community!r}; load the registry first")
        connection.execute(insert(belongs_table).values(staff_name=name, community_id=community))


def _change(connection: Connection, name: str, **values: Any) -> None:
    """Change an account and end its sessions: whoever is still allowed logs in anew. Raises RefusedError."""
    if connection.execute(select(staff_table.c.name).where(staff_table.c.name == name)).first() is None:
        raise RefusedError(f"there is no account {name!r}")
    if values:
        connection.execute(update(staff_table).where(staff_table.c.name == name).values(**values))
    connection.execute(delete(session_table).where(session_table.c.staff_name == name))


def _tell(connection: Connection, name: str, now_ns: int, by: str, **change: Any) -> None:
    journal.append(connection, ACCOUNT, now_ns, {"account": name, **change}, actor=by)


def _told(communities: Iterable[str] | None) -> dict[str, Any]:
    return {"communities": "all" if communities is None else sorted(set(communities))}


def _role(role: Role | str) -> Role:
    try:
        return Role(role)
    except ValueError:
        raise RefusedError(f"unknown role {role!r}; there are: {', '.join(Role)}") from None


def _check_account(name: str, password: str, role: Role | str) -> tuple[str, Role]:
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise RefusedError(f"a name has 1 to {MAX_NAME} printable characters")
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise RefusedError(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    return name, _role(role)
