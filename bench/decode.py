"""How fast our decoders and the usual libraries are on the same recorded frames, and what each finds of them.

    python bench/decode.py --captures DIR [--frames 2000] [--seed 1] [--only mbus-wired] [--json]

Every decoder gets the same reads of a line, made of the good frames of the recordings: a clean stream, and one with
glitches (idle bytes 00 and FF, false start marks, the request echoed, half frames before whole ones, reads split
anywhere), from one seed. A frame counts as found when the decoder gives for it, within the stream, what it gives for
that frame alone; what belongs to no frame of the stream is `wrong`. `right`: frames whose values, decoded alone, are
among those that the recording is known to hold (its `*.expected.json`), of those that have such values.

Frames are a second apart, as on a polled line. Only our decoders know the time; what that costs is counted with them.
A library is used as its own client uses it: the buffer and the loop are those of its client, the port left out.
`pymeterbus load` is given frames that somebody else has cut out, and therefore nothing with glitches. Time is that of
this process for each frame found, the best of three runs. Libraries that are not installed are left out and told:
install the extra `bench`. `hearthline framing` stops where the library beside it stops: pymodbus' framer at registers,
dlt645 at digits; a driver goes on to values, and schedules the line. Known and no fault of a decoder: the one frame
that pysml has not "right" is of a DZG meter, whose wrong sign pysml mends.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import logging
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import Press, Readings, Refused, Release, Seen, SerialDriver, find_drivers
from hearthline_edge.framing import FrameDecoder

START: Final = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
GAP_S: Final = 1.0
RUNS: Final = 3

Output = tuple[str, ...]  # what a decoder gives for one frame: texts, and numbers in one notation
Feed = Callable[[bytes, Stamp], list[Output]]


def word(value: Any) -> str:
    """A number or a text in one notation, the same for every decoder."""
    return f"{float(value):.9g}" if isinstance(value, int | float | Decimal) else str(value)


def words(values: Iterator[Any]) -> Output:
    return tuple(sorted(word(value) for value in values))


@dataclass(frozen=True, slots=True)
class Frame:
    """`known`: words that its recording is known to hold; empty: nothing was known of it. `echo`: its request."""

    data: bytes
    known: frozenset[str] = frozenset()
    echo: bytes = b""


@dataclass(frozen=True, slots=True)
class Recording:
    name: str
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Contender:
    """`open(recording)`: a fresh decoder. `package`: of PyPI, "" for ours. `glitches` false: it needs whole frames."""

    name: str
    open: Callable[[Recording], Feed]
    package: str = ""
    glitches: bool = True


@dataclass(frozen=True, slots=True)
class Family:
    """`starts`: bytes that a false start mark is made of; `load` reads the recordings."""

    name: str
    load: Callable[[Path], list[Recording]]
    starts: bytes
    contenders: tuple[Contender, ...]


@dataclass(slots=True)
class Result:
    family: str
    decoder: str
    version: str
    stream: str
    frames: int = 0
    found: int = 0
    wrong: int = 0
    right: int = 0
    checkable: int = 0
    seconds: float = 0.0
    missed: list[str] = field(default_factory=list)  # recordings with frames that were not found

    @property
    def us_per_frame(self) -> float:
        """Of each frame that was found: to drop a frame is no speed."""
        return self.seconds / max(self.found, 1) * 1e6


# --- recordings ---------------------------------------------------------------------------------------------------


def recorded(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(folder.glob("*.expected.json")):
        yield path.with_name(path.name.removesuffix(".expected.json")), json.loads(path.read_text())["expected"]


def _scaled(value: float) -> Iterator[str]:
    """A number in every unit that a decoder may give it in."""
    yield from (word(value), word(value * 1000), word(value / 1000), word(value / 3600))


def load_enocean(folder: Path) -> list[Recording]:
    found = []
    for path, expected in recorded(folder):
        frames = [
            Frame(bytes.fromhex(one["hex"]), frozenset((one["sender"], one["data"])))
            for one in expected.get("each", expected["frames"])
            if one.get("crc8h_ok") and one.get("crc8d_ok") and one.get("sender")
        ]
        found.append(Recording(path.stem, tuple(frames)))
    return found


def load_dlt645(folder: Path) -> list[Recording]:
    found = []
    for path, expected in recorded(folder):
        echo, frames = b"", []
        for one in expected["frames"]:
            data = bytes.fromhex(one["hex"])
            if int(one["control"], 16) < 0x80:
                echo = data
            elif one.get("checksum_ok") and one["control"] != "81":  # 81 is of 1997
                known = {one["address"], one.get("di", ""), one.get("value_bcd", "")}
                if "value" in one:
                    known |= set(_scaled(one["value"]))
                frames.append(Frame(data, frozenset(known) if "value" in one else frozenset(), echo))
                echo = b""
        found.append(Recording(path.stem, tuple(frames)))
    return found


def load_modbus(folder: Path) -> list[Recording]:
    found = []
    for path, expected in recorded(folder):
        echo, frames = b"", []
        for one in expected.get("frames", ()):
            data = bytes.fromhex(one["hex"])
            if one["kind"] == "request":
                echo = data
            elif one["crc_ok"]:
                frames.append(Frame(data, frozenset(map(word, one["registers"])), echo))
        found.append(Recording(path.stem, tuple(frames)))
    return found


def load_mbus(folder: Path) -> list[Recording]:
    found = []
    for path, expected in recorded(folder):
        if "slave" in expected:
            known: set[str] = set()
            for record in expected["records"]:
                value = record["Value"] or ""
                known |= {value, value.removesuffix("Z"), value.removesuffix(":00Z")}
                if value.removeprefix("-").replace(".", "", 1).isdecimal():
                    known |= set(_scaled(float(value)))
            data = bytes.fromhex(path.read_text())
            found.append(Recording(path.stem, (Frame(data, frozenset(known), b"\x10\x7b\x01\x7c\x16"),)))
    return found


def load_dsmr(folder: Path) -> list[Recording]:
    found = []
    for path, expected in recorded(folder):
        known: set[str] = set()
        values = [value for value, _unit in expected["obis_numeric"].values()]
        values += _values_within(expected.get("dsmr_parser_1_11_2"))
        for value in values:
            known |= set(_scaled(value))
        found.append(Recording(path.stem, (Frame(path.read_bytes(), frozenset(known)),)))
    return found


def _values_within(tree: Any) -> Iterator[float]:
    """Every number that stands under a key `value`."""
    if isinstance(tree, list):
        for each in tree:
            yield from _values_within(each)
    elif isinstance(tree, dict):
        for key, each in tree.items():
            if key == "value" and isinstance(each, int | float):
                yield each
            else:
                yield from _values_within(each)


def load_sml(folder: Path) -> list[Recording]:
    """What is known are the values of the first and the last frame."""
    found = []
    for path, expected in recorded(folder):
        frames = list(_sml_frames(path.read_bytes()))
        known = [frozenset[str]()] * len(frames)
        for place, told in ((0, expected.get("first_frame")), (-1, expected.get("last_frame"))):
            if frames and told:
                numbers = [entry[1] for entry in told if len(entry) > 1 and isinstance(entry[1], int | float)]
                known[place] = frozenset(scaled for value in numbers for scaled in _scaled(value))
        found.append(Recording(path.stem, tuple(map(Frame, frames, known))))
    return found


def _sml_frames(stream: bytes) -> Iterator[bytes]:
    """Whole frames whose CRC-16/X-25 holds."""
    start, escape, at = b"\x1b" * 4 + b"\x01" * 4, b"\x1b\x1b\x1b\x1b\x1a", 0
    while (at := stream.find(start, at)) >= 0:
        end = stream.find(escape, at + 8)
        if end < 0:
            return
        frame, at = stream[at : end + 8], end
        if len(frame) % 4 == 0 and len(frame) >= 16 and _x25(frame[:-2]) == int.from_bytes(frame[-2:], "little"):
            yield frame


def _x25(data: bytes) -> int:
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
    return crc ^ 0xFFFF


# --- streams ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stream:
    """What a line carries of one recording's frames. A turn is what comes before the line is quiet again."""

    recording: Recording
    turns: tuple[tuple[bytes, ...], ...]
    frames: tuple[Frame, ...]


def streams(family: Family, recordings: list[Recording], count: int, glitches: bool, seed: int) -> list[Stream]:
    """Each recording's frames over and over, `count` in all of the family."""
    rng = random.Random(f"{seed} {family.name} {glitches}")
    usable = [recording for recording in recordings if recording.frames]
    share = max(1, count // len(usable))
    found = []
    for recording in usable:
        frames = [recording.frames[number % len(recording.frames)] for number in range(share)]
        turns = [_glitched(frame, family.starts, rng) if glitches else ((frame.data,),) for frame in frames]
        found.append(Stream(recording, tuple(turn for made in turns for turn in made), tuple(frames)))
    return found


def _glitched(frame: Frame, starts: bytes, rng: random.Random) -> tuple[tuple[bytes, ...], ...]:
    """The turns of one frame: one, or two when a half frame comes before it."""
    kind, before = rng.random(), b""
    cut: tuple[tuple[bytes, ...], ...] = ()
    if kind < 0.2:
        before = bytes(rng.choices(b"\x00\xff", k=rng.randrange(1, 4)))
    elif kind < 0.4:
        before = bytes(rng.choices(starts, k=1)) + rng.randbytes(rng.randrange(0, 4))
    elif kind < 0.55:
        before = frame.echo or bytes(rng.choices(starts, k=2))
    elif kind < 0.7:
        cut = ((frame.data[: rng.randrange(1, max(2, len(frame.data) // 2))],),)
    data = before + frame.data
    place = rng.randrange(1, len(data))
    return (*cut, (data[:place], data[place:]) if rng.random() < 0.3 else (data,))


# --- ours ---------------------------------------------------------------------------------------------------------


@cache
def drivers() -> dict[str, Any]:
    return find_drivers()


def by_driver(name: str, output: Callable[[list[Any]], list[Output]]) -> Callable[[Recording], Feed]:
    """Our driver's session, as the agent runs it."""

    def open_session(_: Recording) -> Feed:
        driver = drivers()[name]
        assert isinstance(driver, SerialDriver)
        session = driver.open_session(driver.decode_options, "port")
        return lambda data, now: output(list(session.receive(data, now)))

    return open_session


def readings_output(items: list[Any]) -> list[Output]:
    return [words(each.value for each in item.readings) for item in items if isinstance(item, Readings)]


def enocean_output(items: list[Any]) -> list[Output]:
    """One telegram gives several items at times; its sender names it."""
    found: dict[str, set[str]] = {}
    for item in items:
        if isinstance(item, Readings):
            found.setdefault(item.readings[0].device, set())
        elif isinstance(item, Press):
            found.setdefault(item.device, set()).add(item.content)
        elif isinstance(item, Release | Seen) or hasattr(item, "device"):
            found.setdefault(item.device, set())
    return [
        tuple(sorted({device.removeprefix("enocean:").partition(":")[0]} | content))
        for device, content in found.items()
    ]


def dlt645_output(items: list[Any]) -> list[Output]:
    return [
        tuple(sorted((reading.device.split(":")[1], word(reading.value))))
        for item in items
        if isinstance(item, Readings)
        for reading in item.readings
    ] + [("no value",) for item in items if isinstance(item, Seen) or _is_error_reply(item)]


def _is_error_reply(item: Any) -> bool:
    return isinstance(item, Refused) and item.reason == "error-reply"


def dlt645_frames(_: Recording) -> Feed:
    """Framing, address, identifier and digits: as far as the library goes."""
    from hearthline_edge.devices.dlt645_2007 import SHAPE

    decoder = FrameDecoder(SHAPE)
    plain = bytes((byte - 0x33) & 0xFF for byte in range(256))

    def feed(data: bytes, now: Stamp) -> list[Output]:
        found: list[Output] = []
        for frame in decoder.feed(data, now):
            if isinstance(frame, bytes) and frame[8] & 0x80:
                content = frame[-3:9:-1].translate(plain).hex()
                found.append(tuple(sorted((frame[6:0:-1].hex(), content[-8:], content[:-8]))))
        return found

    return feed


def modbus_frames(_: Recording) -> Feed:
    """Framing and registers: as far as pymodbus' framer goes."""
    from hearthline_edge.devices.modbus_frames import SHAPE, Reply, parse

    decoder = FrameDecoder(SHAPE)

    def feed(data: bytes, now: Stamp) -> list[Output]:
        found: list[Output] = []
        for frame in decoder.feed(data, now):
            reply = parse(frame) if isinstance(frame, bytes) else None
            if isinstance(reply, Reply):
                found.append(words(int.from_bytes(reply.data[at : at + 2]) for at in range(0, len(reply.data), 2)))
        return found

    return feed


# --- libraries ----------------------------------------------------------------------------------------------------


def enocean_library(_: Recording) -> Feed:
    from enocean.protocol.constants import PARSE_RESULT
    from enocean.protocol.packet import Packet, RadioPacket

    buffer: list[int] = []

    def feed(data: bytes, now: Stamp) -> list[Output]:
        nonlocal buffer
        buffer += data
        found: list[Output] = []
        while True:
            status, buffer, packet = Packet.parse_msg(buffer)
            if status == PARSE_RESULT.INCOMPLETE:
                return found
            if status == PARSE_RESULT.OK and isinstance(packet, RadioPacket):
                found.append(
                    tuple(sorted((packet.sender_hex.replace(":", ""), bytes(packet.data[1:-5]).hex().upper())))
                )

    return feed


def dlt645_library(_: Recording) -> Feed:
    from dlt645.protocol.protocol import DLT645Protocol

    buffer = b""

    def feed(data: bytes, now: Stamp) -> list[Output]:
        nonlocal buffer
        buffer += data
        found: list[Output] = []
        while True:
            buffer, frame = DLT645Protocol.deserialize_with_remaining(buffer)
            if frame is None:
                return found
            if frame.ctrl_code & 0x80:
                content = bytes(frame.data)[::-1].hex()
                parts = (frame.addr[::-1].hex(), content[-8:], content[:-8])
                found.append(tuple(sorted(parts)))

    return feed


def pymodbus_framer(_: Recording) -> Feed:
    from pymodbus.exceptions import ModbusIOException
    from pymodbus.framer import FramerRTU
    from pymodbus.pdu import DecodePDU

    framer, buffer = FramerRTU(DecodePDU(is_server=False)), b""

    def feed(data: bytes, now: Stamp) -> list[Output]:
        nonlocal buffer
        buffer += data
        found: list[Output] = []
        while buffer:
            try:
                used, pdu = framer.handleFrame(buffer, 0, 0)
            except ModbusIOException:
                buffer = b""
                return found
            buffer = buffer[used:]
            if pdu is None:
                return found
            found.append(words(iter(getattr(pdu, "registers", ()))))
        return found

    return feed


def dsmr_library(recording: Recording) -> Feed:
    from dsmr_parser import telegram_specifications as versions
    from dsmr_parser.clients.telegram_buffer import TelegramBuffer
    from dsmr_parser.exceptions import InvalidChecksumError, ParseError
    from dsmr_parser.parsers import TelegramParser

    by_name = {"v2_2": "V2_2", "v4_2": "V4", "v5": "V5", "fluvius_v171": "BELGIUM_FLUVIUS", "iskra_ie": "ISKRA_IE"}
    version = by_name.get(recording.name.removeprefix("telegram_"), "Q3D")
    parser, buffer = TelegramParser(getattr(versions, version)), TelegramBuffer()

    def feed(data: bytes, now: Stamp) -> list[Output]:
        buffer.append(data.decode("latin-1"))
        found = []
        for text in buffer.get_all():
            try:
                telegram = parser.parse(text, throw_ex=True)
            except (InvalidChecksumError, ParseError, ValueError, ArithmeticError):
                continue
            values = [getattr(value, "value", None) for _, value in telegram if getattr(value, "unit", None)]
            found.append(words(value for value in values if isinstance(value, int | float | Decimal)))
        return found

    return feed


def _meterbus_output(data: bytes) -> list[Output]:
    import meterbus

    try:
        telegram = meterbus.load(data)
        records = [record.interpreted for record in telegram.records]
    except (meterbus.MBusFrameDecodeError, AttributeError, LookupError, ValueError, TypeError, ArithmeticError):
        return []
    # what follows DIF 0F and 1F is no value
    return [words(record["value"] for record in records if record["unit"] != "None" and record["value"] is not None)]


def meterbus_load(_: Recording) -> Feed:
    return lambda data, now: _meterbus_output(data) if data else []


def meterbus_receive(_: Recording) -> Feed:
    """Its own way to find frames reads from a port; here from what has come."""
    from meterbus import recv_frame

    waiting = bytearray()

    class Port:
        def read(self, count: int) -> bytes:
            taken = bytes(waiting[:count])
            del waiting[:count]
            return taken

    def feed(data: bytes, now: Stamp) -> list[Output]:
        waiting.extend(data)
        found: list[Output] = []
        while waiting:
            try:
                frame = recv_frame(Port())
            except IndexError:  # of a frame that ends too soon
                continue
            if frame and frame[0] == 0x68:
                found += _meterbus_output(frame)
        return found

    return feed


def sml_library(_: Recording) -> Feed:
    from sml import SmlBase, SmlGetListResponse

    buffer = b""

    def feed(data: bytes, now: Stamp) -> list[Output]:
        nonlocal buffer
        buffer += data
        found: list[Output] = []
        while buffer:
            end, frame = SmlBase.find_frame(buffer)
            buffer = buffer[end:]
            if not frame:
                return found
            for message in frame:
                body = message.get("messageBody")
                if isinstance(body, SmlGetListResponse):
                    values = (entry.get("value") for entry in body.get("valList", ()) if entry.get("unit"))
                    found.append(words(value for value in values if isinstance(value, int | float | Decimal)))
        return found

    return feed


FAMILIES: Final = (
    Family(
        "enocean-esp3",
        load_enocean,
        b"\x55",
        (
            Contender("hearthline", by_driver("enocean-esp3", enocean_output)),
            Contender("enocean", enocean_library, "enocean"),
        ),
    ),
    Family(
        "dlt645-2007",
        load_dlt645,
        b"\x68\xfe",
        (
            Contender("hearthline", by_driver("dlt645-2007", dlt645_output)),
            Contender("hearthline framing", dlt645_frames),
            Contender("dlt645", dlt645_library, "dlt645"),
        ),
    ),
    Family(
        "modbus-rtu",
        load_modbus,
        b"\x01\x02\x03\x04",
        (
            Contender("hearthline framing", modbus_frames),
            Contender("pymodbus framer", pymodbus_framer, "pymodbus"),
        ),
    ),
    Family(
        "mbus-wired",
        load_mbus,
        b"\x68\x10\xe5",
        (
            Contender("hearthline", by_driver("mbus-wired", readings_output)),
            Contender("pymeterbus load", meterbus_load, "pymeterbus", glitches=False),
            Contender("pymeterbus recv_frame", meterbus_receive, "pymeterbus"),
        ),
    ),
    Family(
        "dsmr-p1",
        load_dsmr,
        b"/!",
        (
            Contender("hearthline", by_driver("dsmr-p1", readings_output)),
            Contender("dsmr-parser", dsmr_library, "dsmr-parser"),
        ),
    ),
    Family(
        "sml",
        load_sml,
        b"\x1b\x01",
        (
            Contender("hearthline", by_driver("sml", readings_output)),
            Contender("pysml", sml_library, "pysml"),
        ),
    ),
)


# --- measuring ----------------------------------------------------------------------------------------------------


def play(feed: Feed, turns: tuple[tuple[bytes, ...], ...], moments: list[Stamp]) -> list[Output]:
    """Everything that the line gives, a quiet second after each turn."""
    found: list[Output] = []
    for turn, now, then in zip(turns, moments, moments[1:], strict=False):
        for data in turn:
            found += feed(data, now)
        found += feed(b"", then)
    return found


def alone(contender: Contender, recording: Recording) -> dict[bytes, list[Output]]:
    """What the decoder gives for each frame by itself."""
    moments = [START, START.later(GAP_S)]
    return {frame.data: play(contender.open(recording), ((frame.data,),), moments) for frame in recording.frames}


def measure(family: Family, contender: Contender, made: list[Stream], version: str, stream: str) -> Result:
    result = Result(family.name, contender.name, version, stream)
    for one in made:
        truth = alone(contender, one.recording)
        moments = [START.later(GAP_S * turn) for turn in range(len(one.turns) + 1)]
        seconds = []
        for _ in range(RUNS):
            feed = contender.open(one.recording)
            began = time.process_time()
            outputs = play(feed, one.turns, moments)
            seconds.append(time.process_time() - began)
        result.seconds += min(seconds)
        result.frames += len(one.frames)
        wanted = Counter(output for frame in one.frames for output in truth[frame.data])
        found = Counter(outputs)
        result.wrong += (found - wanted).total()
        here = _frames_found(one.frames, truth, found)
        result.found += here
        if here < len(one.frames):
            result.missed.append(f"{one.recording.name} {here}/{len(one.frames)}")
        for frame in one.recording.frames:
            if frame.known:
                result.checkable += 1
                told = [part for output in truth[frame.data] for part in output]
                result.right += bool(told) and all(part in frame.known for part in told)
    return result


def _frames_found(frames: tuple[Frame, ...], truth: dict[bytes, list[Output]], found: Counter[Output]) -> int:
    """How many of the frames have their outputs, each output counted once."""
    left, count = found.copy(), 0
    for frame in frames:
        outputs = truth[frame.data]
        if outputs and all(left[output] > 0 for output in outputs):
            left.subtract(outputs)
            count += 1
    return count


def installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def run(captures: Path, count: int, seed: int, only: str | None) -> Iterator[Result | str]:
    """Each result, and a word for what had to be left out."""
    for family in FAMILIES:
        if only not in (None, family.name):
            continue
        if family.name not in drivers():
            yield f"{family.name}: there is no such driver"
            continue
        recordings = family.load(captures / family.name)
        for glitches in (False, True):
            made = streams(family, recordings, count, glitches, seed)
            for contender in family.contenders:
                version = installed(contender.package) if contender.package else "ours"
                if version is None:
                    yield f"{family.name}: {contender.package} is not installed"
                elif contender.glitches or not glitches:
                    yield measure(family, contender, made, version, "glitches" if glitches else "clean")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--captures", type=Path, default=os.environ.get("HEARTHLINE_CAPTURES"))
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=[family.name for family in FAMILIES])
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.captures is None:
        sys.exit("no recorded frames: give --captures DIR or set HEARTHLINE_CAPTURES")
    quiet_libraries()
    if not args.json:
        print(f"{'family':<14}{'decoder':<23}{'version':<9}{'stream':<10}{'found':>11}{'wrong':>7}{'right':>8}", end="")
        print(f"{'µs/found':>10}{'found/s':>10}")
    for result in run(Path(args.captures), args.frames, args.seed, args.only):
        if isinstance(result, str):
            print(result, file=sys.stderr)
        elif args.json:
            print(json.dumps({**asdict(result), "us_per_frame": round(result.us_per_frame, 2)}))
        else:
            found, right = f"{result.found}/{result.frames}", f"{result.right}/{result.checkable}"
            print(
                f"{result.family:<14}{result.decoder:<23}{result.version:<9}{result.stream:<10}{found:>11}"
                f"{result.wrong:>7}{right:>8}{result.us_per_frame:>10.1f}{1e6 / result.us_per_frame:>10,.0f}"
            )


def quiet_libraries() -> None:
    """What a library logs about each bad frame is no part of the decoding."""
    logging.disable(logging.CRITICAL)
    try:
        from loguru import logger
    except ImportError:
        return
    logger.remove()


if __name__ == "__main__":
    main()
