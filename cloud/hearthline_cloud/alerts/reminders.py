"""When a pendant has to be tried again, and when somebody is to call for it: pure.

Telecare has the elder press once a month (CareTech's functional test). A month counts from the last press, whether for
help, by mistake or for a test, from the commissioning, and from the last time that somebody asked. The calls of homes
that were set up on one day are spread over a week and its hours, by the home's id.
"""

from __future__ import annotations

import zlib
from datetime import datetime, time, timedelta, tzinfo

from hearthline.clock import NS

_DAY_NS = 86_400 * NS
SPREAD_DAYS = 7
FIRST_HOUR, LAST_HOUR = 9, 16  # local: after breakfast, before supper


def is_due(last_ns: int, every_days: int, now_ns: int) -> bool:
    """`last_ns`: of press, commissioning and question the last one."""
    return now_ns - last_ns >= every_days * _DAY_NS


def call_at_ns(home: str, now_ns: int, zone: tzinfo) -> int:
    """The full hour, within the next week, at which this home is to be called."""
    place = zlib.crc32(home.encode())
    day = datetime.fromtimestamp(now_ns // NS, zone).date() + timedelta(days=1 + place % SPREAD_DAYS)
    hour = FIRST_HOUR + place // SPREAD_DAYS % (LAST_HOUR - FIRST_HOUR + 1)
    return round(datetime.combine(day, time(hour), zone).timestamp()) * NS
