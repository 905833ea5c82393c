"""Which devices can be supervised, and which silence of theirs is a fault: one table, each row with its source.

A device whose silence means nothing (it speaks only when somebody uses it) is not supervised, and is shown so: a period
for it would raise alerts that say nothing, and no period would pretend that somebody watches.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

HOUR_S = 3600
DAY_S = 24 * HOUR_S
MIN_PERIOD_S = 300  # twice what a gateway's own silence takes to be told, and some: else a child is told before it
MAX_PERIOD_S = 31 * DAY_S


class Unwatched(StrEnum):
    """Why a device is not supervised."""

    NO_BATTERY = "no-battery"
    ONLY_WHEN_PRESSED = "only-when-pressed"
    ONLY_WHEN_USED = "only-when-used"
    BY_NOTES = "by-notes"
    UNKNOWN_KIND = "unknown-kind"
    SWITCHED_OFF = "switched-off"
    UNREGISTERED = "unregistered"


@dataclass(frozen=True, slots=True)
class Profile:
    """It speaks every `every_s` seconds; `misses` of that, and `slack_s`, without a word are a fault.

    `unwatched`: why there is no period. `can_be`: whether the registry may give one all the same. `goes_along`: while
    the resident is declared away its silence is expected: it is worn, or speaks of a person who moves and measures.
    """

    source: str
    every_s: int = 0
    misses: int = 1
    slack_s: int = 0
    unwatched: Unwatched | None = None
    can_be: bool = True
    goes_along: bool = False

    @property
    def after_s(self) -> int:
        return self.every_s * self.misses + self.slack_s


_OWN = "our own"
PROFILES: dict[str, Profile] = {
    "pendant": Profile("Climax: 4 to 24 h, default 12 h", 12 * HOUR_S, goes_along=True),
    "pendant-tunstall": Profile("Tunstall: every 4 h, a fault after 18 misses", 4 * HOUR_S, 18, goes_along=True),
    "pendant-tellu": Profile("Tellu: every 9 h, a fault at 73 h", 9 * HOUR_S, 8, HOUR_S, goes_along=True),
    "push-button": Profile(
        "EnOcean PTM: harvests the press itself", unwatched=Unwatched.NO_BATTERY, can_be=False, goes_along=True
    ),
    "fob": Profile(
        "EV1527, PT2262: sends while pressed", unwatched=Unwatched.ONLY_WHEN_PRESSED, can_be=False, goes_along=True
    ),
    "detector": Profile("Zigbee2MQTT: a battery device is gone after 25 h", 25 * HOUR_S),
    "activity": Profile("Zigbee2MQTT: a battery device is gone after 25 h", 25 * HOUR_S, goes_along=True),
    "climate": Profile("Zigbee2MQTT: a battery device is gone after 25 h", 25 * HOUR_S),
    "meter": Profile(f"{_OWN}: read once an hour at least", HOUR_S, 3),
    "plug": Profile(f"{_OWN}: Tasmota and Shelly tell every 5 min or less", 300, 6),
    "cuff": Profile(f"{_OWN}: it speaks when somebody measures", unwatched=Unwatched.ONLY_WHEN_USED, goes_along=True),
    "receiver": Profile(f"{_OWN}: the gateway asks it and tells", unwatched=Unwatched.BY_NOTES),
    "port": Profile(f"{_OWN}: the gateway opens it and tells", unwatched=Unwatched.BY_NOTES, can_be=False),
}
PERIODS_S: dict[str, int] = {kind: profile.after_s for kind, profile in PROFILES.items() if profile.after_s}
GO_ALONG = frozenset(kind for kind, profile in PROFILES.items() if profile.goes_along)

# What an id tells of itself, where the registry says no kind: only what is read by asking, or surely sends by hand.
_KIND_OF: dict[str, str] = {
    "dlt645:": "meter",
    "modbus:": "meter",
    "mbus:": "meter",
    "dsmr:": "meter",
    "sml:": "meter",
    "iec62056:": "meter",
    "raycome:": "cuff",
    "visomat:": "cuff",
    "rf433:ev1527": "fob",
    "rf433:pt2262": "fob",
    "z2m:bridge": "receiver",
}


def kind_of(device: str) -> str:
    """The kind that a device's id tells of itself, or "" where it tells none."""
    return next((kind for prefix, kind in _KIND_OF.items() if device.startswith(prefix)), "")


def period_s(kind: str, supervise_s: int | None) -> int:
    """After how long a silence the device is a fault; 0: it is not supervised. `supervise_s`: the registry's word."""
    return PERIODS_S.get(kind, 0) if supervise_s is None else supervise_s


def why_unwatched(kind: str, supervise_s: int | None, is_registered: bool) -> Unwatched | None:
    """Why the device is not supervised; None: it is."""
    if not is_registered:
        return Unwatched.UNREGISTERED
    if period_s(kind, supervise_s):
        return None
    profile = PROFILES.get(kind)
    if profile is not None and profile.unwatched is not None:
        return profile.unwatched
    return Unwatched.UNKNOWN_KIND if supervise_s is None else Unwatched.SWITCHED_OFF
