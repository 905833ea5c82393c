"""The records of an M-Bus reply that a profile asks for, by selectors.

    KIND [forward|backward] [uN] [tN] [sN] [max|min|error] [PLACE …] [nN]

    "volume s1"            the volume of storage 1; what is not named is 0, present, without direction, the first
    "energy t1 backward"   the energy of tariff 1 with VIFE 3C
    "voltage m01"          the voltage whose VIFE of the manufacturer's own is 01; A, B and C are the standard's phases
    "voltage n3"           the third voltage without anything
    "manufacturer m1300"   a record of the manufacturer's own (VIF FF) with the VIFEs 13 00
    "text:%RH max"         the largest value of a record whose unit is the text %RH (spaces left out)

KIND is a name of mbus_units, the rest as in the places of mbus_readings, in any order. The value is in the unit of the
profile's quantity (Wh to kWh, J to kWh, m3/h to m3/s, bar to hPa, s to h), before the profile's scale and offset; a
record that measures something else than the quantity is refused. What nobody but the maker knows the unit of (a text
that is no unit of ours, `manufacturer`, `dimensionless`, a VIFE that makes another measure of it) is taken as it is. A
profile gives the readings that it names and no others.
"""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

from hearthline.model import TELEMETRY_UNITS, Reading
from hearthline_edge.devices.mbus_readings import device_id, measures_the_same, place_of, scale_of
from hearthline_edge.devices.mbus_records import Record, Telegram
from hearthline_edge.devices.mbus_units import KINDS
from hearthline_edge.profile import Profile, ValueRule
from hearthline_edge.profile_check import near_words

_DIRECTIONS: Final = ("forward", "backward")
_PLACE: Final = re.compile(r"[uts][1-9][0-9]*|max|min|error|[ABCN]|AB|BC|CA|[mvx][0-9a-f]*")
_ZERO: Final = re.compile(r"[uts]0+")
_NUMBER: Final = re.compile(r"n([1-9][0-9]{0,2})")
_TEXT: Final = "text:"
_OF_ANY_MEASURE: Final = frozenset({"manufacturer", "dimensionless", "any"})
_COUNTS: Final = frozenset({"count", "/"})  # units of the quantities that a record without a unit may be
_OUR_UNITS: Final = frozenset(TELEMETRY_UNITS.values()).union(*KINDS.values())


class Selector(NamedTuple):
    """`places`: the parts of the record's place. `number`: of the records that the rest selects, from 1."""

    kind: str
    direction: str
    places: frozenset[str]
    number: int


def parse_selector(text: str) -> Selector:
    """Raises ValueError with what is wrong."""
    kind, *words = text.split() or [""]
    if kind not in KINDS and not (kind.startswith(_TEXT) and len(kind) > len(_TEXT)):
        raise ValueError(f"{kind!r} is no kind of record; {near_words(kind, (*sorted(KINDS), 'text:UNIT'))}")
    directions = [word for word in words if word in _DIRECTIONS]
    numbers = [int(match[1]) for word in words if (match := _NUMBER.fullmatch(word))]
    if len(directions) > 1 or len(numbers) > 1:
        raise ValueError("a record has one direction and one number")
    rest = [word for word in words if word not in _DIRECTIONS and not _NUMBER.fullmatch(word)]
    for word in rest:
        if not _PLACE.fullmatch(word) and not _ZERO.fullmatch(word):
            raise ValueError(f"{word!r} is no part of a selector, such as 's1', 't2', 'u1', 'max', 'm01' or 'n2'")
    places = frozenset(word for word in rest if not _ZERO.fullmatch(word))
    return Selector(kind, "".join(directions), places, numbers[0] if numbers else 1)


def _selected_by(record: Record, number: int) -> Selector:
    kind = f"text:{''.join(record.unit.split())}" if record.name == "text" else record.name
    return Selector(kind, record.direction, frozenset(place_of(record).split(":")[1:]), number)


class ProfileReadings:
    """The readings that a profile finds in one reply, which may come in several telegrams."""

    def __init__(self, rules: dict[Selector, list[ValueRule]]) -> None:
        self._rules = rules
        self._seen: Counter[Selector] = Counter()

    def read(self, telegram: Telegram) -> tuple[list[Reading], bool]:
        """The readings of the next telegram, and whether each of its values is one."""
        device, readings, sane = device_id(telegram), list[Reading](), True
        for record in telegram.records:
            first = _selected_by(record, 1)
            self._seen[first] += 1
            for rule in self._rules.get(first._replace(number=self._seen[first]), ()):
                value = _value(record, rule, first)
                if value is not None:
                    unit = TELEMETRY_UNITS[rule.quantity]
                    readings.append(Reading(device + rule.place, rule.quantity, value, unit))
                elif not record.valid or record.value is not None:
                    sane = False
        return readings, sane


def fits(selector: Selector, quantity: str) -> bool:
    """Whether a record that is selected so may be of that quantity."""
    wanted = TELEMETRY_UNITS[quantity]
    return any(_may_be(unit, selector, wanted) for unit in _units_of(selector.kind))


def _units_of(kind: str) -> frozenset[str]:
    return frozenset({kind.removeprefix(_TEXT)}) if kind.startswith(_TEXT) else KINDS[kind]


def _may_be(unit: str, selector: Selector, wanted: str) -> bool:
    if selector.kind in _OF_ANY_MEASURE or any(place.startswith("v") for place in selector.places):
        return True
    if selector.kind.startswith(_TEXT) and unit not in _OUR_UNITS:
        return True
    return measures_the_same(unit, wanted) if unit else wanted in _COUNTS


def rules_of(profile: Profile) -> dict[Selector, list[ValueRule]]:
    """A profile's rules by what they select. Raises ValueError for a selector that is none or of another measure."""
    rules: dict[Selector, list[ValueRule]] = {}
    for index, rule in enumerate(profile.value):
        try:
            selector = parse_selector(rule.path)
            if not fits(selector, rule.quantity):
                units = " or ".join(sorted(_units_of(selector.kind) - {""})) or "a record without a unit"
                raise ValueError(f"is in {units}; {rule.quantity} is in {TELEMETRY_UNITS[rule.quantity]}")
        except ValueError as error:
            raise ValueError(f"value[{index}].path = {rule.path!r}: {error}") from None
        rules.setdefault(selector, []).append(rule)
    return rules


def _value(record: Record, rule: ValueRule, selector: Selector) -> float | None:
    """In the quantity's unit; None when the record has no number, or one of another measure or beyond the limits."""
    if not isinstance(record.value, Decimal) or abs(record.value.adjusted()) > 30:
        return None
    wanted = TELEMETRY_UNITS[rule.quantity]
    unit = "".join(record.unit.split())
    if not _may_be(unit, selector, wanted):
        return None
    scale = scale_of(unit, wanted)
    exact = Fraction(record.value) * Fraction(scale.times, scale.by)
    value = float(exact * Fraction(repr(rule.scale)) + Fraction(repr(rule.offset)))
    low = rule.minimum is not None and value < rule.minimum
    high = rule.maximum is not None and value > rule.maximum
    return None if low or high else value
