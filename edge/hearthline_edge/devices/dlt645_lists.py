"""What a port's options say of its DL/T 645 meters: whom to ask for what, and how often.

    meters = ["000012345678",                                                       asked for the port's `items`
              { address = "000012345679", items = ["0201FF00"], interval_s = 10 },  its own lists
              { address = "000012345679", items = ["0001FF00"], interval_s = 900 },
              { address = "000012345680", profile = "hall-meter" }]
    meters = ["AAAAAAAAAAAA"]   whoever is on the line: one meter alone
    meters = ["discover"]       one meter alone: its address is asked for (13) and then used

A value of a profile names its item by `path`: a data identifier that the standard gives (dlt645_items.py), and then
`scale` and `offset` apply to the number in the item's own unit; or any other identifier with the form of its number as
the maker's table writes it, `"0280000A XXXXXX.XX"`, with `-` in front where the top bit is a sign.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Annotated, Final

from msgspec import Meta

from hearthline.config import Config
from hearthline.errors import ConfigError
from hearthline.model import TELEMETRY_UNITS
from hearthline_edge.bus import Poll
from hearthline_edge.devices.dlt645_items import ASCII_ITEMS, BLOCKS, ITEMS, MeterItem
from hearthline_edge.profile import Profile, ValueRule
from hearthline_edge.profile_check import check_profile

WILDCARD: Final = "A" * 12
DISCOVER: Final = "discover"
_SELECTOR: Final = re.compile(r"(?P<item>[0-9A-Fa-f]{8})(?: (?P<sign>-?)(?P<whole>X{1,16})(?:\.(?P<part>X{1,8}))?)?")

Address = Annotated[str, Meta(pattern=r"^([0-9]{12}|A{12}|discover)\Z")]
Identifier = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{8}\Z")]
Interval = Annotated[float, Meta(ge=1)]


class MeterTable(Config, frozen=True):
    address: Address
    items: tuple[Identifier, ...] | None = None
    interval_s: Interval | None = None
    profile: Profile | None = None


class Options(Config, frozen=True):
    """`items`, `profile`: of every meter that names neither. `timeout_s`: from a request to its reply's beginning."""

    meters: tuple[Address | MeterTable, ...] = ()
    interval_s: Interval | None = None
    items: tuple[Identifier, ...] | None = None
    profile: Profile | None = None
    timeout_s: Annotated[float, Meta(ge=0.5, le=10)] = 2.0


_USUAL_ITEMS: Final = ("00010000", "02010100", "02020100", "02030000")
_USUAL_INTERVAL_S: Final = 60.0


@dataclass(slots=True)
class Target:
    """One meter as the options name it. `found`: its address, where it had to be asked for."""

    unit: str
    address: str
    found: str | None = None
    unanswered: bool = False
    own: dict[str, MeterItem] = field(default_factory=dict)

    @property
    def discovers(self) -> bool:
        """Whether its address is to be asked for now."""
        return self.address == DISCOVER and self.found is None

    @property
    def line_address(self) -> str:
        return self.found or (WILDCARD if self.address == DISCOVER else self.address)


@dataclass(frozen=True, slots=True)
class Ask:
    target: Target
    identifier: str


@dataclass(frozen=True, slots=True)
class Lists:
    """`usual`: the items of the port's profile, for whoever is heard."""

    polls: list[Poll[Ask]]
    targets: dict[str, Target]
    usual: dict[str, MeterItem]


def reading_lists(options: Options, name: str) -> Lists:
    """Who is asked for what. Raises ConfigError; `name` says whose options these are."""
    usual = _profile_items(options.profile, f"{name}: profile")
    lists = Lists([], {}, usual)
    asked: set[tuple[str, str]] = set()
    for index, entry in enumerate(options.meters):
        where = f"{name}: meters[{index}]"
        meter = MeterTable(address=entry) if isinstance(entry, str) else entry
        target = lists.targets.setdefault(meter.address, Target(_unit(meter.address, name), meter.address))
        own = _profile_items(meter.profile, f"{where}.profile")
        target.own |= own or usual
        for identifier, interval_s in _asked_of(meter, options, own, usual, where):
            if (meter.address, identifier) in asked:
                raise ConfigError(f"{where}: {identifier} of {meter.address} is asked for twice")
            asked.add((meter.address, identifier))
            poll = Poll(target.unit, Ask(target, identifier), interval_s, options.timeout_s, identifier)
            lists.polls.append(poll)
    if len(lists.targets) > 1 and not lists.targets.keys().isdisjoint((WILDCARD, DISCOVER)):
        raise ConfigError(f"{name}: meters: {WILDCARD} and {DISCOVER} read any meter and need to be the only one")
    _check_series(lists, name)
    return lists


def _unit(address: str, name: str) -> str:
    return f"dlt645:{name if address in (WILDCARD, DISCOVER) else address}"


def _asked_of(
    meter: MeterTable, options: Options, own: Mapping[str, MeterItem], usual: Mapping[str, MeterItem], where: str
) -> Iterator[tuple[str, float]]:
    """The identifiers to ask a meter for, each with its period."""
    profile = meter.profile or (options.profile if meter.items is None else None)
    of_profile = tuple(own or usual) if profile is not None else ()
    listed = meter.items
    if listed is None and meter.profile is None:
        listed = options.items
    if listed is None and not of_profile:
        listed = _USUAL_ITEMS
    way = None if profile is None else profile.dlt645
    plain_s = meter.interval_s or options.interval_s or _USUAL_INTERVAL_S
    for identifier in listed or ():
        known = identifier.upper()
        if known not in ITEMS and known not in BLOCKS and known not in of_profile:
            raise ConfigError(
                f"{where}: items: {identifier} is not known; known are {', '.join(sorted((*ITEMS, *BLOCKS)))}; "
                "a profile may describe others"
            )
        if known not in of_profile:
            yield known, plain_s
    for identifier in of_profile:
        yield identifier, meter.interval_s or (plain_s if way is None else way.interval_s)


def _check_series(lists: Lists, name: str) -> None:
    """Combined and forward energy are one series: a meter is not asked for both."""
    series: dict[tuple[str, str, str], str] = {}
    for poll in lists.polls:
        target, identifier = poll.ask.target, poll.ask.identifier
        for each in BLOCKS.get(identifier, (identifier,)):
            item = target.own.get(each) or ITEMS[each]
            key = (target.address, item.quantity, item.place)
            if series.setdefault(key, each) != each:
                raise ConfigError(
                    f"{name}: meters: {series[key]} and {each} of {target.address} are both {item.quantity}"
                    f"{item.place}; ask for one of them"
                )


def _profile_items(profile: Profile | None, where: str) -> dict[str, MeterItem]:
    """The items that a profile describes, by their identifiers."""
    if profile is None:
        return {}
    if profile.dlt645 is None:
        raise ConfigError(f"{where}: {profile.name!r} is no [dlt645] profile")
    check_profile(profile, where)
    items: dict[str, MeterItem] = {}
    for index, rule in enumerate(profile.value):
        try:
            identifier, item = _rule_item(rule)
        except ValueError as error:
            raise ConfigError(f"{where}.value[{index}].path = {rule.path!r}: {error}") from None
        if identifier in items:
            raise ConfigError(f"{where}.value[{index}].path = {rule.path!r} is there twice")
        items[identifier] = item
    return items


def _rule_item(rule: ValueRule) -> tuple[str, MeterItem]:
    match = _SELECTOR.fullmatch(rule.path)
    if match is None:
        raise ValueError("a data identifier of 8 hexadecimal digits, and the form of an unknown one: 0280000A XXXX.XX")
    identifier = match["item"].upper()
    if identifier in BLOCKS or identifier in ASCII_ITEMS:
        raise ValueError("holds no single number; name one item")
    if match["whole"]:
        part = match["part"] or ""
        digits = len(match["whole"]) + len(part)
        if digits % 2:
            raise ValueError("a number has an even count of digits, two a byte")
        item = MeterItem(rule.quantity, digits // 2, Decimal(1).scaleb(-len(part)), signed=match["sign"] == "-")
    elif identifier in ITEMS:
        item = ITEMS[identifier]
        if TELEMETRY_UNITS[item.quantity] != TELEMETRY_UNITS[rule.quantity]:
            raise ValueError(f"is {item.quantity} in {TELEMETRY_UNITS[item.quantity]}; {rule.quantity} is not")
    else:
        raise ValueError(f"is not known; add the form of its number: {identifier} XXXX.XX")
    scale, offset = Decimal(repr(rule.scale)), Decimal(repr(rule.offset))
    return identifier, replace(
        item,
        quantity=rule.quantity,
        place=rule.place,
        scale=item.scale * scale,
        offset=offset,
        minimum=rule.minimum,
        maximum=rule.maximum,
    )
