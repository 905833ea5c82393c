"""Debian's rtl_433, receiving synthesised radio and publishing into a local broker: understood as it comes.

    Radio (rtl_tcp: I/Q at 250 kS/s, in real time) --> rtl_433 --> mosquitto --> the agent --> center

The transmissions are written from the data sheets' timings (EV1527, PT2262: a short pulse is a third of a long one, a
word ends with a pulse and 31 of its lengths of silence). What rtl_433 makes of them is its own affair: it reports one
key fob as a car key, as a smoke detector and as a generic remote within one press.
"""

from __future__ import annotations

import json
import random
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import MqttMessage, Press
from hearthline_edge.devices.rtl433_json import DRIVER
from integration.edge.conftest import MakeGateway
from integration.edge.gateway import Center, Client, steady, wait_for
from servers import HOST, Server, find_binary

pytestmark = pytest.mark.integration

RATE = 250_000  # samples a second, rtl_433's default
BLOCK_S = 0.02
READY_S = 30.0
QUIET_S = 0.7  # longer than a transmission and what rtl_433 needs for it
SETTLED_S = 2.5  # longer than a press's repeats and the quiet gap
TONE = bytes((228, 128, 128, 228, 28, 128, 128, 28))  # a carrier a quarter of the rate beside the center
FOB = ("rf433:ev1527:d3cf6", "A", 0x6F3CB1)
REMOTE = ("rf433:pt2262:13cd", "192", 0x13CDC0)

Pulses = list[tuple[int, int]]  # microseconds of carrier, then of silence


def words(code: int, short_us: int, count: int) -> Pulses:
    """An EV1527 or PT2262 transmitter that says its code `count` times."""
    bits = [(3 * short_us, short_us) if code >> place & 1 else (short_us, 3 * short_us) for place in range(23, -1, -1)]
    return [*bits, (short_us, 31 * short_us)] * count


class Radio:
    """An rtl_tcp server that sends silence, and what is transmitted, at the pace of a real receiver."""

    def __init__(self) -> None:
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._pulses: Pulses = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._dice = random.Random(433)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def transmit(self, pulses: Pulses) -> None:
        with self._lock:
            self._pulses += [(0, 20_000), *pulses, (0, 50_000)]

    def close(self) -> None:
        self._over.set()
        self._listener.close()
        self._thread.join(10)

    def _run(self) -> None:
        try:
            receiver, _ = self._listener.accept()
        except OSError:
            return
        with receiver:
            receiver.sendall(b"RTL0" + bytes((0, 0, 0, 5, 0, 0, 0, 29)))  # an R820T with 29 gains
            began, sent = time.monotonic(), 0
            while not self._over.is_set():
                with self._lock:
                    pulses, self._pulses = self._pulses, []
                samples = b"".join(self._samples(*pulse) for pulse in pulses) or self._samples(0, int(BLOCK_S * 1e6))
                try:
                    receiver.sendall(samples)
                except OSError:
                    return
                sent += len(samples) // 2
                self._over.wait(max(0.0, began + sent / RATE - time.monotonic()))

    def _samples(self, carrier_us: int, silence_us: int) -> bytes:
        carrier, silence = (micros * RATE // 1_000_000 for micros in (carrier_us, silence_us))
        noise = self._dice.randbytes(256).translate(bytes(126 + byte % 4 for byte in range(256)))
        return (TONE * (carrier // 4 + 1))[: 2 * carrier] + (noise * (silence // 128 + 1))[: 2 * silence]


@pytest.fixture
def radio(stack: ExitStack) -> Radio:
    radio = Radio()
    stack.callback(radio.close)
    return radio


@pytest.fixture
def rtl_433(radio: Radio, local_broker: Server, tmp_path: Path) -> Iterator[None]:
    binary = find_binary("rtl_433")
    command = [binary, "-c", "/dev/null", "-d", f"rtl_tcp:{HOST}:{radio.port}"]
    with (tmp_path / "rtl_433.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "-F", f"mqtt://{HOST}:{local_broker.port}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture
def ear(local_broker: Server, stack: ExitStack) -> Client:
    ear = Client(local_broker.port, ("rtl_433/#",))
    stack.callback(ear.close)
    return ear


def heard(ear: Client) -> list[tuple[str, dict[str, Any]]]:
    """The events of rtl_433, in order."""
    return [(topic, json.loads(body)) for topic, body, _ in list(ear.messages) if DRIVER.claims(topic)]


def wait_for_decode(radio: Radio, ear: Client) -> None:
    """rtl_433 needs a moment to connect: another fob is pressed until it is heard, and then it is quiet again."""

    def decoded() -> bool:
        radio.transmit(words(0x519181, 350, 3))
        quiet(ear, 0.3)
        return bool(heard(ear))

    wait_for(decoded, "rtl_433 to publish", READY_S)
    quiet(ear)


def quiet(ear: Client, seconds: float = QUIET_S) -> None:
    """Wait until rtl_433 has told all."""
    count, since = -1, 0.0

    def still() -> bool:
        nonlocal count, since
        if len(ear.messages) != count:
            count, since = len(ear.messages), time.monotonic()
        return time.monotonic() - since > seconds

    wait_for(still, "rtl_433 to fall silent", READY_S)


@pytest.mark.usefixtures("rtl_433")
def test_its_messages_are_decoded_as_they_come(radio: Radio, ear: Client) -> None:
    wait_for_decode(radio, ear)
    for (device, button, code), short_us in ((FOB, 350), (FOB, 436), (REMOTE, 436), (REMOTE, 464)):
        before = len(heard(ear))
        radio.transmit(words(code, short_us, 8))
        wait_for(lambda before=before: len(heard(ear)) - before >= 4, f"decodes of {device}")  # type: ignore[misc]
        quiet(ear)
        session, now = DRIVER.open_session({}), Stamp(NS, NS, "boot", True)
        found = [
            item
            for topic, value in heard(ear)[before:]
            for item in session.receive(MqttMessage(topic, json.dumps(value).encode(), False), now)
        ]
        assert {(type(item), getattr(item, "device", ""), getattr(item, "button", "")) for item in found} == {
            (Press, device, button)
        }
    models = {value["model"] for _, value in heard(ear)}
    assert len(models) > 1, "one code is reported under several models"
    assert all(not retained for _, _, retained in ear.messages)


@pytest.mark.usefixtures("rtl_433")
def test_a_press_is_one_alarm_at_the_center(
    radio: Radio, ear: Client, make_gateway: MakeGateway, make_center: Callable[..., Center]
) -> None:
    wait_for_decode(radio, ear)
    only = json.dumps([FOB[0], REMOTE[0]])
    gateway = make_gateway(tables=f"[local_mqtt.options.rtl433-json]\nonly = {only}\n")
    gateway.start()
    center = make_center(gateway)
    wait_for(lambda: gateway.told("local broker connected") >= 2, "the local sessions")
    for number, (_, _, code) in enumerate((FOB, REMOTE, FOB), start=1):
        radio.transmit(words(code, 350 if code == FOB[2] else 464, 12))
        center.wait_alarms(number)
        steady(lambda number=number: len(center.alarms) == number, SETTLED_S, "a press was doubled")  # type: ignore[misc]
    assert [(alarm.subject, alarm.data["button"]) for alarm in center.alarms] == [FOB[:2], REMOTE[:2], FOB[:2]]
