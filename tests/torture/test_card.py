"""The edge's SD card replaced by an older copy, or damaged: no press is lost, doubled, or told "received" for nothing.

An older copy numbers its next records again. What the replaced card alone knew is gone with it: a press that had not
left yet was not told "received", and is pressed again. The device's ordinals repeat; an event is known by its id.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hearthline import wire
from hearthline.clock import NS, rfc3339
from hearthline.model import Lane
from hearthline_sim.demo.reconcile import reconcile
from hearthline_sim.demo.stack import Plan, Stack
from hearthline_sim.demo.trial import Trial, run_trial
from hearthline_sim.ledger import Ledger, Press
from integration.edge.gateway import Center, Client, Gateway, HomeEar, steady, wait_for
from servers import mosquitto
from trials import SEED, publish, trials

SIREN = '[[siren]]\nkind = "zigbee"\ntarget = "zigbee2mqtt/siren"'
SWAPS = trials(2, 60)
SECONDS = SWAPS * 3.5
START = 1_800_000_000 * NS
PARTS = ("outbox.db", "outbox.db-wal", "outbox.db-shm")

pytestmark = pytest.mark.torture


class Rig:
    """One gateway between two brokers, the home's ear, and a center that acknowledges when told to."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        for name in ("home", "center"):
            (folder / name).mkdir()
        home = stack.enter_context(mosquitto(folder / "home"))
        broker = stack.enter_context(mosquitto(folder / "center"))
        self.gateway = Gateway(
            folder,
            "gw-card",
            broker.port,
            home.port,
            top="status_period_s = 1.0\nlocal_alarm_after_s = 2.0",
            tables=SIREN,
        )
        stack.callback(self.gateway.end)
        self.center = Center(broker.port, "gw-card")
        self.bridge = Client(home.port, ())
        self.ear = HomeEar(home.port, "gw-card")
        for client in (self.center, self.bridge, self.ear):
            stack.callback(client.close)

    def start(self) -> None:
        self.gateway.start()
        wait_for(lambda: self.gateway.told("local broker connected") == 3, "the local sessions")

    def press(self, name: str) -> None:
        self.bridge.publish(f"zigbee2mqtt/{name}", '{"action":"emergency"}')

    def press_and_let_go(self, *names: str) -> None:
        """Pressed, acknowledged, and out of the outbox."""
        for name in names:
            self.press(name)
            wait_for(lambda name=name: f"z2m:{name}" in self.heard(), f"the press of {name}")  # type: ignore[misc]
        wait_for(lambda: self.depth() == 0, "the outbox to let go")

    def heard(self) -> list[str]:
        return [alarm.subject for alarm in self.center.alarms]

    def depth(self) -> int:
        return int(self.gateway.outbox()["event"]["depth"])

    def received(self) -> set[str]:
        return {signal_["device"] for signal_ in self.ear.signals("received")}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with ExitStack() as stack:
        yield Rig(tmp_path, stack)


def copy_card(data: Path, to: Path) -> None:
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir()
    for part in PARTS:
        if (data / part).exists():
            shutil.copy(data / part, to / part)


def put_card(copy: Path, data: Path) -> None:
    for part in PARTS:
        (data / part).unlink(missing_ok=True)
        if (copy / part).exists():
            shutil.copy(copy / part, data / part)


def test_an_acknowledgement_of_the_other_card_takes_no_alarm_away(rig: Rig, tmp_path: Path) -> None:
    rig.start()
    rig.press_and_let_go("first")
    rig.gateway.kill()
    copy_card(rig.gateway.data, tmp_path / "copy")
    rig.start()
    rig.press_and_let_go("second", "third")
    told = list(rig.center.events)
    rig.gateway.kill()
    put_card(tmp_path / "copy", rig.gateway.data)
    rig.center.acknowledge = False
    rig.start()
    rig.press("fourth")
    wait_for(lambda: "z2m:fourth" in rig.heard(), "the press on the older card")
    fourth = next(event for event in rig.center.events if event.subject == "z2m:fourth")
    assert fourth.envelope.seq in {event.envelope.seq for event in told}, "the older card numbers again"
    for _ in range(3):
        rig.center.ack(told)  # a broker that tells again what it told the other card
    wait_for(lambda: rig.ear.sounding, "the siren: nobody has received it")
    steady(lambda: rig.depth() == 1, 0.5, "an old acknowledgement has taken a new alarm away")
    assert "z2m:fourth" not in rig.received()
    # the control: the same numbers under this opening's id do take it away
    mine = wire.make_ack(fourth.envelope.outbox, Lane.EVENT, [(event.envelope.seq,) * 2 for event in told], [])
    rig.center.down(wire.DOWN_ACK, mine)
    wait_for(lambda: rig.depth() == 0 and not rig.ear.sounding, "the right acknowledgement")
    assert "z2m:fourth" in rig.received()


@pytest.mark.parametrize("damage", ["header", "middle", "cut", "gone", "letter", "words", "meta", "schema"])
def test_a_damaged_outbox_keeps_no_home_dead(rig: Rig, damage: str) -> None:
    rig.center.acknowledge = False
    rig.start()
    names = [f"sos{number}" for number in range(12)]
    for name in names:
        rig.press(name)
    wait_for(lambda: rig.depth() == len(names), "the presses in the outbox")
    assert rig.gateway.stop() == 0  # now everything is in the file itself
    spoil(rig.gateway.data / "outbox.db", damage)
    rig.center.acknowledge = True
    rig.start()
    rig.press("after")
    wait_for(lambda: "z2m:after" in rig.heard(), "the press after the damage")
    wait_for(lambda: rig.depth() == 0, "the outbox to let go")
    wait_for(lambda: "z2m:after" in rig.received(), '"received" at home')
    aside = [path.name for path in rig.gateway.data.glob("outbox.db.damaged-*")]
    taken_over = rig.received() - {"z2m:after"}
    publish("damaged outbox", damage=damage, set_aside=len(aside), alarms=len(names), taken_over=len(taken_over))
    if damage != "gone":
        assert aside
        wait_for(lambda: rig.center.fault("was damaged and set aside"), "the fault in the status")
    everyone = {f"z2m:{name}" for name in names}
    assert taken_over == (set() if damage in ("gone", "letter") else everyone), "what can be read, and no more"


def spoil(path: Path, damage: str) -> None:
    rng = random.Random(SEED)
    size = path.stat().st_size
    match damage:
        case "gone":
            path.unlink()
        case "letter":
            path.write_bytes(b"a letter to somebody " * 400)
        case "cut":
            os.truncate(path, size // 3)
        case "words":  # SQLite has no checksum over what it keeps
            data = path.read_bytes()
            assert b'"emergency"' in data
            path.write_bytes(data.replace(b'"emergency"', b'"emer\x8aency"', 1).replace(b'"button"', b'"but\x84on"', 1))
        case "meta":
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("DELETE FROM meta")
                connection.commit()
        case "schema":
            data = path.read_bytes()
            assert b"CREATE TABLE event (" in data
            path.write_bytes(data.replace(b"type TEXT NOT NULL, device", b"tyqe TEXT NOT NULL, device", 1))
        case _:
            with path.open("r+b") as file:
                file.seek(0 if damage == "header" else _root_of(path, "event_order") * 4096)
                file.write(rng.randbytes(4096))


def _root_of(path: Path, name: str) -> int:
    """The page, counted from 0, where a table or index begins."""
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as connection:
        return int(connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchone()[0]) - 1


class Swaps:
    """Copies the card of the running agent, goes on, and puts an older copy back; `done` counts."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._rng = random.Random(seed)
        self.done = 0

    def __call__(self, stack: Stack, over: threading.Event) -> None:
        data = stack.folder / "gateway"
        copies: list[Path] = []
        while self.done < SWAPS and not over.wait(self._rng.uniform(0.3, 1.2)):
            agent = stack.processes._children["agent"]
            copy = self._folder / f"copy-{self.done}"
            agent.send_signal(signal.SIGSTOP)
            copy_card(data, copy)
            agent.send_signal(signal.SIGCONT)
            copies.append(copy)
            if over.wait(self._rng.uniform(0.5, 1.5)):
                return
            stack.processes.kill("agent")
            put_card(self._rng.choice(copies[-3:]), data)
            stack.processes.restart("agent")
            self.done += 1


@pytest.mark.timeout(SECONDS + 180)
def test_no_older_card_loses_or_doubles_a_press(tmp_path: Path) -> None:
    stack = Stack(tmp_path, Plan(pendants=24, sos=8, patience_s=6.0, meter_interval_s=60.0, plug_interval_s=60.0))
    swaps = Swaps(tmp_path, SEED)
    try:
        stack.start()
        report = run_trial(stack, Trial(SECONDS, int(SECONDS * 3), SEED, swaps), lambda _: None)
        events = stack.operator.alarm_events()
        alerts = stack.operator.get("/api/v1/alerts", limit=1000)["alerts"]
    finally:
        stack.stop()
    ledger = Ledger.load(stack.ledger_path)
    faults = by_event_id(ledger.presses, events)
    publish(
        "older copies of the card",
        swaps=swaps.done,
        presses=report["presses_sent"],
        events=len(events),
        not_taken=len(report["not_taken"]),
        lost_or_doubled=len(faults),
    )
    assert faults == []
    assert swaps.done == SWAPS
    assert sum(alert["presses"] for alert in alerts if alert["kind"] in ("emergency", "service")) == len(events)


def by_event_id(presses: Sequence[Press], events: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong, leaving out what follows from ordinals that repeat."""
    verdict = reconcile(presses, events)
    lost = [each for each in verdict.lost if " press " in each]
    doubled = [each for each in verdict.duplicated if "ordinals repeat" not in each]
    faults = [each for each in verdict.faults if "order of the presses" not in each]
    ids = {event["event_id"] for event in events}
    hollow = [f"{press.device}: received {press.received_event}" for press in presses if press.received_event]
    return lost + doubled + faults + [each for each in hollow if each.rsplit(" ", 1)[1] not in ids]


@pytest.mark.parametrize("fault", ["none", "lost", "doubled", "hollow"])
def test_the_comparison_finds_what_is_lost_or_doubled(fault: str) -> None:
    """The control, with ordinals that repeat."""
    at = [START + number * 10 * NS for number in range(3)]
    presses = [
        Press("d", number + 1, "AO", "emergency", ns, received_event=f"e{number}") for number, ns in enumerate(at)
    ]
    events = [
        {"device": "d", "ordinal": 1, "event_id": f"e{number}", "alert_id": 1, "occurred": rfc3339(ns + NS)}
        for number, ns in enumerate(at)
    ]
    match fault:
        case "lost":
            del events[1]
        case "doubled":
            events.append({**events[0], "event_id": "e9"})
        case "hollow":
            presses[1] = replace(presses[1], received_event="never")
    assert bool(by_event_id(presses, events)) == (fault != "none")
