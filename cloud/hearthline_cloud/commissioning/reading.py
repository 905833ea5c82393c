"""How a gateway's commissioning stands: what is left to do, its runs, and one report with what the center saw of it.

A report says what the gateway saw. Beside each press stands what this center has of it: when it came, and whom it would
have told. A step that has passed, and of which the center knows nothing, is shown so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, exists, func, literal, select

from hearthline.clock import NS, rfc3339
from hearthline.commissioning import PAIRING, Step, StepState, What, report_of
from hearthline_cloud.api.model import Time
from hearthline_cloud.commissioning.verifying import Standing
from hearthline_cloud.desk import NotFoundError
from hearthline_cloud.schema import commissioning, commissioning_press, commissioning_step, device, gateway

_SHOWN = 30


@dataclass(frozen=True, slots=True)
class ToDo:
    """What a report has left open. `name`: of the device in the registry. `since`: the end of its run."""

    id: int
    device: str
    name: str
    room: str
    what: str
    state: str
    reason: str
    since: Time


@dataclass(frozen=True, slots=True)
class Run:
    """`standing`: of its report, "" without one. `is_open`: its presses page nobody now. `steps`: of its report."""

    id: int
    run: str
    begun: Time
    until: Time
    ended: Time | None
    is_open: bool
    standing: str
    verified_by: str | None
    presses: int
    steps: int
    passed: int


@dataclass(frozen=True, slots=True)
class Press:
    """A press of a run as the center has it. `up_s`: from the telegram to here, where the gateway's clock is right.

    `policy`, `messages`: what the desk would have done with it; None while it has not decided.
    """

    device: str
    name: str
    event: str
    received: Time
    up_s: float | None
    policy: str | None
    messages: int | None


@dataclass(frozen=True, slots=True)
class ReportedStep:
    """One step of a report; seconds since its telegram. `press`: what the center has of it, None: nothing."""

    device: str
    name: str
    room: str
    what: str
    state: str
    reason: str
    at: str
    committed_s: float | None
    sent_s: float | None
    received_s: float | None
    radio_dbm: int | None
    link_quality: int | None
    press: Press | None


@dataclass(frozen=True, slots=True)
class Reported:
    """One run with its report, as far as it can be read."""

    run: Run
    version: str
    within_s: float
    steps: list[ReportedStep]


@dataclass(frozen=True, slots=True)
class Commissioning:
    """The newest runs first; `shown`: the run that was asked for, or the last one with a report. `live`: of an open run
    the presses that have come.
    """

    gateway: str
    home: str | None
    to_dos: list[ToDo]
    runs: list[Run]
    shown: Reported | None
    live: list[Press]


def commissioning_of(connection: Connection, gateway_id: str, now_ns: int, run: int | None = None) -> Commissioning:
    """Raises NotFoundError for a gateway or a run that is not there."""
    place = connection.execute(select(gateway.c.home_id).where(gateway.c.id == gateway_id)).first()
    if place is None:
        raise NotFoundError(f"there is no gateway {gateway_id}")
    table = commissioning
    is_shown = ~table.c.run.startswith(PAIRING, autoescape=True) | (table.c.standing != "")
    query = select(table).where(table.c.gateway_id == gateway_id, is_shown)
    newest = query.order_by(table.c.id.desc())
    rows = connection.execute(newest.limit(_SHOWN)).all()
    is_wanted = table.c.standing != "" if run is None else table.c.id == run
    wanted = connection.execute(newest.where(is_wanted).limit(1)).first()
    if run is not None and wanted is None:
        raise NotFoundError(f"the gateway {gateway_id} has no run under number {run}")
    names = _names(connection, gateway_id)
    runs = _runs(connection, rows, now_ns)
    open_run = next((each for each in runs if each.is_open), None)
    return Commissioning(
        gateway=gateway_id,
        home=place.home_id,
        to_dos=_to_dos(connection, gateway_id, names),
        runs=runs,
        shown=None if wanted is None else _reported(connection, wanted, _runs(connection, [wanted], now_ns)[0], names),
        live=[] if open_run is None else list(_presses(connection, [open_run.id], names).values()),
    )


def open_to_dos(connection: Connection) -> dict[str, int]:
    """Gateway -> how much is left to do, of those that were commissioned at all."""
    table = commissioning_step
    passed = literal(StepState.PASSED.value, literal_execute=True)  # a parameter would not match the index
    is_open = (table.c.state != passed) & table.c.closed_ns.is_(None)
    tried = select(gateway.c.id).where(exists().where(table.c.gateway_id == gateway.c.id))
    left = select(table.c.gateway_id, func.count()).where(is_open).group_by(table.c.gateway_id)
    found = dict.fromkeys(connection.execute(tried).scalars(), 0)
    return found | {row[0]: row[1] for row in connection.execute(left)}


def download(connection: Connection, gateway_id: str, run: int) -> bytes:
    """A report as it came, with its signature and what this center makes of it, as JSON. Raises NotFoundError."""
    same = (commissioning.c.gateway_id == gateway_id) & (commissioning.c.id == run)
    row = connection.execute(select(commissioning).where(same)).first()
    if row is None or not row.standing:
        raise NotFoundError(f"the gateway {gateway_id} has no report under number {run}")
    told = {"run": row.run, "standing": row.standing, "verified_by": row.verified_by, "ended": _time(row.ended_ns)}
    return msgspec.json.format(
        msgspec.json.encode({**told, "signature": row.signature, "report": row.report}), indent=2
    )


def _names(connection: Connection, gateway_id: str) -> dict[str, str]:
    query = select(device.c.id, device.c.name).where(device.c.gateway_id == gateway_id)
    return {row.id: row.name for row in connection.execute(query)}


def _to_dos(connection: Connection, gateway_id: str, names: dict[str, str]) -> list[ToDo]:
    table = commissioning_step
    query = (
        select(table, commissioning.c.ended_ns)
        .join(commissioning, commissioning.c.id == table.c.commissioning_id)
        .where(table.c.gateway_id == gateway_id, table.c.closed_ns.is_(None), table.c.state != StepState.PASSED)
        .order_by(table.c.room, table.c.device_id, table.c.id)
    )
    return [
        ToDo(row.id, row.device_id, names.get(row.device_id, ""), row.room, row.what, row.state, row.reason,
             rfc3339(row.ended_ns))
        for row in connection.execute(query)
    ]  # fmt: skip


def _runs(connection: Connection, rows: Iterable[Row[Any]], now_ns: int) -> list[Run]:
    rows = list(rows)
    ids = [row.id for row in rows]
    step, press = commissioning_step, commissioning_press
    passed = func.count().filter(step.c.state == StepState.PASSED)
    steps = {
        row[0]: (row[1], row[2])
        for row in connection.execute(
            select(step.c.commissioning_id, func.count(), passed)
            .where(step.c.commissioning_id.in_(ids))
            .group_by(step.c.commissioning_id)
        )
    }
    counted = select(press.c.commissioning_id, func.count()).where(press.c.commissioning_id.in_(ids))
    presses = {row[0]: row[1] for row in connection.execute(counted.group_by(press.c.commissioning_id))}
    return [
        Run(
            id=row.id,
            run=row.run,
            begun=rfc3339(row.begun_ns),
            until=rfc3339(row.until_ns),
            ended=_time(row.ended_ns),
            is_open=row.ended_ns is None and row.begun_ns <= now_ns < row.until_ns,
            standing=row.standing,
            verified_by=row.verified_by,
            presses=presses.get(row.id, 0),
            steps=steps.get(row.id, (0, 0))[0],
            passed=steps.get(row.id, (0, 0))[1],
        )
        for row in rows
    ]


def _presses(connection: Connection, runs: list[int], names: dict[str, str]) -> dict[str, Press]:
    """By their events' ids."""
    press = commissioning_press
    query = select(press).where(press.c.commissioning_id.in_(runs)).order_by(press.c.id)
    found = {}
    for row in connection.execute(query):
        decision = row.decision if isinstance(row.decision, dict) else {}
        up_s = (row.received_ns - row.made_ns) / NS if row.time_quality == "synced" else None
        found[row.event_id] = Press(
            row.device_id,
            names.get(row.device_id, ""),
            row.event_id,
            rfc3339(row.received_ns),
            up_s,
            decision.get("policy"),
            decision.get("messages"),
        )
    return found


def _reported(connection: Connection, row: Row[Any], run: Run, names: dict[str, str]) -> Reported:
    if row.standing in ("", Standing.UNREADABLE):
        return Reported(run, "", 0.0, [])
    report = report_of(row.report)
    same = (commissioning.c.gateway_id == row.gateway_id) & commissioning.c.run.in_(report.runs)
    of_runs = list(connection.execute(select(commissioning.c.id).where(same)).scalars())
    presses = _presses(connection, of_runs, names)
    steps = [_step(step, names, presses.get(step.event)) for step in report.steps]
    return Reported(run, report.version, report.within_ms / 1000, steps)


def _step(step: Step, names: dict[str, str], press: Press | None) -> ReportedStep:
    hops = step.hops_ms
    is_seen = press is not None and press.device == step.device and step.what == What.PRESS
    return ReportedStep(
        device=step.device,
        name=names.get(step.device, ""),
        room=step.room,
        what=step.what.value,
        state=step.state.value,
        reason=step.reason,
        at=step.at,
        committed_s=None if hops is None else _seconds(hops.committed),
        sent_s=None if hops is None else _seconds(hops.sent),
        received_s=None if hops is None else _seconds(hops.received),
        radio_dbm=step.radio_dbm,
        link_quality=step.link_quality,
        press=press if is_seen else None,
    )


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000


def _time(ns: int | None) -> str | None:
    return None if ns is None else rfc3339(ns)
