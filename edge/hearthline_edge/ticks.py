"""The moments at which readings of all sources are committed, so that one turn of the disk takes them all.

Each commit costs an SD card an fsync and several pages. What a press needs never waits for a tick.
"""

from __future__ import annotations

import asyncio


def next_tick(period_s: float) -> float:
    """The running loop's time of the next tick; ticks of one period are the same for everybody."""
    now = asyncio.get_running_loop().time()
    return (now // period_s + 1) * period_s if period_s else now
