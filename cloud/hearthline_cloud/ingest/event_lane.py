"""The worker of the event lane: a batch of messages, one transaction, then PUBACK, `down/ack` and a wake for the web.

A message that breaks the transaction by what it holds is kept aside alone; when it speaks of an alarm it is raised as
a possible one. A database that is away holds everything up unacknowledged: the edges keep it and send it again.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from hearthline import wire
from hearthline.clock import NS
from hearthline.log import Log
from hearthline.model import Lane
from hearthline_cloud.database import Database, is_away
from hearthline_cloud.ingest.aside import keep_aside
from hearthline_cloud.ingest.events import NO_GATEWAY, Outcome, take_event, take_status, take_unreadable
from hearthline_cloud.ingest.session import Answers, Message
from hearthline_cloud.metrics.instruments import ALARM_STORED_SECONDS, ALARMS, RECORDS
from hearthline_cloud.tracing import Noted, note_committed
from hearthline_cloud.wake import Waker

_RETRY_S = 1.0
_NOTED = 1000
log = Log(__name__)


class EventLane:
    """Handles `up/event` and `up/status`. `attach` the session before messages come."""

    def __init__(
        self,
        database: Database,
        waker: Waker,
        stopping: threading.Event,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._database = database
        self._waker = waker
        self._stopping = stopping
        self._now_ns = now_ns
        self._session: Answers | None = None
        self._committed: deque[Noted] = deque(maxlen=_NOTED)  # alarms, until it is written down when they were

    def attach(self, session: Answers) -> None:
        self._session = session

    def handle(self, messages: list[Message]) -> None:
        """Returns when everything is committed, or when the process is stopping."""
        assert self._session is not None
        outcome = self.commit(messages)
        if outcome is None:
            return
        self._waker.wake("web")
        self._waker.wake("ingest")  # a press of an accepted alert has queued a command
        for gateway, ack in outcome.acks(Lane.EVENT):
            self._session.publish(wire.topic(gateway, wire.DOWN_ACK), wire.encode(ack))
        self._session.acknowledge(messages)

    def note_committed(self, connection: Connection) -> None:
        """Write down when alarms were committed, for their trace; called now and then, on the way of no press."""
        note_committed(connection, [self._committed.popleft() for _ in range(len(self._committed))])

    def commit(self, messages: list[Message]) -> Outcome | None:
        """What the committed batch came to. None: the process is stopping, and nothing is known of it."""
        while not self._stopping.is_set():
            try:
                outcome = self._commit_together(messages)
                now_ns = self._now_ns()
                _count(outcome, now_ns)
                self._committed.extend((key, now_ns) for key, _, _ in outcome.alarms)
                return outcome
            except SQLAlchemyError as error:
                if not is_away(error):
                    raise
                log.error("database away, events wait at the edges", error=str(getattr(error, "orig", error)))
                self._stopping.wait(_RETRY_S)
        return None

    def _commit_together(self, messages: list[Message]) -> Outcome:
        outcome = Outcome()
        try:
            with self._database.transaction() as connection:
                for message in messages:
                    _take(connection, message, outcome, self._now_ns())
            return outcome
        except Exception as error:  # whatever one message holds; each is then tried alone
            if isinstance(error, SQLAlchemyError) and is_away(error):
                raise
            log.warning("a message broke its batch", messages=len(messages), error=repr(error)[:300])
        outcome = Outcome()
        for message in messages:
            outcome.add(self._commit_alone(message))
        return outcome

    def _commit_alone(self, message: Message) -> Outcome:
        """Whatever one message holds, and whatever bug it wakes, must not stop the alarms of others."""
        takes: list[Callable[[Connection, Message, Outcome, int, str], None]] = [
            lambda connection, message, outcome, now_ns, _: _take(connection, message, outcome, now_ns),
            _take_poison,
            lambda connection, message, _, now_ns, reason: keep_aside(connection, message, reason, now_ns),
        ]
        reason = ""
        for take in takes:
            outcome = Outcome()
            try:
                with self._database.transaction() as connection:
                    take(connection, message, outcome, self._now_ns(), reason)
                return outcome
            except Exception as error:  # logged, and the next, simpler way of keeping the message is tried
                if isinstance(error, SQLAlchemyError) and is_away(error):
                    raise
                reason = f"{type(error).__name__}: {error}"[:500]
                log.exception("a message cannot be taken", topic=message.topic, payload_bytes=len(message.payload))
        return Outcome()


def _count(outcome: Outcome, now_ns: int) -> None:
    for result, records in (("taken", outcome.taken), ("refused", outcome.refused)):
        RECORDS.labels(Lane.EVENT, result).inc(sum(map(len, records.values())))
    for _, kind, made_ns in outcome.alarms:
        ALARMS.labels(kind).inc()
        if made_ns is not None:
            ALARM_STORED_SECONDS.observe(max(now_ns - made_ns, 0) / NS)


def _take(connection: Connection, message: Message, outcome: Outcome, now_ns: int) -> None:
    gateway = wire.gateway_of(message.topic)
    if gateway is None:
        take_unreadable(connection, message, NO_GATEWAY, now_ns, outcome, "no gateway id in the topic")
    elif message.topic.endswith(wire.UP_STATUS):
        take_status(connection, message, gateway, now_ns)
    else:
        take_event(connection, message, gateway, now_ns, outcome)


def _take_poison(connection: Connection, message: Message, outcome: Outcome, now_ns: int, reason: str) -> None:
    gateway = wire.gateway_of(message.topic)
    if message.topic.endswith(wire.UP_STATUS):
        keep_aside(connection, message, reason, now_ns)
    else:
        take_unreadable(connection, message, gateway or NO_GATEWAY, now_ns, outcome, reason)
