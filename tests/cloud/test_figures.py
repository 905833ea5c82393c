"""The figures: hand-computed cases, a naive reference over any journal, and what must never flatter."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthline.clock import NS
from hearthline_cloud.alerts.figures import (
    ANSWER_LIMITS_S,
    FEW,
    Calendar,
    Case,
    Entry,
    Line,
    Measures,
    Month,
    Share,
    fold,
    percentile,
    tally,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
T0 = 1_800_000_000 * NS
LATER = T0 + 30 * 24 * 3600 * NS


Told = tuple[float, str, str] | tuple[float, str, str, dict[str, str]]


def told(*entries: Told) -> Measures:
    """A case by its entries: seconds after T0, kind, actor, detail."""
    case: Measures | None = None
    for number, (after_s, kind, actor, *detail) in enumerate(entries, 1):
        case = fold(case, Entry(number, T0 + round(after_s * NS), kind, actor, detail[0] if detail else {}))
    assert case is not None
    return case


def shown(measures: Measures, home: str | None = "h-1", device: str = "d-1") -> Case:
    return Case(
        measures.raised_ns,
        measures.answered_ns,
        measures.answered_by,
        measures.sent_ns,
        measures.arrived_ns,
        measures.closed_ns,
        measures.outcome,
        measures.handed_over,
        measures.reopened,
        measures.asked,
        measures.helped,
        home,
        "gw-1",
        device,
    )


def line(*measures: Measures, now_ns: int = LATER) -> Line:
    return tally([shown(each) for each in measures], now_ns)


def closed(after_s: float, outcome: str, actor: str = "mei") -> tuple[float, str, str, dict[str, str]]:
    return after_s, "resolved", actor, {"outcome": outcome}


RAISED = (0.0, "raised", "")


# --- one case -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entries", "answered_s", "by"),
    [
        ([RAISED, (12, "acknowledged", "mei")], 12, "mei"),
        ([RAISED, (12, "attending", "jun"), (20, "acknowledged", "mei")], 12, "jun"),
        ([RAISED, closed(30, "false-alarm")], 30, "mei"),
        ([RAISED, (15, "scheduled", "mei")], 15, "mei"),
        ([RAISED, (5, "joined", ""), (9, "escalated", "system"), (70, "acknowledged", "mei")], 70, "mei"),
        ([RAISED, (5, "acknowledged", "system"), (6, "resolved", "")], None, None),  # the system answers nobody
        ([RAISED, (5, "note", "mei"), (6, "cancelled-at-home", "")], None, None),
        ([RAISED, (12, "acknowledged", "mei"), (30, "handed-over", "mei"), (40, "attending", "jun")], 12, "mei"),
        ([RAISED, (12, "acknowledged", "mei"), closed(50, "test"), (900, "reopened", "jun")], 12, "mei"),
    ],
)
def test_the_answer_is_the_first_act_of_a_person(entries: list[Told], answered_s: float | None, by: str | None) -> None:
    case = told(*entries)
    assert case.answered_ns == (None if answered_s is None else T0 + round(answered_s * NS))
    assert case.answered_by == by


def test_a_reopened_case_keeps_its_first_answer_and_arrival_and_has_its_last_outcome() -> None:
    entries: list[Told] = [RAISED, (20, "acknowledged", "mei"), (60, "attending", "mei"), (900, "arrived", "mei")]
    case = told(*entries, closed(1000, "false-alarm"), (2000, "reopened", "jun"))
    assert (case.closed_ns, case.outcome, case.reopened) == (None, None, 1)
    again = told(
        *entries,
        closed(1000, "false-alarm"),
        (2000, "reopened", "jun"),
        (2100, "attending", "jun"),
        (4000, "arrived", "jun"),
        closed(5000, "help-given", "jun"),
    )
    assert (again.answered_ns, again.sent_ns, again.arrived_ns) == (T0 + 20 * NS, T0 + 60 * NS, T0 + 900 * NS)
    assert (again.closed_ns, again.outcome, again.reopened) == (T0 + 5000 * NS, "help-given", 1)


def test_an_entry_that_is_told_twice_counts_once_and_none_counts_before_the_call() -> None:
    entries = [Entry(1, T0, "raised", "", {}), Entry(2, T0 + NS, "handed-over", "mei", {})]
    case: Measures | None = None
    for entry in [Entry(0, T0, "resolved", "mei", {}), *entries, *entries]:
        case = fold(case, entry)
    assert case == Measures(T0, 2, handed_over=1)


def test_the_answer_to_the_question_is_the_first_one() -> None:
    entries: list[Told] = [RAISED, closed(30, "help-given"), (4000, "feedback-asked", "system")]
    case = told(*entries, (5000, "feedback-given", "link", {"helped": "no"}), (5001, "feedback-given", "link"))
    assert (case.asked, case.helped) == (True, "no")


# --- a table ------------------------------------------------------------------------------------------------------


def test_a_table_that_was_computed_by_hand() -> None:
    """Ten calls: 5, 10, 20, 30, 60, 61, 100, 180, 200 s and one that nobody ever answered. Two more were tests."""
    answers = [5, 10, 20, 30, 60, 61, 100, 180, 200]
    cases = [told(RAISED, (s, "acknowledged", "mei"), closed(s + 60, "help-given")) for s in answers]
    tests = [told(RAISED, (1, "acknowledged", "mei"), closed(2, "test"))] * 2
    got = line(*cases, told(RAISED), *tests)
    assert (got.cases, got.closed) == (10, 9)
    assert (got.answer.of, got.answer.missing) == (10, 1)
    assert got.answer.within == {60: Share(5, 10), 180: Share(8, 10)}
    assert (got.answer.median_s, got.answer.p90_s) == (60, 200)  # ranks 5 and 9 of 10
    assert got.arrival.of == 0
    assert (got.arrival.median_s, got.arrival.within[45 * 60]) == (None, Share(0, 0))


def test_visits_that_were_computed_by_hand() -> None:
    def visit(*more: Told) -> Measures:
        return told(RAISED, (20, "acknowledged", "mei"), (60, "attending", "mei"), *more)

    got = line(
        visit((1800, "arrived", "mei"), closed(2000, "help-given")),
        visit((2700, "arrived", "mei"), closed(3000, "visited-no-answer")),
        visit((3000, "arrived", "mei")),
        visit((4000, "arrived", "mei")),
        visit(closed(300, "help-given")),  # nobody wrote the arrival down
        visit(),  # still on the way, a month later
        visit(closed(200, "false-alarm")),  # called off
        told(RAISED, (20, "acknowledged", "mei"), (600, "arrived", "mei")),  # "on the way" left out
        told(RAISED, (20, "acknowledged", "mei"), closed(90, "help-given")),  # by telephone: no visit
    )
    assert (got.cases, got.called_off, got.arrival.of, got.arrival.missing) == (9, 1, 7, 2)
    assert got.arrival.within == {2700: Share(3, 7), 3600: Share(4, 7)}
    assert (got.arrival.median_s, got.arrival.p90_s) == (3000, None)  # ranks 4 and 7 of 7: the last two never came


def test_false_alarms_are_of_the_closed_and_the_last_outcome_counts() -> None:
    false = told(RAISED, closed(9, "false-alarm"))
    mended = told(RAISED, closed(9, "false-alarm"), (99, "reopened", "mei"), closed(200, "real-emergency"))
    still = told(RAISED, closed(9, "false-alarm"), (99, "reopened", "mei"))
    test = told(RAISED, closed(9, "test"))
    got = line(false, false, mended, still, test, told(RAISED))
    assert (got.false_alarm, got.reopened, got.cases) == (Share(2, 3), 2, 5)


def test_who_answers_the_question_is_counted_beside_who_was_asked() -> None:
    asked: list[Told] = [RAISED, closed(9, "help-given"), (99, "feedback-asked", "system")]
    given_yes, given_no = ((100, "feedback-given", "link", {"helped": word}) for word in ("yes", "no"))
    got = line(told(*asked, given_yes), told(*asked, given_yes), told(*asked, given_no), told(*asked), told(RAISED))
    assert (got.asked, got.replied, got.was_helped) == (4, Share(3, 4), Share(2, 3))


# --- what is not over may not flatter -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age_s", "within"),
    [
        (59, {60: Share(1, 1), 180: Share(1, 1)}),
        (60, {60: Share(1, 1), 180: Share(1, 1)}),  # may still be answered in its 60th second
        (61, {60: Share(1, 2), 180: Share(1, 1)}),
        (180.5, {60: Share(1, 2), 180: Share(1, 2)}),
    ],
)
def test_a_call_that_waits_is_outside_a_limit_once_the_limit_is_over(age_s: float, within: dict[int, Share]) -> None:
    now_ns = T0 + round(age_s * NS)
    got = line(told(RAISED, (5, "acknowledged", "mei")), told(RAISED), now_ns=now_ns)
    assert got.answer.within == within
    assert (got.answer.median_s, got.answer.p90_s) == (5, None)


def test_an_answer_before_its_call_is_no_quick_answer() -> None:
    """The cloud's clock was set back in between."""
    got = line(told(RAISED, (-3600, "acknowledged", "mei")))
    assert got.answer.within == {60: Share(0, 1), 180: Share(0, 1)}
    assert (got.answer.median_s, got.answer.missing) == (None, 0)


def test_a_percentage_of_few_is_none() -> None:
    assert Share(1, 1).percent is None
    assert Share(FEW - 1, FEW - 1).percent is None
    assert Share(FEW - 1, FEW).percent == pytest.approx(95)
    assert Share(0, 0).percent is None


def test_percentiles_at_their_edges() -> None:
    assert percentile([], 0, 50) is None
    assert percentile([7 * NS], 1, 50) == percentile([7 * NS], 1, 90) == 7
    assert percentile([1 * NS, 2 * NS], 2, 50) == 1
    assert percentile([1 * NS, 2 * NS], 4, 50) == 2
    assert percentile([1 * NS, 2 * NS], 5, 50) is None


# --- against a naive reference ------------------------------------------------------------------------------------

KINDS = ["acknowledged", "attending", "arrived", "handed-over", "resolved", "reopened", "joined", "note", "escalated"]
ENTRIES = st.lists(
    st.tuples(
        st.integers(-100, 8000),
        st.sampled_from(KINDS),
        st.sampled_from(["mei", "jun", "system", ""]),
        st.sampled_from(["help-given", "false-alarm", "test"]),
    ),
    max_size=8,
)


def naive(journals: Sequence[list[tuple[int, str, str, str]]], now_s: int) -> dict[str, object]:
    """The definitions of docs/figures.md, word by word, with no thought of speed."""
    answers: list[float | None] = []
    visits: list[tuple[float | None, bool]] = []
    count = called_off = false_alarms = closed_ones = 0
    for journal in journals:
        outcome, is_closed = None, False
        for _, kind, _, word in journal:
            if kind == "resolved":
                outcome, is_closed = word, True
            if kind == "reopened":
                outcome, is_closed = None, False
        if outcome == "test":
            continue
        count += 1
        closed_ones += is_closed
        false_alarms += outcome == "false-alarm"
        acts = [
            at
            for at, kind, who, _ in journal
            if who in ("mei", "jun") and kind in ("acknowledged", "attending", "arrived", "resolved")
        ]
        answers.append(acts[0] if acts else None)
        arrivals = [at for at, kind, _, _ in journal if kind == "arrived"]
        if not arrivals and not any(kind == "attending" for _, kind, _, _ in journal):
            continue
        if not arrivals and outcome == "false-alarm":
            called_off += 1
            continue
        visits.append((arrivals[0] if arrivals else None, is_closed))

    def within(times: list[tuple[float | None, bool]], limit: int) -> tuple[int, int]:
        decided = [at for at, is_over in times if at is not None or is_over or now_s > limit]
        return sum(at is not None and 0 <= at <= limit for at in decided), len(decided)

    def ranked(times: list[float | None], percent: int) -> float | None:
        """The smallest time within which at least `percent` of 100 lie."""
        for candidate in sorted(at for at in times if at is not None and at >= 0):
            inside = sum(at is not None and 0 <= at <= candidate for at in times)
            if inside * 100 >= percent * len(times):
                return candidate
        return None

    waits = [(at, False) for at in answers]
    return {
        "cases": count,
        "called_off": called_off,
        "false": (false_alarms, closed_ones),
        "answers": [within(waits, limit) for limit in (60, 180)],
        "arrivals": [within(visits, limit) for limit in (2700, 3600)],
        "percentiles": [ranked(answers, 50), ranked(answers, 90)],
        "arrival_percentiles": [ranked([at for at, _ in visits], percent) for percent in (50, 90)],
    }


@settings(deadline=None)
@given(st.lists(ENTRIES, max_size=25), st.integers(0, 9000))
def test_any_journal_gives_what_the_naive_reading_gives(
    journals: list[list[tuple[int, str, str, str]]], now_s: int
) -> None:
    cases = [told(RAISED, *((at, kind, who, {"outcome": word}) for at, kind, who, word in each)) for each in journals]
    got = line(*cases, now_ns=T0 + now_s * NS)
    assert {
        "cases": got.cases,
        "called_off": got.called_off,
        "false": (got.false_alarm.count, got.false_alarm.of),
        "answers": [(share.count, share.of) for share in got.answer.within.values()],
        "arrivals": [(share.count, share.of) for share in got.arrival.within.values()],
        "percentiles": [got.answer.median_s, got.answer.p90_s],
        "arrival_percentiles": [got.arrival.median_s, got.arrival.p90_s],
    } == naive(journals, now_s)


@settings(deadline=None)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=40), st.integers(0, 39))
def test_to_leave_a_call_unanswered_never_makes_a_figure_better(answers: list[int], left: int) -> None:
    cases = [told(RAISED, (each, "acknowledged", "mei")) for each in answers]
    worse = [*cases]
    worse[left % len(cases)] = told(RAISED)
    before, after = line(*cases).answer, line(*worse).answer
    for limit in ANSWER_LIMITS_S:
        assert after.within[limit].of == before.within[limit].of
        assert after.within[limit].count <= before.within[limit].count
    for was, now in ((before.median_s, after.median_s), (before.p90_s, after.p90_s)):
        assert was is not None
        assert now is None or now >= was


# --- months -------------------------------------------------------------------------------------------------------


def test_a_month_begins_at_midnight_where_the_community_is() -> None:
    calendar = Calendar(Month(2026, 12), Month(2027, 2), SHANGHAI)
    assert [str(month) for month in calendar.months] == ["2026-12", "2027-01", "2027-02"]
    new_year = 1_798_732_800 * NS  # 2026-12-31T16:00:00Z, midnight in Shanghai
    assert calendar.month(new_year - 1) == Month(2026, 12)
    assert calendar.month(new_year) == Month(2027, 1)
    assert (Month.of(new_year - 1, SHANGHAI), Month.of(new_year, SHANGHAI)) == (Month(2026, 12), Month(2027, 1))
    assert calendar.end_ns == Month(2027, 3).begin_ns(SHANGHAI)


@given(st.integers(10_000_000, 4_000_000_000), st.sampled_from(["Asia/Shanghai", "Europe/London", "America/St_Johns"]))
def test_every_instant_lies_in_its_month(second: int, name: str) -> None:
    zone = ZoneInfo(name)
    month = Month.of(second * NS, zone)
    assert month.begin_ns(zone) <= second * NS < month.plus(1).begin_ns(zone)
    assert Calendar(month.plus(-14), month.plus(14), zone).month(second * NS) == month
    assert Month.parse(str(month)) == month


@pytest.mark.parametrize(
    "word", ["", "2026", "2026-1", "2026-00", "2026-13", "26-01", "2026-1a", "２０２６-01", "0000-01"]
)
def test_what_is_no_month_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="is no month"):
        Month.parse(word)
