"""The meals of cloud.toml (`[service]`) into the timetable that `alerts.service` decides by."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hearthline.errors import ConfigError
from hearthline_cloud.alerts.service import SHIPPED_MEALS, Meal, Timetable
from hearthline_cloud.config import MealConfig, ServiceConfig

MAX_NAME = 32


def open_timetable(config: ServiceConfig) -> Timetable:
    """The shipped meals where none is configured. Raises ConfigError with the key."""
    try:
        zone = ZoneInfo(config.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"service.zone = {config.zone!r}: there is no such time zone on this machine"
        raise ConfigError(message) from None
    if not config.meal:
        return Timetable(SHIPPED_MEALS.meals, zone)
    meals = tuple(_meal(f"service.meal[{place}]", entry) for place, entry in enumerate(config.meal))
    names = [meal.name for meal in meals]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ConfigError(f"service.meal[{place}].name = {name!r}: another meal has this name")
    return Timetable(meals, zone)


def _meal(where: str, entry: MealConfig) -> Meal:
    if not 1 <= len(entry.name) <= MAX_NAME:
        raise ConfigError(f"{where}.name = {entry.name!r}: must have 1 to {MAX_NAME} characters")
    for key, value in (("served", entry.served), ("order_until", entry.order_until)):
        if value.tzinfo is not None:
            raise ConfigError(f"{where}.{key}: a local time of the day, without an offset")
    if entry.order_until > entry.served and not entry.day_before:
        raise ConfigError(f"{where}.order_until: orders close before the meal is served, or set day_before = true")
    return Meal(entry.name, entry.served, entry.order_until, entry.day_before)
