"""Brokers that are away, refuse, speak only 3.1.1, or are killed and come back: nothing is lost, alarms go first."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hearthline_sim.port import PtyPort
from integration.edge.conftest import MakeGateway
from integration.edge.gateway import Center, Client, HomeEar, press_telegram, release_telegram, steady, wait_for
from secret_files import write_secret
from servers import HOST, Server, free_ports, mosquitto

pytestmark = pytest.mark.integration


@pytest.fixture
def center_of_mine(tmp_path: Path) -> Iterator[Server]:
    """A center broker that this test may kill."""
    (tmp_path / "broker").mkdir()
    with mosquitto(tmp_path / "broker", persistence=True) as server:
        yield server


@pytest.fixture
def home_of_mine(tmp_path: Path) -> Iterator[Server]:
    """A local broker that this test may kill."""
    (tmp_path / "home").mkdir()
    with mosquitto(tmp_path / "home", persistence=True, extra="queue_qos0_messages true") as server:
        yield server


def test_a_killed_center_loses_nothing(
    make_gateway: MakeGateway, port: PtyPort, center_of_mine: Server, make_center: Callable[..., Center]
) -> None:
    gateway = make_gateway(serial={"radio": (port.path, "enocean-esp3")}, center_port=center_of_mine.port)
    gateway.start()
    center = make_center(gateway, port=center_of_mine.port)
    wait_for(lambda: gateway.told("port open"), "the agent at the port")
    port.send(press_telegram(0) + release_telegram())
    center.wait_alarms(1)
    wait_for(lambda: gateway.outbox()["event"]["depth"] == 0, "the outbox to let go")
    center_of_mine.kill()
    for button in (1, 2, 3):
        port.send(press_telegram(button) + release_telegram())
    wait_for(lambda: gateway.outbox()["event"]["depth"] == 3, "three presses in custody")
    center_of_mine.start()
    alarms = center.wait_alarms(4)
    assert sorted(alarm.data["ordinal"] for alarm in alarms) == [1, 2, 3, 4]
    wait_for(lambda: gateway.outbox()["event"]["depth"] == 0, "the outbox to let go")


def test_after_an_outage_the_alarm_goes_before_hundreds_of_packs(
    make_gateway: MakeGateway, port: PtyPort, local_broker: Server, make_center: Callable[..., Center], stack: ExitStack
) -> None:
    (nobody,) = free_ports(1)
    gateway = make_gateway(serial={"radio": (port.path, "enocean-esp3")}, center_port=nobody)
    gateway.start()
    plug = Client(local_broker.port, ())
    stack.callback(plug.close)
    wait_for(lambda: gateway.told("local broker connected") >= 3, "the local sessions")
    status = '{"id":0,"apower":1.5,"voltage":230.1,"current":0.2}'

    def has_grown() -> bool:  # a busy machine gathers more readings into each pack
        for number in range(400):
            plug.publish(f"plug-{number % 100}/status/switch:0", status, qos=0)
        return bool(gateway.outbox()["telemetry"]["depth"] >= 150)

    wait_for(has_grown, "a backlog", 60)
    port.send(press_telegram())
    wait_for(lambda: gateway.outbox()["event"]["depth"] == 1, "the press in custody")
    gateway.stop()
    broker_folder = gateway.folder / "late"
    broker_folder.mkdir()
    late = stack.enter_context(mosquitto(broker_folder))
    center = make_center(gateway, port=late.port)
    gateway.center_port = late.port
    gateway.start()
    wait_for(lambda: center.order, "anything")
    assert center.order[0] == "event"
    wait_for(lambda: gateway.outbox()["telemetry"]["depth"] == 0, "the backlog to go", 20)


def test_a_refused_login_is_told_and_tried_again(
    make_gateway: MakeGateway, port: PtyPort, tmp_path: Path, make_center: Callable[..., Center]
) -> None:
    (tmp_path / "strict").mkdir()
    write_secret(tmp_path / "password", "wrong\n")
    with mosquitto(tmp_path / "strict", username="gw", password="right") as strict:
        gateway = make_gateway(
            serial={"radio": (port.path, "enocean-esp3")},
            center_port=strict.port,
            uplink=f'username = "gw"\npassword_file = "{tmp_path / "password"}"',
        )
        gateway.start()
        center = make_center(gateway, port=strict.port, login=("gw", "right"))
        wait_for(lambda: gateway.told("port open"), "the agent at the port")
        port.send(press_telegram())
        wait_for(lambda: "ot authori" in gateway.log_text(), "the refusal in the log")
        wait_for(lambda: gateway.outbox()["event"]["depth"] == 1, "the press in custody")
        assert not center.events
        gateway.stop()
        write_secret(tmp_path / "password", "right\n")
        gateway.start()
        center.wait_alarms(1)


def test_a_broker_that_accepts_later_is_found_without_a_restart(
    make_gateway: MakeGateway, port: PtyPort, tmp_path: Path, make_center: Callable[..., Center]
) -> None:
    (tmp_path / "strict").mkdir()
    write_secret(tmp_path / "password", "secret\n")
    with mosquitto(tmp_path / "strict", username="gw", password="another") as strict:
        gateway = make_gateway(
            serial={"radio": (port.path, "enocean-esp3")},
            center_port=strict.port,
            uplink=f'username = "gw"\npassword_file = "{tmp_path / "password"}"',
        )
        gateway.start()
        wait_for(lambda: gateway.told("port open"), "the agent at the port")
        port.send(press_telegram())
        wait_for(lambda: "ot authori" in gateway.log_text(), "the refusal in the log")
        strict.kill()
        config = tmp_path / "strict" / "mosquitto.conf"
        text = config.read_text(encoding="utf-8").replace("allow_anonymous false", "allow_anonymous true")
        config.write_text("\n".join(x for x in text.splitlines() if "password_file" not in x), encoding="utf-8")
        strict.start()
        make_center(gateway, port=strict.port).wait_alarms(1)


class OldBroker:
    """Stands before a broker and knows MQTT 3.1.1 only: to a CONNECT of version 5 it answers as such a broker does."""

    def __init__(self, target: int, *, hang_up: bool) -> None:
        self._target = target
        self._hang_up = hang_up
        self.versions: list[int] = []
        self._server = socket.create_server((HOST, 0))
        self.port = int(self._server.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            head = client.recv(4096)
            version = head[head.index(b"MQTT") + 4]
            self.versions.append(version)
            if version == 5:
                if not self._hang_up:
                    client.sendall(bytes.fromhex("20020001"))
                client.close()
                continue
            target = socket.create_connection((HOST, self._target))
            target.sendall(head)
            for one, other in ((client, target), (target, client)):
                threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(one: socket.socket, other: socket.socket) -> None:
    try:
        while data := one.recv(4096):
            other.sendall(data)
    except OSError:
        pass
    finally:
        one.close()
        other.close()


@pytest.mark.parametrize("hang_up", [False, True])
def test_falls_back_to_mqtt_3_1_1(
    make_gateway: MakeGateway,
    port: PtyPort,
    center_broker: Server,
    stack: ExitStack,
    make_center: Callable[..., Center],
    hang_up: bool,
) -> None:
    old = OldBroker(center_broker.port, hang_up=hang_up)
    stack.callback(old.close)
    gateway = make_gateway(serial={"radio": (port.path, "enocean-esp3")}, center_port=old.port)
    gateway.start()
    stack.callback(gateway.end)
    center = make_center(gateway)
    wait_for(lambda: gateway.told("port open"), "the agent at the port")
    port.send(press_telegram())
    center.wait_alarms(1, 18)
    assert old.versions[:2] == [5, 4]
    assert set(old.versions[2:]) <= {4}  # the second session, which asks no more


def test_a_killed_local_broker_comes_back_and_no_press_is_doubled(
    make_gateway: MakeGateway, home_of_mine: Server, make_center: Callable[..., Center], stack: ExitStack
) -> None:
    gateway = make_gateway(local_port=home_of_mine.port, top="status_period_s = 1.0")
    gateway.start()
    center = make_center(gateway)
    wait_for(lambda: gateway.told("local broker connected") >= 3, "the local sessions")
    bridge = Client(home_of_mine.port, ())
    stack.callback(bridge.close)
    bridge.publish("zigbee2mqtt/sos", '{"action":"emergency"}')
    center.wait_alarms(1)
    home_of_mine.kill()
    wait_for(lambda: center.fault("local broker"), "the lost broker in the status")
    home_of_mine.start()
    wait_for(lambda: not center.fault("local broker"), "the broker's return")
    wait_for(lambda: bridge.connected, "the bridge's return")
    steady(lambda: len(center.alarms) == 1, 0.5, "a press was doubled")
    bridge.publish("zigbee2mqtt/sos", '{"action":"emergency"}')
    assert [alarm.data["ordinal"] for alarm in center.wait_alarms(2)] == [1, 2]


def test_a_signal_to_the_home_waits_for_its_broker(
    make_gateway: MakeGateway,
    port: PtyPort,
    home_of_mine: Server,
    make_center: Callable[..., Center],
    make_ear: Callable[..., HomeEar],
) -> None:
    gateway = make_gateway(serial={"radio": (port.path, "enocean-esp3")}, local_port=home_of_mine.port)
    gateway.start()
    center = make_center(gateway)
    wait_for(lambda: gateway.told("port open") and gateway.told("uplink connected"), "the agent")
    ear = make_ear(gateway, port=home_of_mine.port)
    home_of_mine.kill()
    port.send(press_telegram())
    center.wait_alarms(1)
    wait_for(lambda: gateway.outbox()["event"]["depth"] == 0, "the outbox to let go")
    gateway.send_signal(signal.SIGSTOP)  # the ear must be back first: nobody keeps a signal for it
    home_of_mine.start()
    wait_for(lambda: ear.connected, "the ear's return")
    gateway.send_signal(signal.SIGCONT)
    wait_for(lambda: ear.signals("received"), "the signal")
