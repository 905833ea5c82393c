"""Recorded bytes and messages as files hold them: which form a file has, and what came when.

    hexadecimal   lines of hex digits (blanks and `#` comments allowed): one read of the line each, `gap_s` apart
    JSON lines    {"topic": …, "payload": …, "retained"?, "at"?}   a message; mosquitto_sub -F %j writes such
                  {"hex": …, "at"?}                                a read of a serial line
                  {…}                                              a bare payload; `time` "@0.25s" is when it came
    raw           anything else: bytes of a serial line, at the line's speed

`at` is in seconds since the beginning or since 1970, or RFC 3339. The form is told from the beginning of the file, by
most of its lines; a line of another form is told by its number, and the lines behind it still count.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, BinaryIO, Final, Literal

import msgspec

from hearthline.errors import ProtocolError

Form = Literal["hexadecimal", "json", "raw"]
_HEX_LINE: Final = re.compile(rb"[0-9A-Fa-fx \t:]+\Z")
_RELATIVE_TIME: Final = re.compile(r"@([0-9]{1,9}(?:\.[0-9]{1,9})?)s\Z")
SINCE_1970_S: Final = 1e9
_LATEST_S: Final = 9e9  # in the year 2255; a clock of nanoseconds in 64 bits ends soon after
_CHUNK: Final = 64
_PEEK: Final = 4096


@dataclass(frozen=True, slots=True)
class Heard:
    """What came `at_s` seconds after the beginning, or since 1970 from `SINCE_1970_S` on.

    `topic` None: bytes of a line, or a payload without its topic.
    """

    at_s: float
    data: bytes
    topic: str | None = None
    retained: bool = False


def form_of(beginning: bytes) -> Form:
    """The form that a file has, by its first bytes (whole lines of them)."""
    whole, _, rest = beginning.rpartition(b"\n")
    lines = [line.strip() for line in (whole or rest).split(b"\n")]
    lines = [line for line in lines if line and not line.startswith(b"#")]
    if sum(line.startswith(b"{") for line in lines) * 2 >= len(lines) > 0:
        return "json"
    return "hexadecimal" if sum(bool(_HEX_LINE.match(line)) for line in lines) * 2 > len(lines) else "raw"


def _refuse(error: ProtocolError) -> None:
    raise error


def read_recording(
    file: BinaryIO, gap_s: float, bytes_per_s: float, on_wrong_line: Callable[[ProtocolError], None] = _refuse
) -> Iterator[Heard]:
    """What the file holds, in order. `gap_s`: before lines that bring no time.

    A wrong line raises ProtocolError, or is told to `on_wrong_line` and passed over.
    """
    beginning = file.read1(_PEEK) if hasattr(file, "read1") else file.read(_PEEK)
    while b"\n" not in beginning and len(beginning) < _PEEK and (more := file.read(_PEEK - len(beginning))):
        beginning += more
    beginning = beginning.removeprefix(codecs.BOM_UTF8)
    form = form_of(beginning)
    if form == "raw":
        yield from _raw(_chunks(beginning, file), bytes_per_s)
        return
    at_s, first = 0.0, True
    for number, line in enumerate(_lines(beginning, file), start=1):
        if not line or line.startswith(b"#"):
            continue
        try:
            read, stated_s = (_hex(line, number), None) if form == "hexadecimal" else _json(line, number)
        except ProtocolError as error:
            on_wrong_line(error)
            continue
        if stated_s is not None:
            at_s = max(at_s, stated_s)
        elif not first:
            at_s += gap_s
        first = False
        yield replace(read, at_s=at_s)


def _chunks(beginning: bytes, file: BinaryIO) -> Iterator[bytes]:
    yield beginning
    while data := file.read(_PEEK):
        yield data


def _lines(beginning: bytes, file: BinaryIO) -> Iterator[bytes]:
    *whole, rest = beginning.split(b"\n")
    yield from (line.strip() for line in whole)
    yield (rest + file.readline()).strip()
    for line in file:
        yield line.strip()


def _raw(chunks: Iterable[bytes], bytes_per_s: float) -> Iterator[Heard]:
    sent = 0
    for chunk in chunks:
        for at in range(0, len(chunk), _CHUNK):
            piece = chunk[at : at + _CHUNK]
            sent += len(piece)
            yield Heard(sent / bytes_per_s, piece)


def _hex(line: bytes, number: int) -> Heard:
    try:
        return Heard(0.0, bytes.fromhex(line.decode("ascii").replace(":", " ").replace("0x", " ")))
    except ValueError:  # no ASCII is one as well
        raise ProtocolError(f"line {number}: not hexadecimal digits: {line[:40]!r}") from None


def _json(line: bytes, number: int) -> tuple[Heard, float | None]:
    """What the line holds, and when it came, if it says so."""
    try:
        tree = msgspec.json.decode(line)
    except (ValueError, RecursionError) as error:  # a DecodeError, or no UTF-8
        raise ProtocolError(f"line {number}: not JSON: {error}") from None
    if not isinstance(tree, dict):
        raise ProtocolError(f"line {number}: a JSON object is needed, with topic and payload, or a bare payload")
    at_s = _time(tree, number)
    if isinstance(tree.get("hex"), str) and "topic" not in tree:
        return _hex(tree["hex"].encode(), number), at_s
    if "topic" not in tree or "payload" not in tree:
        return Heard(0.0, line), at_s
    topic, payload = tree["topic"], tree["payload"]
    if not isinstance(topic, str | None):
        raise ProtocolError(f"line {number}: topic needs to be a text")
    data = payload.encode("utf-8", "replace") if isinstance(payload, str) else msgspec.json.encode(payload)
    return Heard(0.0, data, topic, bool(tree.get("retained") or tree.get("retain"))), at_s


def _time(tree: dict[str, Any], number: int) -> float | None:
    """When the line came, if it says so."""
    at, relative = tree.get("at", tree.get("tst")), tree.get("time")
    if isinstance(at, int | float) and not isinstance(at, bool):
        if abs(at) > _LATEST_S:
            raise ProtocolError(f"line {number}: at is in seconds, up to {_LATEST_S:.0f}")
        return float(at)
    if isinstance(at, str):
        try:
            at_s = datetime.fromisoformat(at.replace("Z+", "+").replace("Z-", "-")).timestamp()  # as mosquitto_sub says
        except (ValueError, OverflowError):
            raise ProtocolError(f"line {number}: {at[:40]!r} is neither seconds nor RFC 3339") from None
        return min(at_s, _LATEST_S)
    match = _RELATIVE_TIME.match(relative) if isinstance(relative, str) else None
    return float(match[1]) if match else None
