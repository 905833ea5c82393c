"""The demo by itself: so many presses in so many seconds, then the report of what was lost, doubled and how late."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from hearthline import __version__
from hearthline.clock import parse_rfc3339, rfc3339
from hearthline.errors import HearthlineError, LinkError
from hearthline_sim.demo.operator import Notice, StreamWatch
from hearthline_sim.demo.reconcile import Verdict, latencies_ms, quantile, reconcile
from hearthline_sim.demo.stack import Stack
from hearthline_sim.demo.values import ReadSeries, Values, compare_values
from hearthline_sim.ledger import Ledger

_SETTLE_S = 90.0  # a pack may wait a minute for its next sending
_PATIENCE_S = 5.0
_TIDY_EVERY_S = 10.0  # the trial's operator closes what is open, so that alerts are raised again and again


@dataclass(slots=True)
class Seen:
    """What the operator's stream told: event id -> when (Unix ns)."""

    at_ns: dict[str, int] = field(default_factory=dict)
    raised: set[int] = field(default_factory=set)

    def take(self, notice: Notice) -> None:
        kind, event, alert = notice.body["kind"], notice.body["event"], notice.body["alert"]
        if kind in ("raised", "joined") and event is not None:
            self.at_ns.setdefault(event["event_id"], notice.at_ns)
        if kind == "raised" and alert is not None:
            self.raised.add(alert["id"])


@dataclass(frozen=True, slots=True)
class Trial:
    seconds: float
    presses: int
    seed: int
    meddle: Callable[[Stack, threading.Event], None] | None = None  # a nemesis, run beside the trial


def run_trial(stack: Stack, trial: Trial, say: Callable[[str], None]) -> dict[str, Any]:
    """Run the trial on a started stack; the report."""
    started = time.time()
    seen = Seen()
    watch = StreamWatch(stack.operator, stack.url, seen.take)
    watch.start()
    if not watch.connected.wait(10):
        raise LinkError("the operator's stream did not open")
    stack.wait_for_gateway()
    arguments = ["--seed", str(trial.seed), "--seconds", str(trial.seconds), "--presses", str(trial.presses)]
    sim = stack.processes.start("sim", stack.sim_command(*arguments), pipes=True)
    over = threading.Event()
    helpers = [threading.Thread(target=_tidy, args=(stack, over), name="tidy", daemon=True)]
    if trial.meddle is not None:
        helpers.append(threading.Thread(target=trial.meddle, args=(stack, over), name="nemesis", daemon=True))
    for helper in helpers:
        helper.start()
    totals = _follow(sim, say)
    over.set()
    for helper in helpers:
        helper.join(timeout=60)
    ledger = Ledger.load(stack.ledger_path)
    verdict, values = _settle(stack, ledger)
    events = stack.operator.alarm_events()
    delays = latencies_ms(ledger.presses, seen.at_ns, events)
    unseen = [event["event_id"] for event in events if event["event_id"] not in seen.at_ns]
    watch.stop()
    verdict.faults += [f"ended by itself: {name}" for name in stack.processes.dead() if not name.startswith("sim ")]
    if unseen:
        verdict.faults.append(f"{len(unseen)} alarm events never came down the operator's stream")
    return _report(stack, trial, started, ledger, verdict, values, delays, totals)


def _follow(sim: subprocess.Popen[bytes], say: Callable[[str], None]) -> dict[str, Any]:
    """Tell what happens in the home until the simulator is done."""
    assert sim.stdout is not None
    presses = 0
    for line in sim.stdout:
        happening = msgspec.json.decode(line)
        if happening["kind"] == "press":
            presses += 1
            if presses % 10 == 0:
                say(f"  {presses} presses")
        if happening["kind"] == "done":
            return dict(happening)
    raise HearthlineError("the simulated home ended without a word; see sim.log")


def _tidy(stack: Stack, over: threading.Event) -> None:
    while not over.wait(_TIDY_EVERY_S):
        tidy_once(stack)


def tidy_once(stack: Stack) -> None:
    """Acknowledge and resolve every open alert, as an operator would after each call."""
    try:
        for alert in stack.operator.get("/api/v1/alerts", state="open")["alerts"]:
            outcome = "test" if alert["kind"] != "service" else "service-done"
            stack.operator.post(f"/api/v1/alerts/{alert['id']}/acknowledge", {})
            stack.operator.post(f"/api/v1/alerts/{alert['id']}/resolve", {"outcome": outcome})
    except HearthlineError:
        return  # the web was killed in the middle, or a press came between: the next round does it


def _settle(stack: Stack, ledger: Ledger) -> tuple[Verdict, Values]:
    """Wait until the home holds nothing back and nothing is missing; the last comparison.

    What was never committed stays missing for ever: once the outbox is empty, so much patience as the copies of vital
    signs and a wake-up need is enough.
    """
    deadline = time.monotonic() + _SETTLE_S
    while not stack.operator.is_ready() and time.monotonic() < deadline:
        time.sleep(0.1)  # a part that was killed last is still coming up
    emptied_at: float | None = None
    while True:
        if emptied_at is None and stack.waiting_at_home() == 0:
            emptied_at = time.monotonic()
        verdict = reconcile(ledger.presses, stack.operator.alarm_events())
        values = compare_values(ledger, list(stack.operator.events("hearthline.vital.v1")), _series_reader(stack))
        now = time.monotonic()
        if emptied_at is not None and (now - emptied_at > _PATIENCE_S or (verdict.good and values.complete)):
            return verdict, values
        if now > deadline:
            if emptied_at is None:
                verdict.faults.append(f"{stack.waiting_at_home()} records stay in the outbox")
            return verdict, values
        time.sleep(0.25)


def _series_reader(stack: Stack) -> ReadSeries:
    long_ago = rfc3339(time.time_ns() - 86_400 * 10**9)

    def read(device: str, quantity: str) -> list[tuple[int, float]]:
        wanted = {"quantity": quantity, "device": device, "limit": 10_000, "from": long_ago}
        samples = stack.operator.get("/api/v1/readings", **wanted)["samples"]
        return [(parse_rfc3339(sample["at"]), sample["value"]) for sample in samples]

    return read


def _report(
    stack: Stack,
    trial: Trial,
    started: float,
    ledger: Ledger,
    verdict: Verdict,
    values: Values,
    delays: list[float],
    totals: dict[str, Any],
) -> dict[str, Any]:
    missing, vitals_missing = len(values.missing_readings), len(values.missing_vitals)
    presses = ledger.presses
    return {
        "version": __version__,
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": trial.seconds,
        "seed": trial.seed,
        "store": "influxdb" if stack.plan.store_url else "embedded",
        "presses_sent": verdict.presses_sent,
        "alarm_events": verdict.alarm_events,
        "alerts_raised": verdict.alerts_raised,
        "alerts_lost": len(verdict.lost) + _unexplained(ledger, verdict, trial),
        "alerts_duplicated": len(verdict.duplicated),
        "not_taken": verdict.not_taken,
        "received_at_home": totals["received"],
        "accepted_at_home": totals["accepted"],
        "pressed_again": sum(press.again_of is not None for press in presses),
        "press_to_alert_ms": {
            "p50": _rounded(quantile(delays, 0.50)),
            "p90": _rounded(quantile(delays, 0.90)),
            "p99": _rounded(quantile(delays, 0.99)),
            "max": _rounded(delays[-1] if delays else None),
            "count": len(delays),
        },
        "readings_sent": len(ledger.readings),
        "readings_stored": len(ledger.readings) - missing,
        "readings_lost": missing,
        "vitals_sent": values.vitals_sent,
        "vitals_stored": values.vitals_sent - vitals_missing,
        "missing": [": ".join(each) for each in (*values.missing_readings, *values.missing_vitals)],
        "stored_too_often": [": ".join(each) for each in values.over],
        "faults": [*verdict.lost, *verdict.duplicated, *verdict.faults],
    }


def _unexplained(ledger: Ledger, verdict: Verdict, trial: Trial) -> int:
    """Without a nemesis nothing may go untaken either: every press that was sent must have become an event."""
    return len(verdict.not_taken) if trial.meddle is None else 0


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def failed(report: dict[str, Any]) -> bool:
    """Whether anything was lost, doubled or wrong."""
    vitals_missing = report["vitals_sent"] > report["vitals_stored"]
    return bool(
        report["alerts_lost"]
        or report["alerts_duplicated"]
        or report["readings_lost"]
        or report["faults"]
        or report["stored_too_often"]
        or vitals_missing
        or not report["alarm_events"]
    )


def write_report(report: dict[str, Any], path: Path | None) -> None:
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    if path is None:
        sys.stdout.write(text)
    else:
        path.write_text(text, encoding="utf-8")
