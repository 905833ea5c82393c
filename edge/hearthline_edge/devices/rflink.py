r"""433 MHz remotes, doorbells, detectors and weather sensors behind an RFLink gateway: 57600 8N1, lines of ASCII.

    20;SS;Name;ID=xxxx;LABEL=data;…;\r\n     SS: packet counter in hex        host: 10;PING;\r\n -> 20;SS;PONG;

A line has no check, so only one that is whole and of exactly this form is taken. A value that no home knows is refused
with all values of its line; a press in such a line is a press all the same: in doubt, raise.

Every key of a fob is a button of its own, for an elder in need presses any of them:

    SWITCH=1;CMD=ON     press of "1"         SWITCH=1;CMD=OFF, ALLON, UP, …   press of "1:off", "1:allon", "1:up" …
    CHIME, no CMD       press of "chime"     SMOKEALERT=ON   smoke, until OFF

Nothing is let go: such remotes send no release, and OFF is no release of ON. A detector that speaks as a remote does
cannot be told from one; the port's options say what it is:

    options = { devices = [{ id = "newkaku:00c2d3e4", switch = "1", is = "contact" }] }

`is`: contact (ON open, OFF closed), motion (ON, OFF), or a hazard (smoke, leak, gas, …: lasts from ON to OFF).

Grouping: a remote repeats its telegram every 60 ms or so while the key is held, and RFLink passes on what its own
filters let through; the same key within 1.5 s of quiet is the same press. Values told again within it are one telegram.

PIR=ON is motion, until OFF or two minutes without a word: many detectors never say that it ended.

Source: RFLink Gateway Protocol Reference (rflink.nl, 2022) and its sample lines. No recording of real radio was seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from zlib import crc32

import msgspec
from msgspec import Meta

from hearthline.clock import NS, Stamp
from hearthline.config import Config, check_config
from hearthline.errors import ConfigError
from hearthline_edge.devices import (
    Change,
    DeviceNote,
    GroupingRule,
    Item,
    LineSettings,
    Press,
    Readings,
    Refused,
    Release,
    Seen,
    SerialDriver,
)
from hearthline_edge.devices.rflink_lines import VALUES, Line, line_of, values
from hearthline_edge.framing import TICK_S, Doubt, FrameDecoder, FrameShape
from hearthline_edge.silence import Heartbeat

_LONGEST: Final = 250  # bytes of a line; the gateway's own debug lines may be longer, and are passed over
_QUIET_S: Final = 1.5
_QUIET_NS: Final = round(_QUIET_S * NS)
_MOTION_NS: Final = 120 * NS  # many motion detectors never say that it ended
_KNOWN_SENSORS: Final = 64  # names without end must not grow memory
_PING: Final = b"10;PING;\r\n"

_START: Final = b"20;00;"
_START_OF_LINE: Final = re.compile(rb"20;[0-9A-Fa-f]{2};")
_UNPRINTABLE: Final = re.compile(rb"[^ -~]")
_GATEWAY_LINE: Final = re.compile(
    r"20;..;(?:PONG|OK|CMD UNKNOWN|VER=|Nodo|Q?RFU?DEBUG=|setGPIO=|MySensors=|DEBUG;|Debug;)"
)


def _judge(buffer: bytes, at: int) -> int | Doubt:
    head = buffer[at : at + len(_START)]
    if not _START_OF_LINE.match(head + _START[len(head) :]):
        return Doubt.NOT_A_FRAME
    end = buffer.find(b"\n", at, at + _LONGEST)
    line = buffer[at : end if end >= 0 else at + _LONGEST].removesuffix(b"\r")
    if _START_OF_LINE.search(line, 1) or _UNPRINTABLE.search(line):
        return Doubt.NOT_A_FRAME  # it was cut, and another one follows
    if end < 0:
        return Doubt.MORE
    return end + 1 - at if line.endswith(b";") else Doubt.NOT_A_FRAME


SHAPE: Final = FrameShape(starts=b"2", judge=_judge, patience_s=0.5, limit=_LONGEST, filler=b"\r\n")


Is = Literal["contact", "motion", "smoke", "heat", "gas", "carbon-monoxide", "leak", "fall", "alarm"]


class _Device(Config, frozen=True):
    """`switch` "": every switch of the id. `is_`: what speaks as a remote does."""

    id: Annotated[str, Meta(pattern=r"^[a-z0-9-]+:[0-9a-z]+\Z")]
    is_: Is = msgspec.field(name="is")
    switch: Annotated[str, Meta(pattern=r"^[0-9a-z]*\Z")] = ""


class _Options(Config, frozen=True):
    devices: tuple[_Device, ...] = ()


@dataclass(slots=True)
class _State:
    """`active`: open, or motion; None before the first report."""

    active: bool | None = None
    active_mono_ns: int = 0


@dataclass(slots=True)
class _Known(_State):
    """What the session knows of one sensor. `told`: check of its last line with values."""

    battery_low: bool = False
    told: int | None = None
    told_mono_ns: int = 0


class RflinkSession:
    """One gateway. `roles`: what a device and switch ("": all) is that speaks as a remote does."""

    def __init__(self, name: str, roles: dict[tuple[str, str], Is]) -> None:
        self._gateway = f"rflink:{name}"
        self._roles = roles
        self._states = {key: _State() for key in roles}
        self._decoder = FrameDecoder(SHAPE)
        self._sensors: dict[str, _Known] = {}
        self._heartbeat = Heartbeat(self._gateway, _PING)

    def receive(self, data: bytes, now: Stamp) -> Iterable[Item]:
        items: list[Item] = []
        for found in self._decoder.feed(data, now):
            items += [found] if isinstance(found, Refused) else self._line(found, now)
        return items + self._heartbeat.notes(now)

    def next_request(self, now: Stamp) -> tuple[bytes, float]:
        request, wait_s = self._heartbeat.next_request(now)
        return request, TICK_S if self._decoder.waiting else wait_s

    def _line(self, frame: bytes, now: Stamp) -> list[Item]:
        text = frame.rstrip(b"\r\n").decode("ascii")
        line = line_of(text)
        if line is None and not _GATEWAY_LINE.match(text):
            return [Refused("sanity", frame.hex())]
        self._heartbeat.heard()
        if line is None:
            return [Seen(self._gateway)]
        items = [*self._events(line, now), *self._report(line, frame, now)]
        return items or [Seen(line.device)]

    def _events(self, line: Line, now: Stamp) -> list[Item]:
        """Presses, hazards and changes that the line tells."""
        items: list[Item] = []
        if "SMOKEALERT" in line.labels:
            items += _lasting(line, "smoke", line.labels["SMOKEALERT"].upper() != "OFF")
        if line.command:
            for switch in (line.switch, ""):
                key = (line.device, switch)
                if key in self._roles and line.command in ("on", "off"):
                    return items + _as_sensor(line, self._roles[key], self._states[key], now)
            key_on = line.switch or line.command
            key_other = f"{line.switch}:{line.command}" if line.switch else line.command
            items.append(_press(line, key_on if line.command == "on" else key_other))
        elif "CHIME" in line.labels:
            items.append(_press(line, "chime"))
        return items

    def _report(self, line: Line, frame: bytes, now: Stamp) -> list[Item]:
        """What a sensor measures and how its battery is, once a telegram."""
        if not line.labels.keys() & {*VALUES, "PIR", "BAT"}:
            return []
        known = self._know(line.device)
        check, age_ns = crc32(frame[len(_START) :]), now.mono_ns - known.told_mono_ns
        again = check == known.told and age_ns <= _QUIET_NS
        known.told, known.told_mono_ns = check, now.mono_ns
        if again:
            return []
        items: list[Item] = []
        pir = line.labels.get("PIR", "").upper()
        if pir in ("ON", "OFF"):
            items += _change(line, known, pir == "ON", _MOTION, now)
        battery = line.labels.get("BAT", "").upper()
        if battery == "LOW" and not known.battery_low:
            items.append(DeviceNote(line.device, "low-battery", "battery low"))
        known.battery_low = battery == "LOW" if battery else known.battery_low
        readings = values(line)
        if readings is None or battery not in ("", "OK", "LOW") or pir not in ("", "ON", "OFF"):
            items.append(Refused("sanity", frame.hex()))
        elif readings:
            items.append(Readings(readings))
        return items

    def _know(self, device: str) -> _Known:
        """What is known of it; the sensor that was heard of least recently is forgotten for one too many."""
        known = self._sensors.pop(device, None) or _Known()
        self._sensors[device] = known
        if len(self._sensors) > _KNOWN_SENSORS:
            del self._sensors[next(iter(self._sensors))]
        return known


_DOOR: Final = ("closed", "open")
_MOTION: Final = ("no-motion", "motion")


def _press(line: Line, button: str, *, lasting: bool = False) -> Press:
    melody = line.labels.get("CHIME", "")
    facts = (("melody", melody),) if melody else ()
    return Press(line.device, button, button, line.text, facts=facts, lasting=lasting)


def _lasting(line: Line, hazard: str, on: bool) -> list[Item]:
    return [_press(line, hazard, lasting=True) if on else Release(line.device, hazard)]


def _as_sensor(line: Line, role: Is, state: _State, now: Stamp) -> list[Item]:
    on = line.command == "on"
    if role == "contact":
        return _change(line, state, on, _DOOR, now)
    if role == "motion":
        return _change(line, state, on, _MOTION, now)
    return _lasting(line, role, on)


def _change(line: Line, state: _State, active: bool, words: tuple[str, str], now: Stamp) -> list[Item]:
    """The change to `words[active]`, or only a sign of life."""
    lapsed = words == _MOTION and active and now.mono_ns - state.active_mono_ns > _MOTION_NS
    changed = state.active is not active or lapsed
    state.active, state.active_mono_ns = active, now.mono_ns
    return [Change(line.device, words[active], line.text) if changed else Seen(line.device)]


def _open_session(options: dict[str, Any], name: str) -> RflinkSession:
    roles: dict[tuple[str, str], Is] = {}
    for index, device in enumerate(check_config(options, _Options, name).devices):
        key = (f"rflink:{device.id}", device.switch)
        if key in roles:
            raise ConfigError(f"{name}: devices[{index}].id = {device.id!r} is there twice for its switch")
        roles[key] = device.is_
    return RflinkSession(name, roles)


DRIVER = SerialDriver(
    name="rflink",
    line=LineSettings(57600),
    open_session=_open_session,
    grouping=GroupingRule(quiet_gap_s=_QUIET_S),
)
