"""What operators do to an alert, each in one transaction: a step of `lifecycle.TRANSITIONS`, or a note.

Two operators who reach for one alert: the first has it, the second is told who and what. When the first person takes an
alert, the home of every device that was pressed gets the command "a person has accepted" in the same transaction.

`alert.version` counts what people did. A press that joins changes no state, so nobody loses his click to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import uuid_utils
from sqlalchemy import Connection, Row, Select, func, insert, literal, or_, select, update

from hearthline.clock import rfc3339
from hearthline.errors import RefusedError
from hearthline.model import EventType, HomeSignal
from hearthline_cloud.alerts.lifecycle import (
    JOURNAL_KIND,
    TRANSITIONS,
    Action,
    AlertKind,
    Case,
    ImpossibleError,
    Outcome,
    Refusal,
    State,
    Step,
    Wish,
    act,
)
from hearthline_cloud.alerts.supervision import Sight, credible, is_alive, is_silent, look
from hearthline_cloud.database import Database
from hearthline_cloud.schema import alert as alert_table
from hearthline_cloud.schema import command as command_table
from hearthline_cloud.schema import event as event_table
from hearthline_cloud.schema import gateway as gateway_table
from hearthline_cloud.schema import heartbeat as heartbeat_table
from hearthline_cloud.schema import journal as journal_table
from hearthline_cloud.schema import staff as staff_table
from hearthline_cloud.wake import Waker

MAX_NOTE = 2000
SYSTEM = "system"


class NotFoundError(RefusedError):
    """There is no such alert, resident, home or device."""


@dataclass(frozen=True, slots=True)
class First:
    """Who changed an alert last, how (the journal's word), to what, when; `to`: whom it was handed to."""

    actor: str
    did: str
    state: str
    at_ns: int
    to: str | None = None


class ConflictError(RefusedError):
    """Somebody else was first; `first` says who (None: the system)."""

    def __init__(self, message: str, first: First | None, version: int) -> None:
        super().__init__(message)
        self.first = first
        self.version = version


@dataclass(frozen=True, slots=True)
class Changed:
    """An alert after an action."""

    alert_id: int
    state: State
    version: int


class Desk:
    """The alert desk of one database. `waker` tells the other roles after each commit."""

    def __init__(self, database: Database, waker: Waker) -> None:
        self._database = database
        self._waker = waker

    def acknowledge(self, alert_id: int, actor: str, now_ns: int, version: int | None = None) -> Changed:
        return self.act(alert_id, Wish(Action.ACKNOWLEDGE, actor), now_ns, version)

    def attend(self, alert_id: int, actor: str, now_ns: int, version: int | None = None) -> Changed:
        return self.act(alert_id, Wish(Action.ATTEND, actor), now_ns, version)

    def arrive(self, alert_id: int, actor: str, now_ns: int, version: int | None = None) -> Changed:
        return self.act(alert_id, Wish(Action.ARRIVE, actor), now_ns, version)

    def hand_over(self, alert_id: int, to: str, actor: str, now_ns: int, version: int | None = None) -> Changed:
        return self.act(alert_id, Wish(Action.HAND_OVER, actor, to=to), now_ns, version)

    def resolve(self, alert_id: int, outcome: Outcome, actor: str, now_ns: int, version: int | None = None) -> Changed:
        return self.act(alert_id, Wish(Action.RESOLVE, actor, outcome), now_ns, version)

    def reopen(self, alert_id: int, reason: str, actor: str, now_ns: int, version: int | None = None) -> Changed:
        return self.act(alert_id, Wish(Action.REOPEN, actor, reason=_words(reason)), now_ns, version)

    def act(self, alert_id: int, wish: Wish, now_ns: int, version: int | None = None) -> Changed:
        """Take one step. `version` is the one that the operator saw; None asks for no check beyond the state's own.

        Repeating one's own action is answered as before. Raises NotFoundError, ConflictError, ImpossibleError.
        """
        with self._database.transaction() as connection:
            row = _alert(connection, alert_id)
            state = State(row.state)
            is_late = version not in (None, row.version) and state is not State.RAISED
            if is_late or (state, wish.action) not in TRANSITIONS:
                repeated = _repeated(connection, row, wish, is_late, is_unseen=version is None)
                if repeated is not None:
                    return repeated
            step = act(Case(AlertKind(row.kind), state, row.assigned_to), wish)
            _check_surroundings(connection, row, wish)
            changed = _write_step(connection, row, wish, step, now_ns)
            if step.tells_home:
                _tell_home(connection, alert_id, now_ns)
        if step.tells_home:
            self._waker.wake("ingest")
        self._waker.wake("web")
        return changed

    def note(self, alert_id: int, text: str, actor: str, now_ns: int) -> Changed:
        """Add a person's words to an alert in any state. Raises NotFoundError, RefusedError."""
        text = _words(text)
        with self._database.transaction() as connection:
            row = _alert(connection, alert_id)
            write_journal(connection, "note", alert_id, actor, now_ns, {"text": text})
        self._waker.wake("web")
        return Changed(alert_id, State(row.state), row.version)


def write_journal(
    connection: Connection, kind: str, alert_id: int, actor: str, now_ns: int, detail: dict[str, Any]
) -> None:
    connection.execute(
        insert(journal_table).values(at_ns=now_ns, kind=kind, alert_id=alert_id, actor=actor, detail=detail)
    )


def _alert(connection: Connection, alert_id: int) -> Row[Any]:
    row = connection.execute(select(alert_table).where(alert_table.c.id == alert_id)).first()
    if row is None:
        raise NotFoundError(f"there is no alert {alert_id}")
    return row


def _words(text: str) -> str:
    """A person's words, kept as they are but for the blanks around them."""
    text = text.strip()
    if not 1 <= len(text) <= MAX_NOTE:
        raise RefusedError(f"a note has 1 to {MAX_NOTE} characters")
    return text


def _check_surroundings(connection: Connection, row: Row[Any], wish: Wish) -> None:
    """What a step needs beyond the alert itself: a receiver on the staff; no other open alert of the same key."""
    if wish.to and connection.execute(select(staff_table.c.name).where(staff_table.c.name == wish.to)).first() is None:
        raise ImpossibleError(Refusal.UNKNOWN_PERSON, f"nobody of the staff is called {wish.to}")
    if wish.action is Action.REOPEN:
        is_open = (alert_table.c.join_key == row.join_key) & (alert_table.c.state != State.RESOLVED)
        other = connection.execute(select(alert_table.c.id).where(is_open)).scalar()
        if other is not None:
            raise ImpossibleError(Refusal.ANOTHER_IS_OPEN, f"alert {other} is open for the same cause: go on there")


def _write_step(connection: Connection, row: Row[Any], wish: Wish, step: Step, now_ns: int) -> Changed:
    version = row.version + 1
    values: dict[str, Any] = {"state": step.state, "version": version, "assigned_to": step.holder}
    if row.acknowledged_ns is None:
        values |= {"acknowledged_by": wish.actor, "acknowledged_ns": now_ns}
    detail: dict[str, Any] = {"state": step.state.value, "version": version}
    match wish.action:
        case Action.ATTEND:
            values["attending_ns"] = now_ns
        case Action.ARRIVE:
            values["arrived_ns"] = now_ns
        case Action.HAND_OVER:
            detail |= {"from": row.assigned_to, "to": wish.to}
        case Action.RESOLVE:
            values |= {"resolved_by": wish.actor, "resolved_ns": now_ns, "outcome": wish.outcome}
            detail["outcome"] = wish.outcome
        case Action.REOPEN:
            closing = ("resolved_by", "resolved_ns", "outcome", "attending_ns", "arrived_ns")
            values |= dict.fromkeys(closing) | {"reopened": row.reopened + 1}
    same = (alert_table.c.id == row.id) & (alert_table.c.version == row.version)
    if connection.execute(update(alert_table).where(same).values(**values)).rowcount != 1:
        raise ConflictError("somebody else was first", None, row.version)
    write_journal(connection, JOURNAL_KIND[wish.action], row.id, wish.actor, now_ns, detail)
    if wish.reason:  # as a note, whose words leave the alert's own page nowhere
        write_journal(connection, "note", row.id, wish.actor, now_ns, {"text": wish.reason})
    return Changed(row.id, step.state, version)


def _repeated(connection: Connection, row: Row[Any], wish: Wish, is_late: bool, is_unseen: bool) -> Changed | None:
    """The answer to a step that may have come too late: one's own is repeated, after another's it is a conflict.

    `is_late`: the operator saw an older version; `is_unseen`: nobody knows what he saw. None: nobody was in the way,
    the step itself is impossible.
    """
    query = (
        select(journal_table)
        .where(journal_table.c.alert_id == row.id, journal_table.c.kind.in_([*JOURNAL_KIND.values(), "restored"]))
        .order_by(journal_table.c.id.desc())
        .limit(1)
    )
    last = connection.execute(query).first()
    if last is None:
        if not is_late:
            return None
        raise ConflictError(f"the alert is already {row.state}", None, row.version)
    asked = (wish.actor, JOURNAL_KIND[wish.action], wish.outcome, wish.to)
    if asked == (last.actor, last.kind, last.detail.get("outcome"), last.detail.get("to")):
        return Changed(row.id, State(row.state), row.version)
    if not is_late and (not is_unseen or last.actor == wish.actor):
        return None
    first = First(last.actor, last.kind, row.state, last.at_ns, last.detail.get("to"))
    raise ConflictError(f"{last.actor} was first: the alert is {row.state}", first, row.version)


def _tell_home(connection: Connection, alert_id: int, now_ns: int) -> None:
    """Queue "a person has accepted" for each gateway that sent a press, about its latest one.

    Not for each device: a corridor's thirty pendants in one alert would be thirty commands and answers ahead of the
    next press, which on a line of 64 kbit/s that loses a third made the median press wait 0.3 s instead of 0.01 s.
    """
    latest = (
        select(func.max(event_table.c.id))
        .where(event_table.c.alert_id == alert_id, event_table.c.type == EventType.ALARM)
        .group_by(event_table.c.gateway_id)
    )
    presses = connection.execute(
        select(event_table.c.gateway_id, event_table.c.event_id).where(event_table.c.id.in_(latest))
    ).all()
    for press in presses:
        tell_accepted(connection, press.gateway_id, press.event_id, now_ns)


def tell_accepted(connection: Connection, gateway: str, event_id: str, now_ns: int) -> None:
    """Queue the command that tells the home that a person has this press."""
    connection.execute(
        insert(command_table).values(
            id=str(uuid_utils.uuid7()),
            gateway_id=gateway,
            body={"type": "signal", "signal": HomeSignal.ACCEPTED.value, "event": event_id},
            created_ns=now_ns,
            next_attempt_ns=now_ns,
        )
    )


# --- supervision: silence is an alarm ----------------------------------------------------------------------------

_silence = alert_table.alias("silence")
_last_silence = (
    select(func.max(alert_table.c.id))
    .where(alert_table.c.join_key == literal(f"{AlertKind.GATEWAY_SILENT}:").concat(gateway_table.c.id))
    .correlate(gateway_table)
    .scalar_subquery()
)
_WATCHED: Select[Any] = (  # each watched gateway with the last alert of its silence, by two looks into indexes
    select(
        gateway_table.c.id,
        gateway_table.c.state,
        gateway_table.c.last_seen_ns,
        _silence.c.state.label("silence_state"),
        _silence.c.raised_ns.label("silence_raised_ns"),
    )
    .select_from(gateway_table)
    .outerjoin(_silence, _silence.c.id == _last_silence)
    .where(or_(gateway_table.c.home_id.is_not(None), gateway_table.c.last_seen_ns.is_not(None)))
)


def supervise_once(
    database: Database, now_ns: int, watching_since_ns: int, waker: Waker | None = None
) -> list[Changed]:
    """One round of the desk role, every 5 s: raise each gateway's silence once, clear it when it is heard again.

    Watches the gateways that are registered or were ever heard. Decides on a snapshot, so that no alarm waits for it;
    what it found is looked at again in the transaction that writes it. Writes the heartbeat of the role `desk` too.
    """
    with database.reading() as connection:
        rows = connection.execute(_WATCHED).all()
    found = [row.id for row in rows if _due(row, watching_since_ns, now_ns) is not None]
    changes: list[Changed] = []
    with database.transaction() as connection:
        beat(connection, "desk", now_ns, {})
        for gateway in found:
            row = connection.execute(_WATCHED.where(gateway_table.c.id == gateway)).first()
            due = None if row is None else _due(row, watching_since_ns, now_ns)
            if due is not None:
                changes.append(due(connection, gateway, now_ns))
    if changes and waker is not None:
        waker.wake("web")
    return changes


def _due(row: Row[Any], watching_since_ns: int, now_ns: int) -> Callable[[Connection, str, int], Changed] | None:
    """What has to be done about a gateway, if anything. `row` is one of `_WATCHED`."""
    if row.silence_state not in (None, State.RESOLVED):
        return None if is_silent(row.state, row.last_seen_ns, 0, now_ns) else clear_silence
    raised_ns = credible(row.silence_raised_ns, now_ns)
    raised_already = raised_ns is not None and raised_ns > (credible(row.last_seen_ns, now_ns) or 0)
    if raised_already or not is_silent(row.state, row.last_seen_ns, watching_since_ns, now_ns):
        return None
    return raise_silence


class Supervisor:
    """The desk role's rounds: knows since when it can see at all, and says when it cannot."""

    def __init__(self, database: Database, waker: Waker, now_ns: int, mono_ns: int) -> None:
        self._database = database
        self._waker = waker
        self._sight = Sight.opened(now_ns, mono_ns)
        self._told = False  # once for each blindness, whatever a person did with the alert

    def start_over(self, now_ns: int, mono_ns: int) -> None:
        """The database was away: nobody knows what was heard meanwhile."""
        self._sight = replace(self._sight, watching_since_ns=now_ns, looked_ns=now_ns, looked_mono_ns=mono_ns)

    def round(self, now_ns: int, mono_ns: int) -> list[Changed]:
        """One round, every 5 s. `mono_ns` is the monotonic clock, which tells when the other was set."""
        with self._database.reading() as connection:
            away = _away(connection, now_ns)
            is_open = _open_blindness(connection) is not None
        sight = look(self._sight, not away, now_ns, mono_ns)
        changes: list[Changed] = []
        if sight.is_long_blind and not self._told:
            changes += self._write(raise_blindness, now_ns, away)
            self._told = True
        elif not sight.is_blind:
            self._told = False
            if is_open:
                changes += self._write(clear_blindness, now_ns)
        self._sight = sight
        return changes + supervise_once(self._database, now_ns, sight.watching_since_ns, self._waker)

    def _write(self, change: Callable[..., list[Changed]], *values: Any) -> list[Changed]:
        with self._database.transaction() as connection:
            changes = change(connection, *values)
        if changes:
            self._waker.wake("web")
        return changes


def raise_blindness(connection: Connection, now_ns: int, away: list[str]) -> list[Changed]:
    """Raise the one alert of a center that cannot hear its gateways, unless it is open."""
    if _open_blindness(connection) is not None:
        return []
    values = {"home_id": None, "gateway_id": ""}
    return [_raise(connection, AlertKind.CENTER_BLIND, AlertKind.CENTER_BLIND.value, now_ns, values, {"away": away})]


def clear_blindness(connection: Connection, now_ns: int) -> list[Changed]:
    """Resolve it, as the system, with the outcome `restored`."""
    row = _open_blindness(connection)
    return [] if row is None else [_restore(connection, row, now_ns)]


def _open_blindness(connection: Connection) -> Row[Any] | None:
    is_open = (alert_table.c.join_key == AlertKind.CENTER_BLIND.value) & (alert_table.c.state != State.RESOLVED)
    return connection.execute(select(alert_table).where(is_open)).first()


def _away(connection: Connection, now_ns: int) -> list[str]:
    """What keeps this center from hearing its gateways: `ingest`, `broker`, or nothing."""
    row = connection.execute(select(heartbeat_table).where(heartbeat_table.c.role == "ingest")).first()
    if row is None or not is_alive(row.at_ns, now_ns):
        return ["ingest"]
    return [] if row.detail.get("broker") is True else ["broker"]


def raise_silence(connection: Connection, gateway: str, now_ns: int) -> Changed:
    """Raise the alert of a gateway that is not heard. At most one of them is open for a gateway."""
    heard = connection.execute(
        select(gateway_table.c.home_id, gateway_table.c.last_seen_ns).where(gateway_table.c.id == gateway)
    ).one()
    values = {"home_id": heard.home_id, "gateway_id": gateway}
    detail = {"last_seen": None if heard.last_seen_ns is None else rfc3339(heard.last_seen_ns)}
    return _raise(connection, AlertKind.GATEWAY_SILENT, silence_key(gateway), now_ns, values, detail)


def clear_silence(connection: Connection, gateway: str, now_ns: int) -> Changed:
    """Resolve the open silence of a gateway that is heard again, as the system, with the outcome `restored`."""
    where = (alert_table.c.join_key == silence_key(gateway)) & (alert_table.c.state != State.RESOLVED)
    return _restore(connection, connection.execute(select(alert_table).where(where)).one(), now_ns)


def _raise(
    connection: Connection, kind: AlertKind, key: str, now_ns: int, values: dict[str, Any], detail: dict[str, Any]
) -> Changed:
    """Raise an alert of the system's own."""
    found: Any = connection.execute(
        insert(alert_table)
        .values(kind=kind, join_key=key, state=State.RAISED, device_id="", raised_ns=now_ns, **values)
        .returning(alert_table.c.id)
    ).scalar_one()
    write_journal(connection, "raised", found, SYSTEM, now_ns, detail)
    return Changed(found, State.RAISED, 1)


def _restore(connection: Connection, row: Row[Any], now_ns: int) -> Changed:
    """Resolve an open alert of the system's own."""
    connection.execute(
        update(alert_table)
        .where(alert_table.c.id == row.id)
        .values(
            state=State.RESOLVED,
            version=row.version + 1,
            resolved_by=SYSTEM,
            resolved_ns=now_ns,
            outcome=Outcome.RESTORED,
        )
    )
    write_journal(connection, "restored", row.id, SYSTEM, now_ns, {"outcome": Outcome.RESTORED.value})
    return Changed(row.id, State.RESOLVED, row.version + 1)


def silence_key(gateway: str) -> str:
    return f"{AlertKind.GATEWAY_SILENT}:{gateway}"


def beat(connection: Connection, role: str, now_ns: int, detail: dict[str, Any]) -> None:
    """Say that a role is alive."""
    values = {"at_ns": now_ns, "detail": detail}
    changed = connection.execute(update(heartbeat_table).where(heartbeat_table.c.role == role).values(**values))
    if not changed.rowcount:
        connection.execute(insert(heartbeat_table).values(role=role, **values))
