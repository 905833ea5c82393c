"""Wired M-Bus meters: water, heat and electricity, 2400 8E1 (11 bits a byte).

    10 C A CS 16                        short: 40 SND_NKE, 5B/7B REQ_UD2          E5  acknowledged
    68 L L 68 C A CI data CS 16         long: 73 SND_UD with CI 52 selects; 08 RSP_UD with CI 72 is the reply
    CS sum of C to data modulo 256      A 0..250 primary, FD the selected meter, FE any (test), FF all, no reply

    reply   id (4 BCD) manufacturer (2) version medium access status signature (2) | records   low byte first
    record  DIF [DIFE] VIF [VIFE] value      DIF: 2 16 bit, 3 24 bit, 4 32 bit integer; A to C, E: BCD of 4, 6, 8, 12
    select  id manufacturer version medium       a nibble F of the id, and FF elsewhere, stand for any

Source: EN 13757-2 and -3. The layouts are those of recorded meters: NZR DHZ 5/63 (electricity), Kamstrup Multical 601
(heat); that of the water meter is made from the standard (unverified). The access number counts requests whose frame
count bit has changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

from hearthline_sim.devices.bus import Answer, Value
from hearthline_sim.devices.emission import Burst

BAUDRATE: Final = 2400
BITS_PER_BYTE: Final = 11

Medium = Literal["water", "heat", "electricity"]

SHORT, LONG, END, ACKNOWLEDGED = 0x10, 0x68, 0x16, b"\xe5"
SND_NKE, REQ_UD2, SND_UD, RSP_UD = 0x40, 0x5B, 0x53, 0x08
FCB: Final = 0x20
CI_SELECT, CI_REPLY = 0x52, 0x72
SELECTED, TEST = 0xFD, 0xFE
MEDIUM_CODES: Final[dict[Medium, int]] = {"electricity": 0x02, "heat": 0x04, "water": 0x07}
VERSIONS: Final[dict[Medium, int]] = {"electricity": 1, "heat": 8, "water": 0x10}


@dataclass(frozen=True, slots=True)
class Record:
    """One data record: DIF and DIFEs, VIF and VIFEs, the raw integer; and, for the ledger, what the value means."""

    dif: bytes
    vif: bytes
    raw: int
    quantity: str = ""
    value: float = 0.0
    place: str = ""  # behind the device: :s1 of the first storage, :m with an extension of the maker's

    def encode(self) -> bytes:
        coding = self.dif[0] & 0x0F
        sizes = {1: 1, 2: 2, 3: 3, 4: 4, 6: 6, 7: 8}
        if coding in sizes:
            data = self.raw.to_bytes(sizes[coding], "little", signed=True)
        else:
            digits = {9: 2, 10: 4, 11: 6, 12: 8, 14: 12}[coding]
            data = bytes.fromhex(f"{self.raw:0{digits}d}")[::-1]
        return self.dif + self.vif + data


@dataclass(frozen=True, slots=True)
class Identity:
    """Eight digits, three letters, version and medium: the secondary address."""

    number: str
    manufacturer: str
    version: int
    medium: int

    @property
    def address(self) -> bytes:
        return (
            bytes.fromhex(self.number)[::-1] + manufacturer_code(self.manufacturer) + bytes((self.version, self.medium))
        )


def medium(name: str) -> Medium:
    """Raises ValueError for a name that is none."""
    for known in MEDIUM_CODES:
        if known == name:
            return known
    raise ValueError(f"no M-Bus meter {name!r}; there are {', '.join(MEDIUM_CODES)}")


def manufacturer_code(letters: str) -> bytes:
    """Three letters of five bits each (EN 62056-21), low byte first."""
    first, second, third = (ord(letter) - 64 for letter in letters)
    return (first << 10 | second << 5 | third).to_bytes(2, "little")


def long_frame(control: int, address: int, body: bytes) -> bytes:
    """`body` begins with CI."""
    content = bytes((control, address)) + body
    return bytes((LONG, len(content), len(content), LONG)) + content + bytes((sum(content) & 0xFF, END))


def reply(address: int, identity: Identity, access: int, status: int, data: bytes) -> bytes:
    """RSP_UD with the variable data structure."""
    header = identity.address + bytes((access, status, 0, 0))
    return long_frame(RSP_UD, address, bytes((CI_REPLY,)) + header + data)


@dataclass(frozen=True, slots=True)
class Counters:
    """What a meter counts and measures: volume or energy in m3 or kWh, and what flows now."""

    total: float
    rate: float  # m3/h, or W
    voltage_v: float = 230.0
    flow_celsius: float = 62.0
    return_celsius: float = 38.0


def electricity_records(number: str, counters: Counters) -> list[Record]:
    """NZR DHZ 5/63: energy in Wh (twice), voltage, current, power, its number."""
    wh, decivolts = int(counters.total * 1000 + 1e-6), round(counters.voltage_v * 10)
    deciamps, watts = round(counters.rate / counters.voltage_v * 10), round(counters.rate)
    return [
        Record(b"\x04", b"\x03", wh, "energy_import", wh / 1000),
        Record(b"\x04", b"\x83\x7f", wh, "energy_import", wh / 1000, ":m"),
        Record(b"\x02", b"\xfd\x48", decivolts, "voltage", decivolts / 10),
        Record(b"\x02", b"\xfd\x5b", deciamps, "current", deciamps / 10),
        Record(b"\x02", b"\x2b", watts, "power", watts),
        Record(b"\x0c", b"\x78", int(number)),
    ]


def heat_records(number: str, counters: Counters) -> list[Record]:
    """Kamstrup Multical 601, its first records: energy in kWh, volume, temperatures, power, flow."""
    kwh, volume = int(counters.total + 1e-6), int(counters.total * 1.5)
    flow, back = round(counters.flow_celsius * 100), round(counters.return_celsius * 100)
    power, litres = round(counters.rate / 100), round(counters.rate / 1000 / 1.16 / (flow - back) * 100_000)
    return [
        Record(b"\x0c", b"\x78", int(number)),
        Record(b"\x04", b"\x06", kwh, "heat_energy", kwh),
        Record(b"\x04", b"\x14", volume, "volume", volume / 100),
        Record(b"\x04", b"\x59", flow, "flow_temperature", flow / 100),
        Record(b"\x04", b"\x5d", back, "return_temperature", back / 100),
        Record(b"\x04", b"\x61", flow - back, "temperature_difference", (flow - back) / 100),
        Record(b"\x04", b"\x2d", power, "heat_power", power * 100),
        Record(b"\x04", b"\x3b", litres, "volume_flow", litres / 1000 / 3600),
    ]


def water_records(number: str, counters: Counters) -> list[Record]:
    """Number, volume in litres, flow in l/h, and the volume of the last due date (storage 1)."""
    litres, hourly = int(counters.total * 1000 + 1e-6), round(counters.rate * 1000)
    return [
        Record(b"\x0c", b"\x78", int(number)),
        Record(b"\x0c", b"\x13", litres, "water_volume", litres / 1000),
        Record(b"\x0b", b"\x3b", hourly, "volume_flow", hourly / 1000 / 3600),
        Record(b"\x4c", b"\x13", litres // 2, "water_volume", (litres // 2) / 1000, ":s1"),
    ]


_RECORDS: Final[dict[Medium, Callable[[str, Counters], list[Record]]]] = {
    "electricity": electricity_records,
    "heat": heat_records,
    "water": water_records,
}


class MbusMeter:
    """One meter on the bus, by its primary address and by selection. `dead`: it never answers."""

    def __init__(
        self,
        medium: Medium,
        manufacturer: str,
        number: str,
        primary: int,
        rng: Random,
        counters: Callable[[], Counters],
        *,
        dead: bool = False,
    ) -> None:
        if len(number) != 8 or not number.isdigit():
            raise ValueError(f"an M-Bus number has eight digits, not {number!r}")
        self.device = f"mbus:{manufacturer}:{number}"
        self._medium: Medium = medium
        self._identity = Identity(number, manufacturer, VERSIONS[medium], MEDIUM_CODES[medium])
        self._primary = primary
        self._rng = rng
        self._counters = counters
        self._dead = dead
        self._selected = False
        self._access = rng.randrange(256)
        self._last_control = 0
        self._buffer = b""

    def receive(self, data: bytes) -> tuple[Answer, ...]:
        self._buffer += data
        answers = []
        while (request := self._next_request()) is not None:
            answer = None if self._dead else self._answer(*request)
            if answer is not None:
                answers.append(answer)
        return tuple(answers)

    def _answer(self, control: int, address: int, body: bytes) -> Answer | None:
        after_s = self._rng.uniform(0.02, 0.08)  # 11 to 330 bit times and 50 ms
        if control & ~FCB == SND_UD and address == SELECTED and body[:1] == bytes((CI_SELECT,)):
            self._selected = _fits(body[1:], self._identity)
            return Answer(Burst(after_s, ACKNOWLEDGED)) if self._selected else None
        if not (address in (self._primary, TEST) or (address == SELECTED and self._selected)):
            return None
        if control == SND_NKE:
            self._selected = self._selected and address != SELECTED
            self._last_control = 0
            return Answer(Burst(after_s, ACKNOWLEDGED))
        if control & ~FCB != REQ_UD2:
            return None
        if control != self._last_control:
            self._access = (self._access + 1) & 0xFF
        self._last_control = control
        records = _RECORDS[self._medium](self._identity.number, self._counters())
        data = b"".join(record.encode() for record in records)
        values = tuple(
            Value(self.device + record.place, record.quantity, record.value) for record in records if record.quantity
        )
        return Answer(Burst(after_s, reply(self._primary, self._identity, self._access, 0, data)), values)

    def _next_request(self) -> tuple[int, int, bytes] | None:
        """Control, address and body of the next correct frame; what comes before it is dropped."""
        while self._buffer:
            size = _size(self._buffer)
            if size is not None and len(self._buffer) < size:
                return None
            whole = self._buffer[:size]
            if size is None or whole[-1] != END:
                self._buffer = self._buffer[1:]
                continue
            content = whole[1:-2] if whole[0] == SHORT else whole[4:-2]
            if sum(content) & 0xFF != whole[-2]:
                self._buffer = self._buffer[1:]
                continue
            self._buffer = self._buffer[size:]
            return content[0], content[1], content[2:]
        return None


def _size(buffer: bytes) -> int | None:
    """How long the frame is that begins here, as far as its bytes say; None when none does."""
    if buffer[0] == SHORT:
        return 5
    if buffer[0] != LONG:
        return None
    if len(buffer) < 4:
        return 4
    return buffer[1] + 6 if buffer[1] == buffer[2] and buffer[3] == LONG and buffer[1] >= 3 else None


def _fits(asked: bytes, identity: Identity) -> bool:
    """Whether a selection means this meter: F stands for any digit, FF for any other byte."""
    if len(asked) != 8:
        return False
    own = identity.address
    digits = zip(asked[:4].hex(), own[:4].hex(), strict=True)
    if not all(digit in (mine, "f") for digit, mine in digits):
        return False
    parts = ((asked[4:6], own[4:6]), (asked[6:7], own[6:7]), (asked[7:8], own[7:8]))
    return all(part in (mine, b"\xff" * len(mine)) for part, mine in parts)
