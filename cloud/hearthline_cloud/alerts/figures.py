"""The figures of the desk: how long people waited for an answer and for somebody at the door. Pure.

    journal entries --fold--> one Measures a case --tally--> one Line a group (month, community, operator, device)

The definitions stand in docs/figures.md. Two of them shape this module. A case is measured by its first answer and its
first arrival, which no reopening, hand-over or second press changes. And what has not happened yet never flatters: a
case without an answer is longer than every other, and outside a limit as soon as that limit is over.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from hearthline.clock import NS
from hearthline_cloud.alerts.lifecycle import AlertKind, Outcome

COUNTED = (AlertKind.EMERGENCY, AlertKind.SERVICE)  # calls of people; faults and self-tests are no calls
ANSWER_LIMITS_S = (60, 180)
ARRIVAL_LIMITS_S = (45 * 60, 60 * 60)
FEW = 20  # below so many cases a percentage says nothing: the counts are shown alone

_ANSWERS = frozenset({"acknowledged", "scheduled", "attending", "arrived", "resolved"})
ASKED, REPLIED = "feedback-asked", "feedback-given"  # in the journal
FOLDED = frozenset({"raised", "handed-over", "reopened", ASKED, REPLIED}) | _ANSWERS
HELPED = ("yes", "partly", "no")  # the answers to the one question
_NO_PERSON = frozenset({"", "system"})


class Entry(NamedTuple):
    """A row of the journal that belongs to an alert."""

    id: int
    at_ns: int
    kind: str
    actor: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Measures:
    """What the journal says of one case. `journal_id`: the last entry that went in; times by the cloud's clock."""

    raised_ns: int
    journal_id: int
    answered_ns: int | None = None
    answered_by: str | None = None
    sent_ns: int | None = None
    arrived_ns: int | None = None
    closed_ns: int | None = None
    outcome: str | None = None
    handed_over: int = 0
    reopened: int = 0
    asked: bool = False
    helped: str | None = None


def fold(case: Measures | None, entry: Entry) -> Measures | None:
    """The case with one entry more. An entry that went in before changes nothing; before `raised` there is no case."""
    if case is None:
        return Measures(entry.at_ns, entry.id) if entry.kind == "raised" else None
    if entry.id <= case.journal_id:
        return case
    changes: dict[str, Any] = {"journal_id": entry.id}
    if case.answered_ns is None and entry.kind in _ANSWERS and entry.actor not in _NO_PERSON:
        changes |= {"answered_ns": entry.at_ns, "answered_by": entry.actor}
    match entry.kind:
        case "attending" if case.sent_ns is None:
            changes["sent_ns"] = entry.at_ns
        case "arrived" if case.arrived_ns is None:
            changes["arrived_ns"] = entry.at_ns
        case "handed-over":
            changes["handed_over"] = case.handed_over + 1
        case "resolved":
            changes |= {"closed_ns": entry.at_ns, "outcome": entry.detail.get("outcome")}
        case "reopened":
            changes |= {"closed_ns": None, "outcome": None, "reopened": case.reopened + 1}
        case "feedback-asked":
            changes["asked"] = True
        case "feedback-given" if case.helped is None:
            changes["helped"] = entry.detail.get("helped")
    return replace(case, **changes)


class Case(NamedTuple):
    """One case of a table, in the order of the database's columns: a year has 100,000 of them."""

    raised_ns: int
    answered_ns: int | None
    answered_by: str | None
    sent_ns: int | None
    arrived_ns: int | None
    closed_ns: int | None
    outcome: str | None
    handed_over: int
    reopened: int
    asked: bool
    helped: str | None
    home: str | None
    gateway: str
    device: str


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `of`; how many `of` is stands beside every percentage."""

    count: int
    of: int

    @property
    def is_small(self) -> bool:
        return self.of < FEW

    @property
    def percent(self) -> float | None:
        """None of nothing, and of so few that a percentage says nothing."""
        return None if self.is_small else 100 * self.count / self.of


@dataclass(frozen=True, slots=True)
class Times:
    """How long something took. `missing`: of `of`, where it has not happened (yet); `within`: by limit in seconds."""

    of: int
    missing: int
    median_s: float | None
    p90_s: float | None
    within: Mapping[int, Share]


@dataclass(frozen=True, slots=True)
class Line:
    """The figures of one group of cases. `called_off`: a false alarm, before whoever was sent had arrived."""

    cases: int
    answer: Times
    arrival: Times
    called_off: int
    closed: int
    false_alarm: Share
    handed_over: int
    reopened: int
    asked: int
    helped: Mapping[str, int]

    @property
    def replied(self) -> Share:
        return Share(sum(self.helped.values()), self.asked)

    @property
    def was_helped(self) -> Share:
        """Those who said yes, of those who said anything."""
        return Share(self.helped["yes"], sum(self.helped.values()))


def tally(cases: Sequence[Case], now_ns: int) -> Line:
    """The figures of these cases, tests left out."""
    return _line(_sums(cases), now_ns)


def table(cases: Iterable[Case], key: Callable[[Case], str], now_ns: int) -> tuple[Line, dict[str, Line]]:
    """The figures of all of these cases, and of each group of them, the keys in order."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(key(case), []).append(case)
    sums = {word: _sums(groups[word]) for word in sorted(groups)}
    return _line(_added(sums.values()), now_ns), {word: _line(each, now_ns) for word, each in sums.items()}


@dataclass(slots=True)
class _Spans:
    """How long each took that is known, when each began that still runs, and how many are late for another reason."""

    known: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    missing: int = 0
    late: int = 0

    def ended(self, begin_ns: int, end_ns: int) -> None:
        """A negative span saw the clock set back: nobody knows how long it was, so it is late."""
        if end_ns >= begin_ns:
            self.known.append(end_ns - begin_ns)
        else:
            self.late += 1

    def lost(self) -> None:
        """It never happened, and never will."""
        self.missing += 1
        self.late += 1

    def times(self, limits_s: tuple[int, ...], now_ns: int) -> Times:
        known, missing = sorted(self.known), self.missing + len(self.waiting)
        of = len(known) + len(self.waiting) + self.late
        within = {}
        for limit in limits_s:
            over = sum(begin < now_ns - limit * NS for begin in self.waiting)
            within[limit] = Share(bisect_right(known, limit * NS), len(known) + self.late + over)
        return Times(of, missing, percentile(known, of, 50), percentile(known, of, 90), within)


@dataclass(slots=True)
class _Sums:
    """What can be added up."""

    answers: _Spans = field(default_factory=_Spans)
    visits: _Spans = field(default_factory=_Spans)
    counts: Counter[str] = field(default_factory=Counter)


def _sums(cases: Iterable[Case]) -> _Sums:
    """One walk over the cases: 100,000 of them are a page that somebody waits for."""
    sums = _Sums()
    answers, visits, counts = sums.answers, sums.visits, sums.counts
    number = closed_ones = 0
    for raised, answered, _, sent, arrived, closed, outcome, handed_over, reopened, asked, helped, *_ in cases:
        if outcome == Outcome.TEST:
            continue
        number += 1
        if answered is None:
            answers.waiting.append(raised)
        else:
            answers.ended(raised, answered)
        if closed is not None:
            closed_ones += 1
            if outcome == Outcome.FALSE_ALARM:
                counts["false-alarm"] += 1
        if arrived is not None:
            visits.ended(raised, arrived)
        elif sent is not None:
            if closed is None:
                visits.waiting.append(raised)
            elif outcome == Outcome.FALSE_ALARM:
                counts["called-off"] += 1
            else:  # somebody was there, and nobody wrote down when
                visits.lost()
        if handed_over:
            counts["handed-over"] += 1
        if reopened:
            counts["reopened"] += 1
        if asked:
            counts["asked"] += 1
            counts[helped or ""] += 1
    counts.update({"cases": number, "closed": closed_ones})
    return sums


def _added(parts: Iterable[_Sums]) -> _Sums:
    whole = _Sums()
    for part in parts:
        for mine, its in ((whole.answers, part.answers), (whole.visits, part.visits)):
            mine.known += its.known
            mine.waiting += its.waiting
            mine.missing += its.missing
            mine.late += its.late
        whole.counts += part.counts
    return whole


def _line(sums: _Sums, now_ns: int) -> Line:
    counts = sums.counts
    return Line(
        cases=counts["cases"],
        answer=sums.answers.times(ANSWER_LIMITS_S, now_ns),
        arrival=sums.visits.times(ARRIVAL_LIMITS_S, now_ns),
        called_off=counts["called-off"],
        closed=counts["closed"],
        false_alarm=Share(counts["false-alarm"], counts["closed"]),
        handed_over=counts["handed-over"],
        reopened=counts["reopened"],
        asked=counts["asked"],
        helped={word: counts[word] for word in HELPED},
    )


def percentile(known: Sequence[int], of: int, percent: int) -> float | None:
    """The nearest rank, in seconds, of `of` values of which the sorted `known` (ns) are known and the rest are longer.

    None: it lies among those that are not known, or there are none.
    """
    rank = math.ceil(percent * of / 100)
    return known[rank - 1] / NS if 0 < rank <= len(known) else None


# --- months in the center's time zone -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class Month:
    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    @classmethod
    def parse(cls, word: str) -> Month:
        """Raises ValueError for what is no month, e.g. 2026-13."""
        found = re.fullmatch(r"(19[7-9]\d|20\d\d|21\d\d)-(0[1-9]|1[0-2])", word)
        if found is None:
            raise ValueError(f"{word!r} is no month: write it as 2026-01")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of(cls, at_ns: int, zone: tzinfo) -> Month:
        at = datetime.fromtimestamp(at_ns // NS, zone)
        return cls(at.year, at.month)

    def plus(self, months: int) -> Month:
        place = self.year * 12 + self.month - 1 + months
        return Month(place // 12, place % 12 + 1)

    def begin_ns(self, zone: tzinfo) -> int:
        return round(datetime(self.year, self.month, 1, tzinfo=zone).timestamp()) * NS


class Calendar:
    """Which month an instant lies in, by the months' beginnings: a search instead of a time zone's sum each time."""

    def __init__(self, first: Month, last: Month, zone: tzinfo) -> None:
        self.months: list[Month] = []
        while not self.months or self.months[-1] < last:
            self.months.append(first.plus(len(self.months)))
        self._begins = [month.begin_ns(zone) for month in self.months]
        self.begin_ns = self._begins[0]
        self.end_ns = self.months[-1].plus(1).begin_ns(zone)

    def month(self, at_ns: int) -> Month:
        """For an instant from `begin_ns` on, before `end_ns`."""
        return self.months[bisect_right(self._begins, at_ns) - 1]
