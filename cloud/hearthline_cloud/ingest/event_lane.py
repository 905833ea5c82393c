"""The worker of the event lane: a batch of messages, one transaction, then PUBACK, `down/ack` and a wake for the web.

A message that breaks the transaction by what it holds is kept aside alone; when it speaks of an alarm it is raised as
a possible one. A database that is away holds everything up unacknowledged: the edges keep it and send it again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError, DataError, IntegrityError, OperationalError, StatementError

from hearthline import wire
from hearthline.log import Log
from hearthline.model import Lane
from hearthline_cloud.database import Database
from hearthline_cloud.ingest.events import Outcome, keep_aside, take_event, take_status, take_unreadable
from hearthline_cloud.ingest.session import Message, Session
from hearthline_cloud.wake import Waker

_RETRY_S = 1.0
# What a hostile or broken payload can make of a statement, as opposed to a database that is away.
_POISON = (ValueError, TypeError, KeyError, AttributeError, OverflowError, DataError, IntegrityError)
log = Log(__name__)


class EventLane:
    """Handles `up/event` and `up/status`. `attach` the session before messages come."""

    def __init__(self, database: Database, waker: Waker, stopping: threading.Event) -> None:
        self._database = database
        self._waker = waker
        self._stopping = stopping
        self._session: Session | None = None
        self.database_fault = ""

    def attach(self, session: Session) -> None:
        self._session = session

    def handle(self, messages: list[Message]) -> None:
        """Returns when everything is committed, or when the process is stopping."""
        assert self._session is not None
        outcome = self._commit_until_done(messages)
        if outcome is None:
            return
        self._waker.wake("web")
        for gateway, ack in outcome.acks(Lane.EVENT):
            self._session.publish(wire.topic(gateway, wire.DOWN_ACK), wire.encode(ack))
        self._session.acknowledge(messages)

    def _commit_until_done(self, messages: list[Message]) -> Outcome | None:
        while not self._stopping.is_set():
            try:
                outcome = self._commit(messages)
                self.database_fault = ""
                return outcome
            except (OperationalError, DatabaseError) as error:
                self.database_fault = str(error.orig)
                log.error("database away, events wait at the edges", error=self.database_fault)
                self._stopping.wait(_RETRY_S)
        return None

    def _commit(self, messages: list[Message]) -> Outcome:
        try:
            with self._database.transaction() as connection:
                outcome = Outcome()
                for message in messages:
                    _take(connection, message, outcome)
                return outcome
        except OperationalError:
            raise
        except (*_POISON, StatementError) as error:
            log.exception("a message broke the batch", messages=len(messages))
            return self._commit_one_by_one(messages, error)

    def _commit_one_by_one(self, messages: list[Message], error: Exception) -> Outcome:
        outcome = Outcome()
        for message in messages:
            one = Outcome()
            try:
                self._in_transaction(message, one, _take)
            except OperationalError:
                raise
            except (*_POISON, StatementError) as cause:
                reason = f"{type(cause).__name__}: {cause}"[:500]
                one = Outcome()
                self._in_transaction(message, one, lambda c, m, o, r=reason: _take_poison(c, m, o, r))  # type: ignore[misc]
            for mine, all_ in ((one.taken, outcome.taken), (one.refused, outcome.refused)):
                for key, numbers in mine.items():
                    all_.setdefault(key, []).extend(numbers)
        return outcome

    def _in_transaction(
        self, message: Message, outcome: Outcome, take: Callable[[Connection, Message, Outcome], None]
    ) -> None:
        with self._database.transaction() as connection:
            take(connection, message, outcome)


def _take(connection: Connection, message: Message, outcome: Outcome) -> None:
    gateway = wire.gateway_of(message.topic)
    now_ns = time.time_ns()
    if gateway is None:
        keep_aside(connection, message, "no gateway id in the topic", now_ns)
    elif message.topic.endswith(wire.UP_STATUS):
        take_status(connection, message, gateway, now_ns)
    else:
        take_event(connection, message, gateway, now_ns, outcome)


def _take_poison(connection: Connection, message: Message, outcome: Outcome, reason: str) -> None:
    gateway = wire.gateway_of(message.topic)
    if gateway is None or message.topic.endswith(wire.UP_STATUS):
        keep_aside(connection, message, reason, time.time_ns())
    else:
        take_unreadable(connection, message, gateway, time.time_ns(), outcome, reason)
