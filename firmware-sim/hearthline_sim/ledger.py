"""What really happened in the simulated home: the truth against which the product is judged.

One JSON object a line, appended and flushed at once:

    {"kind":"press",    "device", "ordinal", "button", "role", "pressed_wall_ns", "again_of"}    the elder pressed
    {"kind":"sent",     "device", "ordinal", "wall_ns", "heard"}      last byte on the line, or publication acknowledged
    {"kind":"received", "device", "ordinal", "event", "wall_ns"}      the home was told that the center has it
    {"kind":"accepted", "device", "ordinal", "event", "wall_ns"}      the home was told that a person has it
    {"kind":"vital",    "device", "sys", "dia", "pulse", "sent_wall_ns", "heard"}
    {"kind":"reading",  "device", "quantity", "value", "sent_wall_ns"}
    {"kind":"change",   "device", "change", "sent_wall_ns", "heard"}  open, motion, leak, clear (a hazard is over) …
    {"kind":"output",   "device", "on", "mode", "wall_ns"}            siren or relay

Presses count from 1 for each device, across restarts on the same file. `heard` false: the press is lost, because no
process had the port open or the broker was away. A line that a killed process left unfinished is ignored and cut off
by the next writer. The first "received" and the first "accepted" of a press stand; a second event for one press is a
line of its own.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import msgspec


@dataclass(frozen=True, slots=True)
class Press:
    """One press. Times are Unix nanoseconds; `again_of` is the ordinal of the first press of the same cry."""

    device: str
    ordinal: int
    button: str
    role: str
    pressed_wall_ns: int
    again_of: int | None = None
    sent_wall_ns: int | None = None
    heard: bool = True
    received_event: str | None = None
    received_wall_ns: int | None = None
    accepted_wall_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Vital:
    """One result of a cuff, in mmHg and beats a minute."""

    device: str
    sys: int
    dia: int
    pulse: int
    sent_wall_ns: int
    heard: bool = True


@dataclass(frozen=True, slots=True)
class SentReading:
    """One value as it left a meter or plug, in the units of `hearthline.model.TELEMETRY_UNITS`."""

    device: str
    quantity: str
    value: float
    sent_wall_ns: int


@dataclass(frozen=True, slots=True)
class SentChange:
    """What a sensor noticed, or `clear` when a hazard is over."""

    device: str
    change: str
    sent_wall_ns: int
    heard: bool = True


@dataclass(frozen=True, slots=True)
class Output:
    """A siren or relay went on or off."""

    device: str
    on: bool
    wall_ns: int
    mode: str | None = None


class Ledger:
    """The truth in memory, and in a file when it has a path. All methods may be called from any thread."""

    def __init__(self, path: Path | None = None) -> None:
        """Go on with the file at `path`, or start it."""
        self.vitals: list[Vital] = []
        self.readings: list[SentReading] = []
        self.changes: list[SentChange] = []
        self.outputs: list[Output] = []
        self._presses: dict[tuple[str, int], Press] = {}
        self._last: dict[str, int] = {}
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            kept = self._replay(path)
            self._file = path.open("ab")
            self._file.truncate(kept)

    @classmethod
    def load(cls, path: Path) -> Ledger:
        """Read a ledger without writing to it."""
        ledger = cls()
        ledger._replay(path)
        return ledger

    @property
    def presses(self) -> list[Press]:
        """Every press, in the order of pressing."""
        with self._lock:
            return list(self._presses.values())

    def press(self, device: str, button: str, role: str, wall_ns: int, again_of: int | None = None) -> Press:
        """Write down that the elder pressed; gives the press its ordinal."""
        with self._lock:
            press = Press(device, self._last.get(device, 0) + 1, button, role, wall_ns, again_of)
            told = ("device", "ordinal", "button", "role", "pressed_wall_ns", "again_of")
            self._write(kind="press", **{name: getattr(press, name) for name in told})
            return press

    def sent(self, press: Press, wall_ns: int, heard: bool) -> None:
        self._about(press, kind="sent", wall_ns=wall_ns, heard=heard)

    def received(self, press: Press, event: str, wall_ns: int) -> None:
        self._about(press, kind="received", event=event, wall_ns=wall_ns)

    def accepted(self, press: Press, event: str, wall_ns: int) -> None:
        self._about(press, kind="accepted", event=event, wall_ns=wall_ns)

    def vital(self, vital: Vital) -> None:
        with self._lock:
            self._write(kind="vital", **_fields(vital))

    def reading(self, reading: SentReading) -> None:
        with self._lock:
            self._write(kind="reading", **_fields(reading))

    def change(self, change: SentChange) -> None:
        with self._lock:
            self._write(kind="change", **_fields(change))

    def output(self, output: Output) -> None:
        with self._lock:
            self._write(kind="output", **_fields(output))

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _about(self, press: Press, kind: str, **facts: Any) -> None:
        with self._lock:
            self._write(kind=kind, device=press.device, ordinal=press.ordinal, **facts)

    def _write(self, **line: Any) -> None:
        self._apply(line)
        if self._file is not None:
            self._file.write(msgspec.json.encode(line) + b"\n")
            self._file.flush()

    def _replay(self, path: Path) -> int:
        """Take in the whole lines of the file; returns how many bytes they are."""
        content = path.read_bytes() if path.exists() else b""
        kept = content.rfind(b"\n") + 1
        for line in content[:kept].splitlines():
            self._apply(msgspec.json.decode(line))
        return kept

    def _apply(self, line: dict[str, Any]) -> None:
        facts = {key: value for key, value in line.items() if key != "kind"}
        match line["kind"]:
            case "press":
                press = Press(**facts)
                self._presses[press.device, press.ordinal] = press
                self._last[press.device] = max(press.ordinal, self._last.get(press.device, 0))
            case "vital":
                self.vitals.append(Vital(**facts))
            case "reading":
                self.readings.append(SentReading(**facts))
            case "change":
                self.changes.append(SentChange(**facts))
            case "output":
                self.outputs.append(Output(**facts))
            case kind:
                self._amend((line["device"], line["ordinal"]), kind, line)

    def _amend(self, key: tuple[str, int], kind: str, line: dict[str, Any]) -> None:
        press, wall_ns = self._presses[key], line["wall_ns"]
        if kind == "sent":
            press = replace(press, sent_wall_ns=wall_ns, heard=line["heard"])
        elif kind == "received" and press.received_event is None:
            press = replace(press, received_event=line["event"], received_wall_ns=wall_ns)
        elif kind == "accepted" and press.accepted_wall_ns is None:
            press = replace(press, accepted_wall_ns=wall_ns)
        self._presses[key] = press


def _fields(value: Vital | SentReading | SentChange | Output) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}
