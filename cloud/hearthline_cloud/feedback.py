"""One question after a case is closed: were you helped? Asked once, by one message with a link; answered once.

Off unless `figures.ask_feedback` names the community. The desk role looks each round for closed cases that may be asked
about; the row of `feedback`, one an alert, is the claim, written with the message in one transaction. The answer goes
into the journal with the row, so that the figures have it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from hearthline.clock import NS
from hearthline.errors import ConfigError, RefusedError
from hearthline_cloud import journal
from hearthline_cloud.alerts.figures import COUNTED, HELPED, REPLIED
from hearthline_cloud.alerts.lifecycle import Outcome, State
from hearthline_cloud.config import CloudConfig
from hearthline_cloud.database import Database
from hearthline_cloud.links import DeadLinkError
from hearthline_cloud.notify.sending import asked_phone
from hearthline_cloud.personal.vault import note
from hearthline_cloud.schema import alert, feedback, home, notification

VALID_DAYS = 7
MAX_WORDS = 500
ASKED_ABOUT = (Outcome.REAL_EMERGENCY, Outcome.HELP_GIVEN, Outcome.SERVICE_DONE, Outcome.VISITED_NO_ANSWER)
FIRST_HOUR, LAST_HOUR = 9, 20  # nobody is woken by a question
_AT_ONCE = 10  # a round: each is a transaction of its own
_FORGET_NS = 24 * 3600 * NS  # a case that was closed longer ago is not asked about any more
_LONGEST_NS = 30 * 24 * 3600 * NS  # nor one that was open for so long


class Asker:
    """What the role desk does each round, once it is configured."""

    def __init__(self, config: CloudConfig, database: Database, now_ns: Callable[[], int] = time.time_ns) -> None:
        """Raises ConfigError when questions are asked for that cannot be sent."""
        self._figures = config.figures
        self._database = database
        self._now_ns = now_ns
        self._zone = ZoneInfo(config.figures.zone)
        channels = [channel.name for channel in config.channel if channel.contacts]
        if self._figures.ask_feedback and not (channels and config.web.public_url):
            raise ConfigError(
                "figures.ask_feedback: asking needs web.public_url, and a [[channel]] with contacts = true"
            )
        self._channel = channels[0] if channels else ""

    def round(self) -> int:
        """Ask about what may be asked about now; how many."""
        now_ns = self._now_ns()
        if not self._figures.ask_feedback or not is_time(now_ns, self._zone):
            return 0
        with self._database.reading() as connection:
            found = [row for row in self._due(connection, now_ns) if self._phone(connection, row)]
        return sum(self._ask(row.id, now_ns) for row in found[:_AT_ONCE])

    def _due(self, connection: Connection, now_ns: int, *which: ColumnElement[bool]) -> list[Row[Any]]:
        until_ns = now_ns - self._figures.ask_after_min * 60 * NS
        query = (
            select(alert)
            .join(home, home.c.id == alert.c.home_id)
            .outerjoin(feedback, feedback.c.alert_id == alert.c.id)
            .where(
                *which,
                alert.c.state == State.RESOLVED,
                alert.c.raised_ns > now_ns - _LONGEST_NS,
                alert.c.resolved_ns.between(until_ns - _FORGET_NS, until_ns),
                alert.c.kind.in_(COUNTED),
                alert.c.outcome.in_(ASKED_ABOUT),
                home.c.community_id.in_(self._figures.ask_feedback),
                feedback.c.id.is_(None),
            )
            .order_by(alert.c.id)
        )
        return list(connection.execute(query))

    def _phone(self, connection: Connection, row: Row[Any]) -> str:
        return asked_phone(connection, self._figures.ask_whom, row.resident_id, row.home_id)

    def _ask(self, alert_id: int, now_ns: int) -> bool:
        """Claim the case and queue the message, unless it was reopened or another desk was first."""
        with self._database.transaction() as connection:
            if not self._due(connection, now_ns, alert.c.id == alert_id):
                return False
            expires_ns = (now_ns // NS + VALID_DAYS * 24 * 3600) * NS
            values = {"alert_id": alert_id, "whom": self._figures.ask_whom, "expires_ns": expires_ns}
            made: int = connection.execute(insert(feedback).values(values).returning(feedback.c.id)).scalar_one()
            message = {"alert_id": alert_id, "channel": self._channel, "contact": -1, "feedback_id": made}
            connection.execute(insert(notification).values(**message, created_ns=now_ns, next_try_ns=now_ns))
        return True


def is_time(now_ns: int, zone: tzinfo) -> bool:
    return FIRST_HOUR <= datetime.fromtimestamp(now_ns // NS, zone).hour < LAST_HOUR


def question(connection: Connection, key: int) -> Row[Any]:
    """The question behind a link. Raises DeadLinkError."""
    row = connection.execute(select(feedback).where(feedback.c.id == key)).first()
    if row is None:
        raise DeadLinkError("there is no such question")
    return row


def answer(database: Database, key: int, helped: str, words: str, now_ns: int) -> bool:
    """Keep the answer; False when there was one already, which stays. `words` become a note of the case.

    Raises DeadLinkError, RefusedError.
    """
    words = words.strip()
    if helped not in HELPED or len(words) > MAX_WORDS:
        raise RefusedError(f"an answer is one of {', '.join(HELPED)}, with {MAX_WORDS} characters at most")
    with database.transaction() as connection:
        row = question(connection, key)
        is_open = (feedback.c.id == key) & feedback.c.helped.is_(None)
        taken = connection.execute(update(feedback).where(is_open).values(helped=helped, replied_ns=now_ns))
        if not taken.rowcount:
            return False
        actor = f"asked:{row.whom}"
        journal.append(connection, REPLIED, now_ns, {"helped": helped}, alert=row.alert_id, actor=actor)
        if words:
            case = connection.execute(select(alert).where(alert.c.id == row.alert_id)).one()
            note(connection, case, words, actor, now_ns)
    return True
