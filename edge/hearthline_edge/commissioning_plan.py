"""What an installer has to try in a home: each pendant in each room it is used in, each cuff and meter once. Pure.

Detectors, doors and receivers are left out: nobody can make smoke, and supervision hears of the others. A device that
the center has refused belongs to another home.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from hearthline.commissioning import MAX_ROOM, What
from hearthline.wire import device_name
from hearthline_edge.device_list import ListedDevice

_WORN: Final = frozenset({"pendant", "pendant-tunstall", "pendant-tellu", "fob"})
_BY_KIND: Final[dict[str, What]] = {
    **dict.fromkeys((*_WORN, "push-button"), What.PRESS),
    "cuff": What.VITAL,
    "meter": What.READING,
    "plug": What.READING,
}
_BY_ID: Final[dict[str, What]] = {  # where no kind was given: only what an id surely tells
    **dict.fromkeys(("raycome:", "visomat:"), What.VITAL),
    **dict.fromkeys(("dlt645:", "modbus:", "mbus:", "dsmr:", "sml:", "iec62056:"), What.READING),
}
_PRESSABLE: Final = frozenset({"emergency", "service"})


@dataclass(frozen=True, slots=True)
class Planned:
    """One thing to try. `device`: as the wire names it. `name` is for the installer alone and never leaves the home."""

    device: str
    room: str
    what: What
    name: str = ""

    @property
    def key(self) -> tuple[str, str, What]:
        return (self.device, self.room, self.what)


def plan(devices: Sequence[ListedDevice], rooms: Sequence[str], unnamed: frozenset[str]) -> list[Planned]:
    """What to try, room by room. `rooms`: where worn pendants are used; without any the rooms of the other devices.

    `unnamed`: what stands in a device's room where it is no room, e.g. that it is worn.
    """
    tried = [(device, what) for device in devices if device.state != "refused" and (what := what_of(device))]
    fixed = [each.room for each, _ in tried if each.room not in unnamed]
    worn_in = list(dict.fromkeys(rooms or fixed)) or [""]
    found: list[Planned] = []
    for device, what in tried:
        is_worn = what is What.PRESS and (device.room in unnamed or (bool(rooms) and device.kind in _WORN))
        own = "" if device.room in unnamed else device.room
        for room in worn_in if is_worn else [own]:
            found.append(Planned(device_name(device.id), room[:MAX_ROOM], what, device.name))
    order = {room: place for place, room in enumerate(dict.fromkeys(each.room for each in found))}
    return sorted(found, key=lambda each: (list(What).index(each.what), order[each.room]))


def what_of(device: ListedDevice) -> What | None:
    """How a device is tried; None: not at all."""
    what = _BY_KIND.get(device.kind) if device.kind else _what_by_id(device.id)
    roles = set(device.buttons.values())
    if what is None and not device.kind and roles & _PRESSABLE:
        what = What.PRESS
    return None if what is What.PRESS and roles and not roles & _PRESSABLE else what


def _what_by_id(device: str) -> What | None:
    return next((what for prefix, what in _BY_ID.items() if device.startswith(prefix)), None)


def rooms_in(devices: Iterable[ListedDevice], unnamed: frozenset[str]) -> list[str]:
    """Every room that the list names, once."""
    return list(dict.fromkeys(each.room for each in devices if each.room not in unnamed))
