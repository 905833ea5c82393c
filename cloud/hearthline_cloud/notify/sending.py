"""The queue of messages: one worker a channel claims a row, sends, and writes down what came of it.

A claim puts the row off beyond the time that sending may take and counts the attempt, in one UPDATE that only one
worker of all desks can do. Killed before the result is written, the message goes out again then, with the same key.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from hearthline.clock import NS, rfc3339
from hearthline.log import Log
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts.figures import ASKED
from hearthline_cloud.alerts.lifecycle import State
from hearthline_cloud.alerts.orders import OPEN
from hearthline_cloud.database import Database, is_away
from hearthline_cloud.journal import SYSTEM
from hearthline_cloud.links import Links, Purpose
from hearthline_cloud.metrics.instruments import ALARM_NOTIFIED_SECONDS, NOTIFICATION_SECONDS, NOTIFICATIONS
from hearthline_cloud.notify.channels import Opened
from hearthline_cloud.notify.port import Message, Result
from hearthline_cloud.notify.texts import Facts, question, render, title
from hearthline_cloud.personal.consents import Kind, is_stopped
from hearthline_cloud.wake import Waker

LEASE_S = 120.0  # longer than a channel may take
GIVE_UP_AFTER_S = 3600.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 60.0
MAX_AFTER_S = 300.0  # a server that asks for more is asked again all the same
_LOCK_WAIT_S = 15.0  # a writer may have waited so long for the database since `now` was read
_PERIOD_S = 0.5
UNMADE = "it cannot be made"
log = Log(__name__)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that this worker alone may send now; `refusal`: it must not be sent any more, and why."""

    id: int
    alert_id: int
    attempt: int
    created_ns: int
    contact: int
    message: Message | None
    is_plain: bool = False
    refusal: str = ""
    is_question: bool = False
    kind: str = ""  # of the alert
    raised_ns: int | None = None


def pause_s(attempts: int) -> float:
    """How long to wait after so many attempts."""
    return float(min(_FIRST_PAUSE_S * 2 ** min(attempts - 1, 6), _LONGEST_PAUSE_S))


class Worker:
    """The thread of one channel. What it waits for holds up no other channel."""

    def __init__(
        self,
        database: Database,
        waker: Waker,
        opened: Opened,
        stopping: threading.Event,
        now_ns: Callable[[], int] = time.time_ns,
        links: Links | None = None,
    ) -> None:
        """`links`: makes the links of volunteers; without it their messages have none."""
        self._links = links
        self._database = database
        self._waker = waker
        self._opened = opened
        self._stopping = stopping
        self._now_ns = now_ns

    def run(self) -> None:
        """Until stopping. A database that is away is waited for; anything else is a bug and is raised."""
        while not self._stopping.is_set():
            try:
                if not self.send_one():
                    self._stopping.wait(_PERIOD_S)
            except SQLAlchemyError as error:
                if not is_away(error):
                    raise
                log.error("database away, messages wait", channel=self._opened.config.name, error=str(error))
                self._stopping.wait(1.0)

    def send_one(self) -> bool:
        """Send the message that is due the longest; False when none is."""
        name, now_ns = self._opened.config.name, self._now_ns()
        with self._database.reading() as connection:
            found = connection.execute(_due(name, now_ns)).first()
        if found is None:
            return False
        claimed = self._claim(found.id, now_ns)
        if claimed is None:
            return True  # another desk was first, or it cannot be made
        result = Result(False, claimed.refusal) if claimed.message is None else self._sent(claimed.message)
        done_ns = self._now_ns()
        with self._database.transaction() as connection:
            state = finish(connection, name, claimed, result, done_ns)
        _measure(name, claimed, state, done_ns)
        self._waker.wake("web")
        return True

    def _claim(self, notification: int, now_ns: int) -> Claimed | None:
        """A message that a bug keeps from being made is given up, so that the others of the channel go out."""
        try:
            with self._database.transaction() as connection:
                return claim(connection, self._opened, notification, now_ns, self._links)
        except Exception as error:
            if isinstance(error, SQLAlchemyError) and is_away(error):
                raise
            log.exception("a message cannot be made", notification=notification)
            with self._database.transaction() as connection:
                give_up(connection, notification, f"{UNMADE}: {type(error).__name__}", now_ns)
        return None

    def _sent(self, message: Message) -> Result:
        """A channel's own bug fails this attempt and no more."""
        try:
            return self._opened.channel.send(message)
        except Exception as error:
            log.exception("a channel failed", channel=self._opened.config.name)
            return Result(False, type(error).__name__, retry=True)


def _is_due(now_ns: int) -> ColumnElement[bool]:
    """Later than the longest wait nothing was ever put off: then the clock has been set back since."""
    next_ns = schema.notification.c.next_try_ns
    return or_(next_ns <= now_ns, next_ns > now_ns + round((max(LEASE_S, MAX_AFTER_S) + _LOCK_WAIT_S) * NS))


def _due(channel: str, now_ns: int) -> Any:
    table = schema.notification
    return (
        select(table.c.id)
        .where(table.c.channel == channel, table.c.state == "queued", _is_due(now_ns))
        .order_by(table.c.next_try_ns, table.c.id)
        .limit(1)
    )


def claim(
    connection: Connection, opened: Opened, notification: int, now_ns: int, links: Links | None = None
) -> Claimed | None:
    """Take the message for one attempt; None when somebody else has it."""
    table = schema.notification
    taken = connection.execute(
        update(table)
        .where(table.c.id == notification, table.c.state == "queued", _is_due(now_ns))
        .values(attempts=table.c.attempts + 1, next_try_ns=now_ns + round(LEASE_S * NS))
    )
    if not taken.rowcount:
        return None
    row = connection.execute(select(table).where(table.c.id == notification)).one()
    alert = connection.execute(select(schema.alert).where(schema.alert.c.id == row.alert_id)).one()
    about = {"kind": alert.kind, "raised_ns": alert.raised_ns}
    claimed = Claimed(row.id, row.alert_id, row.attempts, row.created_ns, row.contact, None, **about)
    if row.feedback_id:
        return _question(connection, replace(claimed, is_question=True), alert, opened, row.feedback_id, links)
    if alert.state == State.RESOLVED:
        return _refused(claimed, "the alert was closed before")
    to = ""
    if row.contact >= 0:
        phones = contact_phones(connection, alert.resident_id, alert.home_id)
        if row.contact >= len(phones):
            return _refused(claimed, "the resident has no such contact any more")
        to = phones[row.contact]
    facts = _facts(connection, alert, opened, _notice(connection, row), now_ns)
    if row.order_id:
        order = connection.execute(select(schema.work_order).where(schema.work_order.c.id == row.order_id)).one()
        if order.state not in OPEN:
            return _refused(claimed, "the work order was over before")
        to, link = _volunteer(connection, order, links)
        place = facts.place if order.volunteer_id is None else ""  # a volunteer reads it behind the link
        facts = replace(facts, place=place, order=order.id, order_kind=order.kind, link=link)
    return _with_message(claimed, facts, alert, opened, to)


def _question(
    connection: Connection, claimed: Claimed, alert: Row[Any], opened: Opened, key: int, links: Links | None
) -> Claimed:
    """The message that asks whether there was help; no name, no address, no word of what it was about."""
    if alert.state != State.RESOLVED:
        return replace(claimed, refusal="the case was reopened before")
    table = schema.feedback
    asked = connection.execute(select(table).where(table.c.id == key)).one()
    to = asked_phone(connection, asked.whom, alert.resident_id, alert.home_id)
    link = None if links is None else links.url(Purpose.FEEDBACK, key, asked.expires_ns)
    if not to or link is None:
        return replace(claimed, refusal="there is nobody to ask any more, or no address for the link")
    subject, text = question(opened.config.language, link)
    facts = {"alert": alert.id, "question": "were-you-helped", "link": link}
    return replace(claimed, message=Message(f"hearthline-{claimed.alert_id}-{claimed.id}", subject, text, to, facts))


def asked_phone(connection: Connection, whom: str, resident: str | None, home: str | None) -> str:
    """The telephone number of whoever is asked after a case: the first contact, or the resident; empty for none."""
    find = contact_phones if whom == "contact" else call_back_phones
    return next(iter(find(connection, resident, home)), "")


def call_back_phones(connection: Connection, resident: str | None, home: str | None) -> list[str]:
    """The telephone numbers to call back: the resident's, else those of everybody in the home."""
    table = schema.resident
    if resident is None and home is None:
        return []
    where = table.c.id == resident if resident is not None else table.c.home_id == home
    phones = connection.execute(select(table.c.phone).where(where).order_by(table.c.id)).scalars()
    return list(dict.fromkeys(phone for phone in phones if phone))


def _volunteer(connection: Connection, order: Row[Any], links: Links | None) -> tuple[str, str]:
    """The telephone number and the link of the volunteer whom the order asks; the street desk has neither."""
    if order.volunteer_id is None:
        return "", ""
    table = schema.volunteer
    phone: str = connection.execute(select(table.c.phone).where(table.c.id == order.volunteer_id)).scalar_one()
    link = None if links is None else links.url(Purpose.VOLUNTEER, order.id, order.expires_ns)
    return phone, link or ""


def _refused(claimed: Claimed, reason: str) -> Claimed:
    return replace(claimed, refusal=reason)


def _with_message(claimed: Claimed, facts: Facts, alert: Row[Any], opened: Opened, to: str) -> Claimed:
    config = opened.config
    text, is_plain = render(facts, config.language, config.template)
    machine = {
        "alert": facts.alert,
        "kind": facts.kind,
        "cause": facts.cause,
        "state": facts.state,
        "home": alert.home_id,
        "gateway": alert.gateway_id,
        "place": facts.place,
        "raised": rfc3339(alert.raised_ns),
        "presses": alert.presses,
        "notice": facts.notice,
    }
    if facts.order:
        machine |= {"order": facts.order, "order_kind": facts.order_kind}
    key = f"hearthline-{claimed.alert_id}-{claimed.id}"
    message = Message(key, title(facts, config.language), text, to, machine)
    return replace(claimed, message=message, is_plain=is_plain)


def _facts(connection: Connection, alert: Row[Any], opened: Opened, notice: int, now_ns: int) -> Facts:
    place = alert.home_id or alert.gateway_id
    if opened.config.trusted and alert.home_id is not None:
        home = connection.execute(select(schema.home).where(schema.home.c.id == alert.home_id)).first()
        if home is not None:
            place = f"{home.name}, {home.address}" if home.address else home.name
    minutes = max(0, now_ns - alert.raised_ns) // (60 * NS)
    return Facts(alert.id, alert.kind, alert.cause, alert.state, place, minutes, notice)


def _notice(connection: Connection, row: Row[Any]) -> int:
    """Which time this is that somebody is told of the alert."""
    table = schema.escalation
    told = select(table.c.id).where(
        table.c.alert_id == row.alert_id, table.c.id <= row.escalation_id, table.c.waits_for == "step"
    )
    return len(connection.execute(told).all())


def contact_phones(connection: Connection, resident: str | None, home: str | None) -> list[str]:
    """The telephone numbers of the resident's contacts in order; of everybody's in the home where none is known."""
    table = schema.resident
    query = select(table.c.contacts).where(~is_stopped(Kind.FAMILY, table.c.id)).order_by(table.c.id)
    if resident is not None:
        query = query.where(table.c.id == resident)
    elif home is not None:
        query = query.where(table.c.home_id == home)
    else:
        return []
    lists = connection.execute(query).scalars()
    contacts = [each for found in lists if isinstance(found, list) for each in found if isinstance(each, dict)]
    phones = [contact.get("phone") for contact in contacts]
    return list(dict.fromkeys(phone for phone in phones if isinstance(phone, str) and phone))


def give_up(connection: Connection, notification: int, reason: str, now_ns: int) -> None:
    """A message that nobody will send: failed, and in the alert's journal."""
    table = schema.notification
    values = {"state": "failed", "done_ns": now_ns, "result": reason}
    is_queued = (table.c.id == notification) & (table.c.state == "queued")
    row = connection.execute(update(table).where(is_queued).values(**values).returning(table)).first()
    if row is not None:
        detail = {"channel": row.channel, "attempt": row.attempts, "result": reason}
        journal.append(connection, "not-notified", now_ns, detail, alert=row.alert_id, actor=SYSTEM)


def _measure(channel: str, claimed: Claimed, state: str, done_ns: int) -> None:
    NOTIFICATIONS.labels(channel, "retried" if state == "queued" else state).inc()
    if state == "sent":
        NOTIFICATION_SECONDS.labels(channel).observe(max(done_ns - claimed.created_ns, 0) / NS)
        if claimed.raised_ns is not None and not claimed.is_question:
            ALARM_NOTIFIED_SECONDS.labels(claimed.kind).observe(max(done_ns - claimed.raised_ns, 0) / NS)


def finish(connection: Connection, channel: str, claimed: Claimed, result: Result, now_ns: int) -> str:
    """Write down what came of an attempt, in the queue and in the alert's journal; the message's state after it."""
    table = schema.notification
    is_late = now_ns - claimed.created_ns > GIVE_UP_AFTER_S * NS
    if result.sent:
        state, values = "sent", {"done_ns": now_ns}
    elif result.retry and not is_late:
        wait_s = max(pause_s(claimed.attempt), min(result.after_s, MAX_AFTER_S))
        state, values = "queued", {"next_try_ns": now_ns + round(wait_s * NS)}
    else:
        state, values = "dropped" if claimed.refusal else "failed", {"done_ns": now_ns}
    mine = (table.c.id == claimed.id) & (table.c.state == "queued")
    if not result.sent:  # an attempt that was believed dead must not undo what a later one has done
        mine = mine & (table.c.attempts == claimed.attempt)
    connection.execute(update(table).where(mine).values(state=state, result=result.detail, **values))
    detail: dict[str, Any] = {"channel": channel, "attempt": claimed.attempt, "result": result.detail}
    if claimed.contact >= 0:
        detail["contact"] = claimed.contact + 1
    if state == "queued":
        detail["again"] = True
    if claimed.is_plain:
        detail["template"] = "failed"
    kind = "not-notified" if not result.sent else ASKED if claimed.is_question else "notified"
    journal.append(connection, kind, now_ns, detail, alert=claimed.alert_id, actor=SYSTEM)
    return state
