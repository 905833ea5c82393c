"""Recordings kept outside the repository, as files of a folder that is named as its driver or one of its aliases.

Each has a `*.expected.json` beside it: what it holds, and how that is known. A comparison is a function of a recording
and its row in the table; it raises AssertionError unless every value that is known is found, and no press beside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from edge.outside import table
from edge.outside.table import Row
from hearthline.clock import NS, Stamp
from hearthline_edge.devices import (
    Change,
    Driver,
    Item,
    MqttDriver,
    MqttMessage,
    Press,
    Readings,
    Refused,
    Release,
    driver_named,
    find_drivers,
)
from hearthline_edge.grouping import PressState, Verdict, judge, release
from hearthline_edge.recording import Heard, read_recording

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
DRIVERS = find_drivers()
PROSE = {"trap", "note", "description", "meaning", "ms"}  # keys of an expected.json that explain, and hold no value
EXPECTED = ".expected.json"
LINE_NOISE = ("noise", "checksum")


class Told(NamedTuple):
    """An item, when, and by which read or message (from 0) it was told."""

    item: Item
    at: Stamp
    line: int


@dataclass(frozen=True)
class Recording:
    """`spoil`: what is done to the items that the driver tells, before they are compared: for tests of the tests."""

    path: Path
    expected: Any
    spoil: Callable[[list[Told]], list[Told]] = list

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def file(self) -> str:
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def driver(self) -> Driver:
        driver = driver_named(self.path.parent.name, DRIVERS)
        assert driver is not None, f"there is no driver for {self.path.parent.name}"
        return driver

    def lines(self) -> list[str]:
        return [line for line in self.path.read_text(encoding="utf-8").splitlines() if line.strip()]

    def reads(self, gap_s: float, by_line: bool = False) -> list[Heard]:
        """Lines of digits and messages, `gap_s` apart where they bring no time. Anything else is one read, or lines."""
        if by_line:
            lines = (line for line in self.path.read_bytes().splitlines(keepends=True) if line.strip())
            return [Heard(gap_s * number, line) for number, line in enumerate(lines)]
        if self.path.suffix in (".hex", ".jsonl"):
            with self.path.open("rb") as file:
                return list(read_recording(file, gap_s, 1.0))
        return [Heard(0.0, self.path.read_bytes())]

    def told(self, gap_s: float = 3.0, *, by_line: bool = False, afresh: bool = False) -> list[Told]:
        """What the driver makes of it, two quiet seconds after each read of a line. `afresh`: a session for each."""
        receive = _receiver(self.driver)
        found: list[Told] = []
        for number, heard in enumerate(self.reads(gap_s, by_line)):
            if afresh:
                receive = _receiver(self.driver)
            now = START.later(heard.at_s)
            found += (Told(item, at, number) for at, items in receive(heard, now) for item in items)
        return self.spoil(found)

    def presses(self, told: list[Told]) -> list[Press]:
        """Those that become events."""
        states, new = dict[tuple[str, str], PressState](), list[Press]()
        for item, now, _ in told:
            if isinstance(item, Press):
                key = (item.device, item.button)
                verdict, states[key] = judge(states.get(key), item, self.driver.grouping, now)
                new += [item] if verdict is Verdict.NEW else []
            elif isinstance(item, Release):
                for key, state in states.items():
                    if key[0] == item.device and item.button in ("", key[1]):
                        states[key] = release(state, now)
        return new


Comparison = Callable[[Recording, Row], None]
Receiver = Callable[[Heard, Stamp], Iterable[tuple[Stamp, Iterable[Item]]]]


def _receiver(driver: Driver) -> Receiver:
    """A new session of the driver."""
    if isinstance(driver, MqttDriver):
        messages = driver.open_session({})
        return lambda heard, now: [(now, messages.receive(_message(driver, heard), now))]
    line = driver.open_session(driver.decode_options, "port")
    return lambda heard, now: [
        (now.later(after_s), list(line.receive(data, now.later(after_s))))
        for data, after_s in ((heard.data, 0), (b"", 1), (b"", 2))
    ]


def _message(driver: MqttDriver, heard: Heard) -> MqttMessage:
    if heard.topic is None and driver.wrap is not None and not heard.data.startswith(b"{"):
        return driver.wrap(heard.data)
    return MqttMessage(heard.topic or driver.example_topic, heard.data, heard.retained)


def recordings(folder: Path) -> list[Recording]:
    """The recordings of a folder. One without an expected.json fails."""
    found = [path for path in sorted(folder.iterdir()) if not path.name.endswith((EXPECTED, ".md"))]
    return [
        Recording(path, msgspec.json.decode(path.with_name(path.name + EXPECTED).read_bytes())["expected"])
        for path in found
    ]


def compare_all(captures: Path, folder: str, comparison: Comparison, least: int) -> None:
    """Every recording of a folder, in the table. `least`: how many were known; an empty folder is no success."""
    found = recordings(captures / folder)
    assert len(found) >= least, f"{folder}: {len(found)} recordings, {least} were known"
    failed: list[Exception] = []
    for recording in found:
        row = Row(recording.driver.name, recording.file, len(recording.reads(1.0)))
        table.rows[recording.file] = row
        try:
            comparison(recording, row)
            assert row.agreed, "nothing was compared"
        except (AssertionError, ValueError, LookupError) as error:
            row.wrong = str(error).partition("\n")[0] or type(error).__name__
            error.add_note(recording.file)
            failed.append(error)
    if failed:
        raise ExceptionGroup(f"{folder}: {len(failed)} of {len(found)} recordings differ", failed)


def only(known: dict[str, Any], *names: str) -> None:
    """An expected.json holds nothing that its comparison does not know."""
    assert set(known) <= PROSE | {*names}, f"not compared: {sorted(set(known) - PROSE - {*names})}"


def refusals(told: list[Told]) -> list[str]:
    return [item.reason for item, *_ in told if isinstance(item, Refused)]


def changes(told: list[Told]) -> list[tuple[str, str]]:
    return [(item.device, item.kind) for item, *_ in told if isinstance(item, Change)]


def series(told: list[Told]) -> list[tuple[str, str, float]]:
    """Every value told, of which device and quantity. Two of one series in one message fail."""
    found: list[tuple[str, str, float]] = []
    for item, *_ in told:
        if isinstance(item, Readings):
            assert len({(each.device, each.quantity) for each in item.readings}) == len(item.readings)
            found += ((each.device, each.quantity, each.value) for each in item.readings)
    return sorted(found)


def series_of(device: str, *messages: dict[str, float]) -> list[tuple[str, str, float]]:
    """The same by what a device's messages say."""
    return sorted((device, quantity, value) for message in messages for quantity, value in message.items())
