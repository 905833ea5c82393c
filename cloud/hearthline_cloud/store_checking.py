"""What `hearthline cloud store check` looks at: a real write and read, what is kept, what waits, what was refused."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from hearthline.clock import NS
from hearthline.errors import LinkError
from hearthline_cloud import schema
from hearthline_cloud.ingest.rolling import LAG_NS
from hearthline_cloud.store import Keeping, Point, SeriesQuery, Tier
from hearthline_cloud.store.port import in_words
from hearthline_cloud.store.tiers import DAY_NS, oldest_whole_ns
from hearthline_cloud.store_moving import Target, refused_points

PROBE = "store_probe"  # the quantity of the point that a check writes
SERIES_A_HOME = 100  # docs/data.md
_SERIES_OF_THE_CENTER = 100
_LATE_NS = 3600 * NS


@dataclass(frozen=True, slots=True)
class Finding:
    what: str
    good: bool
    found: str


def findings(target: Target, keeping: Keeping) -> list[Finding]:
    """Each thing that was looked at. Where the store cannot be reached, that alone."""
    try:
        return [_probed(target), *_kept(target, keeping), *_waiting(target)]
    except LinkError as error:
        return [Finding("reachable", False, str(error)), *_waiting(target)]


def _probed(target: Target) -> Finding:
    at_ns, value = target.now_ns, float(target.now_ns % 1000)
    refused = target.store.write([Point(PROBE, "", "", "", "", value, at_ns)])
    if refused:
        return Finding("probe", False, f"refused: {refused[0][1]}")
    found = target.store.read(SeriesQuery(PROBE, at_ns, at_ns + 1))
    is_same = [each.value for each in found] == [value]
    return Finding("probe", is_same, "written and read" if is_same else "written, but read differently")


def _kept(target: Target, keeping: Keeping) -> list[Finding]:
    state = target.store.state()
    found = [Finding("store", True, f"{state.engine}, {state.place}")]
    wanted = {Tier.RAW: keeping.raw_days, Tier.QUARTER: keeping.quarter_days, Tier.DAILY: keeping.daily_days}
    for tier, days in wanted.items():
        if state.days is None:
            found.append(Finding(f"{tier} values", True, f"kept for {in_words(days)}"))
            continue
        has = state.days.get(tier)
        said = "missing" if has is None else f"kept for {in_words(has)}"
        is_right = has == days
        advice = "" if is_right else f", should be {in_words(days)}: run hearthline cloud store migrate"
        found.append(Finding(f"{tier} values", is_right, said + advice))
    oldest = target.store.oldest_ns() if state.days is None else None  # others let go of them by themselves
    if oldest is not None and oldest < oldest_whole_ns(target.now_ns, keeping.raw_days) - DAY_NS:
        found.append(Finding("old values", False, "not let go of: run hearthline cloud store migrate"))
    if state.series is not None:
        found.append(_series(target, state.series))
    if state.bytes is not None:
        found.append(Finding("size", True, f"{state.bytes / 1e6:.1f} MB"))
    return found


def _series(target: Target, series: int) -> Finding:
    with target.database.reading() as connection:
        homes = connection.execute(select(func.count()).select_from(schema.home)).scalar_one()
    budget = homes * SERIES_A_HOME + _SERIES_OF_THE_CENTER
    advice = "" if series <= budget else ": look for devices that change their ids"
    return Finding("series", series <= budget, f"{series} of {budget} for {homes} homes{advice}")


def _waiting(target: Target) -> list[Finding]:
    table = schema.roll_up_due
    with target.database.reading() as connection:
        queued = connection.execute(select(func.count()).select_from(schema.store_queue)).scalar_one()
        late = target.now_ns - LAG_NS - _LATE_NS
        due = connection.execute(select(func.count()).select_from(table).where(table.c.to_ns <= late)).scalar_one()
    refused = sum(1 for _ in refused_points(target.database))
    return [
        Finding("waiting to be stored", True, f"{queued} points of events"),
        Finding("summaries", due == 0, f"{due} overdue" if due else "up to date"),
        Finding("refused points", refused == 0, f"{refused} kept aside: hearthline cloud store refused"),
    ]
