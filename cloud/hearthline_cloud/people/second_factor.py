"""Second factors: a secret in the person's phone beside the password, and ten recovery codes on paper.

    none --offer--> offered to one session --confirm by a code--> set up --remove, reset--> none

An offered secret counts for nothing until a code proves that the phone has it; meanwhile the one that is set up stays.
Whoever sets one up, or loses it, begins anew: every session and every begun login of the account ends.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from hearthline.clock import NS
from hearthline_cloud import journal
from hearthline_cloud.database import Database
from hearthline_cloud.people import codes
from hearthline_cloud.people.accounts import change, tell
from hearthline_cloud.people.sealing import destroy, opened, seal
from hearthline_cloud.people.sessions import Session
from hearthline_cloud.permissions import Role
from hearthline_cloud.schema import recovery_code as recovery_table
from hearthline_cloud.schema import second_factor as factor_table

OFFER_MIN = 15  # so long an offered secret may be confirmed


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one account: since when its factor is set up (Unix ns; None: it is not), and how many recovery codes left."""

    since_ns: int | None = None
    recovery_codes: int = 0


class SecondFactors:
    """The second factors of one database. `required`: the roles that may do nothing without one."""

    def __init__(self, database: Database, required: Collection[Role] = ()) -> None:
        self._database = database
        self.required = frozenset(required)

    def standing(self, name: str) -> Standing:
        with self._database.reading() as connection:
            row = _row(connection, name)
            if row is None or row.secret is None:
                return Standing()
            own = recovery_table.c.staff_name == name
            left: int = connection.execute(select(func.count()).select_from(recovery_table).where(own)).scalar_one()
        return Standing(row.since_ns, left)

    def offer(self, session: Session, now_ns: int) -> None:
        """Make a secret that this session alone is shown."""
        with self._database.transaction() as connection:
            sealed = seal(connection, session.staff, codes.new_secret())
            values = {"offered": sealed, "offered_ns": now_ns, "offered_to": session.token_hash}
            if _row(connection, session.staff) is None:
                connection.execute(insert(factor_table).values(staff_name=session.staff, **values))
            else:
                connection.execute(update(factor_table).where(_own(session.staff)).values(**values))

    def offered(self, session: Session, now_ns: int) -> str | None:
        """The secret that waits for this session's confirmation, or None."""
        with self._database.reading() as connection:
            return _offered(connection, _row(connection, session.staff), session, now_ns)

    def confirm(self, session: Session, code: str, now_ns: int) -> list[str] | None:
        """From now on the factor counts, and every session has ended. The recovery codes, told this once.

        None for a wrong code, or when there is no offer any more.
        """
        with self._database.transaction() as connection:
            row = _row(connection, session.staff)
            secret = _offered(connection, row, session, now_ns)
            step = None if secret is None else codes.fresh_step(secret, code, 0, now_ns)
            if row is None or step is None:
                return None
            values = {"secret": row.offered, "since_ns": now_ns, "last_step": step, **_NO_OFFER}
            connection.execute(update(factor_table).where(_own(session.staff)).values(**values))
            change(connection, session.staff)
            tell(connection, session.staff, now_ns, session.staff, second_factor="set up")
            return _new_codes(connection, session.staff)

    def accepts(self, name: str, code: str, now_ns: int) -> bool:
        """Whether this is a code of the account, or one of its recovery codes; used up by that."""
        with self._database.transaction() as connection:
            row = _row(connection, name)
            if row is None or row.secret is None:
                return False
            recovery = codes.recovery_code(code)
            if recovery is not None:
                return _use_recovery_code(connection, name, recovery, now_ns)
            step = codes.fresh_step(opened(connection, name, row.secret), code, row.last_step, now_ns)
            if step is not None:
                connection.execute(update(factor_table).where(_own(name)).values(last_step=step))
            else:
                tell(connection, name, now_ns, journal.SYSTEM, second_factor="wrong code")
            return step is not None

    def renew_recovery_codes(self, name: str, now_ns: int) -> list[str]:
        """Ten new ones, told this once; the old ones open nothing any more."""
        with self._database.transaction() as connection:
            tell(connection, name, now_ns, name, second_factor="new recovery codes")
            return _new_codes(connection, name)

    def remove(self, name: str, now_ns: int, by: str) -> None:
        """The account is as if it had never had one. Raises RefusedError for an unknown account."""
        with self._database.transaction() as connection:
            change(connection, name)
            connection.execute(delete(recovery_table).where(recovery_table.c.staff_name == name))
            connection.execute(delete(factor_table).where(_own(name)))
            destroy(connection, name)
            tell(connection, name, now_ns, by, second_factor="removed" if by == name else "reset")


_NO_OFFER = {"offered": None, "offered_ns": 0, "offered_to": ""}


def _own(name: str) -> Any:
    return factor_table.c.staff_name == name


def _row(connection: Connection, name: str) -> Row[Any] | None:
    return connection.execute(select(factor_table).where(_own(name))).first()


def _offered(connection: Connection, row: Row[Any] | None, session: Session, now_ns: int) -> str | None:
    if row is None or row.offered is None or row.offered_to != session.token_hash:
        return None
    is_fresh = 0 <= now_ns - row.offered_ns < OFFER_MIN * 60 * NS
    return opened(connection, session.staff, row.offered) if is_fresh else None


def _new_codes(connection: Connection, name: str) -> list[str]:
    connection.execute(delete(recovery_table).where(recovery_table.c.staff_name == name))
    made = codes.new_recovery_codes()
    rows = [{"code_hash": codes.hash_recovery_code(name, code), "staff_name": name} for code in made]
    connection.execute(insert(recovery_table), rows)
    return made


def _use_recovery_code(connection: Connection, name: str, code: str, now_ns: int) -> bool:
    is_it = recovery_table.c.code_hash == codes.hash_recovery_code(name, code)
    used = connection.execute(delete(recovery_table).where(is_it, recovery_table.c.staff_name == name)).rowcount == 1
    if used:
        tell(connection, name, now_ns, name, second_factor="recovery code used")
    return used
