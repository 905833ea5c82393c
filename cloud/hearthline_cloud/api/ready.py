"""Whether this center can do its work now: a real write, a fresh ingester, its broker and its store, the desk.

Many probes at once share one look, and those of the next 1.5 s its answer: anybody may ask, and each look is a write
that the disk has to confirm. A part is `ok`, or says what is wrong with it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, select
from sqlalchemy.exc import SQLAlchemyError

from hearthline.clock import NS
from hearthline_cloud.alerts.supervision import is_alive
from hearthline_cloud.database import Database
from hearthline_cloud.deadman import ROLE as DEADMAN
from hearthline_cloud.deadman import readiness
from hearthline_cloud.desk import beat
from hearthline_cloud.identity.keeping import ROLE as KEEPER
from hearthline_cloud.identity.renewing import ROLE as RENEWAL
from hearthline_cloud.ingest.rolling import ROLL_UP
from hearthline_cloud.retention.job import ROLE as RETENTION
from hearthline_cloud.schema import heartbeat
from hearthline_cloud.supervising import SUPERVISION
from hearthline_cloud.telling import FaultKind

DESK_FRESH_S = 30
ESCALATION = "escalation"  # the role of its heartbeat
# the roles of theirs (`hearthline_cloud.beside`)
_BESIDE = (SUPERVISION, KEEPER, RENEWAL, RETENTION, "figures", "self-test", "standing", ROLL_UP)
_PROBE_TIMEOUT_S = 2.0
KEPT_S = 1.5

Parts = dict[str, str]


@dataclass(frozen=True, slots=True)
class Look:
    """Part -> `ok` or what is wrong; `warnings`: what stands in the way of telling people, in words."""

    parts: Parts
    warnings: list[str] = field(default_factory=list)


class Readiness:
    """Answers `/readyz`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._look: asyncio.Task[Look] | None = None
        self._kept_until = 0.0

    async def look(self) -> Look:
        """Waits for the database at most two seconds."""
        if self._look is None or (self._look.done() and time.monotonic() >= self._kept_until):
            self._look = asyncio.create_task(self._probe())
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_S):
                found = await asyncio.shield(self._look)
                return Look(dict(found.parts), found.warnings)
        except TimeoutError:
            return Look({"database": "does not answer"})

    async def _probe(self) -> Look:
        try:
            return await asyncio.to_thread(_probe, self._database, time.time_ns())
        finally:
            self._kept_until = time.monotonic() + KEPT_S


def ingest_state(database: Database, now_ns: int) -> dict[str, bool]:
    """Whether the ingester is alive, and sees its broker and its store."""
    with database.reading() as connection:
        row = connection.execute(select(heartbeat).where(heartbeat.c.role == "ingest")).first()
    alive = row is not None and is_alive(row.at_ns, now_ns)
    detail: dict[str, Any] = row.detail if row is not None and alive else {}
    return {"ingest": alive, "broker": detail.get("broker") is True, "store": detail.get("store") is True}


def _probe(database: Database, now_ns: int) -> Look:
    try:
        with database.transaction() as connection:
            beat(connection, "web", now_ns, {})
        state = ingest_state(database, now_ns)
        desk_at, deadman = _beat_of(database, "desk"), _beat_of(database, DEADMAN)
        escalation, keeper, renewal = (_beat_of(database, role) for role in (ESCALATION, KEEPER, RENEWAL))
    except SQLAlchemyError:
        return Look({"database": "cannot be written"})
    parts = {"database": "ok", "ingest": "ok" if state["ingest"] else "not heard for 5 s"}
    for name in ("broker", "store"):
        parts[name] = "ok" if state[name] else ("away" if state["ingest"] else "unknown")
    if desk_at is not None:  # a center may run without the role, but not lose it
        parts["desk"] = "ok" if now_ns - desk_at.at_ns < DESK_FRESH_S * NS else "not heard for 30 s"
    if deadman is not None:
        parts["deadman"] = readiness(deadman.at_ns, deadman.detail, now_ns)
    faults = []
    if escalation is not None:
        faults = _faults(escalation)
        parts[ESCALATION] = "ok" if now_ns - escalation.at_ns < DESK_FRESH_S * NS else "not heard for 30 s"
    died = _died(database)
    if SUPERVISION in died:
        parts[SUPERVISION] = died.pop(SUPERVISION)
    if keeper is not None:
        faults = [*faults, *_faults(keeper)]
        parts[KEEPER] = "ok" if now_ns - keeper.at_ns < DESK_FRESH_S * NS else "not heard for 30 s"
    if renewal is not None:
        faults = [*faults, *_faults(renewal)]
    unusable = [fault["text"] for fault in faults if fault["kind"] == FaultKind.POLICY]
    if unusable:
        parts["policy"] = unusable[0]
    return Look(parts, [fault["text"] for fault in faults] + [f"{name} {fault}" for name, fault in died.items()])


def _died(database: Database) -> Parts:
    """The parts of the desk that a bug keeps from working."""
    with database.reading() as connection:
        rows = connection.execute(select(heartbeat).where(heartbeat.c.role.in_(_BESIDE))).all()
    return {row.role: row.detail["fault"] for row in rows if row.detail.get("fault")}


def escalation_faults(connection: Connection) -> list[dict[str, str]]:
    """What stands in the way of telling people, as the desk wrote it last (`telling.Fault`); nothing without a desk."""
    rows = connection.execute(select(heartbeat).where(heartbeat.c.role.in_((ESCALATION, KEEPER, RENEWAL))))
    return [fault for row in rows for fault in _faults(row)]


def _faults(beat: Row[Any]) -> list[dict[str, str]]:
    faults: list[dict[str, str]] = beat.detail.get("faults", [])
    return faults


def _beat_of(database: Database, role: str) -> Row[Any] | None:
    with database.reading() as connection:
        return connection.execute(select(heartbeat).where(heartbeat.c.role == role)).first()
