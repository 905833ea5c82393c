"""A gateway's silence: raised once, cleared when heard, never raised again after a person closed it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Row, select, text, update

from hearthline.clock import NS
from hearthline_cloud import schema, supervising
from hearthline_cloud.alerts.lifecycle import Outcome
from hearthline_cloud.alerts.windows import Windows
from hearthline_cloud.desk import Desk, beat
from hearthline_cloud.identity.alarming import tell
from hearthline_cloud.supervising import _WATCHED, Supervisor, supervise_once
from hearthline_cloud.telling import Fault, FaultKind
from web.seeding import Center


def _silences(center: Center) -> list[tuple[str, str, str | None]]:
    with center.database.reading() as connection:
        rows = connection.execute(select(schema.alert).order_by(schema.alert.c.id)).all()
    return [(row.gateway_id, row.state, row.outcome) for row in rows]


def _hear(center: Center, gateway: str, at_ns: int) -> None:
    with center.database.transaction() as connection:
        connection.execute(
            update(schema.gateway).where(schema.gateway.c.id == gateway).values(state="online", last_seen_ns=at_ns)
        )


def test_silence_is_raised_once_and_cleared_when_heard(center: Center) -> None:
    now = time.time_ns()
    assert supervise_once(center.database, now + 70 * NS, now) == []
    for gateway in ("gw-east-1", "gw-stray"):
        _hear(center, gateway, now + 89 * NS)
    raised = supervise_once(center.database, now + 90 * NS, now)
    assert len(raised) == 1
    assert supervise_once(center.database, now + 95 * NS, now) == []
    assert _silences(center) == [("gw-east-2", "raised", None)]
    _hear(center, "gw-east-2", now + 100 * NS)
    assert [change.alert_id for change in supervise_once(center.database, now + 101 * NS, now)] == [raised[0].alert_id]
    assert _silences(center) == [("gw-east-2", "resolved", "restored")]
    for gateway in ("gw-east-1", "gw-stray"):
        _hear(center, gateway, now + 199 * NS)
    supervise_once(center.database, now + 200 * NS, now)
    assert _silences(center)[-1] == ("gw-east-2", "raised", None)
    with center.database.reading() as connection:
        journal: list[Row[object]] = list(connection.execute(select(schema.journal)).all())
    assert [(row.kind, row.actor) for row in journal] == [
        ("raised", "system"),
        ("restored", "system"),
        ("raised", "system"),
    ]


def test_nothing_is_known_right_after_the_start(center: Center) -> None:
    now = time.time_ns() + 3600 * NS
    assert supervise_once(center.database, now, now - 10 * NS) == []
    assert len(supervise_once(center.database, now, now - 80 * NS)) == 3


def test_a_silence_that_a_person_closed_stays_closed(center: Center) -> None:
    now = time.time_ns()
    later = now + 80 * NS
    raised = supervise_once(center.database, later, now)
    people = Desk(center.database, center.waker)
    for change in raised:
        people.resolve(change.alert_id, Outcome.TEST, "mei", later + NS)
    assert supervise_once(center.database, later + 600 * NS, now) == []


def test_a_registered_gateway_that_was_never_heard_is_silent_too(center: Center) -> None:
    now = time.time_ns()
    with center.database.transaction() as connection:
        connection.execute(update(schema.gateway).values(last_seen_ns=None, state="unknown"))
    raised = supervise_once(center.database, now + 80 * NS, now)
    assert sorted(gateway for gateway, _, _ in _silences(center)) == ["gw-east-1", "gw-east-2"]
    assert len(raised) == 2
    assert supervise_once(center.database, now + 160 * NS, now + 80 * NS) == []


def test_a_long_history_is_not_read_through_and_alarms_never_wait_for_the_look(center: Center) -> None:
    now = time.time_ns()
    alert, gateway = schema.alert, schema.gateway
    with center.database.transaction() as connection:
        connection.execute(
            gateway.insert(),
            [{"id": f"gw-{n}", "home_id": "h-1", "state": "online", "last_seen_ns": now} for n in range(300)],
        )
        old = {"kind": "gateway-silent", "state": "resolved", "outcome": "restored", "device_id": "", "raised_ns": 1}
        rows = [{**old, "gateway_id": f"gw-{n % 300}", "join_key": f"gateway-silent:gw-{n % 300}"} for n in range(9000)]
        connection.execute(alert.insert(), rows)
    plain = _WATCHED.compile(center.database.engine, compile_kwargs={"literal_binds": True})
    with center.database.reading() as connection:
        plan = connection.execute(text(f"EXPLAIN QUERY PLAN {plain}"))
        steps = [row[-1] for row in plan]
    assert not [step for step in steps if step.startswith("SCAN") and "gateway" not in step], steps
    with center.database.transaction():  # somebody writes an alarm; the look itself asks for no lock
        began = time.monotonic()
        with center.database.reading() as connection:
            assert len(connection.execute(_WATCHED).all()) == 303
        assert time.monotonic() - began < 0.1
    assert supervise_once(center.database, now + NS, now) == []
    assert len(supervise_once(center.database, now + 80 * NS, now)) == 303


def test_what_has_changed_since_the_look_is_left_alone(center: Center, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway is heard between the look and the lock."""
    now = time.time_ns()
    later = now + 80 * NS
    due = supervising._due
    looks: list[str] = []

    def heard_meanwhile(row: Row[object], watching_since_ns: int, now_ns: int, declared: Windows) -> object:
        found = due(row, watching_since_ns, now_ns, declared)
        if row.id == "gw-east-1" and not looks:
            looks.append(row.id)
            _hear(center, "gw-east-1", later)
        return found

    monkeypatch.setattr(supervising, "_due", heard_meanwhile)
    supervise_once(center.database, later, now)
    assert sorted(gateway for gateway, _, _ in _silences(center)) == ["gw-east-2", "gw-stray"]


@dataclass
class _Desk:
    """The desk role of a center, with both clocks in hand; `away` is what its ingester says or does not."""

    center: Center
    now: int = field(default_factory=time.time_ns)
    mono: int = 0

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(self.center.database, self.center.waker, self.now, self.mono)

    def watch(self, seconds: int, away: str = "", gateways: bool = False) -> None:
        """Rounds of 5 s. `gateways`: they are heard in each."""
        for _ in range(0, seconds, 5):
            self.now += 5 * NS
            self.mono += 5 * NS
            if away != "ingest":
                with self.center.database.transaction() as connection:
                    beat(connection, "ingest", self.now, {"broker": away != "broker"})
            if gateways:
                for gateway in ("gw-east-1", "gw-east-2", "gw-stray"):
                    _hear(self.center, gateway, self.now)
            self.supervisor.round(self.now, self.mono)

    def alerts(self) -> list[tuple[str, str, str | None]]:
        with self.center.database.reading() as connection:
            rows = connection.execute(select(schema.alert).order_by(schema.alert.c.id)).all()
        return [(row.kind, row.state, row.outcome) for row in rows]


@pytest.mark.parametrize("away", ["ingest", "broker"])
def test_a_blind_center_is_one_alert_and_no_silent_gateways(center: Center, away: str) -> None:
    watch = _Desk(center)
    watch.watch(30, gateways=True)
    watch.watch(30, away)
    assert watch.alerts() == []
    watch.watch(600, away)
    assert watch.alerts() == [("center-blind", "raised", None)]
    watch.watch(5)
    assert watch.alerts() == [("center-blind", "raised", None)]  # it may only flap
    watch.watch(35)
    assert watch.alerts() == [("center-blind", "resolved", "restored")]
    watch.watch(60, gateways=True)
    assert len(watch.alerts()) == 1
    with center.database.reading() as connection:
        journal: list[Row[Any]] = list(connection.execute(select(schema.journal)).all())
    assert [(row.kind, row.actor, row.detail) for row in journal] == [
        ("raised", "system", {"away": [away]}),
        ("restored", "system", {"outcome": "restored"}),
    ]


def test_who_stays_away_after_the_center_came_back_is_silent(center: Center) -> None:
    watch = _Desk(center)
    watch.watch(60, "broker")
    watch.watch(120)
    assert [kind for kind, _, _ in watch.alerts()] == ["center-blind"] + ["gateway-silent"] * 3


def test_a_blindness_that_a_person_closed_is_not_raised_again_but_the_next_one_is(center: Center) -> None:
    watch = _Desk(center)
    watch.watch(60, "broker")
    Desk(center.database, center.waker).resolve(1, Outcome.TEST, "mei", watch.now)
    watch.watch(600, "broker")
    assert len(watch.alerts()) == 1
    watch.watch(20, gateways=True)
    watch.watch(60, "ingest")
    assert [state for _, state, _ in watch.alerts()] == ["resolved", "raised"]


def test_a_desk_that_starts_anew_finds_the_open_alert(center: Center) -> None:
    _Desk(center).watch(60, "broker")
    again = _Desk(center)
    again.watch(60, "broker")
    assert again.alerts() == [("center-blind", "raised", None)]
    _Desk(center).watch(5, gateways=True)
    assert again.alerts() == [("center-blind", "resolved", "restored")]


@pytest.mark.parametrize("step_s", [-86_400, 86_400])
def test_a_step_of_the_clock_makes_nobody_silent_and_hides_nobody(center: Center, step_s: int) -> None:
    watch = _Desk(center)
    watch.watch(60, gateways=True)
    watch.now += step_s * NS
    watch.watch(70)
    assert watch.alerts() == []
    watch.watch(20)
    assert [kind for kind, _, _ in watch.alerts()] == ["gateway-silent"] * 3
    for number in (1, 2, 3):
        Desk(center.database, center.waker).resolve(number, Outcome.TEST, "mei", watch.now)
    watch.watch(300)
    assert len(watch.alerts()) == 3
    watch.watch(5, gateways=True)
    watch.watch(90)
    assert len(watch.alerts()) == 6


def test_a_silence_raised_by_a_wrong_clock_does_not_hide_the_next(center: Center) -> None:
    watch = _Desk(center)
    watch.now += 86_400 * NS
    watch.watch(100)
    for number in (1, 2, 3):
        Desk(center.database, center.waker).resolve(number, Outcome.TEST, "mei", watch.now)
    watch.now -= 86_400 * NS
    watch.watch(5, gateways=True)
    watch.watch(90)
    assert len(watch.alerts()) == 6


@pytest.mark.parametrize(("language", "words"), [("zh", "中心收不到家中的呼叫"), ("en", "No alarm of any home")])
def test_the_console_says_that_the_center_is_blind(served: Center, language: str, words: str) -> None:
    _Desk(served).watch(60, "broker")
    mei = served.client("mei")
    headers = {"cookie": f"hearthline_session={mei.token}; hearthline_language={language}"}
    place = {"zh": "社区中心", "en": "The center itself"}[language]
    for path in ("/fragments/alerts", "/fragments/alerts/1"):
        html = mei.request("GET", path, headers=headers).data.decode()
        assert words in html
        assert place in html
        assert "Unknown" not in html
        assert "未登记" not in html
    assert {"zh": "消息服务器", "en": "message broker"}[language] in html
    assert mei.request("GET", "/fragments/summary").json()["center-blind"] == 1
    assert mei.get("alerts", kind="center-blind").json()["alerts"][0]["gateway"] == ""
    assert mei.post("alerts/1/acknowledge").status == 200


@pytest.mark.parametrize(
    ("language", "words", "title"),
    [
        ("zh", "证书吊销列表即将过期", "网关证书与接入有故障"),
        ("en", "The revocation list ends soon", "Gateways&#39; certificates and their way in need seeing to"),
    ],
)
def test_the_console_says_what_threatens_the_gateways_way_in(
    served: Center, language: str, words: str, title: str
) -> None:
    fault = Fault(FaultKind.LIST_OLD, {"ends": "2026-11-24 08:00 UTC"})
    with served.database.transaction() as connection:
        tell(connection, {"list-old": str(fault)}, set(), time.time_ns())
        beat(connection, "keeper", time.time_ns(), {"faults": [fault.as_row()]})
    mei = served.client("mei")
    headers = {"cookie": f"hearthline_session={mei.token}; hearthline_language={language}"}
    for path in ("/fragments/alerts", "/fragments/alerts/1"):
        html = mei.request("GET", path, headers=headers).data.decode()
        assert words in html
        assert {"zh": "社区中心", "en": "The center itself"}[language] in html
    homes = mei.request("GET", "/homes", headers=headers).data.decode()
    assert title in homes
    assert {"zh": "通知有故障", "en": "Telling people does not work"}[language] not in homes
    assert mei.post("alerts/1/resolve", {"outcome": "service-done"}).status == 200
