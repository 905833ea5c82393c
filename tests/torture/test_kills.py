"""Random `kill -9` of every process during ten times as many presses, reconciled with the ledger.

Every committed press is exactly one event. A press that was not committed, because the agent was dead or was killed
between read and commit, is listed as `not_taken`, showed no "received" at home, and was pressed again until one did.

Vital signs and readings stand in the store once, and nothing stands there that nobody measured. What a device said to
a dead agent or a dying broker was never committed: here it is counted; where those live, `test_links` asserts it. When
the home's broker is killed, its client says a message again that was not acknowledged: readings of plugs may be two.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from brokers.certified import Client
from cloud_processes import until
from hearthline_sim.demo.stack import Plan
from torture.certified import renew_again, revoke_another
from torture.nemeses import Nemesis, kill
from torture.stage import Stage, assert_nothing_lost_or_doubled, figures, play, stage
from trials import LONG, SEED, publish, rate_bound, trials

KILLS = trials(16, 1000)
PRESSES = trials(160, 10_000)
KILLS_CERTIFIED = trials(16, 300)
PRESSES_CERTIFIED = trials(160, 3000)
RENEWALS, REVOCATIONS = trials(1, 4), trials(2, 30)
PATIENCE_S = 100.0  # a gateway that was not answered asks again after a minute
KILLS_INFLUX = 300
PRESSES_INFLUX = 3000
PLAN = Plan(pendants=144, sos=36, patience_s=10.0, vitals_every_s=10.0)


def seconds(presses: int, kills: int) -> float:
    """Six presses a second make none of 180 buttons chatter; in 1.6 s a kill, what was killed comes up again."""
    return max(presses * 0.16, kills * 1.6, 16.0)


def killed(report: dict[str, Any]) -> dict[str, int]:
    return {what.removeprefix("kill "): count for what, count in report["deeds"].items() if what.startswith("kill ")}


def torture(on: Stage, presses: int, kills: int, name: str, more: Sequence[Nemesis] = ()) -> dict[str, Any]:
    nemesis = Nemesis("killer", kills, kill(*on.processes))
    report = play(on, seconds(presses, kills), presses, SEED, [nemesis, *more])
    publish(name, **figures(report), bound_per_press=rate_bound(report["presses_sent"]))
    return report


@pytest.mark.torture
@pytest.mark.timeout(seconds(PRESSES_CERTIFIED, KILLS_CERTIFIED) + 600)
def test_no_kill_loses_or_doubles_a_press_with_certificates(tmp_path: Path) -> None:
    """The broker as the product keeps it; the gateway renews under fire, and others are thrown out beside it."""
    with stage(tmp_path, PLAN, certified=True) as on:
        keeps = on.certified
        assert keeps is not None
        more = [Nemesis("renewer", RENEWALS, renew_again), Nemesis("revoker", REVOCATIONS, revoke_another)]
        name = "kill -9 of every process, with certificates"
        report = torture(on, PRESSES_CERTIFIED, KILLS_CERTIFIED, name, more)
        assert sum(killed(report).values()) == KILLS_CERTIFIED
        assert_nothing_lost_or_doubled(on, report, PRESSES_CERTIFIED)
        assert len(keeps.revoked) == REVOCATIONS
        until(lambda: not keeps.unenforced(), PATIENCE_S)
        assert not [client for client in keeps.visitors if client.is_in]
        for each in keeps.revoked:
            assert not Client(keeps.place, at=keeps.place.folder / f"{each}-stolen", name=each).is_in
        until(lambda: keeps.renewals() >= 1, PATIENCE_S)
        publish(f"{name}: renewed and thrown out", renewals=keeps.renewals(), revoked=len(keeps.revoked))


if LONG:  # the short form is the one with certificates; `test_combined` kills InfluxDB

    @pytest.mark.torture
    @pytest.mark.timeout(seconds(PRESSES, KILLS) + 600)
    def test_no_kill_loses_or_doubles_a_press(tmp_path: Path) -> None:
        with stage(tmp_path, PLAN) as on:
            report = torture(on, PRESSES, KILLS, "kill -9 of every process")
            assert sum(killed(report).values()) == KILLS
            assert killed(report).keys() == set(on.processes)
            assert_nothing_lost_or_doubled(on, report, PRESSES)
            assert [each for each in report["stored_too_often"] if not each.startswith("shelly:")] == []

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
