"""With the center dead the home makes itself heard, by a Zigbee siren and a relay, until received or reset."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from hearthline_sim.devices.serial_relay import BAUDRATE, SerialRelay
from hearthline_sim.port import PtyPort
from integration.edge.conftest import MakeGateway
from integration.edge.gateway import Center, HomeEar, press_telegram, release_telegram, steady, wait_for
from servers import free_ports, mosquitto

pytestmark = pytest.mark.integration


@pytest.fixture
def relay(tmp_path: Path, stack: ExitStack) -> SerialRelay:
    relay = SerialRelay("relay")
    port = PtyPort(tmp_path / "ttyRELAY", 10, BAUDRATE, lambda data: _obey(relay, data))
    stack.callback(port.close)
    return relay


def _obey(relay: SerialRelay, data: bytes) -> None:
    relay.receive(data, time.time_ns())


def sirens(folder: Path) -> str:
    return (
        '[[siren]]\nkind = "zigbee"\ntarget = "zigbee2mqtt/siren"\n'
        f'[[siren]]\nkind = "relay"\ntarget = "{folder / "ttyRELAY"}"'
    )


@contextmanager
def dead_center() -> Iterator[int]:
    (port,) = free_ports(1)
    yield port


def test_siren_and_relay_sound_after_the_time_and_stop_on_received(
    make_gateway: MakeGateway,
    port: PtyPort,
    relay: SerialRelay,
    tmp_path: Path,
    make_ear: Callable[..., HomeEar],
    make_center: Callable[..., Center],
    stack: ExitStack,
) -> None:
    with dead_center() as nobody:
        gateway = make_gateway(
            serial={"radio": (port.path, "enocean-esp3")},
            center_port=nobody,
            top="local_alarm_after_s = 1.0",
            tables=sirens(tmp_path),
        )
        gateway.start()
        ear = make_ear(gateway)
        wait_for(lambda: gateway.told("port open") and ear.connected, "the agent at the port")
        pressed = time.monotonic()
        port.send(press_telegram() + release_telegram())
        wait_for(lambda: ear.sounding and relay.on, "siren and relay")
        assert 0.9 < time.monotonic() - pressed < 3
        (tmp_path / "late").mkdir()
        gateway.kill()
        gateway.start()
        before = len(ear.messages)
        wait_for(lambda: len(ear.messages) > before and ear.sounding and relay.on, "the siren after the kill", 6)
        gateway.kill()
        late = stack.enter_context(mosquitto(tmp_path / "late"))
        gateway.center_port = late.port
        center = make_center(gateway, port=late.port, acknowledge=False)
        gateway.start()
        steady(lambda: relay.on, 0.5, "the relay stopped without received")
        center.ack(center.wait_alarms(1))
        wait_for(lambda: ear.siren[-1] == "stop" and not relay.on, "silence")
        assert ear.signals("received")


def test_somebody_at_home_resets_it_and_the_next_press_sounds_again(
    make_gateway: MakeGateway, port: PtyPort, relay: SerialRelay, tmp_path: Path, make_ear: Callable[..., HomeEar]
) -> None:
    with dead_center() as nobody:
        gateway = make_gateway(
            serial={"radio": (port.path, "enocean-esp3")},
            center_port=nobody,
            top="local_alarm_after_s = 0.5",
            tables=sirens(tmp_path),
        )
        gateway.start()
        ear = make_ear(gateway)
        wait_for(lambda: gateway.told("port open") and ear.connected, "the agent at the port")
        port.send(press_telegram() + release_telegram())
        wait_for(lambda: ear.sounding and relay.on, "siren and relay")
        ear.reset()
        wait_for(lambda: not ear.sounding and not relay.on, "silence")
        gateway.kill()
        gateway.start()
        steady(lambda: not relay.on, 1.2, "a reset alarm sounded again after a restart")
        wait_for(lambda: gateway.told("port open"), "the agent at the port")
        port.send(press_telegram(button=3))
        wait_for(lambda: relay.on, "the relay for the next press")


def test_the_default_is_ten_seconds(
    make_gateway: MakeGateway, port: PtyPort, relay: SerialRelay, tmp_path: Path
) -> None:
    with dead_center() as nobody:
        gateway = make_gateway(
            serial={"radio": (port.path, "enocean-esp3")},
            center_port=nobody,
            local_port=None,
            tables=relay_table(tmp_path),
        )
        gateway.start()
        wait_for(lambda: gateway.told("port open"), "the agent at the port")
        pressed = time.monotonic()
        port.send(press_telegram())
        wait_for(lambda: relay.on, "the relay", 14)
        assert 9.5 < time.monotonic() - pressed < 12


def relay_table(folder: Path) -> str:
    return f'[[siren]]\nkind = "relay"\ntarget = "{folder / "ttyRELAY"}"'


def test_a_relay_that_is_away_is_told_and_joins_in(
    make_gateway: MakeGateway, port: PtyPort, tmp_path: Path, make_center: Callable[..., Center], stack: ExitStack
) -> None:
    gateway = make_gateway(
        serial={"radio": (port.path, "enocean-esp3")},
        top="local_alarm_after_s = 0.2\nstatus_period_s = 1.0",
        tables=relay_table(tmp_path),
    )
    gateway.start()
    center = make_center(gateway, acknowledge=False)
    wait_for(lambda: gateway.told("port open"), "the agent at the port")
    port.send(press_telegram())
    wait_for(lambda: center.fault("ttyRELAY"), "the missing relay in the status")
    relay = SerialRelay("relay")
    late = PtyPort(tmp_path / "ttyRELAY", 10, BAUDRATE, lambda data: _obey(relay, data))
    stack.callback(late.close)
    wait_for(lambda: relay.on, "the relay")
    center.ack(center.alarms)
    wait_for(lambda: not relay.on, "silence")
