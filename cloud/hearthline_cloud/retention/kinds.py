"""The kinds of data that have an end, as one table. Nothing that is open, or waits for somebody, is ever due.

| kind | goes | so long after |
|---|---|---|
| words | the words of notes and reports, of a closed case; the digest stays | the case was closed |
| reasons | why maintenance or an absence was declared | it was over |
| vitals, activity | the event: blood pressure; a door, a movement | it was received |
| self_tests | the closed alert and the event of a proof | it was received |
| cases | a closed case with presses, steps, messages, orders, question; its figures stay | it was closed |
| events | an event of no case: a device's note, an answer | it was received |
| declared, unwatched | the row | it was over |
| aside | what could not be read | it was received |
| commands | what a gateway has answered, or never will | it was made |
| asks | what staff asked of a gateway from afar, but for the change that is in force | it was asked |
| runs | a run of commissioning that no report is made of, with its presses | it was over |
| reports | a report that a newer, signed one has superseded, with its steps and presses | its run had ended |
| offers | an offer to become a gateway | it had ended |
| sessions, logins | an ended session; a browser that is not known any more | at once |

Messages to people go by `notify.retention`, entries of the journal by `removing`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Table, and_, delete, exists, or_, select, update

from hearthline.model import EventType
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts.lifecycle import AlertKind, State
from hearthline_cloud.config import RetentionConfig
from hearthline_cloud.ingest.aside import COUNTER
from hearthline_cloud.people import DEVICE_DAYS
from hearthline_cloud.remote import asks
from hearthline_cloud.retention.commissioned import is_old_offer, is_old_run, is_superseded, remove_runs

Due = Callable[[int], ColumnElement[bool]]
"""What is due of the rows of a table that are older than these Unix nanoseconds."""

_alert, _event, _declared = schema.alert, schema.event, schema.declared


@dataclass(frozen=True, slots=True)
class Kind:
    """`at_once`: so many rows a transaction. `remove` is given their keys, and the time."""

    name: str
    days: Callable[[RetentionConfig], int]
    key: Column[Any]
    is_due: Due
    at_once: int
    remove: Callable[[Connection, Sequence[Any], int], None]


def _is_closed(before_ns: int) -> ColumnElement[bool]:
    """A silence that lasts is not over when a person has closed its alert."""
    is_over = or_(_alert.c.since_ns.is_(None), _alert.c.ended_ns < before_ns)
    return and_(
        _alert.c.state == State.RESOLVED, _alert.c.raised_ns < before_ns, _alert.c.resolved_ns < before_ns, is_over
    )


def _has_words(before_ns: int) -> ColumnElement[bool]:
    is_worded = or_(_alert.c.wordless_ns.is_(None), _alert.c.wordless_ns < _alert.c.resolved_ns)
    return and_(_is_closed(before_ns), _alert.c.kind != AlertKind.SELF_TEST, is_worded)


def _is_old_case(before_ns: int) -> ColumnElement[bool]:
    """The figures are made from the journal, and need the case until they have its last entry."""
    folded = select(schema.figure_cursor.c.journal_id).scalar_subquery()
    is_counted = ~exists().where(schema.journal.c.alert_id == _alert.c.id, schema.journal.c.id > folded)
    return and_(_is_closed(before_ns), _alert.c.kind != AlertKind.SELF_TEST, is_counted)


def _is_old_proof(before_ns: int) -> ColumnElement[bool]:
    is_shown = exists().where(schema.self_test.c.alert_id == _alert.c.id)
    return and_(_is_closed(before_ns), _alert.c.kind == AlertKind.SELF_TEST, ~is_shown)


def _of_type(wanted: EventType) -> Due:
    def is_due(before_ns: int) -> ColumnElement[bool]:
        return and_(_event.c.type == wanted, _event.c.received_ns < before_ns, _event.c.alert_id.is_(None))

    return is_due


def _is_old_event(before_ns: int) -> ColumnElement[bool]:
    is_other = _event.c.type.not_in([EventType.VITAL, EventType.ACTIVITY])
    return and_(is_other, _event.c.received_ns < before_ns, _event.c.alert_id.is_(None))


def _is_old_command(before_ns: int) -> ColumnElement[bool]:
    table = schema.command
    is_of_a_test = exists().where(schema.self_test.c.id == table.c.id)
    return and_(table.c.answered_ns.is_not(None), table.c.created_ns < before_ns, ~is_of_a_test)


def _is_old_ask(before_ns: int) -> ColumnElement[bool]:
    """The change that is in force stays: it says how the gateway is configured."""
    ask, newer = schema.remote_ask, schema.remote_ask.alias()
    is_later = and_(newer.c.gateway_id == ask.c.gateway_id, newer.c.asked_ns > ask.c.asked_ns)
    is_in_force = and_(ask.c.what == asks.What.CONFIGURE, ask.c.state == asks.State.DONE)
    is_past = exists().where(is_later, newer.c.what == asks.What.CONFIGURE, newer.c.state == asks.State.DONE)
    return and_(ask.c.state.not_in([*asks.OPEN]), ask.c.asked_ns < before_ns, or_(~is_in_force, is_past))


def _remove_words(connection: Connection, alerts: Sequence[int], now_ns: int) -> None:
    for alert in alerts:
        journal.erase_words(connection, alert)
    orders = schema.work_order
    connection.execute(update(orders).where(orders.c.alert_id.in_(alerts), orders.c.words != "").values(words=""))
    connection.execute(update(_alert).where(_alert.c.id.in_(alerts)).values(wordless_ns=now_ns))


def _remove_reasons(connection: Connection, numbers: Sequence[int], now_ns: int) -> None:
    connection.execute(update(_declared).where(_declared.c.id.in_(numbers)).values(reason=""))


_OF_A_CASE = (schema.notification, schema.work_order, schema.feedback, schema.escalation, schema.event)


def _remove_cases(connection: Connection, alerts: Sequence[int], now_ns: int) -> None:
    for table in _OF_A_CASE:  # in the order in which they refer to each other
        connection.execute(delete(table).where(table.c.alert_id.in_(alerts)))
    connection.execute(delete(_alert).where(_alert.c.id.in_(alerts)))


def _kind(name: str, days: Callable[[RetentionConfig], int], key: Column[Any], is_due: Due, at_once: int = 200) -> Kind:
    """One whose rows are simply deleted."""

    def remove(connection: Connection, keys: Sequence[Any], now_ns: int) -> None:
        connection.execute(delete(key.table).where(key.in_(keys)))

    return Kind(name, days, key, is_due, at_once, remove)


def _older(column: Column[Any], *also: ColumnElement[bool]) -> Due:
    return lambda before_ns: and_(column < before_ns, *also)


def _at_once(config: RetentionConfig) -> int:
    return 0


_of = schema.metadata.tables
KINDS: tuple[Kind, ...] = (
    Kind("words", lambda c: c.words_days, _alert.c.id, _has_words, 20, _remove_words),
    Kind("reasons", lambda c: c.words_days, _declared.c.id, _older(_declared.c.to_ns, _declared.c.reason != ""),
         200, _remove_reasons),
    _kind("vitals", lambda c: c.vitals_days, _event.c.id, _of_type(EventType.VITAL)),
    _kind("activity", lambda c: c.activity_days, _event.c.id, _of_type(EventType.ACTIVITY)),
    Kind("self_tests", lambda c: c.self_tests_days, _alert.c.id, _is_old_proof, 20, _remove_cases),
    Kind("cases", lambda c: c.cases_days, _alert.c.id, _is_old_case, 20, _remove_cases),
    _kind("events", lambda c: c.cases_days, _event.c.id, _is_old_event),
    _kind("declared", lambda c: c.cases_days, _declared.c.id, _older(_declared.c.to_ns)),
    _kind("unwatched", lambda c: c.cases_days, schema.unwatched.c.id, _older(schema.unwatched.c.to_ns)),
    _kind("aside", lambda c: c.aside_days, _of["kept_aside"].c.id,
          _older(_of["kept_aside"].c.received_ns, _of["kept_aside"].c.id > COUNTER), 20),
    _kind("commands", lambda c: c.messages_days, schema.command.c.id, _is_old_command),
    _kind("asks", lambda c: c.messages_days, schema.remote_ask.c.id, _is_old_ask),
    Kind("runs", lambda c: c.cases_days, schema.commissioning.c.id, is_old_run, 20, remove_runs),  # before the reports
    Kind("reports", lambda c: c.cases_days, schema.commissioning.c.id, is_superseded, 20, remove_runs),
    _kind("offers", lambda c: c.cases_days, schema.enrolment.c.id, is_old_offer),
    _kind("sessions", _at_once, schema.session.c.token_hash, _older(schema.session.c.expires_ns)),
    _kind("logins", lambda c: DEVICE_DAYS, schema.known_device.c.token_hash, _older(schema.known_device.c.created_ns)),
)  # fmt: skip


def table_of(kind: Kind) -> Table:
    table = kind.key.table
    assert isinstance(table, Table)
    return table
