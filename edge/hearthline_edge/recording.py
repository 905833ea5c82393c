"""Recorded bytes and messages as files hold them: which form a file has, and what came when.

    hexadecimal   lines of hex digits (blanks and `#` comments allowed): one read of the line each, `gap_s` apart
    JSON lines    {"topic": …, "payload": …, "retained"?, "at"?}   a message; mosquitto_sub -F %j writes such
                  {"hex": …, "at"?}                                a read of a serial line
                  {…}                                              a bare payload; `time` "@0.25s" is when it came
    raw           anything else: bytes of a serial line, at the line's speed

`at` is in seconds since the beginning or since 1970, or RFC 3339. The form is told from the beginning of the file; a
later line of another form is an error that names the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Final, Literal

import msgspec

from hearthline.errors import ProtocolError

Form = Literal["hexadecimal", "json", "raw"]
_HEX_LINE: Final = re.compile(rb"[0-9A-Fa-f \t:]+\Z")
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
    if lines and lines[0].startswith(b"{"):
        return "json"
    return "hexadecimal" if lines and all(_HEX_LINE.match(line) for line in lines) else "raw"


def read_recording(file: BinaryIO, gap_s: float, bytes_per_s: float) -> Iterator[Heard]:
    """What the file holds, in order. `gap_s`: between lines that bring no time. Raises ProtocolError."""
    beginning = file.read1(_PEEK) if hasattr(file, "read1") else file.read(_PEEK)
    while b"\n" not in beginning and len(beginning) < _PEEK and (more := file.read(_PEEK - len(beginning))):
        beginning += more
    form = form_of(beginning)
    if form == "raw":
        yield from _raw(_chunks(beginning, file), bytes_per_s)
        return
    at_s, first = 0.0, True
    for number, line in enumerate(_lines(beginning, file), start=1):
        if not line or line.startswith(b"#"):
            continue
        usual_s = at_s if first else at_s + gap_s
        heard = _hex(line, number, usual_s) if form == "hexadecimal" else _json(line, number, usual_s)
        at_s, first = heard.at_s, False
        yield heard


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


def _hex(line: bytes, number: int, at_s: float) -> Heard:
    try:
        return Heard(at_s, bytes.fromhex(line.decode("ascii").replace(":", " ")))
    except ValueError:  # no ASCII is one as well
        raise ProtocolError(f"line {number}: not hexadecimal digits: {line[:40]!r}") from None


def _json(line: bytes, number: int, usual_s: float) -> Heard:
    try:
        tree = msgspec.json.decode(line)
    except (ValueError, RecursionError) as error:  # a DecodeError, or no UTF-8
        raise ProtocolError(f"line {number}: not JSON: {error}") from None
    if not isinstance(tree, dict):
        raise ProtocolError(f"line {number}: a JSON object is needed, with topic and payload, or a bare payload")
    at_s = max(_time(tree, number, usual_s), usual_s)
    if isinstance(tree.get("hex"), str) and "topic" not in tree:
        return Heard(at_s, _hex(tree["hex"].encode(), number, 0.0).data)
    if "topic" not in tree or "payload" not in tree:
        return Heard(at_s, line)
    topic, payload = tree["topic"], tree["payload"]
    if not isinstance(topic, str | None):
        raise ProtocolError(f"line {number}: topic needs to be a text")
    data = payload.encode("utf-8", "replace") if isinstance(payload, str) else msgspec.json.encode(payload)
    return Heard(at_s, data, topic, bool(tree.get("retained") or tree.get("retain")))


def _time(tree: dict[str, Any], number: int, usual_s: float) -> float:
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
    return float(match[1]) if match else usual_s
