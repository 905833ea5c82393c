"""The runs of commissioning, as events tell of them; in the transaction that stores the event.

    event "begun" --> open run, two hours at most by the center's clock --> event "ended", with the signed report
    marked press of an open run: stored, journalled, acknowledged; no alert, nobody is paged

As with the self-test, the center asks its table, not the event. A mark counts only as a press of a device of the
gateway whose run is open now, certain, made by hand, and the first of its number. A mark on anything else is no mark:
in doubt, raise. A run that was ended, superseded or over is never opened again, whoever names its id.
"""

from __future__ import annotations

from typing import Any, TypeGuard

from sqlalchemy import Connection, Row, func, insert, select, update

from hearthline import wire
from hearthline.clock import NS
from hearthline.commissioning import LONGEST_S, MARK, PAIRING, Report, RunState, StepState
from hearthline.model import Cause, EventType
from hearthline_cloud import journal
from hearthline_cloud.commissioning.verifying import Kept, Standing, read_report
from hearthline_cloud.database import upsert
from hearthline_cloud.ingest.aside import storable
from hearthline_cloud.journal import SYSTEM
from hearthline_cloud.registry.known import is_alone
from hearthline_cloud.schema import commissioning as run_table
from hearthline_cloud.schema import commissioning_press, commissioning_step, device, gateway

WORD, PRESS = "commissioning", "commissioning-press"  # kinds of the journal
DONE, ANEW = "done", "anew"  # why the system has closed a to-do: a later report has it passed, or to do again
MAX_PRESSES = 1000  # of a run, that page nobody
MAX_UNKNOWN = 50  # runs of a gateway that have ended and that nobody here saw begin; of more, the event alone is kept
_MAX_ORDINAL = 2**63


def open_run(connection: Connection, event: wire.Event, gateway_id: str, now_ns: int) -> int | None:
    """The key of the run that this alarm was asked for in, or None for an alarm like any other."""
    mark, ordinal = event.data.get(MARK), event.data.get("ordinal")
    if not _is_id(mark) or type(ordinal) is not int or not 0 < ordinal < _MAX_ORDINAL:
        return None
    is_press = event.type == EventType.ALARM and event.data.get("cause", Cause.PRESS) == Cause.PRESS
    is_certain = event.data.get("certainty", "certain") == "certain"
    is_of_a_device = event.subject != gateway_id and event.source == f"hearthline/{gateway_id}"
    if not (is_press and is_certain and is_of_a_device):
        return None
    run = _run(connection, gateway_id, mark)
    if run is None or not _is_open(run, now_ns):
        return None
    presses = select(commissioning_press.c.device_id, commissioning_press.c.ordinal)
    known = connection.execute(presses.where(commissioning_press.c.commissioning_id == run.id)).all()
    if len(known) >= MAX_PRESSES or (event.subject, ordinal) in {(row.device_id, row.ordinal) for row in known}:
        return None
    if mark.startswith(PAIRING) and _is_somebodys(connection, event.subject, gateway_id):
        return None
    key: int = run.id
    return key


def _is_somebodys(connection: Connection, name: str, gateway_id: str) -> bool:
    """Whether the registry has this device; the wizard learns new ones, and its gateway's list may be an old one."""
    here = device.c.gateway_id == gateway_id
    anywhere = device.c.registered & (device.c.id == name)
    found = select(device.c.id).where(anywhere if is_alone(name) else anywhere & here)
    return connection.execute(found).first() is not None


def is_tried_out(connection: Connection, event: wire.Event, gateway_id: str, now_ns: int) -> bool:
    """Whether these vital signs were measured for a run that is open: they are nobody's here, and are not kept."""
    mark = event.data.get(MARK)
    is_own = event.type == EventType.VITAL and event.source == f"hearthline/{gateway_id}"
    return is_own and _is_id(mark) and _is_open(_run(connection, gateway_id, mark), now_ns)


def take_press(
    connection: Connection,
    run: int,
    stored: int,
    event: wire.Event,
    gateway_id: str,
    made: tuple[int, str],
    now_ns: int,
) -> None:
    """Keep the press of an open run. `made`: when, by the gateway's clock, and what that is worth."""
    made_ns, quality = made
    ordinal = event.data["ordinal"]
    values = {"commissioning_id": run, "event_key": stored, "event_id": event.id, "device_id": event.subject}
    times = {"made_ns": made_ns, "time_quality": quality, "received_ns": now_ns}
    connection.execute(insert(commissioning_press).values(**values, ordinal=ordinal, **times))
    detail = {"gateway": gateway_id, "device": event.subject, "run": event.data[MARK], "ordinal": ordinal}
    journal.append(connection, PRESS, now_ns, detail, event=stored)


def take_word(
    connection: Connection, stored: int, event: wire.Event, gateway_id: str, now_ns: int, *, resent: bool
) -> None:
    """What a gateway says of a run. Of one that nobody knows by such a name, nothing but the event is kept.

    `resent`: it is said again after a restore of the center, perhaps days later.
    """
    run, state = event.data.get("run"), event.data.get("state")
    is_own = event.subject == gateway_id and event.source == f"hearthline/{gateway_id}"
    if not _is_id(run) or not is_own:
        return
    if state == RunState.BEGUN:
        _begin(connection, run, 0 if resent else _seconds(event), gateway_id, now_ns)
    elif state == RunState.ENDED and (row := _known(connection, run, gateway_id, now_ns)) is not None:
        _end(connection, row, event.data, now_ns)
    else:
        return
    journal.append(connection, WORD, now_ns, {"gateway": gateway_id, "run": run, "state": state}, event=stored)


def _seconds(event: wire.Event) -> int:
    seconds = event.data.get("seconds")
    return seconds if type(seconds) is int and 0 < seconds < LONGEST_S else LONGEST_S


def _begin(connection: Connection, run: str, seconds: int, gateway_id: str, now_ns: int) -> None:
    """Open it, unless it was there before; what was open of this gateway is over. A gateway of no home opens none.

    `seconds` 0: it is over already, and leaves alone what is open now.
    """
    home = connection.execute(select(gateway.c.home_id).where(gateway.c.id == gateway_id)).scalar()
    if home is None:
        return
    made = _insert(connection, run, gateway_id, home, now_ns, now_ns + seconds * NS)
    if made is not None and seconds:
        others = (run_table.c.gateway_id == gateway_id) & run_table.c.ended_ns.is_(None) & (run_table.c.id != made)
        connection.execute(update(run_table).where(others).values(ended_ns=now_ns))


def _known(connection: Connection, run: str, gateway_id: str, now_ns: int) -> Row[Any] | None:
    """The run that has ended; one that was unknown is over from its beginning. None: too many were unknown."""
    row = _run(connection, gateway_id, run)
    if row is not None:
        return row
    was_never_open = (run_table.c.gateway_id == gateway_id) & (run_table.c.until_ns == run_table.c.begun_ns)
    unknown = connection.execute(select(func.count()).select_from(run_table).where(was_never_open)).scalar_one()
    if unknown >= MAX_UNKNOWN:
        return None
    home = connection.execute(select(gateway.c.home_id).where(gateway.c.id == gateway_id)).scalar()
    _insert(connection, run, gateway_id, home, now_ns, now_ns)
    return _run(connection, gateway_id, run)


def _end(connection: Connection, row: Row[Any], data: dict[str, Any], now_ns: int) -> None:
    """Close it, and keep its report; the first one counts. A run in which a device was bound has no report."""
    if row.standing:
        return
    if "report" not in data:
        where = (run_table.c.id == row.id) & run_table.c.ended_ns.is_(None)
        connection.execute(update(run_table).where(where).values(ended_ns=now_ns))
        return
    kept = read_report(connection, row.gateway_id, row.run, data, row.begun_ns)
    values = {
        "ended_ns": now_ns if row.ended_ns is None else row.ended_ns,
        "report": kept.document,
        "signature": kept.signature,
        "standing": kept.standing,
        "verified_by": kept.verified_by,
    }
    connection.execute(update(run_table).where(run_table.c.id == row.id).values(**values))
    if kept.report is not None:
        _keep_steps(connection, row.id, row.gateway_id, kept.report, kept, now_ns)


def _keep_steps(connection: Connection, run: int, gateway_id: str, report: Report, kept: Kept, now_ns: int) -> None:
    """Each step as a row; what was to do of the same and has been tried again is closed.

    That something has passed is believed of a signed report alone; what is to do, of each.
    """
    table = commissioning_step
    is_open = (table.c.gateway_id == gateway_id) & table.c.closed_ns.is_(None) & (table.c.state != StepState.PASSED)
    before: dict[tuple[str, str, str], list[int]] = {}
    for row in connection.execute(select(table).where(is_open)):
        before.setdefault((row.device_id, row.room, row.what), []).append(row.id)
    for place, step in enumerate(report.steps):
        values = {"commissioning_id": run, "gateway_id": gateway_id, "place": place}
        of = {"device_id": storable(step.device, wire.MAX_DEVICE), "room": storable(step.room, 64), "what": step.what}
        reason = storable(step.reason, 32) if step.state != StepState.PASSED else ""
        connection.execute(insert(table).values(**values, **of, state=step.state, reason=reason))
        passed = step.state == StepState.PASSED
        if passed and kept.standing != Standing.SIGNED:
            continue
        old = before.pop((of["device_id"], of["room"], of["what"]), [])
        closing = {"closed_ns": now_ns, "closed_by": SYSTEM, "closed_why": DONE if passed else ANEW}
        connection.execute(update(table).where(table.c.id.in_(old)).values(**closing))


def _insert(
    connection: Connection, run: str, gateway_id: str, home: str | None, begun_ns: int, until_ns: int
) -> int | None:
    values = {"gateway_id": gateway_id, "run": run, "home_id": home, "begun_ns": begun_ns, "until_ns": until_ns}
    made = upsert(connection, run_table).values(**values).on_conflict_do_nothing(index_elements=["gateway_id", "run"])
    key: int | None = connection.execute(made.returning(run_table.c.id)).scalar()
    return key


def _run(connection: Connection, gateway_id: str, run: str) -> Row[Any] | None:
    same = (run_table.c.gateway_id == gateway_id) & (run_table.c.run == run)
    return connection.execute(select(run_table).where(same)).first()


def _is_open(run: Row[Any] | None, now_ns: int) -> bool:
    return run is not None and run.ended_ns is None and bool(run.begun_ns <= now_ns < run.until_ns)


def _is_id(name: Any) -> TypeGuard[str]:
    return isinstance(name, str) and 0 < len(name) <= wire.MAX_ID and name.isascii() and name.isprintable()
