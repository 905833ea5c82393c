"""The desk role's rounds, every 5 s: a silence is raised once, and cleared when what was silent is heard again.

What is due is derived from the database in each round. It is decided on a snapshot, so that no alarm waits for it,
and looked at again in the transaction that writes it: killed at any point or run by two desks, nothing is raised twice
or forgotten.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, insert, literal, or_, select, update

from hearthline.clock import NS, rfc3339
from hearthline_cloud.alerts.lifecycle import AlertKind
from hearthline_cloud.alerts.supervision import Sight, credible, is_alive, is_silent, look, watched_gap
from hearthline_cloud.alerts.windows import Declared, Place, Windows
from hearthline_cloud.database import Database
from hearthline_cloud.declaring import windows
from hearthline_cloud.desk import Changed, beat
from hearthline_cloud.identity.alarming import AccessWatch, tell
from hearthline_cloud.loop import Loop, patiently
from hearthline_cloud.schema import alert as alert_table
from hearthline_cloud.schema import gateway as gateway_table
from hearthline_cloud.schema import heartbeat as heartbeat_table
from hearthline_cloud.schema import home as home_table
from hearthline_cloud.schema import unwatched
from hearthline_cloud.silences import LASTS, began_anew, end, in_bundles, lasting, raise_once
from hearthline_cloud.supervising_devices import MANY, MANY_EVERY_S, supervise_devices
from hearthline_cloud.wake import Waker

ROLE = "desk"  # of the heartbeat
SUPERVISION = "supervision"  # of the one that says that a bug keeps it from working
PERIOD_S = 5.0
Write = Callable[[Connection], list[Changed]]

_IS_KNOWN = or_(gateway_table.c.home_id.is_not(None), gateway_table.c.last_seen_ns.is_not(None))
_WATCHED: Select[Any] = (  # each watched gateway with its silence, if one lasts, by a look into an index
    select(
        gateway_table.c.id,
        gateway_table.c.state,
        gateway_table.c.last_seen_ns,
        gateway_table.c.watched_ns,
        gateway_table.c.home_id,
        home_table.c.community_id,
        alert_table.c.state.label("silence_state"),
        alert_table.c.raised_ns.label("silence_raised_ns"),
    )
    .select_from(gateway_table)
    .outerjoin(home_table, home_table.c.id == gateway_table.c.home_id)
    .outerjoin(
        alert_table,
        and_(
            LASTS,
            alert_table.c.join_key == literal(f"{AlertKind.GATEWAY_SILENT}:").concat(gateway_table.c.id),
        ),
    )
    .where(_IS_KNOWN)
)


def supervise_once(
    database: Database, now_ns: int, watching_since_ns: int, waker: Waker | None = None
) -> list[Changed]:
    """The gateways' round: raise each one's silence once, clear it when it is heard again.

    Watches the gateways that are registered or were ever heard. Writes the heartbeat of the role `desk` too.
    """
    with database.reading() as connection:
        rows = connection.execute(_WATCHED).all()
        declared = windows(connection, now_ns)
    found = [row for row in rows if _due(row, watching_since_ns, now_ns, declared) is not None]

    def change(connection: Connection, seen: Row[Any]) -> list[Changed]:
        row = connection.execute(_WATCHED.where(gateway_table.c.id == seen.id)).first()
        if row is None or (row.state, row.last_seen_ns) != (seen.state, seen.last_seen_ns):
            return []  # it spoke since we looked: the next round judges it
        due = _due(row, watching_since_ns, now_ns, declared)
        return [] if due is None else due(connection)

    with database.transaction() as connection:
        beat(connection, ROLE, now_ns, {})
        if any(row.watched_ns is None for row in rows):
            _begin_to_watch(connection, now_ns)
    changes = in_bundles(database, found, change)
    if changes and waker is not None:
        waker.wake("web")
    return changes


def _due(row: Row[Any], watching_since_ns: int, now_ns: int, declared: Windows) -> Write | None:
    """What has to be done about a gateway, if anything. `row` is one of `_WATCHED`."""
    if row.silence_state is not None:
        again = began_anew(row, row.last_seen_ns, now_ns)
        is_over = again or not is_silent(row.state, row.last_seen_ns, 0, now_ns)
        return partial(end, key=silence_key(row.id), now_ns=now_ns) if is_over else None
    place = Place(row.id, row.home_id, row.community_id)
    if declared.until(Declared.MAINTENANCE, place, now_ns) is not None:
        return None
    since_ns = max(watching_since_ns, declared.last_end(Declared.MAINTENANCE, place, now_ns))
    is_due = is_silent(row.state, row.last_seen_ns, since_ns, now_ns)
    return partial(_raise_silence, row=row, now_ns=now_ns) if is_due else None


def _raise_silence(connection: Connection, row: Row[Any], now_ns: int) -> list[Changed]:
    """Raise the alert of a gateway that is not heard."""
    values = {"home_id": row.home_id, "gateway_id": row.id}
    detail = {"last_seen": None if row.last_seen_ns is None else rfc3339(row.last_seen_ns)}
    since_ns = row.watched_ns if row.last_seen_ns is None else row.last_seen_ns
    return raise_once(connection, AlertKind.GATEWAY_SILENT, silence_key(row.id), since_ns, now_ns, values, detail)


def _begin_to_watch(connection: Connection, now_ns: int) -> None:
    is_new = _IS_KNOWN & gateway_table.c.watched_ns.is_(None)
    connection.execute(update(gateway_table).where(is_new).values(watched_ns=now_ns))


class Supervisor:
    """The desk role's rounds: knows since when it can see at all, and says when it cannot."""

    def __init__(self, database: Database, waker: Waker, now_ns: int, mono_ns: int) -> None:
        self._database = database
        self._waker = waker
        self._sight = Sight.opened(now_ns, mono_ns)
        self._devices_due_mono_ns = mono_ns
        self._access = AccessWatch()

    def start_over(self, now_ns: int, mono_ns: int) -> None:
        """The database was away: nobody knows what was heard meanwhile."""
        self._sight = replace(self._sight, watching_since_ns=now_ns, looked_ns=now_ns, looked_mono_ns=mono_ns)

    def round(self, now_ns: int, mono_ns: int) -> list[Changed]:
        """One round, every 5 s. `mono_ns` is the monotonic clock, which tells when the other was set."""
        with self._database.reading() as connection:
            away, has_store, desk_beat_ns = _surroundings(connection, now_ns)
            is_told = lasting(connection, AlertKind.CENTER_BLIND.value) is not None
            access_due, access_over = self._access.look(connection, now_ns, mono_ns)
        sight = look(self._sight, not away, now_ns, mono_ns)
        changes: list[Changed] = []
        if sight.is_long_blind and not is_told:
            changes += self._write(partial(raise_blindness, now_ns=now_ns, away=away, since_ns=sight.blind_since_ns))
        elif is_told and not sight.is_blind:
            changes += self._write(partial(end, key=AlertKind.CENTER_BLIND.value, now_ns=now_ns))
        gap = watched_gap(desk_beat_ns, now_ns)
        if gap is not None:
            self._write(partial(_note_unwatched, why=ROLE, from_ns=gap[0], to_ns=gap[1]))
        if not has_store and desk_beat_ns is not None:
            self._write(partial(_note_unwatched, why="store", from_ns=min(desk_beat_ns, now_ns), to_ns=now_ns))
        self._sight = sight
        changes += supervise_once(self._database, now_ns, sight.watching_since_ns, self._waker)
        if access_due or access_over:
            changes += self._write(partial(tell, due=access_due, over=access_over, now_ns=now_ns))
        if mono_ns >= self._devices_due_mono_ns:
            changed, late = supervise_devices(self._database, now_ns, sight, self._waker)
            changes += changed
            self._devices_due_mono_ns = mono_ns + (MANY_EVERY_S * NS if late >= MANY else 0)
        return changes

    def _write(self, change: Write) -> list[Changed]:
        with self._database.transaction() as connection:
            changes = change(connection)
        if changes:
            self._waker.wake("web")
        return changes


class Supervision(Loop):
    """The rounds in a thread. Start it, ask `failed()` now and then, stop it."""

    def __init__(self, database: Database, waker: Waker) -> None:
        super().__init__("desk")
        self._database = database
        self._waker = waker

    def stop(self) -> None:
        super().stop()
        self._waker.close()

    def _work(self) -> None:
        supervisor = Supervisor(self._database, self._waker, time.time_ns(), time.monotonic_ns())
        while not self._stopping.wait(PERIOD_S):
            if not patiently("supervision waits", lambda: supervisor.round(time.time_ns(), time.monotonic_ns())):
                supervisor.start_over(time.time_ns(), time.monotonic_ns())


def raise_blindness(connection: Connection, now_ns: int, away: list[str], since_ns: int) -> list[Changed]:
    """Raise the one alert of a center that cannot hear its gateways, unless this blindness has one."""
    kind = AlertKind.CENTER_BLIND
    return raise_once(connection, kind, kind.value, since_ns, now_ns, {"home_id": None}, {"away": away})


def _surroundings(connection: Connection, now_ns: int) -> tuple[list[str], bool, int | None]:
    """What keeps this center from hearing its gateways (`ingest`, `broker`, or nothing); whether readings arrive (the
    store takes them); when a desk last looked."""
    rows = connection.execute(select(heartbeat_table).where(heartbeat_table.c.role.in_(("ingest", ROLE)))).all()
    beats = {row.role: row for row in rows}
    ingest, desk = beats.get("ingest"), beats.get(ROLE)
    desk_beat_ns = None if desk is None else credible(desk.at_ns, now_ns)
    if ingest is None or not is_alive(ingest.at_ns, now_ns):
        return ["ingest"], True, desk_beat_ns
    away = [] if ingest.detail.get("broker") is True else ["broker"]
    return away, ingest.detail.get("store") is not False, desk_beat_ns


def _note_unwatched(connection: Connection, why: str, from_ns: int, to_ns: int) -> list[Changed]:
    """Keep the time in which nobody could tell who was silent; what goes on from round to round is one row."""
    goes_on = (unwatched.c.why == why) & (unwatched.c.to_ns >= from_ns) & (unwatched.c.from_ns <= from_ns)
    if not connection.execute(update(unwatched).where(goes_on).values(to_ns=to_ns)).rowcount:
        connection.execute(insert(unwatched).values(why=why, from_ns=from_ns, to_ns=to_ns))
    return []


def silence_key(gateway: str) -> str:
    return f"{AlertKind.GATEWAY_SILENT}:{gateway}"
