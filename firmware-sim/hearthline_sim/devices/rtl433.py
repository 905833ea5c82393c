"""What rtl_433 publishes of 433 MHz transmitters: one JSON message a decode, several decodes a press.

    rtl_433/<host>/events   {"time":"…","model":"Smoke-GS558","id":…,"unit":…,"learn":0,"code":"8d3cf6"}

    EV1527   20 bits of address and 4 of data; Smoke-GS558 tells them last bit first, so the first digit of `code` is
             the data: A 8, B 4, C 2, D 1, two keys at once their sum; id = bits 5 to 19, unit = bits 0 to 4
    leak     an EV1527 detector heard by a flex decoder (24 bits, and 25 with a sync bit in front) and, shifted by the
             sync bit and inverted, by Generic-Remote: three shapes of one transmission
    X10      DS10A contact: "event" : "DS10A DOOR/WINDOW OPEN", battery_ok

Source: the EV1527 data sheet and rtl_433's output; recordings of rtl_433_tests give models, fields and times: a press
is 4 or more decodes 60.4 ms apart, a leak 49 in 1.8 s. The model is whatever decoder takes the code first.
"""

from __future__ import annotations

from datetime import datetime
from random import Random
from typing import Any, Final

import msgspec

from hearthline.clock import NS
from hearthline_sim.devices.emission import Publish

REPEAT_S: Final = 0.0604
KEYS: Final = {"A": 8, "B": 4, "C": 2, "D": 1}
_TRISTATE: Final = {0: "0", 1: "Z", 2: "X", 3: "1"}
# How many decodes of each shape (24 bits, 25 bits, Generic-Remote) the bursts of a leak have, and when they come.
_LEAK_BURSTS: Final = (
    (0.0, 1, 0, 0),
    (0.0641, 1, 5, 5),
    (0.4491, 1, 0, 0),
    (0.5133, 1, 0, 0),
    (0.5774, 1, 4, 4),
    (0.8983, 1, 0, 0),
    (0.9624, 1, 0, 0),
    (1.0265, 1, 9, 9),
    (1.6682, 1, 0, 0),
    (1.7323, 1, 3, 0),
)


def smoke_gs558(code: int) -> dict[str, Any]:
    """A 24-bit code as the decoder of that smoke detector, which takes most EV1527 fobs, tells it."""
    return {
        "model": "Smoke-GS558",
        "id": (code >> 16 & 0x0F) << 11 | (code >> 8 & 0xFF) << 3 | (code >> 5 & 0x07),
        "unit": code & 0x1F,
        "learn": 0,
        "code": f"{code:06x}",
    }


def flex(model: str, bits: str) -> dict[str, Any]:
    """A row of 24 or 25 bits as a flex decoder tells it: filled up to whole digits, `code` of the first 24 bits."""
    digits = -(-len(bits) // 4)
    row = bits.ljust(4 * digits, "0")
    return {
        "model": model,
        "count": 1,
        "num_rows": 1,
        "len": len(bits),
        "data": f"{int(row, 2):0{digits}x}",
        "code": int(bits[:24], 2),
    }


def generic_remote(bits: str) -> dict[str, Any]:
    """The first 24 bits, inverted, as Generic-Remote tells them."""
    code = ~int(bits[:24], 2) & 0xFFFFFF
    pairs = (code >> shift & 3 for shift in range(22, -1, -2))
    return {
        "model": "Generic-Remote",
        "id": code >> 8,
        "cmd": code & 0xFF,
        "tristate": "".join(_TRISTATE[pair] for pair in pairs),
    }


class Rtl433:
    """One rtl_433 process; `time` is local and has no zone."""

    def __init__(self, host: str = "gateway") -> None:
        self.topic = f"rtl_433/{host}/events"

    def message(self, after_s: float, wall_ns: int, fields: dict[str, Any]) -> Publish:
        moment = datetime.fromtimestamp(wall_ns / NS + after_s).astimezone().replace(tzinfo=None)
        body = {"time": moment.isoformat(" ", timespec="seconds"), **fields}
        return Publish(after_s, self.topic, msgspec.json.encode(body))


class Ev1527Fob:
    """A key fob of four keys. `address`: five hexadecimal digits, as they follow the data in `code`."""

    def __init__(self, address: str, rng: Random, radio: Rtl433, *, copies: tuple[int, int] = (4, 8)) -> None:
        if len(address) != 5:
            raise ValueError(f"an EV1527 address has five hexadecimal digits, not {address!r}")
        self._address = int(address, 16)
        self.device = f"rf433:ev1527:{self._address:05x}"
        self._rng = rng
        self._radio = radio
        self._copies = copies

    def press(self, keys: str, wall_ns: int) -> tuple[Publish, ...]:
        """The decodes of one press of `keys`, one letter or more of A B C D."""
        code = sum(KEYS[key] for key in keys) << 20 | self._address
        count = self._rng.randint(*self._copies)
        return tuple(self._radio.message(index * REPEAT_S, wall_ns, smoke_gs558(code)) for index in range(count))


class LeakSensor:
    """An EV1527 water-leak detector, heard in three shapes. `code`: its 24 bits as a flex decoder tells them."""

    def __init__(self, code: str, radio: Rtl433, *, model: str = "DY-SQ100B-WaterLeak-EV1527") -> None:
        self._bits = f"{int(code, 16):024b}"
        self.device = f"rf433:ev1527:{code.lower()}"
        self._radio = radio
        self._model = model

    def leak(self, wall_ns: int) -> tuple[Publish, ...]:
        """All decodes of one transmission."""
        shifted = "1" + self._bits
        shapes = (flex(self._model, self._bits), flex(self._model, shifted), generic_remote(shifted))
        return tuple(
            self._radio.message(after_s, wall_ns, shape)
            for after_s, *counts in _LEAK_BURSTS
            for shape, count in zip(shapes, counts, strict=True)
            for _ in range(int(count))
        )


class X10Contact:
    """An X10 DS10A door contact; each change is told five times."""

    def __init__(self, id_: str, radio: Rtl433, *, battery_ok: bool = True) -> None:
        self._id = id_
        self.device = f"rf433:x10-security:{id_}"
        self._radio = radio
        self._battery_ok = battery_ok

    def report(self, opened: bool, wall_ns: int) -> tuple[Publish, ...]:
        fields = {
            "model": "X10-Security",
            "id": self._id,
            "code": "05" if opened else "85",
            "event": f"DS10A DOOR/WINDOW {'OPEN' if opened else 'CLOSED'}",
            "battery_ok": int(self._battery_ok),
        }
        return tuple(self._radio.message(index * 0.04, wall_ns, fields) for index in range(5))
