"""Several nemeses at once from one seed: processes die and freeze, the line is bad in every way, a proxy meddles.

What is asserted of presses is what is asserted without faults: every committed one is one event of one alert, every
other was not comforted and was pressed again. The elder's patience is longer than any one freeze, for the gateway can
stamp a press no earlier than it hears it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from hearthline_sim.demo.reconcile import reconcile
from hearthline_sim.demo.stack import Plan
from hearthline_sim.ledger import Ledger
from torture.certified import renew_again, revoke_another
from torture.nemeses import Nemesis, cut_line, freeze, half_open, kill, kill_sockets, lossy, meddle_in_proxy, slow
from torture.stage import Stage, assert_nothing_lost_or_doubled, figures, play, stage
from trials import LONG, SEED, publish, rate_bound, trials

SECONDS = trials(28, 600)
PRESSES = SECONDS * 2
FROZEN_S = 8.0 if LONG else 3.0
FORMS = (False, True) if LONG else (False,)
PLAN = Plan(pendants=48, sos=12, patience_s=20.0 if LONG else 9.0, vitals_every_s=10.0, local_alarm_after_s=60.0)

pytestmark = [pytest.mark.torture, pytest.mark.integration, pytest.mark.usefixtures("root")]


def crew(on: Stage) -> list[Nemesis]:
    """At almost every moment something is dead, frozen, silent, lossy, slow or meddled with, yet not all of the time.

    Twice as much of it on the line lost and doubled nothing either, but left presses waiting for a minute and more.
    """
    return [
        Nemesis("killer", SECONDS // 5, kill(*on.processes)),
        Nemesis("freezer", SECONDS // 9, freeze(*on.processes, at_most_s=FROZEN_S)),
        Nemesis("silencer", SECONDS // 36, half_open(2.0, 2.0 * FROZEN_S)),
        Nemesis("cutter", SECONDS // 36, cut_line(0.5, 5.0)),
        Nemesis("thief", SECONDS // 18, lossy(30, 3.0, 10.0)),
        Nemesis("brake", SECONDS // 36, slow(64_000, 3.0, 10.0)),
        Nemesis("tearer", SECONDS // 18, kill_sockets),
        Nemesis("meddler", SECONDS // 9, meddle_in_proxy(0.5, 4.0)),
    ]


@pytest.mark.timeout(SECONDS + 600)
@pytest.mark.parametrize("certified", FORMS)
def test_everything_at_once_neither_loses_nor_doubles_a_press(tmp_path: Path, certified: bool) -> None:
    with stage(tmp_path, PLAN, network=True, proxied=True, influx=True, certified=certified, seed=SEED) as on:
        more = [Nemesis("renewer", 2, renew_again), Nemesis("revoker", 4, revoke_another)] if certified else []
        report = play(on, SECONDS, PRESSES, SEED, [*crew(on), *more])
        name = "everything at once, with certificates" if certified else "everything at once"
        publish(name, **figures(report), bound_per_press=rate_bound(report["presses_sent"]))
        assert sum(report["deeds"].values()) >= SECONDS // 3
        assert_nothing_lost_or_doubled(on, report, PRESSES)
        assert [each for each in report["stored_too_often"] if not each.startswith("shelly:")] == []
        assert_the_judge_is_awake(on)


def assert_the_judge_is_awake(on: Stage) -> None:
    """The control: take one event away from what the center really has, or add one, and the ledger disagrees."""
    presses = Ledger.load(on.stack.ledger_path).presses
    events = on.stack.operator.alarm_events()
    assert reconcile(presses, events).good
    received = {press.received_event for press in presses}
    victim = next(index for index, event in enumerate(events) if event["event_id"] in received)
    assert reconcile(presses, [*events[:victim], *events[victim + 1 :]]).lost
    assert reconcile(presses, [*events, events[victim]]).duplicated
    assert reconcile(presses, [*events, {**events[victim], "event_id": "another"}]).duplicated
