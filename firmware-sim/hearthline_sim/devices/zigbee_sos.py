"""Zigbee SOS button behind Zigbee2MQTT, as its messages reach the local broker.

    1.x   zigbee2mqtt/<name> {"action":"emergency",…}   then {"action":"",…}   then zigbee2mqtt/<name>/action emergency
    2.x   zigbee2mqtt/<name> {"action":"emergency",…}                          then zigbee2mqtt/<name>/action emergency
    announce   zigbee2mqtt/bridge/event, and the device's state with "action": null: no press

Source: Zigbee2MQTT's documentation of `action` and the messages in its issues (TS0215A_sos, TS0601_sos, HS1EB). The
battery is a number, a fraction, a text, null or absent; last_seen is ISO with a zone, without, epoch ms or absent.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any, Literal

import msgspec

from hearthline.clock import NS
from hearthline_sim.devices.emission import Publish

Dialect = Literal["1.x", "2.x"]
BatteryShape = Literal["number", "fraction", "text", "null", "absent"]
LastSeenShape = Literal["iso", "iso_local", "epoch_ms", "absent"]

BATTERY_SHAPES: tuple[BatteryShape, ...] = ("number", "fraction", "text", "null", "absent")
LAST_SEEN_SHAPES: tuple[LastSeenShape, ...] = ("iso", "iso_local", "epoch_ms", "absent")

_BATTERY: dict[BatteryShape, Any] = {"number": 100, "fraction": 51.5, "text": "100.00", "null": None}
_CHINA = timezone(timedelta(hours=8))


class ZigbeeSos:
    """One button, known by its friendly name. Shapes that are not given are drawn once: a device keeps its habits."""

    def __init__(
        self,
        name: str,
        rng: Random,
        *,
        dialect: Dialect = "1.x",
        battery: BatteryShape | None = None,
        last_seen: LastSeenShape | None = None,
        base: str = "zigbee2mqtt",
        retain: bool = False,
    ) -> None:
        """`retain`: the button was set up with `retain: true`, so the broker replays its last action."""
        self.device = f"z2m:{name}"
        self._name = name
        self._topic = f"{base}/{name}"
        self._base = base
        self._rng = rng
        self._dialect: Dialect = dialect
        self._battery: BatteryShape = rng.choice(BATTERY_SHAPES) if battery is None else battery
        self._last_seen: LastSeenShape = rng.choice(LAST_SEEN_SHAPES) if last_seen is None else last_seen
        self._retain = retain

    def press(self, action: str, wall_ns: int) -> tuple[Publish, ...]:
        """The messages of one press at `wall_ns`; the first of them makes it."""
        messages = [Publish(0.0, self._topic, self._state(action, wall_ns), self._retain)]
        if self._dialect == "1.x":
            messages.append(Publish(0.002, self._topic, self._state("", wall_ns), self._retain))
        messages.append(Publish(0.004, f"{self._topic}/action", action.encode()))
        return tuple(messages)

    def announce(self, wall_ns: int) -> tuple[Publish, ...]:
        """The button rejoins the network: an event of the bridge and a state without an action."""
        about = {"friendly_name": self._name, "ieee_address": f"0x{self._rng.getrandbits(64):016x}"}
        event = msgspec.json.encode({"data": about, "type": "device_announce"})
        return (
            Publish(0.0, f"{self._base}/bridge/event", event),
            Publish(0.003, self._topic, self._state(None, wall_ns), self._retain),
        )

    def _state(self, action: str | None, wall_ns: int) -> bytes:
        state: dict[str, Any] = {"action": action}
        if self._battery != "absent":
            state["battery"] = _BATTERY[self._battery]
        if self._last_seen != "absent":
            state["last_seen"] = self._seen(wall_ns)
        state["linkquality"] = self._rng.randint(14, 192)
        return msgspec.json.encode(state)

    def _seen(self, wall_ns: int) -> str | int:
        if self._last_seen == "epoch_ms":
            return wall_ns // 1_000_000
        local = datetime.fromtimestamp(wall_ns / NS, _CHINA)
        if self._last_seen == "iso_local":
            local = local.replace(tzinfo=None)
        return local.isoformat(timespec="seconds")
