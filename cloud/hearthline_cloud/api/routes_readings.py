"""Time series out of the store: a home's energy of a day, and readings in general."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Path, Query
from sqlalchemy import Connection, select

from hearthline.clock import NS, parse_rfc3339, rfc3339
from hearthline.model import TELEMETRY_UNITS, VITAL_UNITS
from hearthline_cloud import schema
from hearthline_cloud.alerts.windows import Scope
from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.model import DeviceEnergy, Energy, Readings, SampleAnswer, refusals
from hearthline_cloud.api.parts import Parts
from hearthline_cloud.charts.counters import Stand, used
from hearthline_cloud.charts.reading import ReadableStore
from hearthline_cloud.desk import NotFoundError
from hearthline_cloud.people import Session
from hearthline_cloud.permissions import Permission
from hearthline_cloud.scoping import sees_place
from hearthline_cloud.store import SeriesQuery

router = APIRouter(prefix="/api/v1", tags=["readings"], responses=refusals(401, 403, 404, 422, 429, 503))

_WINDOW_NS = 300 * NS
_FARTHEST_NS = 2**63 - 86_400 * NS  # a day of room for the default of `from`
_BEFORE_NS = 3600 * NS  # where the meter stood when the day began may have been read up to an hour earlier
_FIRST_DAY, _LAST_DAY = date(1970, 1, 2), date(2261, 12, 31)  # what a 64-bit count of nanoseconds holds
Id = Annotated[str, Path(max_length=64)]


@router.get("/homes/{home_id}/energy", summary="Energy taken from the grid by a home on one day")
def get_energy(
    home_id: Id,
    parts: PartsOf,
    session: Staff,
    day: Annotated[date | None, Query(description="default: today", ge=_FIRST_DAY, le=_LAST_DAY)] = None,
    utc_offset_min: Annotated[int, Query(ge=-840, le=840, description="the viewer's time zone, e.g. 480")] = 0,
) -> Energy:
    """The day lasts from midnight to midnight in the given time zone. `kwh` is null without a reading."""
    now = datetime.now(UTC) + timedelta(minutes=utc_offset_min)
    day = day or now.date()
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(minutes=utc_offset_min)
    return day_energy(parts.store, home_id, day.isoformat(), round(start.timestamp()) * NS)


def day_energy(store: ReadableStore, home_id: str, day: str, start_ns: int) -> Energy:
    """Sums what each meter's register went on (`charts.counters`). Raises LinkError."""
    query = SeriesQuery(
        "energy_import",
        start_ns - _BEFORE_NS,
        start_ns + 86_400 * NS,
        limit=50_000,
        home=home_id,
        window_ns=_WINDOW_NS,
        aggregate="last",
    )
    by_device: dict[tuple[str, str], list[Stand]] = {}
    for sample in store.read(query):
        stand = Stand(sample.time_ns, sample.time_ns + _WINDOW_NS, sample.value, sample.value, sample.value)
        by_device.setdefault((sample.tags.gateway, sample.tags.device), []).append(stand)
    span = (start_ns, start_ns + 86_400 * NS)
    of_day = {device: used(stands, [span], _BEFORE_NS)[0].kwh for device, stands in sorted(by_device.items())}
    devices = [DeviceEnergy(*device, kwh) for device, kwh in of_day.items() if kwh is not None]
    return Energy(home_id, day, round(sum(item.kwh for item in devices), 3) if devices else None, devices)


@router.get("/readings", summary="Samples of one quantity", responses=refusals(400))
def get_readings(
    parts: PartsOf,
    session: Staff,
    quantity: Annotated[str, Query(description="e.g. power, energy_import, battery", max_length=64)],
    start: Annotated[str | None, Query(alias="from", description="RFC 3339; default: a day ago")] = None,
    end: Annotated[str | None, Query(alias="to", description="RFC 3339, excluded; default: now")] = None,
    home: str | None = None,
    gateway: str | None = None,
    device: str | None = None,
    window_s: Annotated[int | None, Query(ge=1, le=31_536_000, description="one sample for each window")] = None,
    aggregate: Literal["mean", "min", "max", "last", "sum", "spread", "count"] = "mean",
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> Readings:
    """In order of time; the newest `limit` of them. An account of some communities names a home or a gateway.

    Of a gateway it is shown what was measured in the community that the gateway is in now. What is of a resident is
    for those who may see residents.
    """
    community = _check_asked(parts, session, home, gateway)
    to_ns = _moment(end, "to") if end else parts.now_ns()
    from_ns = _moment(start, "from") if start else to_ns - 86_400 * NS
    query = SeriesQuery(
        quantity,
        from_ns,
        to_ns,
        limit=limit,
        newest_first=True,
        community=community,
        home=home,
        gateway=gateway,
        device=device,
        resident=None if session.may(Permission.RESIDENTS) else "",
        window_ns=window_s * NS if window_s else None,
        aggregate=aggregate if window_s else None,
    )
    unit = {**TELEMETRY_UNITS, **VITAL_UNITS}.get(quantity, "")
    samples = [
        SampleAnswer(rfc3339(item.time_ns), item.value, item.tags.home, item.tags.gateway, item.tags.device)
        for item in reversed(parts.store.read(query))
    ]
    return Readings(quantity, unit, samples)


def _check_asked(parts: Parts, session: Session, home: str | None, gateway: str | None) -> str | None:
    """The community whose series are meant, where no home says it; None: any. Raises NotFoundError for another's."""
    if session.communities is None:
        return None
    if not home and not gateway:
        raise HTTPException(400, "this account sees some communities: name a home or a gateway")
    with parts.database.reading() as connection:
        for scope, name in ((Scope.HOME, home), (Scope.GATEWAY, gateway)):
            if name and not sees_place(connection, session.communities, scope, name):
                raise NotFoundError(f"there is no such {scope}")
        return None if home else _community_of(connection, gateway or "")


def _community_of(connection: Connection, gateway: str) -> str:
    """As its series are tagged now: "" where the gateway is of no home."""
    homes = schema.gateway.join(schema.home, schema.home.c.id == schema.gateway.c.home_id)
    of_home = select(schema.home.c.community_id).select_from(homes).where(schema.gateway.c.id == gateway)
    return connection.execute(of_home).scalar() or ""


def _moment(text: str, name: str) -> int:
    try:
        at_ns = parse_rfc3339(text)
    except (ValueError, OverflowError):
        raise HTTPException(400, f"{name} is not an RFC 3339 time with an offset") from None
    if abs(at_ns) > _FARTHEST_NS:
        raise HTTPException(400, f"{name} is a year that no reading has")
    return at_ns
