r"""What the center may do at a gateway from afar, as both sides know it: four orders, and which keys may be changed.

    examine ----> done {checks, state}
    log --------> done {lines}
    configure --> refused {reason}                      nothing has changed
             \--> trial {starts} --> done {deaf_s}      what was asked for is in force
                                \--> undone {reason}    what was in force before is again

There is no order that runs a program, names a file, or touches who the gateway is, where its data lies and how it
reaches the center. What could keep a home from being heard (the time until the local output sounds, the period of the
status) has narrower bounds here than in the installer's own file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

import msgspec

CONFIGURE: Final = "configure"
EXAMINE: Final = "examine"
LOG: Final = "log"

MAX_CONFIG_BYTES: Final = 4096  # as JSON
MAX_DETAIL_BYTES: Final = 6144  # as JSON; a pack of readings has 8 KiB
MAX_LINES: Final = 200
MAX_LINE: Final = 400  # characters
TRIAL_S: Final = 120.0
TRIAL_BOUNDS_S: Final = (5.0, 600.0)
_DEPTH = 6
_MAX_TEXT = 512


class Result(StrEnum):
    """What a gateway answers, beside `unknown` for an order that its version does not know."""

    TRIAL = "trial"  # in force, and not proved yet: the order is not done
    DONE = "done"
    UNDONE = "undone"
    REFUSED = "refused"
    BUSY = "busy"  # another trial, or an alarm under way: ask later


# Ports that a gateway has; never a path that could be anything else.
PORT: Final = re.compile(r"/dev/(serial/by-(id|path)/[A-Za-z0-9._:+@,=-]{1,200}|tty(USB|ACM|AMA|S)\d{1,3})")

_SERIAL = frozenset({"name", "port", "driver", "baudrate", "bytesize", "parity", "stopbits", "options"})


def config_fault(config: object) -> str | None:
    """What the center may not change, or not so far, in words; None when a gateway may try the configuration.

    Looks at which keys there are and at bounds; whether driver, options and profiles exist, the gateway alone knows.
    """
    if not isinstance(config, dict):
        return "a configuration is a table of keys"
    try:
        size = len(msgspec.json.encode(config))
    except (TypeError, ValueError, OverflowError, RecursionError):
        return "a configuration is what JSON can say"
    if size > MAX_CONFIG_BYTES:
        return f"a configuration has at most {MAX_CONFIG_BYTES} bytes, this one has {size}"
    if (fault := _odd_value(config, "", _DEPTH)) is not None:
        return fault
    for key, value in config.items():
        check = _KEYS.get(key)
        if check is None:
            return f"{key} cannot be changed from the center; what can be: {', '.join(sorted(_KEYS))}"
        if (fault := check(key, value)) is not None:
            return fault
    return None


def named_ports(config: dict[str, Any]) -> list[tuple[str, str]]:
    """(key, path) of every port that a configuration without a fault names."""
    ports = [(f"serial[{at}].port", entry["port"]) for at, entry in enumerate(config.get("serial", ()))]
    relays = [(at, entry) for at, entry in enumerate(config.get("siren", ())) if entry.get("kind") == "relay"]
    return ports + [(f"siren[{at}].target", entry["target"]) for at, entry in relays]


def fitting(detail: dict[str, Any], key: str, entries: list[Any]) -> dict[str, Any]:
    """`detail` with as many of the last `entries` under `key` as fit into an answer; `left_out` counts the others."""
    room = MAX_DETAIL_BYTES - len(msgspec.json.encode(detail | {key: [], "left_out": len(entries)}))
    first = len(entries)
    while first and room - len(msgspec.json.encode(entries[first - 1])) - 1 >= 0:
        first -= 1
        room -= len(msgspec.json.encode(entries[first])) + 1
    return detail | {key: entries[first:], "left_out": first}


def config_digest(config: dict[str, Any]) -> str:
    """By which two sides find out whether they speak of the same configuration."""
    return hashlib.sha256(msgspec.json.encode(config, order="deterministic")).hexdigest()


def _odd_value(value: object, where: str, depth: int) -> str | None:
    if isinstance(value, dict | list):
        if depth == 0:
            return f"{where}: nests too deep"
        named = value.items() if isinstance(value, dict) else enumerate(value)
        found = (_odd_value(each, f"{where}.{name}" if where else str(name), depth - 1) for name, each in named)
        return next((fault for fault in found if fault is not None), None)
    if isinstance(value, str) and (len(value) > _MAX_TEXT or not value.isprintable()):
        return f"{where}: a text has at most {_MAX_TEXT} characters, all of them printable"
    if isinstance(value, int) and not -(2**53) <= value <= 2**53:
        return f"{where}: too great a number"
    is_plain = isinstance(value, str | int | float)
    return None if is_plain else f"{where}: a configuration holds texts, numbers, true, false, lists and tables alone"


Check = Callable[[str, Any], str | None]


def _number(low: float, high: float) -> Check:
    def check(key: str, value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            return f"{key} must be a number from {low:g} to {high:g}"
        return None

    return check


def _level(key: str, value: Any) -> str | None:
    levels = ("debug", "info", "warning", "error")
    return None if value in levels else f"{key} must be one of: {', '.join(levels)}"


def _table(*allowed: str) -> Check:
    def check(key: str, value: Any) -> str | None:
        if not isinstance(value, dict):
            return f"{key} must be a table"
        strange = next((name for name in value if name not in allowed), None)
        return None if strange is None else f"{key}.{strange} cannot be changed from the center"

    return check


def _tables(required: frozenset[str], allowed: frozenset[str]) -> Check:
    def check(key: str, value: Any) -> str | None:
        if not isinstance(value, list):
            return f"{key} must be a list of tables"
        for at, entry in enumerate(value):
            if (fault := _table(*allowed)(f"{key}[{at}]", entry)) is not None:
                return fault
            for name in sorted(required):
                if not isinstance(entry.get(name), str):
                    return f"{key}[{at}].{name} is missing, or no text"
        return None

    return check


_KEYS: Final[dict[str, Check]] = {
    "cancel_window_s": _number(0, 60),
    "gather_s": _number(0, 60),
    "local_alarm_after_s": _number(0, 60),
    "local_mqtt": _table("options", "profiles"),
    "log_level": _level,
    "metrics": _table("host", "port"),
    "serial": _tables(frozenset({"name", "port", "driver"}), _SERIAL),
    "siren": _tables(frozenset({"kind", "target"}), frozenset({"kind", "target"})),
    "status_period_s": _number(1, 30),
    "telemetry_max_mb": _number(1, 1024),
}
KEYS: Final = tuple(_KEYS)
