"""What is known of a gateway from afar: how it stands, what it was asked, what it works by.

What a gateway says is text of a stranger: each piece is cut, counted, and shown without what is not printable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from hearthline.remote import MAX_LINE, MAX_LINES, config_digest
from hearthline_cloud.api.alert_reads import time_or_none
from hearthline_cloud.api.model import Gateway, Time
from hearthline_cloud.api.registry_reads import one_gateway
from hearthline_cloud.remote.asking import find_gateway, in_force
from hearthline_cloud.remote.asks import OPEN, State, What
from hearthline_cloud.schema import remote_ask
from hearthline_cloud.scoping import Communities

_SHOWN = 20
_MAX_CHECKS = 100


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that the gateway's doctor has looked at."""

    name: str
    ok: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """`level` is empty for a line that is none of the agent's JSON; `text` then is all of it."""

    time: str
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Ask:
    """`state`: asked, trial, done, undone, refused, busy, unknown, expired or replaced; `reason`: the gateway's words.

    `config`: of a change, the whole of it. `deaf_s`: for how long the agent heard no device while it began anew.
    """

    id: str
    what: str
    state: str
    asked: Time
    asked_by: str
    answered: Time | None
    config: dict[str, Any] | None
    reason: str
    deaf_s: float | None


@dataclass(frozen=True, slots=True)
class Examination:
    """The last one that was answered. `center`: the keys that the center has changed, as the gateway says."""

    at: Time
    checks: list[Check]
    center: list[str]
    up_s: float | None


@dataclass(frozen=True, slots=True)
class Excerpt:
    at: Time
    lines: list[LogLine]
    left_out: int


@dataclass(frozen=True, slots=True)
class Remote:
    """`config`: what the center has changed, and the gateway has proved; `based_on`: by which ask, "": by none.

    `differs`: the gateway itself says that it works by something else. `waiting`: asks that are not answered yet.
    """

    gateway: Gateway
    config: dict[str, Any]
    based_on: str
    differs: bool
    waiting: list[Ask]
    examination: Examination | None
    log: Excerpt | None
    changes: list[Ask]


def remote_of(connection: Connection, gateway: str, now_ns: int, seen: Communities) -> Remote:
    """Raises NotFoundError."""
    find_gateway(connection, gateway, seen)
    present = in_force(connection, gateway)
    config: dict[str, Any] = {} if present is None else present.config or {}
    looked, logged = (_last_done(connection, gateway, what) for what in (What.EXAMINE, What.LOG))
    examination = None if looked is None else _examination(looked)
    digest = None if looked is None else _inner(looked.detail, "state").get("center_digest")
    is_later = looked is not None and (present is None or looked.answered_ns > present.answered_ns)
    changes = _asks(connection, gateway, remote_ask.c.what == What.CONFIGURE)
    return Remote(
        gateway=one_gateway(connection, gateway, now_ns),
        config=config,
        based_on="" if present is None else present.id,
        differs=is_later and isinstance(digest, str) and digest != config_digest(config),
        waiting=_asks(connection, gateway, remote_ask.c.state.in_([*OPEN])),
        examination=examination,
        log=None if logged is None else _excerpt(logged),
        changes=changes,
    )


def one_ask(connection: Connection, ask: str) -> Ask:
    return _ask(connection.execute(select(remote_ask).where(remote_ask.c.id == ask)).one())


def _asks(connection: Connection, gateway: str, which: Any) -> list[Ask]:
    query = select(remote_ask).where(remote_ask.c.gateway_id == gateway, which)
    rows = connection.execute(query.order_by(remote_ask.c.asked_ns.desc()).limit(_SHOWN)).all()
    return [_ask(row) for row in rows]


def _last_done(connection: Connection, gateway: str, what: What) -> Row[Any] | None:
    done = (remote_ask.c.what == what) & (remote_ask.c.state == State.DONE) & (remote_ask.c.gateway_id == gateway)
    return connection.execute(select(remote_ask).where(done).order_by(remote_ask.c.answered_ns.desc())).first()


def _ask(row: Row[Any]) -> Ask:
    detail = row.detail if isinstance(row.detail, dict) else {}
    return Ask(
        id=row.id,
        what=row.what,
        state=row.state,
        asked=time_or_none(row.asked_ns) or "",
        asked_by=row.asked_by,
        answered=time_or_none(row.answered_ns),
        config=row.config,
        reason=plain(detail.get("reason")),
        deaf_s=_number(detail.get("deaf_s")),
    )


def _examination(row: Row[Any]) -> Examination:
    found = row.detail.get("checks") if isinstance(row.detail, dict) else None
    state = _inner(row.detail, "state")
    checks = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    center = state.get("center")
    return Examination(
        time_or_none(row.answered_ns) or "",
        [Check(plain(e.get("name")), e.get("ok") is True, plain(e.get("sentence"))) for e in checks[:_MAX_CHECKS]],
        [plain(key) for key in center[:_SHOWN]] if isinstance(center, list) else [],
        _number(state.get("up_s")),
    )


def _excerpt(row: Row[Any]) -> Excerpt:
    found = row.detail.get("lines") if isinstance(row.detail, dict) else None
    lines = [each for each in found if isinstance(each, str)] if isinstance(found, list) else []
    left_out = _number(row.detail.get("left_out")) if isinstance(row.detail, dict) else None
    return Excerpt(
        time_or_none(row.answered_ns) or "", [_line(each) for each in lines[-MAX_LINES:]], int(left_out or 0)
    )


def _line(told: str) -> LogLine:
    """A line of the agent's log: message and facts, without what every line has."""
    try:
        facts = msgspec.json.decode(told)
    except (msgspec.DecodeError, ValueError, RecursionError):  # it was cut, or is something else
        return LogLine("", "", plain(told))
    if not isinstance(facts, dict):
        return LogLine("", "", plain(told))
    head = [plain(facts.pop(name, "")) for name in ("time", "level", "message")]
    facts.pop("logger", None)
    rest = " ".join(f"{name}={value}" for name, value in facts.items())
    return LogLine(head[0][:32], head[1][:10], plain(f"{head[2]} {rest}".strip()))


def plain(text: object) -> str:
    """A stranger's text in one line: no control characters, nothing that turns the direction of what stands around."""
    told = text if isinstance(text, str) else "" if text is None else str(text)
    return "".join(c if c.isprintable() else "·" for c in told[:MAX_LINE])


def _inner(detail: object, key: str) -> dict[str, Any]:
    found = detail.get(key) if isinstance(detail, dict) else None
    return found if isinstance(found, dict) else {}


def _number(value: object) -> float | None:
    return (
        float(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12 else None
    )
