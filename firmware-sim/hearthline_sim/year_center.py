"""What the center would have written about itself in a simulated year: pure in seed, last day and numbers.

    communities every 15 minutes . open alerts, silent homes, how today was answered
    gateways every 6 hours ....... room in the outbox
    devices every 6 hours ........ silent or not; every hour of the last two days

The simulated homes of `year` hold everything else. A real center writes what it says of communities every minute; only
the last quarter of an hour is as dense here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from random import Random

from hearthline_sim.year import DAY_S, HOMES_A_COMMUNITY

QUARTER_S, HOUR_S, SELDOM_S = 900, 3600, 21_600
_DEVICES = ("climate-1", "door-1", "motion-1", "motion-2", "pendant-1", "cuff-1", "meter-1")
_EPOCH = dt.date(1970, 1, 1).toordinal()


def year_center(homes: int, days: int, seed: int, last: dt.date, until_s: int | None = None) -> Iterator[list[str]]:
    """The lines of one day, day after day up to `last` (of China's zone), none later than `until_s` (Unix seconds)."""
    communities = (homes - 1) // HOMES_A_COMMUNITY + 1
    for day in range(last.toordinal() - days + 1, last.toordinal() + 1):
        start_s = (day - _EPOCH) * DAY_S - 8 * HOUR_S
        is_last = day >= last.toordinal() - 1
        lines: list[str] = []
        for number in range(1, communities + 1):
            members = min(HOMES_A_COMMUNITY, homes - (number - 1) * HOMES_A_COMMUNITY)
            rng = Random(f"{seed}:center:{number}:{day}")
            lines += _community(f"sim-{number}", members, rng, start_s, until_s if is_last else None)
        for number in range(1, homes + 1):
            lines += _home(number, Random(f"{seed}:standing:{number}:{day}"), start_s, HOUR_S if is_last else SELDOM_S)
        if until_s is not None:
            lines = [line for line in lines if int(line[-19:-9]) <= until_s]
        yield lines


def _community(name: str, members: int, rng: Random, start_s: int, until_s: int | None) -> Iterator[str]:
    """Calls come through the day; each is answered after its wait and open for its time."""
    calls = sorted(
        (rng.uniform(6, 22) * HOUR_S, rng.lognormvariate(3.4, 0.9), rng.uniform(900, 5400))
        for _ in range(max(1, round(rng.gauss(members / 25, 1))))
    )
    services = [(rng.uniform(7, 20) * HOUR_S, rng.uniform(1800, 14_400)) for _ in range(1 + members // 20)]
    moments = list(range(0, DAY_S, QUARTER_S))
    if until_s is not None and 0 <= until_s - start_s < DAY_S:
        moments += range((until_s - start_s) // 60 * 60 - QUARTER_S, until_s - start_s + 1, 60)
    faults = rng.randrange(4)
    for second in moments:
        came = [call for call in calls if call[0] <= second]
        waiting = [second - at for at, wait, _ in came if second < at + wait]
        answered = [wait for at, wait, _ in came if second >= at + wait]
        values = {
            "open_emergencies": sum(second < at + wait + open_s for at, wait, open_s in came),
            "open_service_calls": sum(at <= second < at + open_s for at, open_s in services),
            "open_faults": faults,
            "unanswered": len(waiting),
            "longest_wait": round(max(waiting, default=0)),
            "homes": members,
            "silent_homes": int(rng.random() < 0.02),
            "silent_devices": faults,
            "calls_today": len(came),
            "answered_today": len(answered),
            "answered_60s_today": sum(wait <= 60 for wait in answered),
            "answered_180s_today": sum(wait <= 180 for wait in answered),
        }
        for quantity, value in values.items():
            yield f"{quantity},community={name} value={value} {start_s + second}000000000"


def _home(number: int, rng: Random, start_s: int, every_s: int) -> Iterator[str]:
    tags = f"community=sim-{(number - 1) // HOMES_A_COMMUNITY + 1},home=home-{number:04},gateway=gw-{number:04}"
    silent = rng.choice(_DEVICES) if rng.random() < 0.02 or number % 97 == 1 else ""
    for second in range(0, DAY_S, every_s):
        yield f"outbox_room,{tags} value={rng.uniform(60, 400):.1f} {start_s + second}000000000"
        for device in _DEVICES:
            yield f"device_silent,{tags},device={device} value={int(device == silent)} {start_s + second}000000000"
