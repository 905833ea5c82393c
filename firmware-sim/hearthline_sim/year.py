"""A year of many homes, as the center's time-series store would hold it: pure in seed, last day and numbers.

Made as line protocol, one piece a home and day, day after day: meters every 10 minutes, rooms and the gateway every 30,
sensors as somebody moves, cuffs morning and evening. Homes differ in their hours, habits, loads and blood pressure.
Some days a gateway is cut off (its readings are late, not lost, so only its own words are missing) or nobody is in.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from math import cos, pi
from random import Random

DAY_S = 86_400
METER_S, ROOM_S, RADIO_S = 600, 1800, 21_600
HOMES_A_COMMUNITY = 100
MAX_HOMES, MAX_DAYS = 9999, 3660
CHINA = dt.timezone(dt.timedelta(hours=8))  # days begin at its midnight
_SENSORS = ("climate-1", "door-1", "motion-1", "motion-2", "pendant-1")


@dataclass(frozen=True, slots=True)
class Person:
    """One resident and what her cuff shows on an ordinary day."""

    id: str
    systolic: float
    diastolic: float
    pulse: float


@dataclass(frozen=True, slots=True)
class Household:
    """One home's habits. Hours are local."""

    number: int
    wakes: float
    sleeps: float
    base_w: float
    busy: float  # how much happens in a day, 1.0 is usual
    celsius: float
    people: tuple[Person, ...]
    levels: dict[str, int]  # radio level of each sensor, dBm
    charged: dict[str, int]  # the day on which each battery was new

    @property
    def community(self) -> str:
        return f"sim-{(self.number - 1) // HOMES_A_COMMUNITY + 1}"

    def head(self, quantity: str, device: str, resident: str = "") -> str:
        """Measurement and tags of a line, up to the field; the ids hold nothing that needs an escape."""
        text = f"{quantity},community={self.community},home=home-{self.number:04},gateway=gw-{self.number:04}"
        if device:
            text += f",device={device}"
        return f"{text},resident={resident} value=" if resident else f"{text} value="


def households(homes: int, seed: int) -> list[Household]:
    return [_household(number, Random(f"{seed}:{number}")) for number in range(1, homes + 1)]


def year(homes: int, days: int, seed: int, last: dt.date, until_s: int | None = None) -> Iterator[list[str]]:
    """The lines of one home on one day, day after day up to `last` (of China's zone), without line ends.

    Of the last day nothing later than `until_s` (Unix seconds).
    """
    if not (1 <= homes <= MAX_HOMES and 1 <= days <= MAX_DAYS):
        raise ValueError(f"1 to {MAX_HOMES} homes, 1 to {MAX_DAYS} days")
    everybody = households(homes, seed)
    counters = [1000.0 + 7.0 * (number % 97) for number in range(homes)]  # kWh
    for day in range(last.toordinal() - days + 1, last.toordinal() + 1):
        for place, home in enumerate(everybody):
            lines: list[str] = []
            counters[place] = _Day(home, day, seed, lines).fill(counters[place])
            if until_s is not None and day == last.toordinal():
                lines = [line for line in lines if int(line[-19:-9]) <= until_s]
            yield lines


def _household(number: int, rng: Random) -> Household:
    people = tuple(
        Person(f"r-{number:04}{letter}", rng.gauss(128, 11), rng.gauss(77, 7), rng.gauss(71, 6))
        for letter in ("ab" if number % 4 == 0 else "a")
    )
    return Household(
        number,
        wakes=rng.gauss(6.2, 0.6),
        sleeps=min(rng.gauss(21.6, 0.7), 23.5),
        base_w=rng.uniform(25, 70),
        busy=rng.uniform(0.6, 1.5),
        celsius=rng.uniform(18.5, 22.5),
        people=people,
        levels={sensor: rng.randint(-92, -55) for sensor in _SENSORS},
        charged={sensor: -rng.randrange(600) for sensor in _SENSORS},
    )


class _Day:
    """One home's one day: each method adds the lines of one device."""

    def __init__(self, home: Household, day: int, seed: int, lines: list[str]) -> None:
        self.home, self.day, self.lines = home, day, lines
        self.rng = Random(f"{seed}:{home.number}:{day}")
        self.start_s = (day - dt.date(1970, 1, 1).toordinal()) * DAY_S - 8 * 3600
        self.season = cos((day % 365.25 - 200) / 365.25 * 2 * pi)  # 1 in the hottest days, -1 in the coldest
        self.away = Random(f"{seed}:{home.number}:week {day // 7}").random() < 0.02  # a week with the children
        self.cut_off = self._pause(0.03, 3600, 9 * 3600)

    def fill(self, counter_kwh: float) -> float:
        """Where the meter stands at the end of the day."""
        self._room()
        if not self.away:
            self._movement()
            self._door()
            self._cuff()
        self._supplies()
        self._gateway()
        return self._meter(counter_kwh)

    def _add(self, head: str, second: float, value: float) -> None:
        self.lines.append(f"{head}{value:g} {self.start_s + int(second)}000000000")

    def _meter(self, counter: float) -> float:
        rng, home, add = self.rng, self.home, self.lines.append
        power_head, energy_head = home.head("power", "meter-1"), home.head("energy_import", "meter-1")
        heating = max(abs(self.season) - 0.45, 0.0) * 900  # cooled in summer, heated in winter
        edges = [home.wakes, home.wakes + 1.6, 11.0, 12.6, 17.2, 19.2, home.sleeps]
        loads = [0.0, 320.0, 60.0, 420.0, 60.0, 380.0, 150.0, 0.0]
        phase = rng.randrange(METER_S)
        for second in range(phase, DAY_S, METER_S):
            load = 0.0 if self.away else loads[bisect(edges, second / 3600)] * home.busy
            cooling = heating * rng.random() if load else 0.0
            watts = home.base_w + (90.0 if rng.random() < 0.35 else 0.0) + load * rng.uniform(0.3, 1.7) + cooling
            counter += watts * METER_S / 3_600_000
            at = f"{self.start_s + second}000000000"
            add(f"{power_head}{watts:.1f} {at}")
            add(f"{energy_head}{counter:.3f} {at}")
        return counter

    def _room(self) -> None:
        temperature, humidity = self.home.head("temperature", "climate-1"), self.home.head("humidity", "climate-1")
        for second in range(self.rng.randrange(ROOM_S), DAY_S, ROOM_S):
            daily = cos((second / DAY_S - 0.62) * 2 * pi)
            celsius = self.home.celsius + 5.0 * self.season + 1.2 * daily + self.rng.gauss(0, 0.2)
            self._add(temperature, second, round(celsius, 1))
            self._add(humidity, second, round(58 + 14 * self.season - 4 * daily + self.rng.gauss(0, 1.5), 1))

    def _movement(self) -> None:
        for device, often in (("motion-1", 34), ("motion-2", 12)):
            head = self.home.head("motion", device)
            for second in self._moments(often):
                self._add(head, second, 1)
                self._add(head, second + self.rng.randrange(60, 400), 0)
        if self.rng.random() < 0.6:  # a way to the bathroom at night
            second = self.rng.uniform(0.5, 4.5) * 3600
            self._add(self.home.head("motion", "motion-2"), second, 1)
            self._add(self.home.head("motion", "motion-2"), second + 90, 0)

    def _door(self) -> None:
        head = self.home.head("contact", "door-1")
        for second in self._moments(5):
            self._add(head, second, 1)
            self._add(head, second + self.rng.randrange(5, 40), 0)

    def _cuff(self) -> None:
        rng = self.rng
        for person in self.home.people:
            for hour in (self.home.wakes + 0.7, self.home.sleeps - 2.0):
                if rng.random() < 0.25:
                    continue
                second = hour * 3600 + rng.gauss(0, 900)
                rise = rng.gauss(0, 6) - 4 * self.season
                for quantity, value in (
                    ("systolic", person.systolic + rise + rng.gauss(0, 4)),
                    ("diastolic", person.diastolic + rise / 2 + rng.gauss(0, 3)),
                    ("heart_rate", person.pulse + rng.gauss(0, 5)),
                ):
                    self._add(self.home.head(quantity, "cuff-1", person.id), second, round(value))

    def _supplies(self) -> None:
        for sensor in _SENSORS:
            for second in range(self.rng.randrange(RADIO_S), DAY_S, RADIO_S):
                level = self.home.levels[sensor] + round(self.rng.gauss(0, 2))
                self._add(self.home.head("radio_level", sensor), second, level)
            age = (self.day - self.home.charged[sensor]) % 600
            self._add(self.home.head("battery", sensor), self.rng.randrange(DAY_S), max(100 - age // 7, 15))

    def _gateway(self) -> None:
        heads = [self.home.head(name, "") for name in ("gateway_online", "outbox_events", "outbox_readings")]
        begin, end = self.cut_off
        for second in range(self.rng.randrange(ROOM_S), DAY_S, ROOM_S):
            if begin <= second < end:
                continue  # nobody hears it
            waiting = round((end - begin) / 60) if 0 <= second - end < ROOM_S and end > begin else 0
            for head, value in zip(heads, (1, waiting // 40, waiting), strict=True):
                self._add(head, second, value)
        if end > begin:
            self._add(heads[0], begin, 0)
        self._add(self.home.head("outbox_dropped", ""), 0, 0)

    def _moments(self, often: int) -> list[float]:
        """Moments of the day on which somebody is up, in order."""
        number = max(round(self.rng.gauss(often, often / 4) * self.home.busy), 1)
        return sorted(self.rng.uniform(self.home.wakes, self.home.sleeps) * 3600 for _ in range(number))

    def _pause(self, chance: float, least_s: int, most_s: int) -> tuple[int, int]:
        if self.rng.random() >= chance:
            return 0, 0
        begin = self.rng.randrange(DAY_S - most_s)
        return begin, begin + self.rng.randrange(least_s, most_s)
