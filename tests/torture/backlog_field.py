"""The whole product for one fault of the field: home, home broker, agent, link, center broker, center."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearthline_sim.port import PtyPort
from integration.edge.gateway import Client, Gateway, press_telegram
from servers import Server, mosquitto
from torture.backlog_center import TOGETHER, Center, Processes, running_center, soon
from torture.backlog_link import Link

PLUG = "plug-1"
LOCAL_SESSIONS = 3  # home, devices, readings
_FIRST_SENDER = 0x01020300


def pendant(number: int) -> str:
    """The device of the n-th pendant."""
    return f"enocean:{_FIRST_SENDER + number:08X}"


@dataclass
class Field:
    """`press` and `read` are what happens at home; `center` is where it must arrive."""

    center: Center
    broker: Server
    home_broker: Server
    link: Link
    gateway: Gateway
    port: PtyPort
    home: Client
    stack: ExitStack

    def start(self) -> None:
        """The agent, listening to everything at home; the link is up."""
        self.link.up()
        self.start_agent()
        soon(lambda: self.gateway.told("uplink connected"))

    def start_agent(self) -> None:
        self.gateway.start()
        soon(lambda: self.gateway.told("port open"))
        soon(lambda: self.gateway.told("local broker connected") >= LOCAL_SESSIONS)

    def witness(self, broker: Server, topic: str) -> Client:
        """Another subscriber: what it has heard, the broker has given to everybody."""
        client = Client(broker.port, (topic,))
        self.stack.callback(client.close)
        return client

    def press(self, number: int) -> float:
        """One press of the n-th pendant; when its last byte was on the line (monotonic)."""
        self.port.send(press_telegram(sender=f"{_FIRST_SENDER + number:08X}"))
        return time.monotonic()

    def read(self, watts: float) -> None:
        """One reading of the plug, taken into custody."""
        status = {"id": 0, "apower": watts, "temperature": {"tC": watts / 2}}
        self.home.publish(f"{PLUG}/status/switch:0", json.dumps(status))

    def depth(self, lane: str) -> int:
        return int(self.gateway.outbox()[lane]["depth"])

    def waiting(self) -> tuple[int, int]:
        """(events, moments at which the plug was read) in the outbox; what arrives together is one pack."""
        with closing(sqlite3.connect(self.gateway.data / "outbox.db")) as connection:
            (bodies,) = connection.execute("SELECT group_concat(CAST(readings AS TEXT), '') FROM telemetry").fetchone()
        return self.depth("event"), (bodies or "").count('"power"')

    def outbox_command(self) -> dict[str, Any]:
        """`hearthline edge outbox --json`."""
        command = [sys.executable, "-m", "hearthline", "edge", "outbox", "--config", str(self.gateway.config), "--json"]
        answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=30).stdout)
        return answer

    def pressed(self) -> Counter[str]:
        """How many alarm events of each device the center has."""
        return Counter(event["device"] for event in self.center.alarms())

    def watts(self) -> Counter[float]:
        return self.center.values(f"shelly:{PLUG}", "power")

    def wait_for_all(self, presses: range, watts: range, seconds: float = 30) -> None:
        """Each press and each reading exactly once, however often it was sent."""
        wanted = Counter(pendant(number) for number in presses), Counter(float(each) for each in watts)
        soon(lambda: (self.pressed(), self.watts()) == wanted, seconds)
        soon(lambda: self.depth("event") == self.depth("telemetry") == 0, seconds)
        assert (self.pressed(), self.watts()) == wanted


@contextmanager
def field_of(folder: Path, store: str = "", broker_extra: str = "", processes: Processes = TOGETHER) -> Iterator[Field]:
    """Everything but the agent runs when it is given."""
    with ExitStack() as stack:
        for name in ("broker", "home", "gateway"):
            (folder / name).mkdir()
        broker = stack.enter_context(mosquitto(folder / "broker", extra=broker_extra))
        home_broker = stack.enter_context(mosquitto(folder / "home", extra="queue_qos0_messages true"))
        link = stack.enter_context(Link(broker.port))
        port = PtyPort(folder / "ttyENOCEAN", 10, 57600)
        stack.callback(port.close)
        center = stack.enter_context(running_center(folder / "center", broker, store, processes))
        gateway = Gateway(
            folder / "gateway",
            "gw-1",
            link.port,
            home_broker.port,
            serial={"radio": (port.path, "enocean-esp3")},
            top="status_period_s = 1.0",
            tables='[clock]\ntrust = "synced"',
            log_level="info",
        )
        gateway.write_config()
        stack.callback(gateway.end)
        home = Client(home_broker.port, ())
        stack.callback(home.close)
        yield Field(center, broker, home_broker, link, gateway, port, home, stack)
