"""Random `kill -9` of every process during ten times as many presses, reconciled with the ledger.

Every committed press is exactly one event. A press that was not committed, because the agent was dead or was killed
between read and commit, is listed as `not_taken`, showed no "received" at home, and was pressed again until one did.

Vital signs and readings stand in the store once, and nothing stands there that nobody measured. What a device said to
a dead agent or a dying broker was never committed: here it is counted; where those live, `test_links` asserts it. When
the home's broker is killed, its client says a message again that was not acknowledged: readings of plugs may be two.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hearthline_sim.demo.stack import Plan
from torture.nemeses import Nemesis, kill
from torture.stage import Stage, assert_nothing_lost_or_doubled, figures, play, stage
from trials import LONG, SEED, publish, rate_bound, trials

KILLS = trials(16, 1000)
PRESSES = trials(160, 10_000)
KILLS_INFLUX = 300
PRESSES_INFLUX = 3000
PLAN = Plan(pendants=144, sos=36, patience_s=10.0, vitals_every_s=10.0)


def seconds(presses: int, kills: int) -> float:
    """Six presses a second make none of 180 buttons chatter; in 1.6 s a kill, what was killed comes up again."""
    return max(presses * 0.16, kills * 1.6, 16.0)


def killed(report: dict[str, Any]) -> dict[str, int]:
    return {what.removeprefix("kill "): count for what, count in report["deeds"].items() if what.startswith("kill ")}


def torture(on: Stage, presses: int, kills: int, name: str) -> dict[str, Any]:
    nemesis = Nemesis("killer", kills, kill(*on.processes))
    report = play(on, seconds(presses, kills), presses, SEED, [nemesis])
    publish(name, **figures(report), bound_per_press=rate_bound(report["presses_sent"]))
    return report


@pytest.mark.torture
@pytest.mark.timeout(seconds(PRESSES, KILLS) + 600)
def test_no_kill_loses_or_doubles_a_press(tmp_path: Path) -> None:
    with stage(tmp_path, PLAN) as on:
        report = torture(on, PRESSES, KILLS, "kill -9 of every process")
        assert sum(killed(report).values()) == KILLS
        assert killed(report).keys() == set(on.processes)
        assert_nothing_lost_or_doubled(on, report, PRESSES)
        assert [each for each in report["stored_too_often"] if not each.startswith("shelly:")] == []


if LONG:  # in the short form `test_combined` kills InfluxDB

    @pytest.mark.torture
    @pytest.mark.integration
    @pytest.mark.timeout(seconds(PRESSES_INFLUX, KILLS_INFLUX) + 600)
    def test_no_kill_loses_or_doubles_a_press_on_influxdb(tmp_path: Path) -> None:
        with stage(tmp_path, PLAN, influx=True) as on:
            report = torture(on, PRESSES_INFLUX, KILLS_INFLUX, "kill -9 of every process and InfluxDB")
            assert sum(killed(report).values()) == KILLS_INFLUX
            assert killed(report).keys() == set(on.processes)
            assert_nothing_lost_or_doubled(on, report, PRESSES_INFLUX)
            assert [each for each in report["stored_too_often"] if not each.startswith("shelly:")] == []
