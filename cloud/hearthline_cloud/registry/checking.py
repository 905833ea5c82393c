"""Entries against each other and against the database: every problem, and what is to be done where there is none.

    clean each -> each key once -> what it refers to is there -> what is there already: the same, or to be changed

An entry that has a problem still counts as there for those that refer to it: one mistake is told once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from hearthline.enrolment import MAX_DEVICES
from hearthline_cloud.alerts.profiles import kind_of
from hearthline_cloud.registry.cleaning import clean, missing, supervise_problem
from hearthline_cloud.registry.concerning import Mark, concerns
from hearthline_cloud.registry.known import Known, is_alone, look_up
from hearthline_cloud.registry.moving import left_behind
from hearthline_cloud.registry.shape import FIELDS, Key, Kind, Problem, Values, key_fields, key_of, problem
from hearthline_cloud.scoping import EVERY, Communities

MAX_CONTACTS = 20
Contacts = list[dict[str, str]]
_CONTACT = {"name": "", "relation": "", "phone": ""}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a person finds it: `homes.csv:7`, `registry.xlsx[住家]:7`. `headings`: field -> its column's heading."""

    file: str
    sheet: str
    row: int  # 0: the whole file or sheet
    headings: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.file + (f"[{self.sheet}]" if self.sheet else "") + (f":{self.row}" if self.row else "")


NOWHERE = Place("", "", 0)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a file, or one wish."""

    kind: Kind
    raw: dict[str, Any]
    where: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class Found:
    entry: Entry
    problem: Problem


@dataclass(frozen=True, slots=True)
class Move:
    """`values`: what is given, of a new entry; what differs, of one that is there."""

    kind: Kind
    key: Key
    values: Values
    is_new: bool


@dataclass(slots=True)
class Plan:
    """`same`: how many are in the database as they are. `contacts`: the whole new list of a resident.

    `concerned`: what it was decided by.
    """

    moves: list[Move] = field(default_factory=list)
    problems: list[Found] = field(default_factory=list)
    same: Counter[Kind] = field(default_factory=Counter)
    contacts: dict[str, Contacts] = field(default_factory=dict)
    concerned: frozenset[Mark] = frozenset()

    def count(self, kind: Kind, is_new: bool) -> int:
        return sum(move.kind is kind and move.is_new is is_new for move in self.moves)


@dataclass(frozen=True, slots=True)
class Rules:
    """`update`: what is there and differs is changed, else a problem; `new_only`: it must not be there at all."""

    update: bool = False
    new_only: bool = False
    seen: Communities = EVERY


def check(
    connection: Connection,
    entries: Sequence[Entry],
    now_ns: int,
    rules: Rules,
    progress: Callable[[int], None] = lambda done: None,
) -> Plan:
    """What `entries` would change, on a snapshot or in a transaction; nothing is written."""
    return _Check(connection, now_ns, rules).plan(entries, progress)


class _Check:
    def __init__(self, connection: Connection, now_ns: int, rules: Rules) -> None:
        self._connection = connection
        self._now_ns = now_ns
        self._rules = rules
        self._plan = Plan()
        self._own: dict[Kind, dict[Key, tuple[Entry, Values]]] = {kind: {} for kind in Kind}
        self._bad: set[int] = set()  # entries, by identity
        self._known = Known()
        self._lists: dict[str, Contacts] = {}

    def plan(self, entries: Sequence[Entry], progress: Callable[[int], None]) -> Plan:
        for done, entry in enumerate(entries, 1):
            self._clean(entry)
            progress(done)
        self._known = look_up(self._connection, *self._named())
        for own in self._own.values():
            for key, (entry, values) in own.items():
                self._check_references(entry, values)
                self._decide(entry, key, values)
        self._check_elsewhere()
        moves = self._moves()
        self._check_moved(moves)
        self._plan.concerned = frozenset(concerns({kind: self._values(kind) for kind in Kind}, self._known, moves))
        self._plan.moves = [move for move in self._plan.moves if id(self._own[move.kind][move.key][0]) not in self._bad]
        order = {id(entry): place for place, entry in enumerate(entries)}
        self._plan.problems.sort(key=lambda found: order[id(found.entry)])
        return self._plan

    def _tell(self, entry: Entry, *problems: Problem) -> None:
        self._bad.add(id(entry))
        self._plan.problems += [Found(entry, each) for each in problems]

    # --- one entry, and its likes in the file -----------------------------------------------------------------------

    def _clean(self, entry: Entry) -> None:
        if entry.kind is Kind.STAFF:
            self._tell(entry, problem("staff-apart"))
            return
        values, problems = clean(entry.kind, entry.raw, self._now_ns)
        if "contacts" in entry.raw:
            values["contacts"] = [self._contact(each, problems) for each in entry.raw["contacts"]]
        if problems:
            self._tell(entry, *problems)
        if any(values.get(name) is None for name in key_fields(entry.kind)):
            told = {each.field for each in problems}
            self._tell(entry, *(each for each in missing(entry.kind, entry.raw) if each.field not in told))
            return
        key = key_of(entry.kind, values)
        first = self._own[entry.kind].setdefault(key, (entry, values))[0]
        if first is not entry:
            self._tell(entry, problem("twice", key_fields(entry.kind)[-1], where=first.where))

    def _contact(self, raw: dict[str, Any], problems: list[Problem]) -> dict[str, str]:
        values, found = clean(Kind.CONTACT, raw, self._now_ns)
        problems += [Problem(each.code, f"contacts.{each.field}", each.facts) for each in found]
        return _CONTACT | values

    # --- against the database -----------------------------------------------------------------------------------------

    def _named(self) -> tuple[dict[Kind, set[Key]], dict[Kind, set[Key]]]:
        """What is looked up, and what of that with its personal values: to be compared, or to get a contact."""
        whole = {kind: set(own) for kind, own in self._own.items()}
        whole[Kind.RESIDENT] |= {(key[0],) for key in self._own[Kind.CONTACT]}
        wanted = {kind: set(keys) for kind, keys in whole.items()}
        for kind, own in self._own.items():
            for each in FIELDS[kind]:
                if each.refers:
                    wanted[each.refers] |= {(values[each.name],) for _, values in own.values() if values.get(each.name)}
        return wanted, whole

    def _check_references(self, entry: Entry, values: Values) -> None:
        for each in FIELDS[entry.kind]:
            name = values.get(each.name)
            if each.refers is None or name is None or (name,) in self._own[each.refers]:
                continue
            row = self._known.rows[each.refers].get((name,))
            if row is None or not self._is_theirs(row["place"]):
                self._tell(entry, problem("no-such", each.name, id=name, what=each.refers))

    def _is_theirs(self, community: str | None) -> bool:
        return self._rules.seen is None or community in self._rules.seen

    def _decide(self, entry: Entry, key: Key, values: Values) -> None:
        if entry.kind is Kind.CONTACT:
            self._decide_contact(entry, key, values)
            return
        row = self._known.rows[entry.kind].get(key)
        if entry.kind is Kind.DEVICE:
            self._complete_device(entry, values, row)
        if row is None:
            self._decide_new(entry, key, values)
        elif not self._is_theirs(row["place"]):
            self._tell(entry, problem("taken", "id", id=key[-1]))
        elif self._rules.new_only:
            self._tell(entry, problem("exists", "id", id=key[-1], what=entry.kind))
        else:
            self._decide_known(entry, key, {name: value for name, value in values.items() if row[name] != value})

    def _decide_new(self, entry: Entry, key: Key, values: Values) -> None:
        if entry.kind is Kind.COMMUNITY and self._rules.seen is not None:
            self._tell(entry, problem("center-wide", "id", id=key[0]))
        if entry.kind is Kind.RESIDENT and key[0] in self._known.erased:
            self._tell(entry, problem("erased", "id", id=key[0]))
        if entry.kind is Kind.DEVICE:
            self._count_device(entry, key[0])
        self._tell_missing(entry)
        self._plan.moves.append(Move(entry.kind, key, values, is_new=True))

    def _count_device(self, entry: Entry, gateway: str) -> None:
        count = self._known.counts[gateway] = self._known.counts.get(gateway, 0) + 1
        if count > MAX_DEVICES:
            self._tell(entry, problem("many-devices", "gateway", most=MAX_DEVICES))

    def _tell_missing(self, entry: Entry) -> None:
        if lacking := missing(entry.kind, entry.raw):
            self._tell(entry, *lacking)

    def _decide_known(self, entry: Entry, key: Key, differs: Values) -> None:
        if not differs:
            self._plan.same[entry.kind] += 1
        elif entry.kind is Kind.COMMUNITY and self._rules.seen is not None:
            self._tell(entry, problem("center-wide", "id", id=key[0]))
        elif self._rules.update:
            self._plan.moves.append(Move(entry.kind, key, differs, is_new=False))
        else:
            self._tell(
                entry, *(problem("other-values", name, id=key[0 - (entry.kind is Kind.DEVICE)]) for name in differs)
            )

    def _complete_device(self, entry: Entry, values: Values, row: Values | None) -> None:
        """A device without a kind has the one that its id tells."""
        if not values.get("kind") and ("kind" in values or row is None):
            values["kind"] = kind_of(values["id"])
        both = (row or {}) | values
        wrong = supervise_problem(values["id"], both.get("kind") or "", both.get("supervise"))
        if wrong:
            self._tell(entry, wrong)

    def _decide_contact(self, entry: Entry, key: Key, values: Values) -> None:
        resident, name = key
        found = self._lists.get(resident) or self._contacts_of(resident)
        self._lists[resident] = found
        there = next((each for each in found if each["name"] == name), None)
        told: Values = {part: values[part] for part in _CONTACT if part in values}
        if there is None:
            self._tell_missing(entry)
            found.append(_CONTACT | told)
            if len(found) > MAX_CONTACTS:
                self._tell(entry, problem("many-contacts", "resident", most=MAX_CONTACTS))
        elif self._rules.new_only:
            self._tell(entry, problem("exists", "name", id=name, what=Kind.CONTACT))
            return
        else:
            told = {part: value for part, value in told.items() if there.get(part) != value}
            self._decide_known(entry, key, told)
            there.update(told)
        if there is None:
            self._plan.moves.append(Move(Kind.CONTACT, key, told, is_new=True))
        if there is None or told:
            self._plan.contacts[resident] = found

    def _contacts_of(self, resident: str) -> Contacts:
        """As they are now, or as the file says of the resident."""
        own = self._own[Kind.RESIDENT].get((resident,))
        known = self._known.rows[Kind.RESIDENT].get((resident,))
        if own is not None and "contacts" in own[1]:
            return list(own[1]["contacts"])
        return [_CONTACT | each for each in (known or {}).get("contacts", [])]

    # --- a device that is in another home ---------------------------------------------------------------------------

    def _check_elsewhere(self) -> None:
        first: dict[str, tuple[Entry, str | None]] = {}
        for (gateway, device), (entry, _) in self._own[Kind.DEVICE].items():
            if not is_alone(device):
                continue
            home = self._home_of(gateway)
            for other, others_home in self._known.places.get(device, ()):
                if other != gateway and others_home != home:
                    self._tell_elsewhere(entry, device, others_home, other)
            other_entry, its_home = first.setdefault(device, (entry, home))
            if other_entry is not entry and its_home != home:
                self._tell(entry, problem("twice", "id", where=other_entry.where))

    def _home_of(self, gateway: str) -> str | None:
        own = self._own[Kind.GATEWAY].get((gateway,))
        if own is not None and own[1].get("home"):
            home: str = own[1]["home"]
            return home
        return self._known.rows[Kind.GATEWAY].get((gateway,), {}).get("home")

    def _check_moved(self, moves: Mapping[str, str]) -> None:
        residents = {key[0]: row["home"] for key, row in self._known.rows[Kind.RESIDENT].items()}
        residents |= {key[0]: own["home"] for key, own in self._values(Kind.RESIDENT).items() if own.get("home")}
        for gateway, device, resident in left_behind(self._connection, moves, self._values(Kind.DEVICE), residents):
            entry = self._own[Kind.GATEWAY][gateway,][0]
            self._tell(entry, problem("left-behind", "home", device=device, resident=resident))

    def _moves(self) -> dict[str, str]:
        """Gateway -> another home than it has."""
        return {
            move.key[0]: move.values["home"]
            for move in self._plan.moves
            if move.kind is Kind.GATEWAY and not move.is_new and "home" in move.values
        }

    def _values(self, kind: Kind) -> dict[Key, Values]:
        return {key: values for key, (_, values) in self._own[kind].items()}

    def _tell_elsewhere(self, entry: Entry, device: str, home: str | None, gateway: str) -> None:
        """Where it is, is told to whoever sees every home."""
        if self._rules.seen is None:
            self._tell(entry, problem("elsewhere", "id", id=device, home=home, gateway=gateway))
        else:
            self._tell(entry, problem("elsewhere-hidden", "id", id=device))
