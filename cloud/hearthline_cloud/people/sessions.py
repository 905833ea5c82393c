"""Sessions of the staff, and the browsers that they are known by.

A session is kept as the SHA-256 of its random token: whoever reads the database has none. It ends at its time, after
`idle` without a request or an open stream, by logging out, with whatever changes the account, and when the clock turns
out to have been ahead as it was opened. A token is never taken from whoever logs in: each login makes a new one.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update

from hearthline.clock import NS
from hearthline_cloud.database import Database
from hearthline_cloud.people.accounts import communities_of
from hearthline_cloud.permissions import ENROLLING, Permission, Role, may
from hearthline_cloud.schema import known_device as device_table
from hearthline_cloud.schema import second_factor as factor_table
from hearthline_cloud.schema import session as session_table
from hearthline_cloud.schema import staff as staff_table
from hearthline_cloud.scoping import EVERY, Communities

VIEWER_DAYS = 90  # a screen on a wall has nobody who logs in at each shift
DEVICE_DAYS = 180  # so long a browser is known that somebody has logged in with
AHEAD_NS = 300 * NS  # what was written later than that from now was written by a wrong clock
_DEVICES = 20  # of one account; the oldest is forgotten
_TOUCH_NS = 60 * NS  # a session's use is written down once a minute


_HAS_FACTOR = factor_table.c.secret.is_not(None).label("has_factor")


@dataclass(frozen=True, slots=True)
class Session:
    """A person who is logged in. `token_hash` names the session and opens nothing; `communities` None: every one."""

    staff: str
    role: Role
    token_hash: str
    expires_ns: int
    communities: Communities = EVERY
    must_enrol: bool = False  # the role needs a second factor, and the account has none yet

    def may(self, permission: Permission) -> bool:
        if self.must_enrol and permission not in ENROLLING:
            return False
        return may(self.role, permission, self.communities is None)

    @property
    def rights(self) -> tuple[Role, Communities, bool]:
        """What a stream was opened with; it ends when that changes."""
        return self.role, self.communities, self.must_enrol

    @property
    def scope_key(self) -> str:
        """The same for all who see the same communities."""
        return "*" if self.communities is None else "\n".join(sorted(self.communities))


class Sessions:
    """The sessions of one database. `required`: the roles that may only enrol as long as they have no second factor."""

    def __init__(self, database: Database, hours: int, idle_minutes: int, required: Collection[Role] = ()) -> None:
        self._database = database
        self._required = frozenset(required)
        self._length_ns = hours * 3600 * NS
        self._idle_ns = idle_minutes * 60 * NS

    def find(self, token: str, now_ns: int) -> Session | None:
        """Whose session the token opens now, or None. It counts as used."""
        return self.standing([hash_token(token)], now_ns).get(hash_token(token))

    def standing(self, token_hashes: list[str], now_ns: int) -> dict[str, Session]:
        """Which of these sessions still stand, with the rights that each person has now. They count as used."""
        query = (
            select(session_table, staff_table.c.role, staff_table.c.center_wide, _HAS_FACTOR)
            .join(staff_table, staff_table.c.name == session_table.c.staff_name)
            .outerjoin(factor_table, factor_table.c.staff_name == staff_table.c.name)
            .where(
                session_table.c.token_hash.in_(token_hashes),
                session_table.c.expires_ns > now_ns,
                session_table.c.created_ns <= now_ns + AHEAD_NS,
                or_(staff_table.c.role == Role.VIEWER, session_table.c.seen_ns > now_ns - self._idle_ns),
                ~staff_table.c.disabled,
            )
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
            belongs = communities_of(connection, [row.staff_name for row in rows if not row.center_wide])
        self._touch([row.token_hash for row in rows if abs(now_ns - row.seen_ns) > _TOUCH_NS], now_ns)
        return {row.token_hash: self._session(row, belongs, row.token_hash, row.expires_ns) for row in rows}

    def count(self, name: str, now_ns: int) -> int:
        """How many sessions of the person are open."""
        own = (session_table.c.staff_name == name) & (session_table.c.expires_ns > now_ns)
        with self._database.reading() as connection:
            count: int = connection.execute(select(func.count()).select_from(session_table).where(own)).scalar_one()
        return count

    def end(self, token_hash: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(delete(session_table).where(session_table.c.token_hash == token_hash))

    def open(
        self, name: str, now_ns: int, *, password_hash: str | None = None, with_factor: bool = False
    ) -> tuple[str, Session] | None:
        """A new session and its token, which is told this once.

        None when what was looked at has changed meanwhile: the account was closed, has another password, or has a
        second factor now that was not proved.
        """
        token = secrets.token_urlsafe(32)
        query = (
            select(staff_table.c.name.label("staff_name"), staff_table.c.role, staff_table.c.center_wide, _HAS_FACTOR)
            .outerjoin(factor_table, factor_table.c.staff_name == staff_table.c.name)
            .where(staff_table.c.name == name, ~staff_table.c.disabled)
        )
        if password_hash is not None:
            query = query.where(staff_table.c.password_hash == password_hash)
        with self._database.transaction() as connection:
            row = connection.execute(query).first()
            if row is None or (row.has_factor and not with_factor):
                return None
            is_from_ahead = session_table.c.created_ns > now_ns + AHEAD_NS
            connection.execute(delete(session_table).where(or_(session_table.c.expires_ns <= now_ns, is_from_ahead)))
            return token, self._insert(connection, row, token, now_ns)

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

    def _insert(self, connection: Connection, row: Row[Any], token: str, now_ns: int) -> Session:
        expires_ns = now_ns + (VIEWER_DAYS * 86_400 * NS if row.role == Role.VIEWER else self._length_ns)
        values = {"token_hash": hash_token(token), "staff_name": row.staff_name, "created_ns": now_ns}
        connection.execute(insert(session_table).values(**values, seen_ns=now_ns, expires_ns=expires_ns))
        return self._session(row, communities_of(connection, [row.staff_name]), hash_token(token), expires_ns)

    def _session(self, row: Row[Any], belongs: dict[str, set[str]], token_hash: str, expires_ns: int) -> Session:
        communities = EVERY if row.center_wide else frozenset(belongs.get(row.staff_name, ()))
        role = Role(row.role)
        must_enrol = role in self._required and not row.has_factor
        return Session(row.staff_name, role, token_hash, expires_ns, communities, must_enrol)

    def _touch(self, token_hashes: list[str], now_ns: int) -> None:
        if token_hashes:
            with self._database.transaction() as connection:
                where = session_table.c.token_hash.in_(token_hashes)
                connection.execute(update(session_table).where(where).values(seen_ns=now_ns))


def hash_token(token: str) -> str:
    """The token is 256 random bits, so a plain hash is enough: there is nothing to guess."""
    return hashlib.sha256(token.encode()).hexdigest()
