"""Milesight WS101 button on LoRaWAN, as ChirpStack v4 publishes it: protobuf JSON, where what is zero is left out.

    application/<id>/device/<devEui>/event/up      fPort 85, data (base64): [01 75 battery %] FF 2E press
                                                   press 01 short, 02 long, 03 double
    …/event/join   …/event/status   …/event/log    no press

Source: ChirpStack v4, "Events"; Milesight's WS101 payload. `fCnt` counts from 0 after each join (and 0 is left out),
`rxInfo` has an entry for each gateway that heard it, `time` nanoseconds. The first uplink of a session tells the
battery.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from random import Random
from typing import Any, Final
from uuid import UUID

import msgspec

from hearthline.clock import NS
from hearthline_sim.devices.emission import Publish

F_PORT: Final = 85
PRESSES: Final = {"short": 1, "long": 2, "double": 3}
_BATTERY, _PRESSED = b"\x01\x75", b"\xff\x2e"


def payload(press: str, battery: int | None = None) -> bytes:
    """The bytes in the air."""
    told = b"" if battery is None else _BATTERY + bytes((battery,))
    return told + _PRESSED + bytes((PRESSES[press],))


class LorawanButton:
    """One button. `gateways` hear each uplink."""

    def __init__(
        self,
        dev_eui: str,
        rng: Random,
        *,
        application: str = "17c82e96-be03-4f38-aef3-f83d48582d97",
        gateways: tuple[str, ...] = ("0016c001f153a14c", "0016c001f153a14d"),
        battery: int = 95,
    ) -> None:
        self.device = f"lorawan:{dev_eui.lower()}"
        self._eui = dev_eui.lower()
        self._rng = rng
        self._application = application
        self._gateways = gateways
        self._battery = battery
        self._frames = 0
        self._address = rng.getrandbits(32)

    def join(self, wall_ns: int) -> tuple[Publish, ...]:
        """A new session: the frame counter starts again, and the network writes a log line and asks for the status."""
        self._frames = 0
        self._address = self._rng.getrandbits(32)
        joined = {**self._head(wall_ns), "devAddr": f"{self._address:08x}"}
        log = {
            "time": _time(wall_ns),
            "deviceInfo": self._info(),
            "level": "INFO",
            "code": "DOWNLINK_GATEWAY",
            "description": "selected",
        }
        status = {**self._head(wall_ns), "margin": 11, "batteryLevel": float(self._battery)}
        events = (("join", joined), ("log", log), ("status", status))
        return tuple(
            Publish(0.002 * index, self._topic(kind), msgspec.json.encode(body))
            for index, (kind, body) in enumerate(events)
        )

    def press(self, kind: str, wall_ns: int) -> tuple[Publish, ...]:
        """One uplink: ChirpStack has joined what the gateways heard."""
        data = payload(kind, self._battery if self._frames == 0 else None)
        body = {**self._head(wall_ns), "devAddr": f"{self._address:08x}", "dr": 5, "fPort": F_PORT}
        if self._frames:
            body["fCnt"] = self._frames
        body["data"] = b64encode(data).decode()
        body["rxInfo"] = [self._heard(gateway) for gateway in self._gateways]
        lora = {"bandwidth": 125000, "spreadingFactor": 7, "codeRate": "CR_4_5"}
        body["txInfo"] = {"frequency": 868100000, "modulation": {"lora": lora}}
        self._frames += 1
        return (Publish(0.0, self._topic("up"), msgspec.json.encode(body)),)

    def _topic(self, kind: str) -> str:
        return f"application/{self._application}/device/{self._eui}/event/{kind}"

    def _head(self, wall_ns: int) -> dict[str, Any]:
        return {
            "deduplicationId": str(UUID(int=self._rng.getrandbits(128), version=4)),
            "time": _time(wall_ns),
            "deviceInfo": self._info(),
        }

    def _info(self) -> dict[str, Any]:
        return {
            "tenantId": "52f14cd4-c6f1-4fbd-8f87-4025e1d49242",
            "tenantName": "ChirpStack",
            "applicationId": self._application,
            "applicationName": "buttons",
            "deviceProfileName": "WS101",
            "deviceName": f"button {self._eui[-4:]}",
            "devEui": self._eui,
        }

    def _heard(self, gateway: str) -> dict[str, Any]:
        told: dict[str, Any] = {
            "gatewayId": gateway,
            "uplinkId": self._rng.getrandbits(32),
            "rssi": self._rng.randint(-118, -40),
        }
        if snr := self._rng.randint(-8, 12):
            told["snr"] = snr / 1
        return told


def _time(wall_ns: int) -> str:
    seconds, rest = divmod(wall_ns, NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}+00:00"
