"""Days without a link, then the link: alarms first, a press made now not late, everything once at its right time."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from cloud_processes import until
from hearthline.clock import NS, SystemClock, parse_rfc3339
from hearthline_edge.outbox import Outbox
from hearthline_sim.port import PtyPort
from integration.edge.gateway import Gateway, press_telegram
from servers import mosquitto
from torture.backlog import Told, build_backlog
from torture.backlog_center import ALARM, Center, running_center
from torture.backlog_link import Link
from trials import SEED, publish, trials

pytestmark = pytest.mark.torture

HOURS = trials(6, 72)
LIVE_PRESSES = trials(5, 40)
FIRST_ALARM_S = 5.0
LIVE_PRESS_S = 2.0
DRAIN_S = HOURS * 20.0  # generous: 480 packs an hour
_WIRE_NS = 2000  # what a SenML time in seconds keeps
_RETIMED_NS = NS // 20  # a smaller step of the clock is not worth a write
_ESTIMATE_NS = 2 * NS  # the way of the record that the estimate of its boot was made from
_MB = 1024 * 1024
_FIRST_SENDER = 0x01020300  # a pendant each: six presses of one in a minute would be chatter


@dataclass
class Rig:
    """A gateway whose link is down, before a center that waits."""

    center: Center
    link: Link
    gateway: Gateway
    port: PtyPort

    def build(self, hours: float, telemetry_max_mb: int = 64) -> Told:
        self.gateway.top = f"telemetry_max_mb = {telemetry_max_mb}"
        self.gateway.write_config()
        outbox = Outbox(self.gateway.data, telemetry_max_mb * _MB)
        try:
            return build_backlog(outbox, hours, SystemClock("free").now(), SEED)
        finally:
            outbox.close()

    def told_by_the_command(self) -> dict[str, Any]:
        """`hearthline edge outbox --json`."""
        command = [sys.executable, "-m", "hearthline", "edge", "outbox", "--config", str(self.gateway.config), "--json"]
        answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=30).stdout)
        return answer

    def start_without_a_link(self) -> None:
        self.gateway.start()
        until(lambda: self.gateway.told("port open") and self.gateway.told("uplink lost"))

    def press(self, pendant: int) -> float:
        """One press of one of many pendants; when its last byte was on the line (monotonic)."""
        self.port.send(press_telegram(sender=f"{_FIRST_SENDER + pendant:08X}"))
        return time.monotonic()

    def depth(self) -> int:
        lanes = self.gateway.outbox()
        return int(lanes["event"]["depth"] + lanes["telemetry"]["depth"])


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with ExitStack() as stack:
        (tmp_path / "broker").mkdir()
        broker = stack.enter_context(mosquitto(tmp_path / "broker"))
        link = stack.enter_context(Link(broker.port))
        port = PtyPort(tmp_path / "ttyENOCEAN", 10, 57600)
        stack.callback(port.close)
        center = stack.enter_context(running_center(tmp_path / "center", broker))
        folder = tmp_path / "gateway"
        folder.mkdir()
        gateway = Gateway(folder, "gw-1", link.port, serial={"radio": (port.path, "enocean-esp3")}, log_level="info")
        gateway.tables = '[clock]\ntrust = "synced"'  # from its start on: what this boot made before was free
        stack.callback(gateway.end)
        yield Rig(center, link, gateway, port)


@pytest.mark.timeout(DRAIN_S + 300)
def test_days_offline_then_drained(rig: Rig) -> None:
    """72 h, a press now and then; the first alarm within 5 s of the link, a press while it drains within 2 s."""
    told = rig.build(HOURS)
    disk_mb = (rig.gateway.data / "outbox.db").stat().st_size / 1e6
    check_what_the_command_tells(rig, told)
    records = rig.depth()
    rig.start_without_a_link()
    rig.link.up()
    linked = time.monotonic()
    first_s = rig.center.wait_seen(1, FIRST_ALARM_S) - linked
    pressed = press_while_it_drains(rig)
    until(lambda: rig.depth() == 0, DRAIN_S, 0.1)
    drained_s = time.monotonic() - linked
    check_events(rig.center, told, LIVE_PRESSES)
    check_readings(rig.center, told)
    check_that_the_checks_can_fail(rig.center, told)
    late = live_delays(rig.center, pressed)
    publish(
        "offline, then drained",
        hours=HOURS,
        records=records,
        readings=told.reading_count,
        events=told.event_count,
        disk_mb=round(disk_mb, 1),
        first_alarm_ms=round(first_s * 1000),
        drained_s=round(drained_s, 1),
        records_per_s=round(records / drained_s),
        live_presses=len(late),
        live_press_max_ms=round(max(late) * 1000),
    )
    assert max(late) < LIVE_PRESS_S


def check_what_the_command_tells(rig: Rig, told: Told) -> None:
    """How much waits, since when, and for how many more hours there is room."""
    view = rig.told_by_the_command()
    event, telemetry = view["event"], view["telemetry"]
    assert (event["depth"], telemetry["depth"]) == (told.event_count, packs_of(told))
    assert (event["dropped"], telemetry["dropped"]) == (0, 0)
    with closing(sqlite3.connect(view["path"])) as connection:
        (used,) = connection.execute("SELECT sum(length(readings)) FROM telemetry").fetchone()
    room_h = (64 * _MB - used) / (used / told.hours)
    assert telemetry["room_h"] == pytest.approx(room_h, rel=0.1)


def test_a_full_telemetry_lane_drops_its_oldest_readings_counted_and_no_alarm(rig: Rig) -> None:
    """A quarter too much: stored + dropped == made, what is missing is the oldest, every event is there."""
    told = rig.build(hours=14, telemetry_max_mb=1)
    view = rig.told_by_the_command()
    dropped = view["telemetry"]["dropped"]
    assert dropped > told.reading_count / 8
    assert view["telemetry"]["room_h"] < 0.1
    rig.start_without_a_link()
    rig.link.up()
    until(lambda: rig.depth() == 0, 60, 0.1)
    check_events(rig.center, told, 0)
    stored = {key: rig.center.samples(*key) for key in told.readings}
    kept = sum(map(len, stored.values()))
    publish("telemetry bound reached", made=told.reading_count, stored=kept, dropped=dropped, events=told.event_count)
    assert kept + dropped == told.reading_count
    for key, samples in stored.items():
        newest = sorted(told.readings[key])[-len(samples) :]
        assert [each["value"] for each in samples] == pytest.approx([value for _, value in newest], abs=1e-6)
    assert until(lambda: rig.center.gateway()["telemetry_lane"])["dropped"] == dropped


def packs_of(told: Told) -> int:
    """What arrives together is one pack: a meter's reply, a plug's status."""
    return len({(device, at_ns) for (device, _), sent in told.readings.items() for at_ns, _ in sent})


def press_while_it_drains(rig: Rig) -> list[float]:
    """Presses spread over the time that the backlog takes; each is told before the next."""
    pressed: list[float] = []
    packs = rig.gateway.outbox()["telemetry"]["depth"]
    for number in range(LIVE_PRESSES):
        until(lambda: rig.gateway.outbox()["telemetry"]["depth"] <= packs * (1 - number / LIVE_PRESSES), DRAIN_S, 0.05)  # noqa: B023
        assert rig.gateway.outbox()["telemetry"]["depth"] > 0, "it drained before the press"
        pressed.append(rig.press(number))
    return pressed


def live_delays(center: Center, pressed: list[float]) -> list[float]:
    """From the last byte of each live press to the operator's stream, in seconds."""
    event_of = {event["device"]: event["event_id"] for event in center.alarms()}
    ids = [event_of[f"enocean:{_FIRST_SENDER + number:08X}"] for number in range(len(pressed))]
    return [center.seen_at[event] - at for event, at in zip(ids, pressed, strict=True)]


def check_events(center: Center, told: Told, live_presses: int) -> None:
    """Each press, vital sign and note exactly once, at its time."""
    alarms = {(e["device"], e["ordinal"]): e for e in center.alarms()}
    assert len(alarms) == len(center.alarms()) == len(told.presses) + live_presses
    for device, ordinal, at_ns in told.presses:
        check_time(told, alarms[device, ordinal], at_ns)
    vitals = list(center.operator.events("hearthline.vital.v1"))
    assert len(vitals) == len(told.vitals)
    by_values = {tuple(entry["value"] for entry in event["data"]["values"]): event for event in vitals}
    for systolic, diastolic, pulse, at_ns in told.vitals:
        check_time(told, by_values[systolic, diastolic, pulse], at_ns)
    notes = Counter(event["device"] for event in center.operator.events("hearthline.device.v1"))
    assert notes == Counter(device for device, _ in told.notes)
    assert {event["alert_id"] is None for event in center.operator.events(ALARM)} == {False}


def check_time(told: Told, event: dict[str, Any], true_ns: int) -> None:
    """Synced and re-timed records have the true time; an estimate is off by what nobody can know, and says so."""
    estimated = told.shift_ns(told.boot_at(true_ns)) > 0
    assert event["time_quality"] == ("estimated" if estimated else "synced")
    assert is_right(told, parse_rfc3339(event["occurred"]), true_ns)


def is_right(told: Told, at_ns: int, true_ns: int) -> bool:
    boot = told.boot_at(true_ns)
    shift_ns = told.shift_ns(boot)
    allowed_ns = _ESTIMATE_NS if shift_ns else _RETIMED_NS if boot is told.boots[-1] else _WIRE_NS
    return abs(at_ns - true_ns - shift_ns) < allowed_ns


def check_readings(center: Center, told: Told) -> None:
    """Each value of each series exactly once, at its time."""
    for (device, quantity), sent in told.readings.items():
        stored = [(parse_rfc3339(each["at"]), each["value"]) for each in center.samples(device, quantity)]
        assert len(stored) == len(sent), f"{device} {quantity}: {len(sent)} made, {len(stored)} stored"
        for (at_ns, value), (true_ns, sent_value) in zip(stored, sorted(sent), strict=True):
            assert value == pytest.approx(sent_value, abs=1e-6)
            assert is_right(told, at_ns, true_ns)


def check_that_the_checks_can_fail(center: Center, told: Told) -> None:
    """The same center against ledgers with a press or reading more, less, or at another time."""
    press = told.presses[-1]
    (key, sent), *_ = told.readings.items()
    (at_ns, value), *_ = sent
    for presses in ([*told.presses, ("enocean:0", 1, press[2])], told.presses[1:], [*told.presses[:-1], later(press)]):
        with pytest.raises((AssertionError, KeyError)):
            check_events(center, replace(told, presses=presses), LIVE_PRESSES)
    for readings in ([*sent, (at_ns, value)], sent[1:], [(at_ns + 3 * NS, value), *sent[1:]]):
        with pytest.raises(AssertionError):
            check_readings(center, replace(told, readings={key: readings}))


def later(press: tuple[str, int, int]) -> tuple[str, int, int]:
    device, ordinal, at_ns = press
    return device, ordinal, at_ns + 3 * NS
