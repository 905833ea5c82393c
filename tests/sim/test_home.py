"""A whole home against a real broker, and as a process: what the agent would see, and what the elder does then."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from hearthline.clock import rfc3339
from hearthline.errors import ConfigError
from hearthline.model import ButtonRole
from hearthline_sim.home import Home, signal_topic
from hearthline_sim.home_config import HomeConfig, load_home
from hearthline_sim.ledger import Ledger
from servers import HOST, Server, mosquitto

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "home.toml"
WAIT_S = 15.0

HOME = """
gateway = "gw-1"
patience_s = 0.4
plug_interval_s = 0.2
[mqtt]
port = {port}
[[radios]]
name = "radio"
path = "ttyRadio"
pendants = [{{ sender = "002EE196" }}]
[cuff]
name = "cuff0"
path = "ttyCuff"
measure_s = 0.5
[meter]
name = "meter"
path = "ttyMeter"
address = "000000000161"
[[sos]]
name = "SOS Bad"
[[plugs]]
id = "plug-1"
[siren]
name = "siren"
[relay]
name = "relay0"
path = "ttyRelay"
"""

READ_ENERGY = bytes.fromhex("68610100000000681104333334331416")


class Log:
    """Happenings, in order, with a way to wait for one."""

    def __init__(self) -> None:
        self._seen: list[dict[str, Any]] = []
        self._changed = threading.Condition()

    def __call__(self, kind: str, **facts: object) -> None:
        with self._changed:
            self._seen.append({"kind": kind, **facts})
            self._changed.notify_all()

    def wait(self, kind: str, **facts: object) -> dict[str, Any]:
        """The first happening of this kind with these facts; fails after `WAIT_S`."""
        wanted = {"kind": kind, **facts}

        def found() -> dict[str, Any] | None:
            return next((seen for seen in self._seen if wanted.items() <= seen.items()), None)

        with self._changed:
            got = self._changed.wait_for(found, WAIT_S)
            assert got is not None, f"no {wanted} in {self._seen}"
            return got


class Agent:
    """The other side of the home's broker, with nothing of the product in it."""

    def __init__(self, port: int) -> None:
        self.heard = Log()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda _client, _user, message: self.heard(
            "message", topic=message.topic, text=message.payload.decode()
        )
        self._client.on_subscribe = lambda *_: self.heard("subscribed")
        self._client.connect(HOST, port)
        self._client.loop_start()
        self._client.subscribe("#", 1)
        self.heard.wait("subscribed")

    def publish(self, topic: str, body: object) -> None:
        self._client.publish(topic, msgspec.json.encode(body), 1).wait_for_publish(WAIT_S)

    def tell(self, kind: str, device: str, stamped_ns: int, event: str = "e1") -> None:
        body = {"signal": kind, "event": event, "device": device, "time": rfc3339(stamped_ns)}
        self.publish(signal_topic("gw-1"), body)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with mosquitto(tmp_path_factory.mktemp("broker")) as server:
        yield server


@pytest.fixture
def agent(broker: Server) -> Iterator[Agent]:
    made = Agent(broker.port)
    yield made
    made.close()


@pytest.fixture
def home_file(broker: Server, tmp_path: Path) -> Path:
    path = tmp_path / "home.toml"
    path.write_text(HOME.format(port=broker.port))
    return path


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def home(home_file: Path, log: Log, tmp_path: Path) -> Iterator[Home]:
    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        made = Home(load_home(home_file), 1, ledger, log, lambda: log("failed"))
        assert made.wait_connected(WAIT_S)
        yield made
        made.close()
    assert not list(tmp_path.glob("tty*"))


def read_until(descriptor: int, enough: Callable[[bytes], bool]) -> bytes:
    data = b""
    ends = time.monotonic() + WAIT_S
    while not enough(data):
        assert select.select([descriptor], [], [], max(0.0, ends - time.monotonic()))[0], f"only {data.hex()}"
        data += os.read(descriptor, 4096)
    return data


def test_the_elder_presses_again_until_the_home_hears_back(home: Home, log: Log, agent: Agent, tmp_path: Path) -> None:
    (pendant,) = home.pendants
    line = os.open(tmp_path / "ttyRadio", os.O_RDWR | os.O_NOCTTY)
    home.call(pendant, ButtonRole.EMERGENCY)
    assert b"\xf6\x30\x00\x2e\xe1\x96\x30" in read_until(line, lambda data: b"\xf6\x30\x00\x2e\xe1\x96\x30" in data)
    again = log.wait("press", device=pendant.device, ordinal=2)
    assert again["again_of"] == 1
    assert again["heard"]
    agent.tell("received", pendant.device, again["sent_wall_ns"])
    assert log.wait("received", device=pendant.device, event="e1")["ordinal"] >= 2
    assert home.unanswered == 0
    agent.tell("accepted", pendant.device, again["sent_wall_ns"])
    log.wait("accepted", device=pendant.device, event="e1")
    os.close(line)
    presses = Ledger.load(tmp_path / "ledger.jsonl").presses
    assert [press.ordinal for press in presses] == list(range(1, len(presses) + 1))
    assert sum(press.received_event == "e1" for press in presses) == 1


def test_a_zigbee_press_counts_when_the_broker_has_it(home: Home, log: Log, agent: Agent) -> None:
    (button,) = home.sos
    home.call(button, ButtonRole.SERVICE)
    press = log.wait("press", device="z2m:SOS Bad", ordinal=1)
    assert (press["button"], press["role"]) == ("single", "service")
    agent.heard.wait("message", topic="zigbee2mqtt/SOS Bad/action", text="single")
    agent.tell("received", button.device, press["sent_wall_ns"])
    log.wait("received", device=button.device)


def test_meter_cuff_plug_and_outputs(home: Home, log: Log, agent: Agent, tmp_path: Path) -> None:
    meter = os.open(tmp_path / "ttyMeter", os.O_RDWR | os.O_NOCTTY)
    os.write(meter, READ_ENERGY)
    reply = read_until(meter, lambda data: len(data.lstrip(b"\xfe")) >= 20).lstrip(b"\xfe")
    assert reply[:14].hex() == "6861010000000068910833333433"
    relay = os.open(tmp_path / "ttyRelay", os.O_RDWR | os.O_NOCTTY)
    os.write(relay, bytes.fromhex("A00101A2"))
    log.wait("relay", device="relay:relay0", on=True)
    agent.publish("zigbee2mqtt/siren/set", {"warning": {"mode": "emergency"}})
    log.wait("siren", device="z2m:siren", on=True, mode="emergency")
    agent.publish("zigbee2mqtt/siren/set", {"warning": {"mode": "stop"}})
    log.wait("siren", device="z2m:siren", on=False)
    cuff = os.open(tmp_path / "ttyCuff", os.O_RDWR | os.O_NOCTTY)
    os.write(cuff, bytes.fromhex("CC80020301020002"))
    log.wait("vital", device="raycome:cuff0", heard=True)
    stream = read_until(cuff, lambda data: b"\xaa\x80\x02\x0f\x01\x06" in data)
    assert stream.startswith(bytes.fromhex("AA80020301020002AA8002080105"))
    agent.heard.wait("message", topic="plug-1/online", text="true")
    for descriptor in (meter, relay, cuff):
        os.close(descriptor)
    ledger = Ledger.load(tmp_path / "ledger.jsonl")
    assert [(output.device, output.on) for output in ledger.outputs] == [
        ("relay:relay0", True),
        ("z2m:siren", True),
        ("z2m:siren", False),
    ]
    assert {reading.device for reading in ledger.readings} == {"dlt645:000000000161", "shelly:plug-1"}


def test_a_process_runs_its_schedule_obeys_orders_and_leaves_nothing(home_file: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hearthline_sim", "run", "--home", home_file.name, "--seed", "7"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        lines = (msgspec.json.decode(line) for line in process.stdout)
        ready = next(line for line in lines if line["kind"] == "ready")
        assert ready["pendants"] == ["enocean:002EE196"]
        assert ready["ports"]["meter"] == str(tmp_path / "ttyMeter")
        process.stdin.write("unplug meter\npress\nnonsense\npress 2\n")
        process.stdin.flush()
        kinds: list[str] = []
        while {"unplug", "press", "error"} - set(kinds):
            kinds.append(next(lines)["kind"])
        assert not (tmp_path / "ttyMeter").is_symlink()
        process.send_signal(signal.SIGTERM)
        rest = list(lines)
        assert process.wait(WAIT_S) == 0
    assert rest[-1]["kind"] == "done"
    assert rest[-1]["reason"] == "SIGTERM"
    assert not list(tmp_path.glob("tty*"))


def test_a_schedule_ends_by_itself_when_every_cry_is_answered(home_file: Path, agent: Agent, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    command = [sys.executable, "-m", "hearthline_sim", "run", "--home", str(home_file), "--ledger", str(ledger)]
    command += ["--seconds", "1", "--presses", "1"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        last: dict[str, Any] = {}
        for text in process.stdout:
            last = msgspec.json.decode(text)
            if last["kind"] == "press":
                agent.tell("received", last["device"], last["sent_wall_ns"])
        assert process.wait(WAIT_S) == 0
    assert (last["kind"], last["reason"]) == ("done", "schedule")
    assert last["presses"] == len(Ledger.load(ledger).presses)
    assert last["presses"] - last["again"] == 1


def test_the_example_home_is_valid_and_shows_every_key() -> None:
    config = load_home(EXAMPLE)
    assert config.gateway == "gw-demo-1"
    text = EXAMPLE.read_text(encoding="utf-8")
    for key in HomeConfig.__struct_fields__:
        section = getattr(config, key)
        assert key in text
        for part in section if isinstance(section, tuple) else (section,):
            for inner in getattr(part, "__struct_fields__", ()):
                assert f"{inner} = " in text, f"{key}.{inner}"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("patience_s", "pateince_s", "unknown key `pateince_s`"),
        ('"002EE196"', '"2EE196"', "eight hexadecimal digits"),
        ('"ttyCuff"', '"ttyMeter"', "is given twice"),
        ('"gw-1"', '"gw 1"', "no gateway id"),
        ("000000000161", "161", "twelve digits"),
        ("patience_s = 0.4", "patience_s = 0", "patience_s: must be above zero"),
        ("plug_interval_s", 'measure_at = ["7"]\nplug_interval_s', "HH:MM"),
    ],
)
def test_a_wrong_home_names_its_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "home.toml"
    path.write_text(HOME.format(port=1883).replace(old, new))
    with pytest.raises(ConfigError, match=message):
        load_home(path)


def test_wrong_use_ends_with_code_two(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hearthline_sim", "run", "--home", str(tmp_path / "none.toml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.returncode == 2
    assert "no such configuration file" in done.stderr


def test_a_zigbee_press_is_lost_while_the_broker_is_away_and_pressed_again(tmp_path: Path, log: Log) -> None:
    with mosquitto(tmp_path) as broker:
        path = tmp_path / "home.toml"
        path.write_text(HOME.format(port=broker.port))
        home = Home(load_home(path), 1, Ledger(), log, lambda: log("failed"))
        assert home.wait_connected(WAIT_S)
        broker.kill()
        log.wait("mqtt", connected=False)
        home.call(home.sos[0], ButtonRole.EMERGENCY)
        log.wait("press", device="z2m:SOS Bad", ordinal=1, heard=False)
        broker.start()
        assert log.wait("press", device="z2m:SOS Bad", heard=True)["again_of"] == 1
        home.close()


FAMILIES = """
[[rflinks]]
name = "stick"
path = "ttyStick"
fobs = [{ id = "008440e6" }]
pirs = [{ protocol = "Pir", id = "aa66", every_s = 0.0 }]
[[fobs]]
kind = "theengs"
id = "BC:02:6E:AA:BB:CC"
[[sensors]]
kind = "z2m"
name = "door"
sense = "door"
attributes = true
[[buses]]
name = "bus"
path = "ttyBus"
kind = "modbus"
meters = [{ address = "1", model = "sdm120" }]
[[push_meters]]
name = "p1"
path = "ttyP1"
kind = "dsmr"
id = "K8EG004046395507"
interval_s = 0.2
[[gatt_cuffs]]
mac = "C4:64:E3:00:00:01"
"""


@pytest.fixture
def family_home(home_file: Path, log: Log, tmp_path: Path) -> Iterator[Home]:
    home_file.write_text(home_file.read_text() + FAMILIES)
    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        made = Home(load_home(home_file), 1, ledger, log, lambda: log("failed"))
        assert made.wait_connected(WAIT_S)
        yield made
        made.close()


def test_remotes_sensors_and_cuffs_of_the_families(family_home: Home, log: Log, agent: Agent, tmp_path: Path) -> None:
    line = os.open(tmp_path / "ttyStick", os.O_RDWR | os.O_NOCTTY)
    blu, remote = family_home.fobs
    assert [blu.device, remote.device] == ["ble:bc026eaabbcc", "rflink:newkaku:008440e6"]
    family_home.call(remote, ButtonRole.EMERGENCY)
    assert b"NewKaku;ID=008440e6;SWITCH=1;CMD=ON;\r\n" in read_until(line, lambda data: b"CMD=ON;\r\n" in data)
    assert log.wait("press", device=remote.device)["heard"]
    family_home.call(blu, ButtonRole.SERVICE)
    assert log.wait("press", device=blu.device, button="double")["heard"]
    assert family_home.notices.happen("rflink:pir:aa66")
    log.wait("change", device="rflink:pir:aa66", change="motion", heard=True)
    assert family_home.notices.happen("z2m:door")
    log.wait("change", device="z2m:door", change="open", heard=True)
    agent.heard.wait("message", topic="zigbee2mqtt/door/contact", text="false")
    assert not family_home.notices.happen("z2m:window")
    assert family_home.measure()
    log.wait("vital", device="ble:c464e3000001", heard=True)
    os.close(line)


def test_meters_of_the_families_and_a_port_that_is_pulled(family_home: Home, tmp_path: Path) -> None:
    bus = os.open(tmp_path / "ttyBus", os.O_RDWR | os.O_NOCTTY)
    os.write(bus, bytes.fromhex("010400480002f1dd"))
    assert read_until(bus, lambda data: len(data) >= 9)[:3].hex() == "010404"
    family_home.ports["bus"].unplug()
    assert not (tmp_path / "ttyBus").is_symlink()
    os.close(bus)
    family_home.ports["bus"].replug()
    bus = os.open(tmp_path / "ttyBus", os.O_RDWR | os.O_NOCTTY)
    os.write(bus, bytes.fromhex("010400480002f1dd"))
    assert read_until(bus, lambda data: len(data) >= 9)[:3].hex() == "010404"
    os.close(bus)
    p1 = os.open(tmp_path / "ttyP1", os.O_RDWR | os.O_NOCTTY)
    stream = read_until(p1, lambda data: data.count(b"\r\n/") >= 2)
    os.close(p1)
    assert not stream.startswith(b"/")  # who opens the port hears the rest of a telegram first
    wanted = {"modbus:bus:1", "dsmr:K8EG004046395507"}
    assert wanted <= {reading.device for reading in Ledger.load(tmp_path / "ledger.jsonl").readings}


def test_zigbee2mqtt_can_stop_and_loses_what_is_pressed_meanwhile(family_home: Home, log: Log, agent: Agent) -> None:
    assert family_home.turn_zigbee(False)
    agent.heard.wait("message", topic="zigbee2mqtt/bridge/state", text="offline")
    family_home.call(family_home.sos[0], ButtonRole.EMERGENCY)
    log.wait("press", device="z2m:SOS Bad", heard=False)
    assert family_home.turn_zigbee(True)
    assert log.wait("press", device="z2m:SOS Bad", heard=True)["again_of"] == 1
    assert family_home.reset("shelly:plug-1")
    assert not family_home.reset("shelly:plug-2")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('model = "sdm120"', 'model = "sdm999"', "buses.meters.model: modbus has sdm120"),
        ('address = "1"', 'address = "0"', "a Modbus unit is 1 to 247"),
        ('kind = "theengs"', 'kind = "rtl433"', "fobs.id: five hexadecimal digits"),
        ('"BC:02:6E:AA:BB:CC"', '"BC:02:6E:AA:BB:CC"\nemergency = "A"', "theengs has no key 'A'"),
        ('kind = "dsmr"', 'kind = "sml"', "push_meters.id: twenty hexadecimal digits"),
        ('sense = "door"', 'sense = "window"', "Invalid enum value"),
        ('"ttyBus"', '"ttyP1"', "is given twice"),
    ],
)
def test_a_wrong_family_names_its_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "home.toml"
    path.write_text((HOME.format(port=1883) + FAMILIES).replace(old, new))
    with pytest.raises(ConfigError, match=message):
        load_home(path)


def test_a_process_obeys_the_orders_of_the_families(home_file: Path) -> None:
    home_file.write_text(home_file.read_text() + FAMILIES)
    orders = "fob 1\nsense z2m:door\nzigbee sideways\nreset nothing\nsense nothing\n"
    command = [sys.executable, "-m", "hearthline_sim", "run", "--home", str(home_file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        lines = (msgspec.json.decode(line) for line in process.stdout)
        ready = next(line for line in lines if line["kind"] == "ready")
        assert ready["fobs"] == ["ble:bc026eaabbcc", "rflink:newkaku:008440e6"]
        assert ready["sensors"] == ["rflink:pir:aa66", "z2m:door"]
        process.stdin.write(orders)
        process.stdin.flush()
        told: list[dict[str, Any]] = []
        while {"press", "change"} - {line["kind"] for line in told} or sum(
            line["kind"] == "error" for line in told
        ) < 3:
            told.append(next(lines))
        process.stdin.write("quit\n")
        process.stdin.flush()
        rest = list(lines)
        assert process.wait(WAIT_S) == 0
    errors = [line["message"] for line in told if line["kind"] == "error"]
    assert [error.partition(":")[0] for error in errors] == ["zigbee sideways", "reset nothing", "sense nothing"]
    assert rest[-1]["changes"] == 1
