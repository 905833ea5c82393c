"""What an EnOcean radio telegram says, given the profile of its sender.

    RPS (RORG F6)  payload RRR E SSS V: first action, energy bow (pressed), second action, second action valid
                   status  .. T21 NU hhhh: NU 1 names buttons, NU 0 counts them; h repeater hops
    1BS D5, 4BS A5, VLD D2, UTE D4: see `enocean_eep`
    SEC 30, SEC_ENCAPS 31, SEC_CDM 33, SEC_TI 35: encrypted, what is pressed cannot be read: refused, and told once

Source: EEP 2.6.7; of SEC, Security of EnOcean Radio Networks 2.5 (unverified). What a repeater tells again within 0.5 s
says nothing new; a UTE query is asked three times, 0.7 s apart. Contacts, handles and motion are told as they change, a
sensor's first report too. Motion ends with the sensor's word, or two minutes after its last: some sensors never say
that it ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from hearthline.clock import NS, Stamp
from hearthline.model import Reading
from hearthline_edge.devices import Change, DeviceNote, Item, Press, Readings, Refused, Release, Seen, enocean_eep

RPS, ONE_BS, FOUR_BS, VLD, UTE = 0xF6, 0xD5, 0xA5, 0xD2, 0xD4
_SECURE: Final = (0x30, 0x31, 0x33, 0x35)
_BUTTONS: Final = ("AI", "AO", "BI", "BO")
_SEVERAL: Final = "several"  # three or more keys at once: RPS gives no names then
_HANDLE: Final = {0xC0: True, 0xD0: True, 0xE0: True, 0xF0: False}  # F6-10-00: whether it leaves the window open

_COPY_NS: Final = NS // 2
_TEACH_IN_NS: Final = 5 * NS
_MOTION_NS: Final = 120 * NS
_DOOR: Final = ("closed", "open")
_MOTION: Final = ("no-motion", "motion")


@dataclass(frozen=True, slots=True)
class Telegram:
    """A checked radio telegram. `raw`: the frame for the operator."""

    rorg: int
    payload: bytes
    sender: bytes
    status: int
    rssi_dbm: int | None
    raw: str

    @property
    def device(self) -> str:
        return f"enocean:{self.sender.hex().upper()}"

    @property
    def hops(self) -> int:
        return self.status & 0x0F

    def press(self, button: str, *, lasting: bool = False) -> Press:
        level = () if self.rssi_dbm is None else (("rssi_dbm", self.rssi_dbm),)
        content = self.payload[-1:].hex().upper()
        facts: tuple[tuple[str, Any], ...] = (*level, ("hops", self.hops))
        return Press(self.device, button, content, self.raw, facts=facts, lasting=lasting)


@dataclass(slots=True)
class Known:
    """What the session knows of one sender. `active`: open, or motion; None before its first report."""

    taught: int | None = None
    active: bool | None = None
    active_mono_ns: int = 0
    battery_low: bool = False
    encrypted: bool = False  # and told so
    heard: bytes = b""  # the last payload, with its RORG
    heard_mono_ns: int = 0


def decode(telegram: Telegram, eep: int | None, known: Known, now: Stamp) -> list[Item]:
    """The items of a telegram whose sender has, or is taken to have, the profile `eep`."""
    if eep is not None and eep >> 16 != telegram.rorg:
        eep = None  # a device may send telegrams of several kinds
    if telegram.rorg == RPS:
        return _decode_rps(telegram, eep, known, now)
    if telegram.rorg == VLD:
        return _decode_vld(telegram, eep)
    if telegram.rorg in _SECURE:
        return _encrypted(telegram, known)
    if telegram.rorg not in (ONE_BS, FOUR_BS, UTE) or _heard_before(telegram, known, now):
        return [Seen(telegram.device)]
    if telegram.rorg == ONE_BS:
        return _decode_1bs(telegram, known, now)
    if telegram.rorg == FOUR_BS:
        return _decode_4bs(telegram, eep, known, now)
    return _taught(telegram, known, enocean_eep.ute_query(telegram.payload))


def _encrypted(telegram: Telegram, known: Known) -> list[Item]:
    refused = Refused("unsupported", telegram.raw)
    if known.encrypted:
        return [refused]
    known.encrypted = True
    detail = "its telegrams are encrypted: a press cannot be read; take it out of secure mode"
    return [DeviceNote(telegram.device, "encrypted", detail), refused]


def _heard_before(telegram: Telegram, known: Known, now: Stamp) -> bool:
    """Whether a repeater tells what was heard already, or a teach-in is told again."""
    heard = bytes((telegram.rorg,)) + telegram.payload
    age_ns = now.mono_ns - known.heard_mono_ns
    same = heard == known.heard
    known.heard, known.heard_mono_ns = heard, now.mono_ns
    if telegram.rorg == UTE or not telegram.payload[-1] & 0x08:
        return same and age_ns <= _TEACH_IN_NS
    return same and telegram.hops > 0 and age_ns <= _COPY_NS


def _change(telegram: Telegram, known: Known, active: bool, words: tuple[str, str], now: Stamp) -> list[Item]:
    """The change to `words[active]`, or only a sign of life."""
    lapsed = words == _MOTION and active and now.mono_ns - known.active_mono_ns > _MOTION_NS
    changed = known.active is not active or lapsed
    known.active, known.active_mono_ns = active, now.mono_ns
    return [Change(telegram.device, words[active], telegram.raw) if changed else Seen(telegram.device)]


def _decode_rps(telegram: Telegram, eep: int | None, known: Known, now: Stamp) -> list[Item]:
    payload, names = telegram.payload[0], telegram.status & 0x10
    if eep == enocean_eep.LEAKAGE:
        return _hazard(telegram, known, "leak", 0x11)
    if eep == enocean_eep.SMOKE:
        return _hazard(telegram, known, "smoke", 0x10)
    if eep == enocean_eep.WINDOW_HANDLE and payload & 0xF0 in _HANDLE:
        return _change(telegram, known, _HANDLE[payload & 0xF0], _DOOR, now)
    if eep is None and not names and payload in _HANDLE:
        return _change(telegram, known, _HANDLE[payload], _DOOR, now)
    if not payload & 0x10:
        return [Release(telegram.device)]
    if eep == enocean_eep.PUSH_BUTTON:
        return [telegram.press("push")]
    return [telegram.press(button) for button in _buttons(payload, telegram.status)]


def _hazard(telegram: Telegram, known: Known, hazard: str, alarm: int) -> list[Item]:
    payload = telegram.payload[0]
    if payload == alarm:
        return [telegram.press(hazard, lasting=True)]
    if payload == 0x00:
        known.battery_low = False
        return [Release(telegram.device, hazard)]
    if payload == 0x30 and hazard == "smoke":
        told, known.battery_low = known.battery_low, True
        return [Seen(telegram.device) if told else DeviceNote(telegram.device, "low-battery", "energy low")]
    return [Seen(telegram.device), Refused("unsupported", telegram.raw)]


def _buttons(payload: int, status: int) -> list[str]:
    """The buttons that one telegram presses: one, two at once, or several that it does not name."""
    if not status & 0x10:
        return [_SEVERAL]
    numbers = [payload >> 5]
    if payload & 0x01:
        numbers.append(payload >> 1 & 0x07)
    return [_BUTTONS[number] if number < len(_BUTTONS) else f"R{number}" for number in dict.fromkeys(numbers)]


def _decode_1bs(telegram: Telegram, known: Known, now: Stamp) -> list[Item]:
    if not telegram.payload[0] & 0x08:
        return [DeviceNote(telegram.device, "teach-in", f"EEP {enocean_eep.eep_text(enocean_eep.CONTACT)}")]
    return _change(telegram, known, not telegram.payload[0] & 0x01, _DOOR, now)


def _decode_4bs(telegram: Telegram, eep: int | None, known: Known, now: Stamp) -> list[Item]:
    if not telegram.payload[3] & 0x08:
        teach = enocean_eep.four_bs_teach_in(telegram.payload)
        if teach is None:
            return [DeviceNote(telegram.device, "teach-in", "4BS without EEP: it must be given in the port's options")]
        return _taught(telegram, known, teach)
    profile = None if eep is None else enocean_eep.FOUR_BS.get(eep)
    if profile is None:
        return [Seen(telegram.device)]
    items: list[Item] = []
    if profile.motion is not None:
        moving = bool(enocean_eep.bits(telegram.payload, profile.motion))
        items = _change(telegram, known, moving, _MOTION, now)
    values = enocean_eep.readings(profile, telegram.device, telegram.payload)
    if values:
        items.append(Readings(values))
    return items or [Seen(telegram.device)]


def _taught(telegram: Telegram, known: Known, teach: enocean_eep.Teach | None) -> list[Item]:
    if teach is None:
        return [Seen(telegram.device)]
    known.taught = None if teach.delete else teach.eep
    kind = "teach-out" if teach.delete else "teach-in"
    detail = f"EEP {enocean_eep.eep_text(teach.eep)}, manufacturer {teach.manufacturer:03X}"
    return [DeviceNote(telegram.device, kind, detail)]


def _decode_vld(telegram: Telegram, eep: int | None) -> list[Item]:
    """A button with a battery (D2-03-0A), when it is known to be one."""
    if eep != enocean_eep.BATTERY_BUTTON or len(telegram.payload) != 2:
        return [Seen(telegram.device)]
    percent, action = telegram.payload
    items: list[Item] = []
    if action in enocean_eep.BATTERY_BUTTON_PRESSES:
        items.append(telegram.press(enocean_eep.BATTERY_BUTTON_PRESSES[action]))
    elif action == enocean_eep.BATTERY_BUTTON_RELEASED:
        items.append(Release(telegram.device))
    else:
        items.append(Refused("unsupported", telegram.raw))
    if 1 <= percent <= 100:
        items.append(Readings((Reading(telegram.device, "battery", float(percent), "%EL"),)))
    return items
