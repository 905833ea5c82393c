"""The desk role's rounds, every 5 s: a silence is raised once, and cleared when its gateway is heard again.

What is due is derived from the database in each round. It is decided on a snapshot, so that no alarm waits for it,
and looked at again in the transaction that writes it: killed at any point or run by two desks, nothing is raised twice
or forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, literal, or_, select, update

from hearthline.clock import rfc3339
from hearthline_cloud import journal
from hearthline_cloud.alerts.lifecycle import AlertKind, Outcome, State
from hearthline_cloud.alerts.supervision import Sight, credible, is_alive, is_silent, look
from hearthline_cloud.database import Database
from hearthline_cloud.desk import Changed, beat
from hearthline_cloud.journal import SYSTEM
from hearthline_cloud.schema import alert as alert_table
from hearthline_cloud.schema import gateway as gateway_table
from hearthline_cloud.schema import heartbeat as heartbeat_table
from hearthline_cloud.wake import Waker

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
    journal.append(connection, "raised", now_ns, detail, alert=found, actor=SYSTEM)
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
    detail = {"outcome": Outcome.RESTORED.value}
    journal.append(connection, "restored", now_ns, detail, alert=row.id, actor=SYSTEM)
    return Changed(row.id, State.RESOLVED, row.version + 1)


def silence_key(gateway: str) -> str:
    return f"{AlertKind.GATEWAY_SILENT}:{gateway}"
