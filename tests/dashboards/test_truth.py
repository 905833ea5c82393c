"""Panel by panel: what each query finds in InfluxDB is what the simulator's lines say that it ought to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dashboards.conftest import Center
from dashboards.truth import DAY_S, HOUR_S, Shown, Truth, hour, midnight, only, whole, without_time
from hearthline_dashboards.board import Setting
from hearthline_dashboards.boards import boards
from hearthline_dashboards.building import as_tree
from hearthline_dashboards.interpolation import ALL, Range, Variable, interpolated, seconds

pytestmark = pytest.mark.integration
HOME = "home-0001"
PLACES = ("community", "device", "gateway", "home", "resident")
M15, M30 = 900, 1800
NOW, TWO_HOURS, DAY, TWO_DAYS, WEEK, MONTH, YEAR = (
    1800,
    2 * HOUR_S,
    DAY_S,
    2 * DAY_S,
    7 * DAY_S,
    30 * DAY_S,
    365 * DAY_S,
)
Wanted = Callable[[Truth], list[Shown]]


def counted(*quantities: str) -> Wanted:
    return lambda truth: [whole(truth.last(quantity, NOW, "community")) for quantity in quantities]


def of_gateways(quantity: str, how: str, back_s: int = TWO_HOURS) -> Wanted:
    return lambda truth: [whole(truth.last(quantity, back_s, "home", "gateway"), how)]


def curves(back_s: int, window_s: int, how: str, by: str, *quantities: str) -> Wanted:
    return lambda truth: [truth.curve(quantity, back_s, window_s, how, *by.split()) for quantity in quantities]


def newest(back_s: int, by: str, *quantities: str) -> Wanted:
    return lambda truth: [truth.last(quantity, back_s, *by.split()) for quantity in quantities]


def days_of(truth: Truth, quantity: str) -> Shown:
    """Of all communities together, at the end of each day."""
    summed: dict[Any, float] = {}
    for (_, at), value in truth.days(quantity, MONTH, "max", "community").items():
        summed[(at,)] = summed.get((at,), 0) + value
    return summed


OPEN = ("open_emergencies", "open_service_calls", "open_faults")
TODAY = ("calls_today", "answered_today", "answered_60s_today", "answered_180s_today")
BY_COMMUNITY = ("open_emergencies", "unanswered", "open_service_calls", "silent_homes", "silent_devices")

WANTED: dict[tuple[str, str, str], Wanted] = {
    ("overview", "stat", "Open emergencies"): counted("open_emergencies"),
    ("overview", "stat", "Taken by nobody"): counted("unanswered"),
    ("overview", "stat", "Longest wait"): lambda truth: [whole(truth.last("longest_wait", NOW, "community"), "max")],
    ("overview", "stat", "Open service calls"): counted("open_service_calls"),
    ("overview", "stat", "Silent homes"): counted("silent_homes"),
    ("overview", "stat", "Silent devices"): counted("silent_devices"),
    ("overview", "stat", "Emergencies today"): counted("calls_today"),
    ("overview", "stat", "of them answered"): counted("answered_today"),
    ("overview", "stat", "within 60 s"): counted("answered_60s_today"),
    ("overview", "stat", "within 180 s"): counted("answered_180s_today"),
    ("overview", "stat", "Faults of devices and parts"): counted("open_faults"),
    ("overview", "stat", "Registered homes"): counted("homes"),
    ("overview", "table", "By community"): newest(NOW, "community", *BY_COMMUNITY),
    ("overview", "table", "Silent gateways"): lambda truth: [
        only(truth.last("gateway_online", TWO_HOURS, "community", "gateway", "home"), 0)
    ],
    ("overview", "timeseries", "Open alerts"): curves(DAY, M15, "max", "community", *OPEN),
    ("overview", "timeseries", "Silent homes"): curves(DAY, M15, "max", "community", "silent_homes"),
    ("overview", "timeseries", "Emergencies a day, 30 days"): lambda truth: [
        truth.days(quantity, MONTH, "max", "community") for quantity in ("calls_today", "answered_60s_today")
    ],
    ("home", "stat", "Gateway"): newest(TWO_HOURS, "home", "gateway_online"),
    ("home", "timeseries", "Movements an hour"): lambda truth: [truth.times("motion", WEEK, hour, "device", "home")],
    ("home", "timeseries", "Doors opened a day"): lambda truth: [
        truth.times("contact", WEEK, midnight, "device", "home")
    ],
    ("home", "state-timeline", "Doors, the last 24 hours"): lambda truth: [truth.raw("contact", DAY, "device")],
    ("home", "timeseries", "Blood pressure"): curves(WEEK, M15, "mean", "home resident", "systolic", "diastolic"),
    ("home", "timeseries", "Pulse"): curves(WEEK, M15, "mean", "home resident", "heart_rate"),
    ("home", "timeseries", "Electricity a day"): lambda truth: [
        truth.used("energy_import", WEEK, "community", "device", "gateway", "home")
    ],
    ("home", "timeseries", "Power"): curves(WEEK, M15, "mean", "device home", "power"),
    ("home", "timeseries", "Room temperature"): curves(WEEK, M15, "mean", "device home", "temperature"),
    ("home", "timeseries", "Humidity"): curves(WEEK, M15, "mean", "device home", "humidity"),
    ("home", "table", "The devices now"): newest(TWO_DAYS, "device home", "battery", "radio_level", "device_silent"),
    ("vitals", "timeseries", "Systolic, a day's mean, at most 40"): lambda truth: [
        truth.days("systolic", MONTH, "mean", "resident")
    ],
    ("vitals", "timeseries", "Diastolic, a day's mean, at most 40"): lambda truth: [
        truth.days("diastolic", MONTH, "mean", "resident")
    ],
    ("vitals", "timeseries", "Pulse, a day's mean, at most 40"): lambda truth: [
        truth.days("heart_rate", MONTH, "mean", "resident")
    ],
    ("vitals", "timeseries", "Measurements a day"): lambda truth: [measured_a_day(truth)],
    ("vitals", "table", "The last of 7 days"): newest(
        WEEK, "community home resident", "systolic", "diastolic", "heart_rate"
    ),
    ("energy", "stat", "Used in 30 days"): lambda truth: [whole(truth.used("energy_import", MONTH))],
    ("energy", "stat", "Power now"): lambda truth: [whole(truth.last("power", HOUR_S, "home", "device"))],
    ("energy", "timeseries", "Electricity a day, 30 days"): lambda truth: [
        truth.used("energy_import", MONTH, "community")
    ],
    ("energy", "timeseries", "Load, the last 7 days"): lambda truth: [load(truth)],
    ("energy", "timeseries", "Electricity a day, the range"): lambda truth: [within_days(truth)],
    ("energy", "table", "Used most in 30 days"): lambda truth: [
        without_time(truth.used("energy_import", MONTH, "home"))
    ],
    ("energy", "table", "Used least in 30 days"): lambda truth: [
        without_time(truth.used("energy_import", MONTH, "home"))
    ],
    ("devices", "stat", "Heard"): of_gateways("gateway_online", "sum"),
    ("devices", "stat", "Known"): of_gateways("gateway_online", "count"),
    ("devices", "stat", "Events that wait"): of_gateways("outbox_events", "sum"),
    ("devices", "stat", "Readings that wait"): of_gateways("outbox_readings", "sum"),
    ("devices", "stat", "Least room"): of_gateways("outbox_room", "min"),
    ("devices", "stat", "Readings dropped"): of_gateways("outbox_dropped", "sum", 36 * HOUR_S),
    ("devices", "state-timeline", "Gateways, the last 48 hours, at most 30"): curves(
        TWO_DAYS, M15, "min", "gateway", "gateway_online"
    ),
    ("devices", "timeseries", "The longest outbox, 7 days"): curves(
        WEEK, M15, "max", "community", "outbox_events", "outbox_readings"
    ),
    ("devices", "timeseries", "Share of gateways heard, 7 days"): curves(
        WEEK, M15, "mean", "community", "gateway_online"
    ),
    ("devices", "table", "Lowest batteries of 7 days"): lambda truth: [
        truth.last("battery", WEEK, "device", "gateway", "home", start=midnight)
    ],
    ("devices", "table", "Weakest radio of 7 days"): lambda truth: [
        truth.last("radio_level", WEEK, "device", "gateway", "home", start=midnight)
    ],
    ("devices", "table", "Silent devices"): lambda truth: [
        only(truth.last("device_silent", 3 * HOUR_S, "device", "gateway", "home"), 1)
    ],
    ("devices", "timeseries", "Battery by day, at most 50"): lambda truth: [
        truth.days("battery", WEEK, "mean", "device", "home")
    ],
    ("devices", "timeseries", "Radio level by day, at most 50"): lambda truth: [
        truth.days("radio_level", WEEK, "mean", "device", "home")
    ],
    ("service", "stat", "Emergencies"): lambda truth: [whole(days_of(truth, "calls_today"))],
    ("service", "stat", "Answered"): lambda truth: [whole(days_of(truth, "answered_today"))],
    ("service", "stat", "Answered within 60 s"): lambda truth: [whole(days_of(truth, "answered_60s_today"))],
    ("service", "stat", "Answered within 180 s"): lambda truth: [whole(days_of(truth, "answered_180s_today"))],
    ("service", "timeseries", "Calls and answers a day"): lambda truth: [days_of(truth, name) for name in TODAY],
    ("service", "timeseries", "Longest wait"): curves(MONTH, M30, "max", "community", "longest_wait"),
    ("service", "timeseries", "Open service calls"): curves(MONTH, M30, "max", "community", "open_service_calls"),
}


def measured_a_day(truth: Truth) -> Shown:
    counts: dict[Any, float] = {}
    for each in truth.since("systolic", MONTH, midnight):
        counts[(midnight(each.at_ms),)] = counts.get((midnight(each.at_ms),), 0) + 1
    return counts


def within_days(truth: Truth) -> Shown:
    """Each meter's highest less lowest reading of each day, added up by community."""
    highest, lowest = (truth.days("energy_import", YEAR, how, "community", "home", "device") for how in ("max", "min"))
    summed: dict[Any, float] = {}
    for (community, home, device, at), value in highest.items():
        used = value - lowest[community, home, device, at]
        summed[community, at] = summed.get((community, at), 0) + used
    return summed


def load(truth: Truth) -> Shown:
    """Each meter's mean power of a quarter of an hour, added up by community."""
    summed: dict[Any, float] = {}
    meters = truth.curve("power", WEEK, M15, "mean", "community", "home", "device")
    for (community, _, _, at), value in meters.items():
        summed[community, at] = summed.get((community, at), 0) + value
    return summed


def panels() -> Iterator[Any]:
    for board in boards(Setting("en")):
        tree = as_tree(board)
        for panel in tree["panels"]:
            if any("query" in target for target in panel.get("targets", ())):
                yield pytest.param(board.name, tree, panel, id=f"{board.name}: {panel['type']} {panel['title']}")


@pytest.fixture(scope="module")
def truths(center: Center) -> dict[bool, Truth]:
    """Of one home, and of all."""
    return {True: Truth(center.lines, center.now_ms, HOME), False: Truth(center.lines, center.now_ms)}


def test_every_panel_has_a_truth_of_its_own() -> None:
    keys = {(each.values[0], each.values[2]["type"], each.values[2]["title"]) for each in panels()}
    assert keys == set(WANTED)


@pytest.mark.parametrize(("board", "tree", "panel"), list(panels()))
def test_a_panel_shows_what_the_lines_say(
    center: Center, truths: dict[bool, Truth], board: str, tree: dict[str, Any], panel: dict[str, Any]
) -> None:
    wanted = WANTED[board, panel["type"], panel["title"]](truths[board == "home"])
    back = panel.get("timeFrom", tree["time"]["from"])
    span = Range(center.now_ms - seconds(back) * 1000, center.now_ms)
    variables = {name: Variable(ALL, ".*") for name in ("community", "home", "device", "resident")}
    if board == "home":
        variables["home"] = Variable(HOME)
    assert len(wanted) == len(panel["targets"])
    for target, ought in zip(panel["targets"], wanted, strict=True):
        query = interpolated(target["query"], variables, span, panel.get("interval", ""))
        assert ought, "nothing is expected: this would prove nothing"
        is_curve = panel["type"] in ("timeseries", "state-timeline")
        found = shown(center.influx.ask(query), is_curve)
        assert set(found) == set(ought), query
        assert found == pytest.approx(ought, rel=1e-9, abs=1e-6), query


def shown(series: list[dict[str, Any]], is_curve: bool) -> Shown:
    """The answer's values by tags (in the order of their names) and, of curves, time."""
    found: Shown = {}
    for each in series:
        for row in each["values"]:
            cells = dict(zip(each["columns"][1:], row[1:], strict=True)) | each.get("tags", {})
            (value,) = [cell for name, cell in cells.items() if name not in PLACES]
            key = tuple(cells[name] for name in sorted(cells) if name in PLACES)
            found[(*key, row[0]) if is_curve else key] = value
    return found
