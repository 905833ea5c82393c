"""Wall clocks of home and center that step by minutes, hours and years, forwards and back, under presses.

Nothing may be raised that only the clock says, and nothing may wait for a clock to come round again.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from cloud_processes import until
from hearthline.clock import NS, parse_rfc3339
from hearthline.errors import HearthlineError
from hearthline_sim.demo.stack import Plan, Stack
from hearthline_sim.demo.trial import Trial, run_trial
from integration.edge.gateway import Center
from torture.clocks import Clocks, StackOfClocks
from torture.disks import Household
from trials import LONG, SEED, publish, trials

STEPS = trials(7, 150)
PAUSE_S = 1.6
SECONDS = STEPS * (PAUSE_S + 1.5) + 4  # after a step staff log in anew, on a busy machine for a second
MINUTE, HOUR, YEAR = 60, 3600, 365 * 86_400
OFFSETS = (7 * MINUTE, -7 * MINUTE, 5 * HOUR, -5 * HOUR, 3 * YEAR, -YEAR, 0)
_LONG_AGO_NS = 1_600_000_000 * NS

pytestmark = pytest.mark.torture


class Steps:
    """Sets the center's clock; `done` counts. Staff whose session has ended log in again: `logins`."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)
        self.done = 0
        self.logins = 0

    def __call__(self, stack: Stack, over: threading.Event) -> None:
        assert isinstance(stack, StackOfClocks)
        for offset_s in offsets(self._rng):
            if over.wait(PAUSE_S * self._rng.uniform(0.5, 1.3)):
                break
            stack.clocks.set("center", offset_s)
            self.done += 1
            self._log_in(stack)
        stack.clocks.set("center", 0)
        self._log_in(stack)

    def _log_in(self, stack: Stack) -> None:
        if not is_logged_in(stack):
            stack.operator.log_in()
            self.logins += 1


def offsets(rng: Random) -> Iterator[int]:
    """How far off the clock is, one after the other; each once before any again."""
    chosen: list[int] = []
    for _ in range(STEPS):
        chosen = chosen or rng.sample(OFFSETS, len(OFFSETS))
        yield chosen.pop()


def is_logged_in(stack: Stack) -> bool:
    try:
        stack.operator.get("/api/v1/alerts", limit=1)
    except HearthlineError as error:
        if " 401 " not in str(error):
            raise
        return False
    return True


@pytest.mark.timeout(SECONDS + 240)
@pytest.mark.parametrize("trust", ["synced", "free"])
def test_no_step_of_the_homes_clock_loses_or_doubles_a_press(tmp_path: Path, trust: str) -> None:
    """The center acknowledges what it hears twice only, so that much is sent again by a clock that was set."""
    rng = Random(SEED)
    clocks = Clocks(tmp_path)
    clocks.set("home", 0)
    with ExitStack() as opened:
        home = Household(tmp_path, opened, alarm_after_s=60.0)
        home.center.acknowledge = False
        opened.enter_context(acknowledging_the_second_time(home.center))
        home.gateway.tables += f'\n[clock]\ntrust = "{trust}"'
        home.gateway.environment = clocks.environment("home")
        home.start()
        with home.load(8):
            for offset_s in offsets(rng):
                time.sleep(PAUSE_S / 2 * rng.uniform(0.5, 1.3))
                clocks.set("home", offset_s)
        home.settle()
        assert home.ear.siren in ([], ["stop"]), "a siren that only the clock has woken"
    alarms = home.center.alarms
    off = [alarm for alarm in alarms if abs(alarm.wall_ns - time.time_ns()) > 300 * NS]
    assert off, "the clock was not set"
    assert {alarm.envelope.synced for alarm in alarms} == {trust == "synced"}
    ages = [alarm.envelope.age_s for alarm in home.center.events if alarm.envelope.age_s is not None]
    assert bool(ages) == (trust == "free")
    assert all(0 <= age < 120 for age in ages), "an age by the clock that was set"
    monos = [alarm.envelope.mono_ns for alarm in sorted(alarms, key=lambda alarm: alarm.envelope.seq)]
    assert monos == sorted(monos), "the clock that counts was touched too"
    lost = len(set(home.pressed) - {alarm.subject for alarm in alarms})
    figures = {"presses": len(home.pressed), "events": len(alarms), "off": len(off), "lost": lost}
    publish("steps of the home's clock", trust=trust, steps=STEPS, **figures)


@contextmanager
def acknowledging_the_second_time(center: Center) -> Iterator[None]:
    """What was heard once is not acknowledged: it has to be sent again."""
    over = threading.Event()

    def work() -> None:
        told: Counter[str] = Counter()
        at = 0
        while not over.wait(0.02):
            events = center.events[at:]
            at += len(events)
            told.update(event.id for event in events)
            center.ack([event for event in events if told[event.id] > 1])

    thread = threading.Thread(target=work, name="acknowledge")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)


@pytest.mark.timeout(SECONDS + 240)
def test_no_step_of_the_centers_clock_loses_doubles_or_invents_an_alarm(tmp_path: Path) -> None:
    callers = Plan(pendants=96, sos=8, patience_s=8.0, vitals_every_s=600.0)  # so many that no button chatters
    stack = StackOfClocks(tmp_path, callers)
    steps = Steps(SEED)
    try:
        stack.start()
        report = run_trial(stack, Trial(SECONDS, int(SECONDS * 3), SEED, steps), lambda _: None)
        events = stack.operator.alarm_events()
        alerts = stack.operator.get("/api/v1/alerts", limit=1000)["alerts"]
    finally:
        stack.stop()
    kinds = Counter(alert["kind"] for alert in alerts)
    publish(
        "steps of the center's clock",
        steps=steps.done,
        presses=report["presses_sent"],
        events=len(events),
        not_taken=len(report["not_taken"]),
        suspect=sum(bool(event["suspect"]) for event in events),
        accepted_at_home=report["accepted_at_home"],
        logins=steps.logins,
        alerts=dict(kinds),
    )
    assert report["faults"] == []
    assert report["not_taken"] == []
    assert steps.done == STEPS
    assert report["accepted_at_home"] > 0, "the way down has stood still"
    assert set(kinds) <= {"emergency", "service"}, "a silence that only the clock says"
    assert sum(alert["presses"] for alert in alerts) == len(events)
    assert [event["event_id"] for event in events if not is_honest(event)] == []


def is_honest(event: Mapping[str, Any]) -> bool:
    """A time that cannot be is shown as suspect, and no other."""
    occurred, received = parse_rfc3339(event["occurred"]), parse_rfc3339(event["received"])
    cannot_be = occurred > received + 300 * NS or occurred < _LONG_AGO_NS
    return bool(event["suspect"]) == cannot_be and event["time_quality"] == "synced"


@pytest.mark.timeout(240)
@pytest.mark.parametrize("step_s", [3 * YEAR, -3 * YEAR] if LONG else [-3 * YEAR])
def test_silence_is_told_also_after_a_step(tmp_path: Path, step_s: int) -> None:
    """The timers of supervision neither fire at a step nor wait until the clock has come round again."""
    stack = StackOfClocks(tmp_path, Plan())
    try:
        stack.start()
        stack.wait_for_gateway()
        stack.clocks.set("center", step_s)
        if not is_logged_in(stack):
            stack.operator.log_in()
        stack.processes.kill("agent")
        raised = until(lambda: _silences(stack), 60, 0.25)
        assert len(raised) == 1
        stack.processes.restart("agent")
        until(lambda: not _silences(stack), 60, 0.25)
    finally:
        stack.stop()


def _silences(stack: Stack) -> list[dict[str, Any]]:
    alerts = stack.operator.get("/api/v1/alerts", state="open")["alerts"]
    return [alert for alert in alerts if alert["kind"] == "gateway-silent"]
