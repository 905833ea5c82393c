"""What every time-series store does, run over the embedded one and a real InfluxDB, written as 1.x and as 2.x are."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from conformance.sites import (
    LINK_TIMEOUT_S,
    SECOND,
    START_NS,
    Site,
    everything,
    opened,
    point,
    values,
)
from hearthline.errors import LinkError
from hearthline_cloud.store import (
    Aggregate,
    Keeping,
    Point,
    Sample,
    SeriesQuery,
    Store,
    Summary,
    Tags,
    Tier,
    TimeSeries,
)
from hearthline_cloud.store.paging import every_sample
from hearthline_cloud.store.tiers import DAY_NS, QUARTER_NS
from trials import trials

HOSTILE = [
    "a,b c=d",
    "quote\"s and apos'trophes",
    "back\\slash in it, \\",
    "ends in a backslash\\",
    "line\nbreak\r\n\ttab",
    "按钮/三楼 东",
    "100%25 %",
    " leading and trailing ",
    "#hash",
    "a=b,c\\=d\\,e\\ f",
    "'; DROP DATABASE hearthline --",
    "=",
    "\\",
    "nul\x00",
    "x" * 1024,
]


def test_values_come_back_to_the_last_digit(store: Store) -> None:
    sent = [0.1, 1 / 3, 1234567.890123456, -2.220446049250313e-16, 1.7976931348623157e308, 5e-324, 0.0, -17.0, 1e22, 3]
    assert store.write([point(index, value) for index, value in enumerate(sent)]) == []
    samples = store.read(everything())
    assert [sample.value for sample in samples] == sent
    assert [sample.time_ns for sample in samples] == [START_NS + index * SECOND for index in range(len(sent))]
    assert {sample.tags for sample in samples} == {Tags("c1", "h1", "g1", "meter-1", "")}


def test_times_keep_their_nanoseconds(store: Store) -> None:
    times = [START_NS + 1, START_NS + 2, 2**62 + 3]
    store.write([Point("power", "c", "h", "g", "d", 1.0, time_ns) for time_ns in times])
    assert [sample.time_ns for sample in store.read(everything())] == times


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_are_only_texts(store: Store, text: str) -> None:
    hostile = Point(text, text, text, text, text, 1.5, START_NS, resident=text)
    neighbour = Point(text, text, text, text, f"{text[:1000]}2", 2.5, START_NS, resident=text)
    assert store.write([hostile, neighbour]) == []
    (sample,) = store.read(
        SeriesQuery(text, 0, 2**63 - 1, community=text, home=text, gateway=text, device=text, resident=text)
    )
    assert (sample.value, sample.tags) == (1.5, Tags(text, text, text, text, text))


def test_percent_signs_do_not_make_two_devices_one(store: Store) -> None:
    store.write([point(0, 1.0, device="a\\"), point(0, 2.0, device="a%5C"), point(0, 3.0, device="a%255C")])
    assert {sample.tags.device: sample.value for sample in store.read(everything())} == {
        "a\\": 1.0,
        "a%5C": 2.0,
        "a%255C": 3.0,
    }


def test_vital_signs_of_two_people_with_one_cuff_stay_apart(store: Store) -> None:
    cuff = [
        Point("systolic", "c", "h", "g", "cuff", 120.0, START_NS, "r1"),
        Point("systolic", "c", "h", "g", "cuff", 140.0, START_NS, "r2"),
        Point("systolic", "c", "h", "g", "cuff", 99.0, START_NS),
    ]
    assert store.write(cuff) == []
    for resident, expected in (("r1", [120.0]), ("r2", [140.0]), ("", [99.0]), ("r3", [])):
        assert values(store, SeriesQuery("systolic", 0, 2**63 - 1, resident=resident)) == expected
    assert len(store.read(everything("systolic"))) == 3


def test_an_empty_tag_is_no_tag(store: Store) -> None:
    assert store.write([Point("power", "", "", "", "", 1.0, START_NS)]) == []
    assert [sample.tags for sample in store.read(everything())] == [Tags("", "", "", "", "")]


def test_repeats_are_harmless_and_the_last_value_wins(store: Store) -> None:
    batch = [point(index) for index in range(100)]
    for _ in range(3):
        assert store.write(batch) == []
    assert values(store, everything()) == [float(index) for index in range(100)]
    assert store.write([point(5, 500.0), point(5, 501.0)]) == []
    assert values(store, everything())[4:7] == [4.0, 501.0, 6.0]


def test_order_limit_and_bounds(store: Store) -> None:
    points = [point(index, device=f"meter-{index % 3}") for index in range(30)]
    store.write(points[::-1])
    first, last = START_NS + 10 * SECOND, START_NS + 20 * SECOND
    assert values(store, SeriesQuery("power", first, last)) == [float(index) for index in range(10, 20)]
    assert values(store, SeriesQuery("power", first, last, limit=3)) == [10.0, 11.0, 12.0]
    assert values(store, SeriesQuery("power", first, last, limit=3, newest_first=True)) == [19.0, 18.0, 17.0]
    assert values(store, SeriesQuery("power", first, last, device="meter-1")) == [10.0, 13.0, 16.0, 19.0]
    assert values(store, SeriesQuery("power", first, last, home="h2")) == []
    assert values(store, SeriesQuery("voltage", first, last)) == []
    assert values(store, SeriesQuery("power", last, first)) == []


def test_edges_are_those_of_the_nanosecond(store: TimeSeries) -> None:
    """The beginning is included, the end is not: of single values, windows and summaries."""
    begin_ns, end_ns = START_NS // DAY_NS * DAY_NS, START_NS // DAY_NS * DAY_NS + 4 * QUARTER_NS
    edges = [begin_ns - 1, begin_ns, begin_ns + 1, end_ns - 1, end_ns, end_ns + 1]
    store.keep(Keeping(0, 0, 0), time.time_ns(), shorten=False)
    assert store.write([Point("power", "c", "h", "g", "d", float(n), at_ns) for n, at_ns in enumerate(edges)]) == []
    store.roll_up(Tier.QUARTER, begin_ns - QUARTER_NS, end_ns + QUARTER_NS)
    inside = SeriesQuery("power", begin_ns, end_ns)
    assert values(store, inside) == [1.0, 2.0, 3.0]
    assert values(store, replace(inside, newest_first=True)) == [3.0, 2.0, 1.0]
    counted = store.read(replace(inside, window_ns=QUARTER_NS, aggregate="count"))
    assert [(each.time_ns, each.value) for each in counted] == [(begin_ns, 2.0), (end_ns - QUARTER_NS, 1.0)]
    summed = store.summaries(Tier.QUARTER, inside)
    assert [(each.time_ns, each.count) for each in summed] == [(begin_ns, 2), (end_ns - QUARTER_NS, 1)]
    assert values(store, SeriesQuery("power", begin_ns + 1, end_ns + 1)) == [2.0, 3.0, 4.0]


def test_reading_before_anything_was_written(store: Store) -> None:
    assert store.read(everything()) == []
    store.check()
    assert store.write([]) == []
    assert store.read(everything()) == []


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        ("mean", [4.5, 14.5, 23.5]),
        ("min", [0.0, 10.0, 20.0]),
        ("max", [9.0, 19.0, 27.0]),
        ("last", [9.0, 19.0, 27.0]),
        ("sum", [45.0, 145.0, 188.0]),
        ("spread", [9.0, 9.0, 7.0]),
        ("count", [10.0, 10.0, 8.0]),
    ],
)
def test_windows(store: Store, aggregate: Aggregate, expected: list[float]) -> None:
    window = 10 * SECOND
    store.write([point(index) for index in range(28)] + [point(60), point(3, 99.0, device="other")])
    query = SeriesQuery(
        "power", START_NS, START_NS + 50 * SECOND, device="meter-1", window_ns=window, aggregate=aggregate
    )
    samples = store.read(query)
    assert [sample.value for sample in samples] == expected
    assert [sample.time_ns for sample in samples] == [START_NS, START_NS + window, START_NS + 2 * window]


def test_windows_are_one_a_series_and_the_limit_keeps_the_newest(store: Store) -> None:
    window = 10 * SECOND
    store.write([point(index, device=f"meter-{index % 2}") for index in range(40)])
    query = SeriesQuery(
        "power", 0, START_NS + 100 * SECOND, limit=4, newest_first=True, window_ns=window, aggregate="max"
    )
    samples = store.read(query)
    assert [(sample.time_ns - START_NS) // SECOND for sample in samples] == [30, 30, 20, 20]
    assert {(sample.tags.device, sample.value) for sample in samples[:2]} == {("meter-0", 38.0), ("meter-1", 39.0)}


def test_windows_begin_at_multiples_since_1970(store: Store) -> None:
    window = 7 * SECOND
    store.write([point(index) for index in range(20)])
    query = SeriesQuery("power", START_NS + 1, START_NS + 20 * SECOND, window_ns=window, aggregate="last")
    assert all(sample.time_ns % window == 0 for sample in store.read(query))


def test_five_thousand_points_at_once(store: Store) -> None:
    batch = [point(index, index / 7, device=f"meter-{index % 250}") for index in range(5000)]
    assert store.write(batch) == []
    assert values(store, everything()) == [index / 7 for index in range(5000)]


def test_of_two_values_of_one_moment_the_last_stays_in_a_large_batch_too(store: Store) -> None:
    """A large batch may be written in parts, but no series in two of them."""
    devices = [f"meter-{number}" for number in range(20)]
    batch = [point(second, value, device) for value in (1.0, 2.0) for second in range(100) for device in devices]
    assert store.write(batch) == []
    assert values(store, everything()) == [2.0] * 2000


@pytest.mark.parametrize(
    "bad",
    [
        point(50, math.nan),
        point(50, math.inf),
        point(50, -math.inf),
        Point("power", "c", "h", "g", "d", 1.0, 2**63),
        Point("", "c", "h", "g", "d", 1.0, START_NS),
        Point("power", "c", "h", "g", "\ud800", 1.0, START_NS),
        Point("power", "c", "h", "g", "x" * 1025, 1.0, START_NS),
    ],
    ids=["nan", "inf", "minus-inf", "time", "no-quantity", "not-unicode", "too-long"],
)
def test_one_bad_point_never_costs_a_batch(store: Store, bad: Point) -> None:
    good = [point(index) for index in range(50)]
    ((refused, reason),) = store.write([*good[:20], bad, *good[20:]])
    assert refused is bad
    assert reason
    assert values(store, everything()) == [float(index) for index in range(50)]


def test_a_kill_right_after_the_write_loses_nothing(site: Site) -> None:
    site.write_and_die(500)
    with opened(site) as store:
        assert values(store, everything()) == [float(index) for index in range(500)]


def test_killed_and_restarted_in_the_middle_nothing_is_lost_and_nothing_doubled(site: Site) -> None:
    points = trials(short=2000, long=20_000)
    site.write_through_kills(points, kills=trials(short=3, long=40))
    with opened(site) as store:
        assert values(store, everything()) == [float(index) for index in range(points)]
        store.roll_up(Tier.DAILY, START_NS, START_NS + points * SECOND)
        (day,) = store.summaries(Tier.DAILY, everything())
        assert (day.count, day.mean) == (points, (points - 1) / 2)


def test_an_answer_of_more_than_ten_thousand_rows_is_whole(store: TimeSeries) -> None:
    """As a year of quarters is: 12,000 rows of one series, and some of another."""
    rows = 12_000
    begin_ns = START_NS // QUARTER_NS * QUARTER_NS
    points = [Point("power", "c", "h", "g", "d1", float(row), begin_ns + row * QUARTER_NS) for row in range(rows)]
    points += [Point("power", "c", "h", "g", "d2", -1.0, begin_ns + row * QUARTER_NS) for row in range(0, rows, 99)]
    whole = SeriesQuery("power", begin_ns, begin_ns + rows * QUARTER_NS, limit=100_000)
    store.keep(Keeping(0, 0, 0), time.time_ns(), shorten=False)
    assert store.write(points) == []
    assert store.roll_up(Tier.QUARTER, whole.from_ns, whole.to_ns) == []
    times = sorted(each.time_ns for each in points)
    asked: list[Callable[[SeriesQuery], Sequence[Sample | Summary]]] = [
        store.read,
        lambda query: store.read(replace(query, window_ns=QUARTER_NS, aggregate="max")),
        lambda query: store.summaries(Tier.QUARTER, query),
    ]
    for ask in asked:
        found = ask(whole)
        assert [row.time_ns for row in found] == times
        assert {told(row) for row in found} == {(each.time_ns, each.device, each.value) for each in points}
        assert [row.time_ns for row in ask(replace(whole, limit=11_000))] == times[:11_000]
        newest = ask(replace(whole, limit=11_000, newest_first=True))
        assert [row.time_ns for row in newest] == times[:-11_001:-1]


def told(row: Sample | Summary) -> tuple[int, str, float]:
    return row.time_ns, row.tags.device, row.value if isinstance(row, Sample) else row.last


@pytest.mark.parametrize("page", [1, 5, 100])
def test_pages_leave_nothing_out_and_double_nothing(store: Store, page: int) -> None:
    """Three devices measure at the same moments, so that a page may end between them."""
    points = [point(index, device=f"meter-{number}") for index in range(10) for number in range(3)]
    assert store.write(points) == []
    found = [(each.time_ns, each.tags.device) for each in every_sample(store, everything(limit=page))]
    assert sorted(found) == [(each.time_ns, each.device) for each in points]


def test_killed_in_mid_answer_no_short_answer_comes_out_and_afterwards_it_is_whole(site: Site) -> None:
    points = [point(index, device="m" * 1000) for index in range(10_500)]  # more bytes than sockets hold
    with opened(site) as store:
        assert store.write(points) == []
    for _ in range(trials(short=1, long=20)):
        site.kill_in_mid_answer()
        with opened(site) as store:
            assert values(store, everything()) == [each.value for each in points]


def test_away_is_said_quickly_and_passes(site: Site) -> None:
    with opened(site) as store:
        store.write([point(0)])
        with site.away():
            began = time.monotonic()
            with pytest.raises(LinkError, match=";"):  # what happened; what to do
                store.write([point(1)])
            with pytest.raises(LinkError, match=";"):
                store.check()
            assert time.monotonic() - began < 10 * LINK_TIMEOUT_S
        store.check()
        assert store.write([point(1)]) == []
        assert values(store, everything()) == [0.0, 1.0]


def test_readers_beside_a_writer_see_all_that_was_acknowledged(site: Site) -> None:
    """Batches of 50 go in one by one; nobody waits, and what was acknowledged is read."""
    acknowledged = 0
    problems: list[str] = []
    done = threading.Event()

    def read_on(store: Store) -> None:
        while not done.is_set():
            before = acknowledged
            seen = len(store.read(everything()))
            if seen < before:
                problems.append(f"{before} acknowledged, {seen} read")

    with opened(site) as writer, opened(site) as other:
        readers = [threading.Thread(target=read_on, args=(each,)) for each in (writer, other)]
        for reader in readers:
            reader.start()
        try:
            for first in range(0, 2000, 50):
                assert writer.write([point(index) for index in range(first, first + 50)]) == []
                acknowledged += 50
        finally:
            done.set()
            for reader in readers:
                reader.join(30)
        assert not any(reader.is_alive() for reader in readers)
        assert len(other.read(everything())) == 2000
    assert problems == []


def test_two_writers_share_a_store(site: Site) -> None:
    """Two openings, as of two processes, meet the same new series at the same time."""

    def write(store: Store, offset: int) -> None:
        for index in range(offset, 100, 2):
            refused.extend(store.write([point(index, device=f"meter-{index // 4}")]))

    refused: list[tuple[Point, str]] = []
    with opened(site) as one, opened(site) as two:
        writers = [threading.Thread(target=write, args=(store, at)) for at, store in enumerate((one, two))]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(30)
        assert refused == []
        assert values(one, everything()) == [float(index) for index in range(100)]


def test_a_window_needs_its_aggregate() -> None:
    with pytest.raises(ValueError, match="go together"):
        SeriesQuery("power", 0, 1, window_ns=5)
    with pytest.raises(ValueError, match="at least 1"):
        SeriesQuery("power", 0, 1, limit=0)
