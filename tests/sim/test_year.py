"""The simulated year: the same for a seed, plausible, within the budget of series, and its command."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hearthline.errors import ConfigError
from hearthline.model import TELEMETRY_UNITS, VITAL_UNITS
from hearthline_sim.commands import app
from hearthline_sim.year import CHINA, year
from hearthline_sim.year_center import year_center

LAST = dt.date(2026, 11, 20)
BUDGET = 100  # series a home, docs/data.md
PLAUSIBLE = {
    "systolic": (70, 210),
    "diastolic": (40, 130),
    "heart_rate": (40, 130),
    "temperature": (5, 40),
    "humidity": (15, 100),
    "battery": (0, 100),
    "radio_level": (-110, -40),
    "power": (0, 4000),
}


def lines_of(homes: int = 4, days: int = 3, seed: int = 1, last: dt.date = LAST) -> list[str]:
    return [line for piece in year(homes, days, seed, last) for line in piece]


def series_of(lines: list[str]) -> dict[str, list[tuple[int, float]]]:
    series = defaultdict(list)
    for line in lines:
        head, field, time = line.split(" ")
        name, value = field.split("=")
        assert name == "value"
        series[head].append((int(time), float(value)))
    return series


def test_a_seed_decides_it_all() -> None:
    assert lines_of() == lines_of()
    assert lines_of() != lines_of(seed=2)


def test_days_are_those_asked_for() -> None:
    days = {dt.datetime.fromtimestamp(int(line[-19:-9]), CHINA).date() for line in lines_of()}
    assert days == {LAST - dt.timedelta(days=back) for back in range(3)}


def test_nothing_is_later_than_it_may_be() -> None:
    noon = dt.datetime(LAST.year, LAST.month, LAST.day, 12, tzinfo=CHINA).timestamp()
    clipped = [line for piece in year(4, 3, 1, LAST, int(noon)) for line in piece]
    assert clipped == [line for line in lines_of() if int(line[-19:-9]) <= noon]
    assert 0 < len(clipped) < len(lines_of())


def test_values_are_plausible_and_counters_never_fall() -> None:
    series = series_of(lines_of(days=40))
    names = {head.split(",")[0] for head in series}
    assert {"power", "energy_import", "systolic", "motion", "contact", "battery", "gateway_online"} <= names
    own = {"motion", "contact", "gateway_online", "outbox_events", "outbox_readings", "outbox_dropped"}
    assert names <= {*TELEMETRY_UNITS, *VITAL_UNITS, *own}
    for head, samples in series.items():
        quantity = head.split(",")[0]
        low, high = PLAUSIBLE.get(quantity, (0, 1e6))
        assert all(low <= value <= high for _, value in samples), head
        if quantity == "energy_import":
            assert all(before <= after for (_, before), (_, after) in pairwise(sorted(samples)))
    assert len(series) / 4 < BUDGET


def test_only_vital_signs_name_a_resident() -> None:
    series = series_of(lines_of())
    assert {head.split(",")[0] for head in series if "resident=" in head} == {"systolic", "diastolic", "heart_rate"}


def test_the_command_writes_a_file(tmp_path: Path) -> None:
    out = tmp_path / "year.lp"
    options = ["--homes", "2", "--days", "2", "--seed", "7", "--last", "2026-11-20", "--out", str(out)]
    result = CliRunner().invoke(app, ["year", *options])
    assert result.exit_code == 0, result.output
    center = itertools.chain.from_iterable(year_center(2, 2, 7, LAST))
    assert out.read_text(encoding="utf-8").splitlines() == [*lines_of(2, 2, 7), *center]


@pytest.mark.parametrize("options", [[], ["--last", "yesterday", "--out", "x"], ["--out", "x", "--store", "http://y"]])
def test_wrong_use_says_so(options: list[str]) -> None:
    result = CliRunner().invoke(app, ["year", *options])
    assert isinstance(result.exception, ConfigError)
