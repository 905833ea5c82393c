"""A whole home of every family against the real agent: each press one event, each reading one that left a meter.

    simulated home --ptys, local broker--> agent --> center's broker --> Center

Everything is driven through the lines and topics of `hearthline sim run`; the ledger of the home is the truth.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from functools import partial
from math import isclose
from pathlib import Path

import pytest

from hearthline.clock import NS
from hearthline.model import SIGN_OF_LIFE, ButtonRole
from hearthline_sim.home import Home
from hearthline_sim.home_config import load_home
from hearthline_sim.ledger import Ledger, Press
from integration.edge.conftest import MakeGateway
from integration.edge.gateway import Center, Gateway, steady, wait_for
from servers import Server

pytestmark = pytest.mark.integration

FAMILIES_S = 20.0  # for a family's first reading: two rounds of the slowest bus
SETTLED_S = 3.5  # the latest copies of a press: a Bluetooth beacon up to 3 s after it

HOME = """
gateway = "{gateway}"
patience_s = 60.0
plug_interval_s = 2.0
[mqtt]
port = {port}

[[radios]]
name = "radio"
path = "tty-radio"
pendants = [{{ sender = "002EE196" }}]
contacts = [{{ sender = "01825DAB" }}]
thermometers = [{{ sender = "0181B744", every_s = 1.0 }}]

[cuff]
name = "cuff"
path = "tty-cuff"
version = 3
measure_s = 1.0
notify_bytes = 20

[[sos]]
name = "SOS: Bad/奶奶"
[[sos]]
name = "SOS 2"
dialect = "2.x"
retain = true

[[fobs]]
kind = "rtl433"
id = "d3cf6"
emergency = "AD"
[[fobs]]
kind = "tasmota"
id = "7028d"
[[fobs]]
kind = "tasmota"
id = "5a0c3"
report = "raw"
[[fobs]]
kind = "theengs"
id = "BC:02:6E:AA:BB:CC"
heard_by = ["hall", "bath"]
[[fobs]]
kind = "chirpstack"
id = "24e124535b316056"
[[fobs]]
kind = "shelly"
id = "shellyplusi4-b0"

[[sensors]]
kind = "z2m"
name = "door"
sense = "door"
attributes = true
[[sensors]]
kind = "z2m"
name = "motion"
sense = "motion"
dialect = "1.x"
[[sensors]]
kind = "z2m"
name = "smoke"
sense = "smoke"
[[sensors]]
kind = "z2m"
name = "leak"
sense = "leak"
[[sensors]]
kind = "rtl433"
name = "0f0065"
sense = "leak"
[[sensors]]
kind = "rtl433"
name = "3133"
sense = "door"

[[plugs]]
id = "shellyplus-1"
[[plugs]]
id = "shellypro3em-1"
kind = "shelly-em"
[[plugs]]
id = "pow3"
kind = "tasmota"
phases = 3
[[plugs]]
id = "plug kitchen"
kind = "z2m"

[[buses]]
name = "modbus"
path = "tty-modbus"
kind = "modbus"
glitch_rate = 0.2
half_frame_rate = 0.1
echo = true
meters = [
    {{ address = "1", model = "sdm120", total = 310.5 }},
    {{ address = "2", model = "sdm630", error_rate = 0.1 }},
    {{ address = "3", model = "ddsu666" }},
    {{ address = "4", model = "sdm230", dead = true }},
]
[[buses]]
name = "dlt"
path = "tty-dlt"
kind = "dlt645"
baudrate = 9600
meters = [{{ address = "223002000066" }}, {{ address = "000000190101", error_rate = 0.1 }}]
[[buses]]
name = "mbus"
path = "tty-mbus"
kind = "mbus"
baudrate = 9600
meters = [
    {{ address = "12345678", model = "water", primary = 1 }},
    {{ address = "06855817", model = "heat", primary = 2, manufacturer = "KAM" }},
    {{ address = "30100608", model = "electricity", primary = 3, manufacturer = "NZR" }},
]

[[push_meters]]
name = "p1"
path = "tty-p1"
kind = "dsmr"
id = "K8EG004046395507"
gas_id = "2222ABCD123456789"
broken_rate = 0.1
[[push_meters]]
name = "p1old"
path = "tty-p1old"
kind = "dsmr"
version = "2.2"
id = "K8EG004046395508"
interval_s = 2.0
[[push_meters]]
name = "sml"
path = "tty-sml"
kind = "sml"
id = "0a01484c5902000d6be6"
interval_s = 1.0
broken_rate = 0.1
[[push_meters]]
name = "smlpin"
path = "tty-smlpin"
kind = "sml"
id = "0a01495452000347f040"
locked = true

[[rflinks]]
name = "rflink"
path = "tty-rflink"
fobs = [{{ protocol = "NewKaku", id = "008440e6" }}]
pirs = [{{ protocol = "Pir", id = "aa66", every_s = 0.0 }}]
weather = [{{ protocol = "Cresta", id = "3001", every_s = 2.0 }}]

[[gatt_cuffs]]
mac = "C4:64:E3:00:00:01"
"""

LINES = {  # port: driver, options; pseudo-terminals know no parity
    "radio": ("enocean-esp3", ""),
    "cuff": ("raycome-bp", "version = 3"),
    "modbus": (
        "modbus-rtu",
        """
pause_s = 0.02
meters = [
    { unit = 1, profile = "eastron-sdm120", interval_s = 1 },
    { unit = 2, profile = "eastron-sdm630", interval_s = 1 },
    { unit = 3, profile = "chint-ddsu666", interval_s = 1 },
    { unit = 4, profile = "eastron-sdm230", interval_s = 1 },
]""",
    ),
    "dlt": ("dlt645-2007", 'meters = ["223002000066", "000000190101"]\ninterval_s = 1'),
    "mbus": (
        "mbus-wired",
        """
interval_s = 1
baudrate = 9600
meters = [{ address = 1 }, { address = 2 }, { secondary = "30100608" }]""",
    ),
    "p1": ("dsmr-p1", "interval_s = 1"),
    "p1old": ("dsmr-p1", "interval_s = 1"),
    "sml": ("sml", "interval_s = 1"),
    "smlpin": ("sml", "interval_s = 1"),
    "rflink": ("rflink", ""),
}
LEAK_CODE = '[local_mqtt.options.rtl433-json.sensors]\n"rf433:ev1527:0f0065" = { "*" = "leak" }\n'

OF_THE_DEVICE = {"battery", "battery_voltage", "link_quality", "radio_level", SIGN_OF_LIFE}  # not of a meter's value
READING_FAMILIES = {"enocean", "modbus", "dlt645", "mbus", "dsmr", "sml", "rflink", "shelly", "tasmota", "z2m"}
OWN_TEMPERATURES = {("shelly:shellyplus-1", "temperature")}
NEAR_NS = 5 * NS
EIGHT_BITS = 40 / 255 / 2  # half a step of an EnOcean thermometer


def edge_tables(folder: Path) -> str:
    """[[serial]] for every line of the home, and what the codes mean."""
    tables = []
    for name, (driver, options) in LINES.items():
        baudrate = "baudrate = 9600" if name in ("dlt", "mbus") else ""
        head = [
            "[[serial]]",
            f'name = "{name}"',
            f'port = "{folder / f"tty-{name}"}"',
            f'driver = "{driver}"',
            baudrate,
        ]
        tables += [*head, 'parity = "N"', "bytesize = 8", "[serial.options]", options]
    return LEAK_CODE + "\n".join(tables)


@pytest.fixture
def living(
    tmp_path: Path,
    stack: ExitStack,
    local_broker: Server,
    make_gateway: MakeGateway,
    make_center: Callable[..., Center],
) -> Iterator[tuple[Home, Ledger, Gateway, Center]]:
    """The home, its ledger, the agent that listens on all its lines, and the center."""
    gateway = make_gateway(tables=edge_tables(tmp_path), log_level="info")
    file = tmp_path / "home.toml"
    file.write_text(HOME.format(gateway=gateway.name, port=local_broker.port), encoding="utf-8")
    ledger = stack.enter_context(Ledger(tmp_path / "ledger.jsonl"))
    broken: list[str] = []
    home = Home(load_home(file), 1, ledger, lambda *_, **__: None, lambda: broken.append("a thread of the home died"))
    stack.callback(home.close)
    assert home.wait_connected(10)
    center = make_center(gateway)
    gateway.start()
    wait_for(lambda: all(port.listening for port in home.ports.values()), "the agent at every port")
    wait_for(lambda: gateway.told("local broker connected") >= 2, "both sessions of the agent at the local broker")
    yield home, ledger, gateway, center
    assert not broken


def test_every_family_once(living: tuple[Home, Ledger, Gateway, Center]) -> None:
    home, ledger, _gateway, center = living
    assert len(home.callers) == 10
    for number, role in enumerate(ButtonRole, start=1):
        for caller in home.callers:
            home.call(caller, role)
        wait_for(partial(has_sent, ledger, number * len(home.callers)), "the presses")
        expect_each_press_once(ledger, center)
    for device in home.notices.devices:
        home.notices.happen(device)
    assert home.measure()
    expect_changes_and_hazards(home, ledger, center)
    wait_for(lambda: len(center.of_type("hearthline.vital.v1")) >= 2, "both cuffs")
    expect_vitals(ledger, center)
    expect_readings_of_all(ledger, center)
    until_none(lambda: {("modbus:modbus:4", "no-reply")} - notes_of(center))
    assert home.turn_zigbee(False)
    until_none(lambda: {("z2m:bridge", "offline")} - notes_of(center))
    assert home.turn_zigbee(True)
    home.ports["radio"].unplug()
    home.ports["modbus"].unplug()
    home.ports["radio"].replug()
    home.ports["modbus"].replug()
    wait_for(lambda: home.ports["radio"].listening and home.ports["modbus"].listening, "the agent back at its ports")
    before = len(center.alarms)
    home.call(home.pendants[0], ButtonRole.EMERGENCY)
    center.wait_alarms(before + 1)
    steady(lambda: len(center.alarms) == before + 1, SETTLED_S, "a press became two events")
    expect_no_foreign_reading(ledger, center)


def until_none(missing: Callable[[], Collection[object]], seconds: float = FAMILIES_S) -> None:
    """Waits until nothing is missing; else says what is."""
    deadline = time.monotonic() + seconds
    while (left := missing()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not left, sorted(map(str, left))


def has_sent(ledger: Ledger, presses: int) -> bool:
    return sum(press.sent_wall_ns is not None for press in ledger.presses) == presses


def expect_each_press_once(ledger: Ledger, center: Center) -> None:
    """As many alarms as keys pressed, of the same devices, and no more later."""
    assert all(press.heard for press in ledger.presses)
    keys = Counter((press.device, name) for press in ledger.presses for name in names_of(press))
    until_none(lambda: keys - alarms_of(center))
    steady(lambda: alarms_of(center).total() == keys.total(), SETTLED_S, "a copy of a press became an event")


def names_of(press: Press) -> tuple[str, ...]:
    """What the gateway calls the keys of a press: those of a 433 MHz fob are told one by one."""
    if press.device.startswith("rf433:"):
        return tuple(press.button)
    if press.device.startswith("shelly:"):
        return (f"0:{press.button}",)
    return (press.button,)


def alarms_of(center: Center) -> Counter[tuple[str, str]]:
    return Counter((alarm.subject, alarm.data["button"]) for alarm in center.alarms)


def notes_of(center: Center) -> set[tuple[str, str]]:
    return {(event.subject, event.data["kind"]) for event in center.of_type("hearthline.device.v1")}


def expect_changes_and_hazards(home: Home, ledger: Ledger, center: Center) -> None:
    assert len(home.notices.devices) == 8
    wait_for(lambda: len(ledger.changes) == 8, "the sensors")
    told = {(change.device, change.change) for change in ledger.changes}
    hazards = {(device, word) for device, word in told if word in ("smoke", "leak")}
    assert len(hazards) == 3
    until_none(lambda: hazards - set(alarms_of(center)))
    changes = told - hazards

    def activities() -> Counter[tuple[str, str]]:
        events = center.of_type("hearthline.activity.v1")
        return Counter((event.subject, event.data["kind"]) for event in events)

    until_none(lambda: changes - set(activities()))
    steady(lambda: all(alarms_of(center)[hazard] == 1 for hazard in hazards), SETTLED_S, "a hazard became two events")
    assert all(activities()[change] == 1 for change in changes)


def expect_vitals(ledger: Ledger, center: Center) -> None:
    sent = {vital.device: (vital.sys, vital.dia, vital.pulse) for vital in ledger.vitals}
    for event in center.of_type("hearthline.vital.v1"):
        values = {value["quantity"]: value["value"] for value in event.data["values"]}
        got = tuple(values[name] for name in ("systolic", "diastolic", "heart_rate"))
        assert got == pytest.approx(sent[event.subject], abs=0.5), event.subject


def expect_readings_of_all(ledger: Ledger, center: Center) -> None:
    """Every meter that left a reading in the ledger is known at the center too."""

    def missing() -> set[tuple[str, str]]:
        arrived = {(reading.device, reading.quantity) for pack in center.packs for reading, _ in pack.readings}
        return {(reading.device, reading.quantity) for reading in ledger.readings} - arrived

    wait_for(
        lambda: len({reading.device.split(":")[0] for reading in ledger.readings}) == 10,
        "a reading of each",
        FAMILIES_S,
    )
    until_none(missing)


def expect_no_foreign_reading(ledger: Ledger, center: Center) -> None:
    """Each value at the center left its meter within the last seconds before it arrived."""
    sent: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for left in ledger.readings:
        sent.setdefault((left.device, left.quantity), []).append((left.sent_wall_ns, left.value))
    foreign = set()
    arrived: Counter[tuple[str, str]] = Counter()
    for pack in center.packs:
        for reading, offset_ns in pack.readings:
            if reading.quantity in OF_THE_DEVICE or (reading.device, reading.quantity) in OWN_TEMPERATURES:
                continue
            arrived[reading.device, reading.quantity] += 1
            at_ns = pack.wall_ns + offset_ns
            left_then = sent.get((reading.device, reading.quantity), ())
            near = [value for wall_ns, value in left_then if abs(wall_ns - at_ns) < NEAR_NS]
            step = EIGHT_BITS if reading.device.startswith("enocean:") else 1e-6
            if not any(isclose(reading.value, value, rel_tol=1e-6, abs_tol=step) for value in near):
                foreign.add((reading.device, reading.quantity, reading.value, *near))
    assert not foreign
    told_twice = {key for key, count in arrived.items() if count > len(sent[key])}
    assert not told_twice
