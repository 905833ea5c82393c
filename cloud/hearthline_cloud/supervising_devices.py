"""The devices' part of a round: who has a period and was not heard in it, or whose gateway says that it is lost.

Tens of thousands of devices are asked for by one statement that gives those alone that are late and not told yet. For
how long somebody really listened to them is worked out for these few.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    union_all,
    update,
)

from hearthline.clock import NS, rfc3339
from hearthline_cloud.alerts.intervals import Interval
from hearthline_cloud.alerts.lifecycle import AlertKind
from hearthline_cloud.alerts.notes import is_raised
from hearthline_cloud.alerts.profiles import GO_ALONG, PERIODS_S, period_s
from hearthline_cloud.alerts.supervision import (
    DEVICE_GRACE_S,
    GATEWAY_FRESH_S,
    Sight,
    credible,
    future_ns,
    unheard_ns,
)
from hearthline_cloud.alerts.windows import Declared, Place, Windows
from hearthline_cloud.database import Database
from hearthline_cloud.declaring import windows
from hearthline_cloud.desk import Changed
from hearthline_cloud.schema import alert, device, gateway, home, unwatched
from hearthline_cloud.silences import LASTS, began_anew, end, in_bundles, raise_once
from hearthline_cloud.wake import Waker

_A_ROUND = 200  # the rest in the next one
MANY = 1000  # so many who are late: something is the matter with more than them
MANY_EVERY_S = 30  # looked at so often then, which is still within the 90 s

_period_s = cast(func.coalesce(device.c.supervise_s, case(PERIODS_S, value=device.c.kind, else_=0)), BigInteger)
_heard_ns = func.coalesce(device.c.last_seen_ns, device.c.watched_ns)
_key = literal(f"{AlertKind.DEVICE_SILENT}:").concat(device.c.gateway_id).concat(":").concat(device.c.id)
_COLUMNS = (
    device.c.gateway_id,
    device.c.id,
    device.c.registered,
    device.c.kind,
    device.c.supervise_s,
    device.c.resident_id,
    device.c.last_seen_ns,
    device.c.watched_ns,
    device.c.lost,
    device.c.lost_ns,
)


def _late(now_ns: int) -> ColumnElement[bool]:
    """Not heard in its period, or lost, as far as the device's own row tells."""
    unheard = and_(device.c.registered, _period_s > 0, _heard_ns + _period_s * literal(NS, BigInteger) < now_ns)
    return or_(unheard, device.c.lost != "")


def _suspects(now_ns: int) -> Select[Any]:
    """Who is late while its gateway is heard, and not told yet."""
    return (
        select(*_COLUMNS, gateway.c.home_id, home.c.community_id)
        .select_from(device)
        .join(gateway, gateway.c.id == device.c.gateway_id)
        .outerjoin(home, home.c.id == gateway.c.home_id)
        .outerjoin(alert, and_(LASTS, alert.c.join_key == _key))
        .where(
            _late(now_ns),
            alert.c.id.is_(None),
            gateway.c.state != "offline",
            gateway.c.last_seen_ns > now_ns - GATEWAY_FRESH_S * NS,
        )
    )


_TOLD: Select[Any] = (
    select(*_COLUMNS, alert.c.state.label("silence_state"), alert.c.raised_ns.label("silence_raised_ns"))
    .select_from(alert)
    .join(device, and_(device.c.gateway_id == alert.c.gateway_id, device.c.id == alert.c.device_id))
    .where(LASTS, alert.c.kind == AlertKind.DEVICE_SILENT)
)


def supervise_devices(
    database: Database, now_ns: int, sight: Sight, waker: Waker | None = None
) -> tuple[list[Changed], int]:
    """One round: what changed, and how many were late. Nothing is raised while the center is blind, nor until what
    waited meanwhile has come."""
    sees = not sight.is_blind and now_ns - sight.watching_since_ns >= DEVICE_GRACE_S * NS
    with database.reading() as connection:
        found = connection.execute(_TOLD).all()
        over = [row for row in found if _is_over(row, now_ns)]
        suspects = connection.execute(_suspects(now_ns)).all() if sees else []
        silent = _silent(connection, suspects, now_ns)[:_A_ROUND]
        is_odd = connection.execute(select(device.c.id).where(_unknown_or_odd(now_ns)).limit(1)).first() is not None
    if is_odd:
        with database.transaction() as connection:
            _put_right(connection, now_ns)
    changes = in_bundles(database, over, lambda connection, row: _end(connection, row, now_ns))
    changes += in_bundles(database, silent, lambda connection, row: _raise(connection, row, now_ns))
    if changes and waker is not None:
        waker.wake("web")
    return changes, len(suspects)


def _is_over(row: Row[Any], now_ns: int) -> bool:
    """Whether the silence that was told of this device is: it was heard, or nobody wants to hear of it any more."""
    if began_anew(row, row.last_seen_ns, now_ns) and not row.lost:
        return True
    return not _is_lost(row) and not _is_unheard(row, now_ns)


def _is_lost(row: Row[Any]) -> bool:
    """Whether its gateway says that it is lost, and somebody wants to know."""
    return bool(row.lost) and is_raised(row.lost, row.kind, bool(row.registered), row.supervise_s == 0)


def _is_unheard(row: Row[Any], now_ns: int) -> bool:
    period_ns = period_s(row.kind, row.supervise_s) * NS if row.registered else 0
    heard_ns = _heard(row, now_ns)
    return bool(period_ns) and heard_ns is not None and now_ns - heard_ns > period_ns


def _heard(row: Row[Any], now_ns: int) -> int | None:
    """When its period began: when it was heard, or when somebody began to wait for it. None: not known yet."""
    times = (credible(row.last_seen_ns, now_ns), credible(row.watched_ns, now_ns))
    return max((at for at in times if at is not None), default=None)


def _silent(connection: Connection, rows: Sequence[Row[Any]], now_ns: int) -> list[Row[Any]]:
    """Who of the late is silent: not in a declared window, and not because nobody listened."""
    if not rows:
        return []
    declared = windows(connection, now_ns)
    begins = {row: _began(row, declared, now_ns) for row in rows}
    waiting = {row: began for row, began in begins.items() if began is not None}
    if not waiting:
        return []
    deaf = _Deafness(connection, min(waiting.values()), now_ns)
    return [row for row, began in waiting.items() if _is_silent(row, began, deaf, now_ns)]


def _began(row: Row[Any], declared: Windows, now_ns: int) -> int | None:
    """When the period of a device began; None: its silence is expected now, or not known."""
    place = Place(row.gateway_id, row.home_id, row.community_id)
    began = _heard(row, now_ns)
    if began is None and _is_lost(row):
        began = row.lost_ns
    for what in Declared:
        if what is Declared.ABSENCE and row.kind not in GO_ALONG:
            continue
        if declared.until(what, place, now_ns) is not None:
            return None
        began = max(began, declared.last_end(what, place, now_ns)) if began is not None else None
    return began


def _is_silent(row: Row[Any], began_ns: int, deaf: _Deafness, now_ns: int) -> bool:
    if _is_lost(row):
        return True
    period_ns = period_s(row.kind, row.supervise_s) * NS if row.registered else 0
    if not period_ns or now_ns - began_ns <= period_ns:
        return False
    return unheard_ns(began_ns, deaf.of(row.gateway_id), now_ns) > period_ns


class _Deafness:
    """When nobody could hear a gateway's devices: it was silent, the center blind, no desk watched, no reading came."""

    def __init__(self, connection: Connection, since_ns: int, now_ns: int) -> None:
        self._center: list[Interval] = [
            (row.from_ns, row.to_ns)
            for row in connection.execute(
                select(unwatched.c.from_ns, unwatched.c.to_ns).where(unwatched.c.to_ns > since_ns - DEVICE_GRACE_S * NS)
            )
        ]
        self._gateways: dict[str, list[Interval]] = {}
        told = select(alert.c.gateway_id, alert.c.since_ns, alert.c.ended_ns).where(
            alert.c.kind.in_((AlertKind.GATEWAY_SILENT.value, AlertKind.CENTER_BLIND.value)),
            alert.c.since_ns.is_not(None),
        )
        ended = told.where(alert.c.ended_ns > since_ns - DEVICE_GRACE_S * NS)
        for row in connection.execute(union_all(told.where(LASTS), ended)):  # each of them along the index
            span = (row.since_ns, now_ns if row.ended_ns is None else row.ended_ns)
            (self._gateways.setdefault(row.gateway_id, []) if row.gateway_id else self._center).append(span)

    def of(self, name: str) -> Iterable[Interval]:
        return [*self._center, *self._gateways.get(name, ())]


def device_key(gateway_id: str, device_id: str) -> str:
    return f"{AlertKind.DEVICE_SILENT}:{gateway_id}:{device_id}"


def _raise(connection: Connection, row: Row[Any], now_ns: int) -> list[Changed]:
    """Raise it, if it is late still."""
    same = (device.c.gateway_id == row.gateway_id) & (device.c.id == row.id)
    now = connection.execute(_suspects(now_ns).where(same)).first()
    if now is None or now.last_seen_ns != row.last_seen_ns or now.lost != row.lost:
        return []
    is_lost = _is_lost(now)
    seen = now.last_seen_ns
    since_ns = now.lost_ns if is_lost else now.watched_ns if seen is None else seen
    detail = {
        "device": now.id,
        "gateway": now.gateway_id,
        "last_seen": None if seen is None else rfc3339(seen),
        "after_s": None if is_lost else period_s(now.kind, now.supervise_s),
        "note": now.lost,
    }
    values = {
        "home_id": now.home_id,
        "resident_id": now.resident_id,
        "gateway_id": now.gateway_id,
        "device_id": now.id,
    }
    key = device_key(now.gateway_id, now.id)
    return raise_once(connection, AlertKind.DEVICE_SILENT, key, since_ns, now_ns, values, detail)


def _end(connection: Connection, row: Row[Any], now_ns: int) -> list[Changed]:
    same = (device.c.gateway_id == row.gateway_id) & (device.c.id == row.id)
    now = connection.execute(_TOLD.where(same)).first()
    return end(connection, device_key(row.gateway_id, row.id), now_ns) if now and _is_over(now, now_ns) else []


def _unknown_or_odd(now_ns: int) -> ColumnElement[bool]:
    """Registered and not watched yet; or heard at a time of the future, by a clock that was set back since."""
    future = future_ns(now_ns)
    is_new = and_(device.c.registered, device.c.watched_ns.is_(None))
    return or_(is_new, device.c.last_seen_ns > future, device.c.watched_ns > future)


def _put_right(connection: Connection, now_ns: int) -> None:
    future = future_ns(now_ns)
    is_new = and_(device.c.registered, device.c.watched_ns.is_(None))
    connection.execute(update(device).where(or_(is_new, device.c.watched_ns > future)).values(watched_ns=now_ns))
    connection.execute(update(device).where(device.c.last_seen_ns > future).values(last_seen_ns=now_ns))
