"""The desk role's self-tests: each gateway is asked once a day, what it proves is judged, what it does not is raised.

    ask    each 5 s: the gateways whose moment has come, a command each; a row a gateway and day, so that one desk asks
    decide each second: what escalation would have done with a press of that home, written down and sent to nobody
    judge  each 5 s: a test that did not come through raises `test-missed`, a later one that does clears it

Everything is derived from the database in each round: killed at any point or run by two desks, nothing is asked twice
or forgotten.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import uuid_utils
from sqlalchemy import Connection, Row, Select, and_, delete, func, insert, literal, or_, select, update

from hearthline.clock import NS, rfc3339
from hearthline.errors import ConfigError
from hearthline.model import SELF_TEST
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts.escalation import AlertView, Policies, Reach, advance, deliveries
from hearthline_cloud.alerts.lifecycle import AlertKind, State
from hearthline_cloud.alerts.self_test import CANNOT, GIVEN_UP_S, Window, is_missed
from hearthline_cloud.alerts.supervision import RETURN_GRACE_S, STATUS_PERIOD_S, is_alive, is_silent
from hearthline_cloud.alerts.windows import Declared, Place, Windows
from hearthline_cloud.config import SelfTestConfig
from hearthline_cloud.database import Database, upsert
from hearthline_cloud.declaring import windows
from hearthline_cloud.desk import NotFoundError, beat
from hearthline_cloud.journal import SYSTEM
from hearthline_cloud.loop import Loop, patiently
from hearthline_cloud.notify.sending import contact_phones
from hearthline_cloud.silences import LASTS, end, lasting, raise_once
from hearthline_cloud.supervising import silence_key
from hearthline_cloud.wake import Waker

ROLE = "self-test"  # of the heartbeat
AGAIN_S = 20.0  # a person who asks sooner is shown the test that runs
SETTLED_S = float(STATUS_PERIOD_S + RETURN_GRACE_S)  # of hearing: every gateway has connected and spoken by then
_PERIOD_S = 1.0
_LOOK_EVERY_S = 5.0
_AT_ONCE = 20  # gateways a round: a desk that was away for hours asks a city within minutes, not at once
_PROVED_KEPT_S = 90 * 86_400
_KEPT_S = 400 * 86_400
_FORGOTTEN_AT_ONCE = 100
_FORGET_EVERY_S = 60.0  # 144,000 a day

Rules = Callable[[], tuple[Policies, tuple[Reach, ...]]]

_test, _gateway, _alert, _command = schema.self_test, schema.gateway, schema.alert, schema.command


class SelfTester(Loop):
    """Start it, ask `failed()` now and then, stop it. `rules`: what escalation decides by."""

    def __init__(self, config: SelfTestConfig, database: Database, waker: Waker, rules: Rules) -> None:
        """Raises ConfigError with the key."""
        super().__init__("self-test")
        self._window = window_of(config)
        self._config = config
        self._database = database
        self._waker = waker
        self._rules = rules
        self._looked_at = self._forgot_at = float("-inf")
        self._hears_since: float | None = None

    def stop(self) -> None:
        super().stop()
        self._waker.close()

    def _work(self) -> None:
        while not self._stopping.wait(_PERIOD_S):
            if not patiently("self-tests wait", lambda: self._round(time.time_ns(), time.monotonic())):
                self._hears_since = None

    def _round(self, now_ns: int, mono_s: float) -> None:
        if decide(self._database, self._rules, now_ns):
            self._waker.wake("web")
        if mono_s - self._looked_at < _LOOK_EVERY_S:
            return
        self._looked_at = mono_s
        hears = _hears(self._database, now_ns)
        self._hears_since = (mono_s if self._hears_since is None else self._hears_since) if hears else None
        if self._config.enabled and hears and ask_due(self._database, self._window, now_ns):
            self._waker.wake("ingest")
        settled = self._hears_since is not None and mono_s - self._hears_since > SETTLED_S
        if judge(self._database, self._config.answer_within_s, now_ns, may_raise=settled):
            self._waker.wake("web")
        with self._database.transaction() as connection:
            beat(connection, ROLE, now_ns, {})
        if mono_s - self._forgot_at >= _FORGET_EVERY_S:
            self._forgot_at = mono_s
            forget(self._database, now_ns)


def window_of(config: SelfTestConfig) -> Window:
    """Raises ConfigError with the key."""
    if config.begin >= config.end:
        raise ConfigError(f"self_test.to = {config.end}: must be after self_test.from = {config.begin}")
    if not 60 <= config.answer_within_s <= 86_400:
        raise ConfigError(f"self_test.answer_within_s = {config.answer_within_s:g}: must be 60 to 86400 seconds")
    try:
        return Window(config.begin, config.end, ZoneInfo(config.zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"self_test.zone = {config.zone!r}: there is no such time zone on this machine") from None


# --- asking ------------------------------------------------------------------------------------------------------


def ask(database: Database, gateway: str, actor: str, now_ns: int) -> str:
    """Ask a gateway now, for a person; the test's id, within 20 s the running one's. Raises NotFoundError."""
    with database.transaction() as connection:
        known = connection.execute(select(_gateway.c.id).where(_gateway.c.id == gateway)).first()
        if known is None:
            raise NotFoundError(f"there is no gateway {gateway}")
        recent = (_test.c.gateway_id == gateway) & (_test.c.asked_ns > now_ns - round(AGAIN_S * NS))
        running: str | None = connection.execute(select(_test.c.id).where(recent, _test.c.asked_ns <= now_ns)).scalar()
        if running is not None:
            return running
        made = _ask(connection, gateway, actor, None, now_ns)
        assert made is not None
        journal.append(connection, "self-test-asked", now_ns, {"gateway": gateway, "test": made}, actor=actor)
        return made


def ask_due(database: Database, window: Window, now_ns: int) -> int:
    """Ask the registered gateways whose moment of the day has come, but for those that cannot hear; how many."""
    if not window.has_begun(now_ns):
        return 0
    day = window.day(now_ns)
    asked = select(_test.c.id).where(_test.c.gateway_id == _gateway.c.id, _test.c.day == day).exists()
    with database.reading() as connection:
        rows = connection.execute(_AUDIBLE.where(_gateway.c.home_id.is_not(None), ~asked)).all()
        declared = windows(connection, now_ns)
    due = [row.id for row in rows if window.slot_ns(row.id, now_ns) <= now_ns and _hears_us(row, declared, now_ns)]
    if not due:
        return 0
    with database.transaction() as connection:
        return sum(_ask(connection, gateway, SYSTEM, day, now_ns) is not None for gateway in due[:_AT_ONCE])


def _ask(connection: Connection, gateway: str, actor: str, day: str | None, now_ns: int) -> str | None:
    """Queue the command; None when another desk has asked for this day already."""
    test = str(uuid_utils.uuid7())
    values = {"id": test, "gateway_id": gateway, "day": day, "asked_ns": now_ns, "asked_by": actor}
    made = upsert(connection, _test).values(values).on_conflict_do_nothing().returning(_test.c.id)
    if connection.execute(made).first() is None:  # by rowcount nobody knows: PostgreSQL says -1
        return None
    command = {"id": test, "gateway_id": gateway, "body": {"type": SELF_TEST}, "urgency": schema.Urgency.SELF_TEST}
    connection.execute(insert(_command).values(**command, created_ns=now_ns, next_attempt_ns=now_ns))
    connection.execute(update(_gateway).where(_gateway.c.id == gateway).values(test_id=test))
    return test


def forget(database: Database, now_ns: int) -> int:
    """Delete old tests with their commands, a few at a time; how many. Alert, event and journal of a proof stay.

    One that was never proved is kept longer: a gateway that comes back with its marked alarm must find its question.
    """
    shown = select(_gateway.c.test_id).where(_gateway.c.test_id.is_not(None))
    proofs = select(_gateway.c.proved_id).where(_gateway.c.proved_id.is_not(None))
    is_old = or_(
        and_(_test.c.received_ns.is_not(None), _test.c.asked_ns < now_ns - _PROVED_KEPT_S * NS),
        _test.c.asked_ns < now_ns - _KEPT_S * NS,
    )
    old = select(_test.c.id).where(is_old, _test.c.id.not_in(shown.union(proofs))).limit(_FORGOTTEN_AT_ONCE)
    with database.reading() as connection:
        ids = connection.execute(old).scalars().all()
    if ids:
        with database.transaction() as connection:
            connection.execute(delete(_test).where(_test.c.id.in_(ids)))
            connection.execute(delete(_command).where(_command.c.id.in_(ids)))
    return len(ids)


# --- deciding ----------------------------------------------------------------------------------------------------


def decide(database: Database, rules: Rules, now_ns: int) -> int:
    """Take each proof through escalation's own decisions, as if it were a press, and write down what would be sent."""
    query = (
        select(_test.c.id, _alert.c.home_id, schema.home.c.community_id)
        .join(_alert, _alert.c.id == _test.c.alert_id)
        .outerjoin(schema.home, schema.home.c.id == _alert.c.home_id)
        .where(_test.c.decided_ns.is_(None), _test.c.received_ns.is_not(None))
    )
    with database.reading() as connection:
        rows = connection.execute(query.limit(_AT_ONCE)).all()
        if not rows:
            return 0
        escalation = connection.execute(_beat_of("escalation")).first()
        if escalation is None or now_ns - escalation.at_ns > 15 * NS:
            return 0  # nobody would be told of a press now either
        found = [(row.id, rehearse(connection, *rules(), row.home_id, row.community_id, now_ns)) for row in rows]
    with database.transaction() as connection:
        for test, decision in found:
            where = (_test.c.id == test) & _test.c.decided_ns.is_(None)
            connection.execute(update(_test).where(where).values(decided_ns=now_ns, decision=decision))
    return len(found)


def rehearse(
    connection: Connection,
    policies: Policies,
    reaches: tuple[Reach, ...],
    home: str | None,
    community: str | None,
    now_ns: int,
    kind: AlertKind = AlertKind.EMERGENCY,
) -> dict[str, Any]:
    """What a press of this home that nobody answers would lead to: the policy, and how many messages of its steps."""
    policy = policies.policy_for(kind, "press", community or "")
    press = AlertView(kind, State.RAISED, now_ns, 1)
    contacts = len(contact_phones(connection, None, home))
    timer = advance(policy, press, None, -1, now_ns).timer
    messages = 0
    for _ in policy.steps:
        assert timer is not None
        move = advance(policy, press, timer, -1, timer.due_ns)
        assert move.firing is not None
        messages += len(deliveries(move.firing, reaches, contacts, policies.on_duty(move.firing, timer.due_ns)))
        timer = move.timer
    return {"policy": policy.name, "steps": len(policy.steps), "messages": messages}


# --- judging -----------------------------------------------------------------------------------------------------

_silence = _alert.alias("silence")
_AUDIBLE: Select[Any] = (  # each gateway with its silence, if one lasts
    select(
        _gateway.c.id,
        _gateway.c.home_id,
        _gateway.c.state,
        _gateway.c.last_seen_ns,
        schema.home.c.community_id,
        _silence.c.id.label("silence"),
    )
    .select_from(_gateway)
    .outerjoin(schema.home, schema.home.c.id == _gateway.c.home_id)
    .outerjoin(
        _silence,
        and_(
            _silence.c.join_key == literal(f"{AlertKind.GATEWAY_SILENT}:").concat(_gateway.c.id),
            _silence.c.since_ns.is_not(None),
            _silence.c.ended_ns.is_(None),
        ),
    )
)
_LAST = (  # of each gateway the last test that it was asked for, while it is neither proved nor known to be missed
    _AUDIBLE.add_columns(_test.c.id.label("test"), _test.c.asked_ns)
    .join(_test, _test.c.id == _gateway.c.test_id)
    .outerjoin(_command, _command.c.id == _test.c.id)
    .where(_test.c.received_ns.is_(None), _test.c.missed_ns.is_(None), func.coalesce(_command.c.result, "") != CANNOT)
)
_PROVED_SINCE = (  # the gateways whose lasting miss is over
    select(_gateway.c.id)
    .join(_alert, _alert.c.gateway_id == _gateway.c.id)
    .join(_test, _test.c.id == _gateway.c.proved_id)
    .where(
        LASTS,
        _alert.c.kind == AlertKind.TEST_MISSED,
        or_(_test.c.received_ns >= _alert.c.raised_ns, _test.c.id == _gateway.c.test_id),
    )
)


def judge(database: Database, within_s: float, now_ns: int, *, may_raise: bool) -> int:
    """Raise what was missed, clear what was proved since; how many alerts changed."""
    with database.reading() as connection:
        missed = _missed(connection, within_s, now_ns) if may_raise else []
        proved = connection.execute(_PROVED_SINCE).scalars().all()
    if not missed and not proved:
        return 0
    changed = 0
    with database.transaction() as connection:
        for row in _missed(connection, within_s, now_ns) if missed else []:
            connection.execute(update(_test).where(_test.c.id == row.test).values(missed_ns=now_ns))
            changed += _raise_missed(connection, row, now_ns)
        for gateway in proved:
            changed += len(end(connection, missed_key(gateway), now_ns))
    return changed


def _missed(connection: Connection, within_s: float, now_ns: int) -> list[Row[Any]]:
    old = now_ns - round(within_s * NS)
    rows = connection.execute(_LAST.where(_test.c.asked_ns <= old, _test.c.asked_ns > now_ns - GIVEN_UP_S * NS)).all()
    declared = windows(connection, now_ns) if rows else Windows(())
    return [
        row
        for row in rows
        if _hears_us(row, declared, now_ns)
        and is_missed(row.asked_ns, _audible_since(connection, row, declared, now_ns), within_s, now_ns)
    ]


def _audible_since(connection: Connection, row: Row[Any], declared: Windows, now_ns: int) -> int:
    """When the gateway's last silence or maintenance, or the last blindness of the center, was over."""
    keys = (silence_key(row.id), AlertKind.CENTER_BLIND.value)
    ended = connection.execute(select(func.max(_alert.c.ended_ns)).where(_alert.c.join_key.in_(keys))).scalar() or 0
    return max(ended, declared.last_end(Declared.MAINTENANCE, _place(row), now_ns))


def _hears_us(row: Row[Any], declared: Windows, now_ns: int) -> bool:
    """Whether a gateway can be expected to answer: neither silent nor being worked on."""
    is_gone = row.silence is not None or is_silent(row.state, row.last_seen_ns, 0, now_ns)
    return not is_gone and declared.until(Declared.MAINTENANCE, _place(row), now_ns) is None


def _place(row: Row[Any]) -> Place:
    return Place(row.id, row.home_id, row.community_id)


def missed_key(gateway: str) -> str:
    return f"{AlertKind.TEST_MISSED}:{gateway}"


def _raise_missed(connection: Connection, row: Row[Any], now_ns: int) -> int:
    """One alert a gateway. A further miss after a person has closed it is another one."""
    key = missed_key(row.id)
    before = lasting(connection, key)
    if before is not None and before.state == State.RESOLVED:
        end(connection, key, now_ns)
    detail = {"gateway": row.id, "test": row.test, "asked": rfc3339(row.asked_ns)}
    values = {"home_id": row.home_id, "gateway_id": row.id}
    return len(raise_once(connection, AlertKind.TEST_MISSED, key, row.asked_ns, now_ns, values, detail))


def _beat_of(role: str) -> Select[Any]:
    return select(schema.heartbeat).where(schema.heartbeat.c.role == role)


def _hears(database: Database, now_ns: int) -> bool:
    """Whether the center can hear its gateways at all."""
    with database.reading() as connection:
        row = connection.execute(_beat_of("ingest")).first()
    return row is not None and is_alive(row.at_ns, now_ns) and row.detail.get("broker") is True
