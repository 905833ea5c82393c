"""Something in the home that notices: a door, a movement, smoke, a leak."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from hearthline_sim.agenda import Agenda
from hearthline_sim.ledger import Ledger, SentChange

OnSent = Callable[[int, bool], None]


@dataclass(slots=True)
class Sensor:
    """`words`: what it tells when it happens and when it is over; "" when it never tells that it is over.

    `every_s`: how often it changes, about; 0: only when told to. `send` is given the state and tells when it was sent.
    """

    device: str
    words: tuple[str, str]
    every_s: float
    send: Callable[[bool, OnSent], None]
    active: bool = False


class Notices:
    """All sensors of a home, living on its agenda."""

    def __init__(
        self, sensors: list[Sensor], agenda: Agenda, rng: Random, ledger: Ledger, tell: Callable[..., None]
    ) -> None:
        self._sensors = {sensor.device: sensor for sensor in sensors}
        self._agenda = agenda
        self._rng = rng
        self._ledger = ledger
        self._tell = tell
        for sensor in sensors:
            self._live(sensor)

    @property
    def devices(self) -> list[str]:
        return list(self._sensors)

    def happen(self, device: str) -> bool:
        """Let a sensor change now; false when there is none of this name."""
        sensor = self._sensors.get(device)
        if sensor is not None:
            self._agenda.after(0, lambda: self._change(sensor))
        return sensor is not None

    def _live(self, sensor: Sensor) -> None:
        if sensor.every_s > 0:
            self._agenda.after(sensor.every_s * self._rng.uniform(0.5, 1.5), lambda: self._change_and_go_on(sensor))

    def _change_and_go_on(self, sensor: Sensor) -> None:
        self._change(sensor)
        self._live(sensor)

    def _change(self, sensor: Sensor) -> None:
        sensor.active = not sensor.active or not sensor.words[1]
        word = sensor.words[0] if sensor.active else sensor.words[1]

        def sent(wall_ns: int, heard: bool) -> None:
            self._ledger.change(SentChange(sensor.device, word, wall_ns, heard))
            self._tell("change", device=sensor.device, change=word, sent_wall_ns=wall_ns, heard=heard)

        sensor.send(sensor.active, sent)
