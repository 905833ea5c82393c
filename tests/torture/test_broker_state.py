"""Brokers that forget: sessions, queues and retained messages are gone, and nothing that was committed is.

What a broker has acknowledged to the gateway and then lost is sent again, for only `down/ack` ends custody. What the
home's broker lost before the agent had it was never taken: it was not told "received", and is pressed again.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from random import Random

import pytest

from cloud_processes import Role, edge, running, until
from hearthline_sim.demo.broker import BrokerPlan, free_port
from hearthline_sim.demo.stack import Plan, Stack
from integration.edge.gateway import steady, wait_for
from servers import Server
from torture.disks import Household
from trials import LONG, SEED, publish, trials

WIPES = trials(3, 60)

pytestmark = pytest.mark.torture


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def wipe(broker: Server, *, restart: bool = True) -> None:
    """`kill -9`, and nothing of what it kept is left."""
    broker.kill()
    for path in broker.directory.glob("mosquitto.db*"):
        path.unlink()
    if restart:
        broker.start()


def stored(folder: Path) -> list[str]:
    """The devices of the alarms in the center's database."""
    with closing(sqlite3.connect(f"file:{folder / 'hearthline.db'}?mode=ro", uri=True, timeout=10)) as connection:
        return [device for (device,) in connection.execute("SELECT device_id FROM event WHERE type LIKE '%alarm%'")]


@pytest.mark.timeout(WIPES * 20 + 120)
def test_what_the_centers_broker_lost_is_sent_again(tmp_path: Path, opened: ExitStack) -> None:
    rng = Random(SEED)
    home = Household(tmp_path, opened, persistence=True)
    home.center.acknowledge = False  # it only listens: a real ingester acknowledges
    folder = tmp_path / "cloud"
    folder.mkdir()
    role = opened.enter_context(running(Role(folder, home.center_broker.port)))
    home.start()
    until(lambda: "cloud running" in role.log, 30)
    home.press()
    until(lambda: stored(folder), 30)
    hopeless: list[str] = []
    for _ in range(WIPES):
        role.kill()
        # the control: somebody who believes the broker's PUBACK
        with edge(home.center_broker.port, resends=False) as credulous:
            event = credulous.gateway.press(device=f"credulous:{len(hopeless)}")
            payload = credulous.gateway.message(event).payload
            credulous.client.publish("hearthline/v1/gw-1/up/event", payload, 1).wait_for_publish(10)
            hopeless.append(event.subject)
        heard = len(home.heard())
        for _ in range(rng.randint(3, 12)):
            home.press()
        wait_for(partial(lambda before: len(home.heard()) > before, heard), "the presses at the broker")
        wipe(home.center_broker)
        role.start()
        until(lambda: set(stored(folder)) >= set(home.pressed), 60)
    until(lambda: home.depth() == 0, 60)
    found = Counter(stored(folder))
    assert sorted(home.pressed) == sorted(found.elements())
    assert not found.keys() & set(hopeless), "the broker had lost nothing"
    assert home.received() <= set(home.pressed)
    wait_for(lambda: home.received() == set(home.pressed), '"received" for every press')
    lost = (Counter(home.pressed) - found).total()
    publish("center's broker wiped", wipes=WIPES, presses=len(home.pressed), lost=lost, believed_and_lost=len(hopeless))


@pytest.mark.timeout(WIPES * 20 + 120)
def test_a_press_after_the_homes_broker_forgot_is_a_new_one(tmp_path: Path, opened: ExitStack) -> None:
    """The broker counts its messages from 1 again: the same button with the same words under the same number."""
    home = Household(tmp_path, opened, persistence=True)
    home.start()
    lost = 0
    for round_ in range(WIPES):
        button = f"zigbee2mqtt/sos {round_ // 4}"  # six presses of one in a minute would be chatter
        home.bridge.publish(button, '{"action":"emergency"}')
        taken = partial(lambda wanted: len(home.center.alarms) == wanted, round_ + 1)
        wait_for(taken, f"press {round_ + 1}, with the same words", 20)
        wait_for(lambda: home.depth() == 0, "the outbox to let go")
        if round_ % 2:  # one more that nobody takes before the broker forgets it
            home.gateway.kill()
            home.bridge.publish(button, '{"action":"emergency"}')
            lost += 1
            wipe(home.home_broker)
            home.start()
        else:
            sessions = home.gateway.told("local broker connected")
            wipe(home.home_broker)
            again = partial(lambda wanted: home.gateway.told("local broker connected") == wanted, sessions + 3)
            wait_for(again, "the local sessions", 30)
        wait_for(lambda: home.bridge.connected and home.ear.connected, "the test's own clients")
    steady(lambda: len(home.center.alarms) == WIPES, 0.5, "a press was doubled")
    publish("home's broker wiped", wipes=WIPES, presses=WIPES, never_taken=lost, events=len(home.center.alarms))


def forgetful(folder: Path, name: str) -> BrokerPlan:
    """A mosquitto without persistence: a `kill -9` wipes it."""
    port = free_port()
    config = folder / f"{name}.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n", encoding="utf-8")
    return BrokerPlan(name, ["/usr/sbin/mosquitto", "-c", str(config)], port, port)


@pytest.mark.timeout(360)
def test_a_broker_without_its_retained_status_neither_raises_nor_hides_silence(tmp_path: Path) -> None:
    brokers = (forgetful(tmp_path, "home"), forgetful(tmp_path, "center"))
    stack = Stack(tmp_path, Plan(brokers=brokers))
    try:
        stack.start()
        stack.wait_for_gateway()
        for dead in (("center-broker",), ("center-broker", "agent")):
            for name in dead:
                stack.processes.kill(name)
            stack.processes.restart("center-broker")
            if "agent" in dead:
                stack.processes.restart("agent")
            stack.wait_for_gateway()
            steady(lambda: not alerts(stack), trials(3, 120), "an alert that only the broker's loss says")
        if LONG:  # no last will, no retained word: silence alone has to tell, within 75 s and the desk's graces
            for name in ("center-broker", "agent"):
                stack.processes.kill(name)
            stack.processes.restart("center-broker")
            until(lambda: alerts(stack) == ["gateway-silent"], 150, 0.5)
    finally:
        stack.stop()


def alerts(stack: Stack) -> list[str]:
    return [alert["kind"] for alert in stack.operator.get("/api/v1/alerts", state="open")["alerts"]]
