"""MQTT recordings kept outside the repository: read, decoded and grouped as the agent does it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import (
    Change,
    Item,
    MqttDriver,
    MqttMessage,
    Press,
    Readings,
    Refused,
    Release,
    find_drivers,
)
from hearthline_edge.grouping import PressState, Verdict, judge, release

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)


@dataclass(frozen=True)
class Decoded:
    """What one recording decodes to. `presses`: (device, button) after grouping; `values`: by device and quantity."""

    items: list[Item]
    presses: list[tuple[str, str]]
    changes: list[tuple[str, str]]
    values: dict[tuple[str, str], float]
    refused: list[str]


def recordings(folder: Path, count: int) -> Iterator[tuple[str, Path, Any]]:
    """(name, recording, what it is expected to hold); `count` guards against an empty folder."""
    paths = sorted(folder.glob("*.expected.json"))
    assert len(paths) == count, f"{folder}: {len(paths)} recordings, {count} were known"
    for path in paths:
        name = path.name.removesuffix(".expected.json")
        yield name, path.with_name(name), json.loads(path.read_text(encoding="utf-8"))["expected"]


def decode(alias: str, recording: Path, apart_s: float = 0.1) -> Decoded:
    """A recording through the driver that goes by the name of its folder."""
    (driver,) = (each for each in find_drivers().values() if alias in (each.name, *getattr(each, "aliases", ())))
    assert isinstance(driver, MqttDriver)
    session, states = driver.open_session({}), dict[tuple[str, str], PressState]()
    decoded = Decoded([], [], [], {}, [])
    for count, line in enumerate(recording.read_text(encoding="utf-8").splitlines()):
        message, now = json.loads(line), START.later(count * apart_s)
        topic = message["topic"] or driver.example_topic
        for item in session.receive(MqttMessage(topic, message["payload"].encode(), False), now):
            decoded.items.append(item)
            match item:
                case Press():
                    key = (item.device, item.button)
                    verdict, states[key] = judge(states.get(key), item, driver.grouping, now)
                    if verdict is Verdict.NEW:
                        decoded.presses.append(key)
                case Release():
                    for key, state in states.items():
                        if key[0] == item.device and item.button in ("", key[1]):
                            states[key] = release(state, now)
                case Change():
                    decoded.changes.append((item.device, item.kind))
                case Readings():
                    told = {(each.device, each.quantity): each.value for each in item.readings}
                    assert len(told) == len(item.readings), "one message gave two values of one series"
                    decoded.values.update(told)
                case Refused():
                    decoded.refused.append(item.reason)
    return decoded


def quantities(values: dict[tuple[str, str], float], device: str) -> dict[str, float]:
    """The values of one device."""
    return {quantity: value for (owner, quantity), value in values.items() if owner == device}
