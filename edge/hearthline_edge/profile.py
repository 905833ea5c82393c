"""A device described without code: what a TOML profile may say, key by key. docs/profiles.md is for who writes one.

    name = "acme-sos"                      a profile speaks one way: of [mqtt], [modbus], [mbus] or [dlt645]
    title = "ACME SOS button"
    supervision_s = 14400                  longest silence that is normal; 0: it never reports by itself
    [mqtt]
    topic = "acme/{device}/state"          {device}: one level, becomes the device's name
    [[value]]
    path = "batt"                          where the value lies; what a path is depends on the way
    quantity = "battery"                   of hearthline.model.TELEMETRY_UNITS; its unit is the quantity's
    scale = 1.0
    [[event]]
    path = "key"
    equals = "long"                        absent: any value but null, false, 0, "" and words for "unknown"
    event = "press"                        press, a hazard, a change or a note

Shipped profiles lie in `devices/profiles/`, an installer's own in the gateway's profile folder. What no type says (one
way, known words, legal paths) is checked in profiles.py. No I/O here.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from hearthline.config import Config

NOTES: Final = ("low-battery", "tamper", "test", "error", "offline")
PRESS: Final = "press"

Word = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9.-]*\Z")]
Path = Annotated[str, Meta(min_length=1, max_length=200)]
WordOrder = Literal["ABCD", "CDAB", "BADC", "DCBA"]
Scalar = str | int | float | bool


class ValueRule(Config, frozen=True):
    """One value: where it lies, what it is, and `value * scale + offset` in the quantity's unit.

    `place`: what follows the device's id, for the phases and channels of one device (`:B`, `:2`). `minimum` and
    `maximum`, in the quantity's unit: a value beyond them is refused. Modbus alone: `register` (0 to 65535, the number
    in the request), `type`, `words`. MQTT: `path` of the JSON payload, "-" the whole payload; `topic`: what stands in
    the place of the `#` of the profile's topic. M-Bus and DL/T 645: `path` is the record's selector.
    """

    quantity: str
    path: Path = "-"
    scale: float = 1.0
    offset: float = 0.0
    place: Annotated[str, Meta(max_length=16)] = ""
    register: Annotated[int, Meta(ge=0, le=65535)] | None = None
    type: Literal["float32", "int16", "uint16", "int32", "uint32", "int64", "uint64"] = "float32"
    words: WordOrder = "ABCD"
    minimum: float | None = None
    maximum: float | None = None
    topic: Path | None = None


class EventRule(Config, frozen=True):
    """One event, by MQTT alone: `event` press, a word of HAZARDS or CHANGES, or one of `NOTES`.

    `equals`: the value that tells it, or a list of them; absent: any but null, false, 0, "", words for "unknown" and
    those of `unless`. `button`: the button's name, `{value}` in it standing for the value; absent: the value itself.
    `number`: path of a counter or id that tells one press from the next. `momentary`: the device never tells the end
    of it, so each report is one of its own.
    """

    event: str
    path: Path = "-"
    equals: Scalar | tuple[Scalar, ...] | None = None
    unless: Scalar | tuple[Scalar, ...] | None = None
    button: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    number: Path | None = None
    momentary: bool = False
    topic: Path | None = None


class Only(Config, frozen=True):
    """Which messages are this profile's, where the topic alone does not tell: those whose `path` equals that."""

    path: Path
    equals: Scalar | tuple[Scalar, ...]


class MqttWay(Config, frozen=True):
    """`topic`: with `{device}` as one level of it, other levels may be `+`; a last level `#` is allowed.

    `device_path`: where in the payload the device names itself, instead of in the topic. `quiet_gap_s`: silence that
    ends a press's repeats; absent: 1, or 60 where every press has a `number`.
    """

    topic: Path
    device_path: Path | None = None
    only: Only | None = None
    quiet_gap_s: Annotated[float, Meta(ge=0, le=600)] | None = None


class ModbusWay(Config, frozen=True):
    """`function` 3 (holding) or 4 (input registers). `gap`: registers that may be read in vain to save a request."""

    function: Literal[3, 4] = 4
    gap: Annotated[int, Meta(ge=0, le=120)] = 0
    interval_s: Annotated[float, Meta(ge=0.5)] = 60.0
    timeout_s: Annotated[float, Meta(ge=0.05, le=10)] = 1.0


class RecordWay(Config, frozen=True):
    """M-Bus and DL/T 645: how often to ask."""

    interval_s: Annotated[float, Meta(ge=1)] = 60.0


class Profile(Config, frozen=True):
    """One kind of device. Exactly one of `mqtt`, `modbus`, `mbus`, `dlt645`."""

    name: Word
    title: Annotated[str, Meta(min_length=1, max_length=200)]
    supervision_s: Annotated[float, Meta(ge=0)]
    source: str = ""  # where its facts are from: a manual, a recorded log
    mqtt: MqttWay | None = None
    modbus: ModbusWay | None = None
    mbus: RecordWay | None = None
    dlt645: RecordWay | None = None
    value: tuple[ValueRule, ...] = ()
    event: tuple[EventRule, ...] = ()
