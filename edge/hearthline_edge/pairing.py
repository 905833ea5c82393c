"""What the wizard of `hearthline device add` knows: families of devices, rooms, candidates, labels. No I/O.

A family is what an installer holds in his hand; several drivers may serve it. What it should say when it is used tells
which of the devices that are heard can be meant.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hearthline.errors import ProtocolError
from hearthline.wire import MAX_DEVICE

PRESS, VITAL = "press", "vital"
_USED: Final = frozenset({PRESS, VITAL, "activity", "reading", "note", "seen"})
LABEL: Final = "hearthline-device:"  # before a device's id in the labels that we print
_ENOCEAN_LABEL: Final = re.compile(r"30S([0-9A-F]{12})(?:\+.*)?")  # EnOcean Alliance, product label: 6 bytes of an id
_ID: Final = re.compile(r"[a-z0-9-]{2,16}:\S(?:.*\S)?")


@dataclass(frozen=True, slots=True)
class Family:
    """`name`: of its texts. `says`: which kinds of what is heard tell of it. `kind`: for the center's registry."""

    name: str
    drivers: tuple[str, ...]
    says: frozenset[str]
    kind: str


FAMILIES: Final = (
    Family("kinetic", ("enocean-esp3",), frozenset({PRESS}), "push-button"),
    Family("fob", ("rflink", "rtl433-json", "tasmota"), frozenset({PRESS}), "fob"),
    Family("zigbee-button", ("zigbee2mqtt",), frozenset({PRESS}), "pendant"),
    Family("bluetooth-button", ("theengs-ble-json",), frozenset({PRESS}), "pendant"),
    Family("lorawan-button", ("chirpstack-v4",), frozenset({PRESS}), "pendant"),
    Family("cuff", ("raycome-bp", "visomat-jpi", "ble-gatt-bp", "contec08a-hid"), frozenset({VITAL}), "cuff"),
    Family(
        "meter",
        ("dlt645-2007", "modbus-rtu", "mbus-wired", "dsmr-p1", "sml", "iec62056-21"),
        frozenset({"reading"}),
        "meter",
    ),
    Family("plug", ("shelly-gen2", "tasmota"), frozenset({"activity", "reading", PRESS}), "plug"),
    Family("detector", ("zigbee2mqtt", "chirpstack-v4", "enocean-esp3", "rtl433-json"), frozenset({PRESS}), "detector"),
    Family("sensor", ("zigbee2mqtt", "theengs-ble-json", "chirpstack-v4", "enocean-esp3"), _USED - {PRESS}, "activity"),
)
ANY: Final = Family("any", (), _USED, "")

# Rooms by the key of their texts, with their SCAIP location code (`lco`) where one is known.
ROOMS: Final[dict[str, str]] = {
    "bedroom": "012",
    "bathroom": "011",
    "living-room": "043",
    "kitchen": "021",
    "hall": "",
    "balcony": "",
    "worn": "",
}


def families_of(drivers: Collection[str]) -> list[Family]:
    """What this gateway can hear, and last whatever it is."""
    return [*(family for family in FAMILIES if not set(family.drivers).isdisjoint(drivers)), ANY]


@dataclass(slots=True)
class Candidate:
    """A device that was heard while the installer used it. `buttons`: as they were pressed, each once."""

    device: str
    driver: str = ""
    port: str = ""
    radio_level: float | None = None
    says: str = ""
    buttons: list[str] = field(default_factory=list)

    @property
    def is_button(self) -> bool:
        return bool(self.buttons)


@dataclass(slots=True)
class Candidates:
    """`bound`: devices of this home already; they are never offered."""

    family: Family
    bound: Mapping[str, Mapping[str, Any]]
    found: list[Candidate] = field(default_factory=list)
    left_aside: list[str] = field(default_factory=list)

    def hear(self, heard: Mapping[str, Any]) -> Candidate | str | None:
        """A candidate that is new or has a new button; a bound device's id, the first time; None: nothing to say."""
        device, kind = str(heard["device"]), str(heard["kind"])
        if kind not in self.family.says or (self.family.drivers and heard["driver"] not in self.family.drivers):
            return None
        if device in self.bound:
            if device in self.left_aside:
                return None
            self.left_aside.append(device)
            return device
        known = next((each for each in self.found if each.device == device), None)
        if known is None:
            known = Candidate(device, str(heard["driver"]), str(heard["port"]), says=kind)
            self.found.append(known)
            is_new = True
        else:
            is_new = False
        known.radio_level = heard.get("radio_level") if heard.get("radio_level") is not None else known.radio_level
        button = heard.get("button")
        if kind == PRESS and isinstance(button, str) and button not in known.buttons:
            known.buttons.append(button)
            is_new = True
        return known if is_new else None


def kind_of(family: Family, candidate: Candidate | None) -> str:
    """The registry's kind, as the family says, or by what was heard of it."""
    if family.kind or candidate is None:
        return family.kind
    return {PRESS: "pendant", VITAL: "cuff"}.get(candidate.says, "")


def roles_of(buttons: Sequence[str], roles: Mapping[str, str], others: str) -> dict[str, str]:
    """The shortest way to say it: `*` for all that are like the others."""
    return {"*": others} | {button: roles[button] for button in buttons if roles.get(button, others) != others}


def label_text(device: str) -> str:
    return f"{LABEL}{device}"


def device_of_label(text: str) -> str:
    """The device of a label that was typed or scanned: ours, an EnOcean product label, or a bare id.

    Raises ProtocolError, whose text is the key of what to say.
    """
    told = text.strip()
    if told.lower().startswith(LABEL):
        told = told[len(LABEL) :]
    elif (match := _ENOCEAN_LABEL.fullmatch(told.upper())) is not None:
        if not match[1].startswith("0000"):
            raise ProtocolError("label-wide")
        return f"enocean:{match[1][4:]}"
    if told.lower().startswith("hearthline-"):
        raise ProtocolError("label-gateway")
    if len(told) > MAX_DEVICE or _ID.fullmatch(told) is None or not told.isprintable() or "//" in told:
        raise ProtocolError("label-foreign")
    if told.lower().startswith("enocean:"):
        return f"enocean:{told[8:].upper()}"
    return told
