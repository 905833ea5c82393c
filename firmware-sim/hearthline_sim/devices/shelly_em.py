"""Shelly Gen2 energy meter (Pro 3EM, Pro EM) and push-button input (Plus i4), on the local broker.

    <id>/status/em:0       {"id":0,"a_current","a_voltage","a_act_power","a_aprt_power","a_pf","a_freq", b_…, c_…,
                            "n_current":null,"total_current","total_act_power","total_aprt_power"}          A V W VA Hz
    <id>/status/emdata:0   {"id":0,"a_total_act_energy","a_total_act_ret_energy", b_…, c_…,
                            "total_act","total_act_ret"}                                                    Wh
    <id>/events/rpc        {"src","dst","method":"NotifyEvent","params":{"ts","events":[{"component":"input:0","id":0,
                            "event":"single_push","ts"}]}}        btn_down, btn_up, single_push, double_push, long_push
    <id>/status/input:0    {"id":0,"state":null}                  a button has no state

Source: Shelly Gen2 API, components EM, EMData and Input, and MQTT. A press is told as btn_down, btn_up and by name.
"""

from __future__ import annotations

from random import Random
from typing import Any, Final

import msgspec

from hearthline.clock import NS
from hearthline_sim.devices.bus import Value
from hearthline_sim.devices.emission import Publish

PHASES: Final = "abc"


class ShellyEm:
    """One three-phase meter; the load spreads over its phases alike."""

    def __init__(self, id_: str, rng: Random) -> None:
        self.device = f"shelly:{id_}"
        self._id = id_
        self._rng = rng

    def online(self) -> Publish:
        return Publish(0.0, f"{self._id}/online", b"true", retain=True)

    def status(self, power_w: float, energy_wh: float) -> tuple[tuple[Publish, ...], tuple[Value, ...]]:
        """What it shows now and what it counted: two messages, and the values in them."""
        now: dict[str, Any] = {"id": 0}
        counted: dict[str, Any] = {"id": 0}
        values = []
        for phase in PHASES:
            volts, watts = round(self._rng.gauss(230.0, 1.5), 1), round(power_w / 3, 1)
            told = {"current": round(watts / volts, 3), "voltage": volts, "act_power": watts}
            told |= {"aprt_power": round(watts / 0.95, 1), "pf": 0.95, "freq": 50.0}
            now |= {f"{phase}_{key}": value for key, value in told.items()}
            counted |= {f"{phase}_total_act_energy": round(energy_wh / 3, 2), f"{phase}_total_act_ret_energy": 0.0}
            names = ("current", "voltage", "power", "apparent_power", "power_factor", "frequency")
            found = dict(zip(names, told.values(), strict=True))
            found |= {"energy_import": round(energy_wh / 3, 2) / 1000, "energy_export": 0.0}
            values += [Value(f"{self.device}:{phase.upper()}", quantity, value) for quantity, value in found.items()]
        totals = {
            "current": round(power_w / 230, 3),
            "act_power": round(power_w, 1),
            "aprt_power": round(power_w / 0.95, 1),
        }
        now |= {"n_current": None, **{f"total_{key}": value for key, value in totals.items()}}
        counted |= {"total_act": round(energy_wh, 2), "total_act_ret": 0.0}
        found = dict(zip(("current", "power", "apparent_power"), totals.values(), strict=True))
        found |= {"energy_import": round(energy_wh, 2) / 1000, "energy_export": 0.0}
        values += [Value(self.device, quantity, value) for quantity, value in found.items()]
        topics = ((f"{self._id}/status/em:0", now), (f"{self._id}/status/emdata:0", counted))
        return tuple(Publish(0.0, topic, msgspec.json.encode(body)) for topic, body in topics), tuple(values)


class ShellyInput:
    """A wall module with buttons; `channel` is the one that the elder uses."""

    def __init__(self, id_: str, *, channel: int = 0) -> None:
        self.device = f"shelly:{id_}"
        self._id = id_
        self._channel = channel

    def online(self) -> Publish:
        return Publish(0.0, f"{self._id}/online", b"true", retain=True)

    def press(self, event: str, wall_ns: int) -> tuple[Publish, ...]:
        """The notifications of one press (`event`: single_push, double_push, long_push)."""
        last = 0.9 if event == "long_push" else 0.3
        times = ((0.0, "btn_down"), (0.15, event), (last, "btn_up")) if event == "long_push" else None
        times = times or ((0.0, "btn_down"), (0.12, "btn_up"), (last, event))
        return tuple(self._notify(after_s, name, wall_ns) for after_s, name in times)

    def _notify(self, after_s: float, event: str, wall_ns: int) -> Publish:
        ts = round(wall_ns / NS + after_s, 2)
        told = {"component": f"input:{self._channel}", "id": self._channel, "event": event, "ts": ts}
        body = {
            "src": self._id,
            "dst": f"{self._id}/events",
            "method": "NotifyEvent",
            "params": {"ts": ts, "events": [told]},
        }
        return Publish(after_s, f"{self._id}/events/rpc", msgspec.json.encode(body))
