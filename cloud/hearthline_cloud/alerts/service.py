"""When a service call may be due: pure. Meals are ordered before the kitchen closes its orders, the rest at any time.

An order belongs to the meal whose serving time is the nearest to the time asked for. Times of a day are local ones of
the timetable's zone; instants are Unix nanoseconds of the cloud's clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from hearthline.clock import NS, rfc3339
from hearthline_cloud.alerts.lifecycle import Category, ImpossibleError, Plan, Refusal

MAX_AHEAD_S = 366 * 86_400
MAX_PROVIDER = 64
_LATE_S = 60  # between an operator's choice and its arrival here
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Meal:
    """Served at `served`; ordered until `order_until` of the same day, or of the day before."""

    name: str
    served: time
    order_until: time
    day_before: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """One serving of a meal, and when its orders close."""

    meal: str
    served_ns: int
    closes_ns: int


@dataclass(frozen=True, slots=True)
class Timetable:
    meals: tuple[Meal, ...]
    zone: tzinfo

    def orders(self, now_ns: int) -> list[Order]:
        """The next serving of each meal that can still be ordered, the soonest first."""
        today = datetime.fromtimestamp(now_ns // NS, self.zone).date()
        found: dict[str, Order] = {}
        for order in self._servings(today, range(3)):
            if order.closes_ns > now_ns:
                found.setdefault(order.meal, order)
        return sorted(found.values(), key=lambda order: order.served_ns)

    def meant(self, due_ns: int) -> Order | None:
        """The serving nearest to `due_ns`; None where no meal is served at all."""
        day = datetime.fromtimestamp(due_ns // NS, self.zone).date()
        servings = self._servings(day, range(-1, 2))
        return min(servings, key=lambda order: abs(order.served_ns - due_ns), default=None)

    def _servings(self, day: date, offsets: range) -> Iterator[Order]:
        for offset in offsets:
            on = day + offset * _DAY
            for meal in self.meals:
                closes = on - _DAY if meal.day_before else on
                yield Order(meal.name, self._at(on, meal.served), self._at(closes, meal.order_until))

    def _at(self, day: date, clock: time) -> int:
        return round(datetime.combine(day, clock, self.zone).timestamp()) * NS


# Shanghai's orders: until 18:00 for the next day's breakfast, 10:00 for lunch, 16:00 for supper.
SHIPPED_MEALS = Timetable(
    (
        Meal("breakfast", time(7), time(18), day_before=True),
        Meal("lunch", time(11, 30), time(10)),
        Meal("supper", time(17, 30), time(16)),
    ),
    ZoneInfo("Asia/Shanghai"),
)


def check_plan(plan: Plan, timetable: Timetable, now_ns: int) -> None:
    """Raises ImpossibleError for a time that is over, beyond a year, or too late for the kitchen."""
    if not now_ns - _LATE_S * NS <= plan.due_ns <= now_ns + MAX_AHEAD_S * NS:
        raise ImpossibleError(Refusal.DUE_NOT_AHEAD, "due: a time from now on, within a year")
    if plan.category is not Category.MEAL:
        return
    order = timetable.meant(plan.due_ns)
    if order is not None and order.closes_ns <= now_ns:
        following = "; ".join(f"{other.meal} until {rfc3339(other.closes_ns)}" for other in timetable.orders(now_ns))
        message = f"orders for this {order.meal} closed at {rfc3339(order.closes_ns)}; there are: {following}"
        raise ImpossibleError(Refusal.ORDERS_CLOSED, message)
