"""The demo by itself: so many presses in so many seconds, then the report of what was lost, doubled and how late."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from hearthline import __version__
from hearthline.clock import rfc3339
from hearthline.errors import HearthlineError, LinkError
from hearthline_sim.demo.operator import Notice, StreamWatch
from hearthline_sim.demo.reconcile import Verdict, latencies_ms, lost_readings, quantile, reconcile, sent_by_series
from hearthline_sim.demo.stack import Stack
from hearthline_sim.ledger import Ledger

_SETTLE_S = 30.0
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
    verdict = _settle(stack, ledger)
    events = stack.operator.alarm_events()
    delays = latencies_ms(ledger.presses, seen.at_ns, events)
    unseen = [event["event_id"] for event in events if event["event_id"] not in seen.at_ns]
    watch.stop()
    if unseen:
        verdict.faults.append(f"{len(unseen)} alarm events never came down the operator's stream")
    return _report(stack, trial, started, ledger, verdict, delays, totals)


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


def _settle(stack: Stack, ledger: Ledger) -> Verdict:
    """Wait until nothing is missing any more, at most half a minute; the last comparison."""
    deadline = time.monotonic() + _SETTLE_S
    while True:
        verdict = reconcile(ledger.presses, stack.operator.alarm_events())
        done = verdict.good and not _missing(stack, ledger) and _vitals_stored(stack, ledger) >= _vitals_heard(ledger)
        if done or time.monotonic() > deadline:
            return verdict
        time.sleep(0.25)


def _missing(stack: Stack, ledger: Ledger) -> int:
    stored: dict[tuple[str, str], Counter[float]] = {}
    for device, quantity in sent_by_series(ledger):
        samples = stack.operator.get(
            "/api/v1/readings", quantity=quantity, device=device, limit=10_000, **{"from": _long_ago()}
        )["samples"]
        stored[device, quantity] = Counter(round(sample["value"], 6) for sample in samples)
    return lost_readings(ledger.readings, stored)


def _long_ago() -> str:
    return rfc3339(time.time_ns() - 86_400 * 10**9)


def _vitals_heard(ledger: Ledger) -> int:
    return sum(vital.heard for vital in ledger.vitals)


def _vitals_stored(stack: Stack, ledger: Ledger) -> int:
    """How many vital signs of the ledger the time-series store has, by their systolic values."""
    if not ledger.vitals:
        return 0
    samples = stack.operator.get("/api/v1/readings", quantity="systolic", limit=10_000, **{"from": _long_ago()})[
        "samples"
    ]
    stored = Counter(int(sample["value"]) for sample in samples)
    return (Counter(vital.sys for vital in ledger.vitals) & stored).total()


def _report(
    stack: Stack,
    trial: Trial,
    started: float,
    ledger: Ledger,
    verdict: Verdict,
    delays: list[float],
    totals: dict[str, Any],
) -> dict[str, Any]:
    missing = _missing(stack, ledger)
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
            "p99": _rounded(quantile(delays, 0.99)),
            "max": _rounded(delays[-1] if delays else None),
            "count": len(delays),
        },
        "readings_sent": len(ledger.readings),
        "readings_stored": len(ledger.readings) - missing,
        "readings_lost": missing,
        "vitals_sent": len(ledger.vitals),
        "vitals_stored": _vitals_stored(stack, ledger),
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
        or vitals_missing
        or not report["alarm_events"]
    )


def write_report(report: dict[str, Any], path: Path | None) -> None:
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    if path is None:
        sys.stdout.write(text)
    else:
        path.write_text(text, encoding="utf-8")
