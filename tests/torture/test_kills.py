"""Random `kill -9` of agent, brokers, ingester and web during ten times as many presses, reconciled with the ledger.

Every committed press is exactly one event. A press that was not committed, because the agent was dead or was killed
between read and commit, is listed as `not_taken`, showed no "received" at home, and was pressed again until one did.

Readings are printed and not asserted: what a meter or plug said to a dead agent or a dying broker was never committed.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from hearthline_sim.demo.broker import BrokerPlan, free_port
from hearthline_sim.demo.stack import Plan, Stack
from hearthline_sim.demo.trial import Trial, run_trial
from hearthline_sim.ledger import Ledger
from trials import SEED, publish, trials

KILLS = trials(30, 1000)
PRESSES = trials(300, 10_000)
SECONDS = max(PRESSES * 0.2, KILLS * 2.0)
VICTIMS = ("agent", "ingest", "web", "center-broker", "home-broker")


class Nemesis:
    """Kills one process after the other and starts it again; `kills` counts them."""

    def __init__(self, seed: int, kills: int, seconds: float) -> None:
        self._rng = random.Random(seed)
        self._plan = sorted(self._rng.uniform(2, seconds - 2) for _ in range(kills))
        self.kills: Counter[str] = Counter()

    def __call__(self, stack: Stack, over: threading.Event) -> None:
        waited = 0.0
        for moment in self._plan:
            if over.wait(max(moment - waited, 0.0)):
                return
            victim = self._rng.choice(VICTIMS)
            dead_s = self._rng.uniform(0.0, 0.6)
            stack.processes.kill(victim)
            over.wait(dead_s)
            stack.processes.restart(victim)
            self.kills[victim] += 1
            waited = max(moment, waited) + dead_s


def mosquitto_plan(folder: Path, name: str) -> BrokerPlan:
    """A broker without persistence: what it had is gone with it."""
    port = free_port()
    config = folder / f"{name}.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\n"
        "max_queued_messages 100000\nmax_inflight_messages 200\n",
        encoding="utf-8",
    )
    return BrokerPlan(name, ["/usr/sbin/mosquitto", "-c", str(config)], port, port)


@pytest.mark.torture
@pytest.mark.timeout(SECONDS + 300)
def test_no_kill_loses_or_doubles_a_press(tmp_path: Path) -> None:
    plan = Plan(pendants=96, sos=24, patience_s=6.0, vitals_every_s=20.0)
    brokers = (mosquitto_plan(tmp_path, "home"), mosquitto_plan(tmp_path, "center"))
    stack = Stack(tmp_path, replace(plan, brokers=brokers))
    nemesis = Nemesis(SEED, KILLS, SECONDS)
    try:
        stack.start()
        report = run_trial(stack, Trial(SECONDS, PRESSES, SEED, nemesis), lambda _: None)
    finally:
        stack.stop()
    told = {key: value for key, value in report.items() if key != "not_taken"}
    told |= {"kills": dict(nemesis.kills), "not_taken": len(report["not_taken"])}
    publish("kill -9 of every process", **told)
    assert sum(nemesis.kills.values()) == KILLS
    assert report["faults"] == []
    assert report["presses_sent"] >= PRESSES
    assert report["alarm_events"] + len(report["not_taken"]) == report["presses_sent"]
    assert_every_cry_was_heard(Ledger.load(stack.ledger_path))


def assert_every_cry_was_heard(ledger: Ledger) -> None:
    """Whoever was not told "received" pressed again, until one press of the cry was."""
    comforted = {
        (press.device, press.again_of or press.ordinal) for press in ledger.presses if press.received_event is not None
    }
    cries = {(press.device, press.again_of or press.ordinal) for press in ledger.presses}
    assert cries == comforted
