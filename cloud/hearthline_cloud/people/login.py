"""From a name and a password, and where the account has a second factor from a code, to a session.

    first_step(name, password) --no second factor--> session
             \\--second factor--> a step of five minutes --second_step(code)--> session

`guarding` slows down whoever guesses a password; an unknown name is told apart by nothing. Only who has the password
can try codes: five for a step, and thirty wrong ones an hour for an account, which gives a thief one chance in ten
thousand an hour. A browser that is known has thirty of its own and a recovery code is never counted, so that the thief
keeps nobody out.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection

from sqlalchemy import delete, insert, select, update

from hearthline.clock import NS
from hearthline.errors import RefusedError
from hearthline_cloud.database import Database
from hearthline_cloud.guarding import Guard, Lane, Source, Throttle
from hearthline_cloud.people import codes
from hearthline_cloud.people.accounts import MAX_NAME, Accounts
from hearthline_cloud.people.second_factor import SecondFactors
from hearthline_cloud.people.sessions import AHEAD_NS, Session, Sessions, hash_token
from hearthline_cloud.permissions import Role
from hearthline_cloud.schema import login_step as step_table

STEP_MIN = 5  # so long a code is awaited
CODES_A_STEP = 5
CODES_AN_HOUR = 30  # wrong ones of an account, for all browsers that are not known together


class LoginError(RefusedError):
    """The name or the password is wrong; nobody is told which."""


class CodeNeededError(LoginError):
    """The password is right; the account's second factor is missing."""


class CodeError(LoginError):
    """The code of the second factor is wrong, or was used before."""


class StepOverError(LoginError):
    """The second step was begun too long ago, or has had too many wrong codes: begin again with the password."""


class EnrolFirstError(RefusedError):
    """The role needs a second factor, and the account has none: nothing else may be done before."""


class ThrottledError(RefusedError):
    """Too many attempts for this name: wait."""


class People:
    """Who logs in to one database. `required`: the roles that need a second factor."""

    def __init__(
        self,
        database: Database,
        session_hours: int = 12,
        idle_minutes: int = 60,
        required: Collection[Role] = (),
    ) -> None:
        self._database = database
        self.accounts = Accounts(database)
        self.sessions = Sessions(database, session_hours, idle_minutes, required)
        self.factors = SecondFactors(database, required)
        self.guard = Guard()
        self.code_attempts = Throttle(CODES_AN_HOUR, 3600 * NS)

    def log_in(
        self,
        name: str,
        password: str,
        address: str,
        now_ns: int,
        device: str | None = None,
        code: str | None = None,
    ) -> tuple[str, Session]:
        """A new session and its token, which is told this once. `device`: the token of `remember_device`, if any.

        In one go, for machines. Raises LoginError, CodeNeededError, CodeError, ThrottledError, EnrolFirstError.
        """
        password_hash = self._password_hash(name, password, address, now_ns, device)
        has_factor = self.factors.standing(name).since_ns is not None
        if has_factor:
            if code is None:
                raise CodeNeededError("this account has a second factor: send its code too, as `code`")
            self._check_code(name, code, now_ns, device)
        token, session = self._open(name, password_hash, now_ns, with_factor=has_factor)
        if session.must_enrol:
            self.sessions.end(session.token_hash)
            raise EnrolFirstError("this account needs a second factor first: log in on the console and set it up")
        return token, session

    def first_step(
        self, name: str, password: str, address: str, now_ns: int, device: str | None = None
    ) -> tuple[str, Session | None]:
        """A session and its token; where a second factor is awaited, None and the token of the second step.

        Raises LoginError, ThrottledError.
        """
        password_hash = self._password_hash(name, password, address, now_ns, device)
        if self.factors.standing(name).since_ns is None:
            return self._open(name, password_hash, now_ns, with_factor=False)
        token = secrets.token_urlsafe(32)
        values = {"token_hash": hash_token(token), "staff_name": name, "password_hash": password_hash}
        with self._database.transaction() as connection:
            connection.execute(delete(step_table).where(step_table.c.expires_ns <= now_ns))
            connection.execute(insert(step_table).values(**values, expires_ns=now_ns + STEP_MIN * 60 * NS))
        return token, None

    def awaits_code(self, token: str, now_ns: int) -> bool:
        """Whether this is the token of a second step that can still be made."""
        return self._step(token, now_ns) is not None

    def second_step(self, token: str, code: str, now_ns: int, device: str | None = None) -> tuple[str, Session]:
        """Raises CodeError, StepOverError, ThrottledError."""
        found = self._step(token, now_ns)
        if found is None:
            raise StepOverError("log in again")
        name, password_hash = found
        is_it = step_table.c.token_hash == hash_token(token)
        try:
            self._check_code(name, code, now_ns, device)
        except CodeError:
            with self._database.transaction() as connection:
                connection.execute(update(step_table).where(is_it).values(wrong=step_table.c.wrong + 1))
            raise
        with self._database.transaction() as connection:
            connection.execute(delete(step_table).where(is_it))
        return self._open(name, password_hash, now_ns, with_factor=True)

    def prove(
        self, session: Session, password: str, code: str, address: str, now_ns: int, device: str | None = None
    ) -> None:
        """Whether it is still the person who opened the session. `code` counts where a second factor is set up.

        Raises LoginError, CodeError, ThrottledError.
        """
        self.check_password(session, password, address, now_ns, device)
        if self.factors.standing(session.staff).since_ns is not None:
            self._check_code(session.staff, code, now_ns, device)

    def check_password(
        self, session: Session, password: str, address: str, now_ns: int, device: str | None = None
    ) -> None:
        """Raises LoginError, ThrottledError."""
        self._password_hash(session.staff, password, address, now_ns, device)

    def _open(self, name: str, password_hash: str, now_ns: int, *, with_factor: bool) -> tuple[str, Session]:
        opened = self.sessions.open(name, now_ns, password_hash=password_hash, with_factor=with_factor)
        if opened is None:
            raise LoginError("the name or the password is wrong")
        return opened

    def _step(self, token: str, now_ns: int) -> tuple[str, str] | None:
        """(name, hash of the password that was right) of a second step that can still be made."""
        query = select(step_table.c.staff_name, step_table.c.password_hash).where(
            step_table.c.token_hash == hash_token(token),
            step_table.c.expires_ns > now_ns,
            step_table.c.expires_ns <= now_ns + STEP_MIN * 60 * NS + AHEAD_NS,
            step_table.c.wrong < CODES_A_STEP,
        )
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else (row.staff_name, row.password_hash)

    def _check_code(self, name: str, code: str, now_ns: int, device: str | None) -> None:
        """Raises CodeError, ThrottledError."""
        is_counted = codes.recovery_code(code) is None
        source = self._source(name, "anywhere", device, now_ns)
        if is_counted and not self.code_attempts.allow(name, source.place, now_ns):
            raise ThrottledError("too many wrong codes; use a recovery code, or wait an hour")
        if not self.factors.accepts(name, code, now_ns):
            raise CodeError("the code is wrong, or was used before")
        if is_counted:
            self.code_attempts.take_back(name, source.place)

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
