"""Staff accounts: who there is, with which role, for which communities. A change ends the sessions of the account.

A password is kept as its argon2id hash: whoever reads the database can log in as nobody.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, delete, func, insert, select, update

from hearthline.errors import RefusedError
from hearthline_cloud import journal
from hearthline_cloud.database import Database
from hearthline_cloud.permissions import Role
from hearthline_cloud.schema import community as community_table
from hearthline_cloud.schema import known_device as device_table
from hearthline_cloud.schema import login_step as step_table
from hearthline_cloud.schema import second_factor as factor_table
from hearthline_cloud.schema import session as session_table
from hearthline_cloud.schema import staff as staff_table
from hearthline_cloud.schema import staff_community as belongs_table

ACCOUNT = "account"  # of the journal: an account was made or changed
MIN_PASSWORD = 8
MAX_PASSWORD = 256  # longer input only costs time
MAX_NAME = 64


@dataclass(frozen=True, slots=True)
class Account:
    """One account, for those who manage them. `communities` None: every one."""

    name: str
    role: Role
    communities: list[str] | None
    disabled: bool
    sessions: int
    second_factor: bool


@dataclass(frozen=True, slots=True)
class NewAccount:
    """`communities` None: every one."""

    name: str
    password: str
    role: Role | str
    communities: Iterable[str] | None


class Accounts:
    """The accounts of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._hasher = PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_urlsafe())

    def add(
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
        self.add_all([NewAccount(name, password, role, communities)], now_ns, by)

    def add_all(self, wishes: Iterable[NewAccount], now_ns: int, by: str = journal.SYSTEM) -> None:
        """All of them or none. Raises RefusedError as `add`."""
        ready = []
        for wish in wishes:
            name, role = _check_account(wish.name, wish.password, wish.role)
            values = {"name": name, "password_hash": self._hasher.hash(wish.password), "role": role}
            ready.append((values, wish.communities))
        with self._database.transaction() as connection:
            for values, communities in ready:
                _insert(connection, values, communities, now_ns, by)

    def names_and_communities(self) -> tuple[set[str], set[str]]:
        """The accounts there are, and the communities that they may be for."""
        with self._database.reading() as connection:
            names = set(connection.execute(select(staff_table.c.name)).scalars())
            return names, set(connection.execute(select(community_table.c.id)).scalars())

    def set_password(self, name: str, password: str, now_ns: int, by: str = journal.SYSTEM) -> None:
        """Change a password; every session of that person ends, and no browser is known any more."""
        _check_account(name, password, Role.OPERATOR)
        hashed = self._hasher.hash(password)
        with self._database.transaction() as connection:
            change(connection, name, password_hash=hashed)
            connection.execute(delete(device_table).where(device_table.c.staff_name == name))
            tell(connection, name, now_ns, by, password="changed")

    def set_role(self, name: str, role: Role | str, now_ns: int, by: str = journal.SYSTEM) -> None:
        known_role = _role(role)
        with self._database.transaction() as connection:
            change(connection, name, role=known_role)
            tell(connection, name, now_ns, by, role=known_role.value)

    def set_communities(
        self, name: str, communities: Iterable[str] | None, now_ns: int, by: str = journal.SYSTEM
    ) -> None:
        """Whose homes the person sees from now on; None: every community's."""
        with self._database.transaction() as connection:
            change(connection, name, center_wide=communities is None)
            _set_communities(connection, name, communities)
            tell(connection, name, now_ns, by, **_told(communities))

    def edit(
        self,
        name: str,
        now_ns: int,
        by: str,
        *,
        role: Role | None = None,
        communities: Collection[str] | None = (),
        is_opened: bool = False,
    ) -> None:
        """All of it or nothing. `communities`: None for every one, () for as they are. Raises RefusedError."""
        are_given = communities is None or len(communities) > 0
        wanted: dict[str, Any] = {"role": role} if role else {}
        wanted |= {"disabled": False} if is_opened else {}
        wanted |= {"center_wide": communities is None} if are_given else {}
        told: dict[str, Any] = {"role": role.value} if role else {}
        told |= {"disabled": False} if is_opened else {}
        told |= _told(communities) if are_given else {}
        with self._database.transaction() as connection:
            change(connection, name, **wanted)
            if are_given:
                _set_communities(connection, name, communities)
            tell(connection, name, now_ns, by, **told)

    def set_disabled(self, name: str, disabled: bool, now_ns: int, by: str = journal.SYSTEM) -> None:
        """Close an account, or open it again. Its name stays in the journal, so it is never removed."""
        with self._database.transaction() as connection:
            change(connection, name, disabled=disabled)
            tell(connection, name, now_ns, by, disabled=disabled)

    def log_out_everywhere(self, name: str, now_ns: int, by: str = journal.SYSTEM) -> None:
        with self._database.transaction() as connection:
            change(connection, name)
            tell(connection, name, now_ns, by, sessions="ended")

    def all(self, now_ns: int) -> list[Account]:
        """Every account, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(select(staff_table).order_by(staff_table.c.name)).all()
            belongs = communities_of(connection, [row.name for row in rows])
            is_open = session_table.c.expires_ns > now_ns
            query = select(session_table.c.staff_name, func.count()).where(is_open).group_by(session_table.c.staff_name)
            with_factor = set(
                connection.execute(
                    select(factor_table.c.staff_name).where(factor_table.c.secret.is_not(None))
                ).scalars()
            )
            sessions: dict[str, int] = {row[0]: row[1] for row in connection.execute(query)}
        return [
            Account(
                row.name,
                Role(row.role),
                None if row.center_wide else sorted(belongs.get(row.name, ())),
                row.disabled,
                sessions.get(row.name, 0),
                row.name in with_factor,
            )
            for row in rows
        ]

    def right_password(self, name: str, password: str) -> str | None:
        """The stored hash that an open account's password fits, or None. An unknown name takes as long as a wrong one.

        The hash says later whether the password is still the one that was looked at.
        """
        with self._database.reading() as connection:
            query = select(staff_table.c.password_hash, staff_table.c.disabled).where(staff_table.c.name == name)
            found = connection.execute(query).first()
        stored: str = found.password_hash if found else self._nobody
        try:
            self._hasher.verify(stored, password[:MAX_PASSWORD])
        except (VerificationError, InvalidHashError):
            return None
        return stored if found is not None and not found.disabled else None


def communities_of(connection: Connection, names: list[str]) -> dict[str, set[str]]:
    """The communities of accounts that are not for the whole center."""
    found: dict[str, set[str]] = {}
    if names:
        for row in connection.execute(select(belongs_table).where(belongs_table.c.staff_name.in_(names))):
            found.setdefault(row.staff_name, set()).add(row.community_id)
    return found


def change(connection: Connection, name: str, **values: Any) -> None:
    """Change an account and end its sessions and begun logins: whoever may logs in anew. Raises RefusedError."""
    if connection.execute(select(staff_table.c.name).where(staff_table.c.name == name)).first() is None:
        raise RefusedError(f"there is no account {name!r}")
    if values:
        connection.execute(update(staff_table).where(staff_table.c.name == name).values(**values))
    for table in (session_table, step_table):
        connection.execute(delete(table).where(table.c.staff_name == name))


def tell(connection: Connection, name: str, now_ns: int, by: str, **what: Any) -> None:
    """Write down in the journal what was changed of an account."""
    journal.append(connection, ACCOUNT, now_ns, {"account": name, **what}, actor=by)


def _insert(
    connection: Connection, values: dict[str, Any], communities: Iterable[str] | None, now_ns: int, by: str
) -> None:
    name, role = values["name"], values["role"]
    if connection.execute(select(staff_table.c.name).where(staff_table.c.name == name)).first():
        raise RefusedError(f"there is already an account {name!r}")
    connection.execute(insert(staff_table).values(**values, created_ns=now_ns, center_wide=communities is None))
    _set_communities(connection, name, communities)
    tell(connection, name, now_ns, by, role=role.value, **_told(communities))


def _set_communities(connection: Connection, name: str, communities: Iterable[str] | None) -> None:
    connection.execute(delete(belongs_table).where(belongs_table.c.staff_name == name))
    for community in sorted(set(communities or ())):
        known = connection.execute(select(community_table.c.id).where(community_table.c.id == community)).first()
        if known is None:
            raise RefusedError(f"there is no community {community!r}; load the registry first")
        connection.execute(insert(belongs_table).values(staff_name=name, community_id=community))


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
