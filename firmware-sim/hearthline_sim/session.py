"""One run of a home as a process: happenings out on standard output, orders in on standard input, one clean end.

Out, one JSON object a line: ready, mqtt, press, received, accepted, siren, relay, vital, cuff_error, change, unplug,
replug, schedule_over, error, done.
In, one order a line: press [n], service [n], sos [n], fob [n], sense DEVICE, measure, reset DEVICE, zigbee on|off,
unplug NAME, replug NAME, quit. `n` counts from 1.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from random import Random
from types import FrameType

import msgspec

from hearthline.model import ButtonRole
from hearthline_sim.home import Home
from hearthline_sim.home_config import HomeConfig
from hearthline_sim.ledger import Ledger
from hearthline_sim.lines import Caller
from hearthline_sim.schedule import Call, plan_calls

_CONNECT_S = 5.0  # how long "ready" waits for the local broker
_LOOK_S = 0.1
ORDERS = (
    "press [n], service [n], sos [n], fob [n], sense DEVICE, measure, reset DEVICE, zigbee on|off, "
    "unplug NAME, replug NAME, quit"
)


class Happenings:
    """Standard output, shared by threads. When the reader is gone the run ends."""

    def __init__(self, endings: SimpleQueue[str]) -> None:
        self._endings = endings
        self._lock = threading.Lock()

    def __call__(self, kind: str, **facts: object) -> None:
        line = msgspec.json.encode({"kind": kind, **facts}).decode()
        with self._lock:
            try:
                sys.stdout.write(line + "\n")
                sys.stdout.flush()
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                self._endings.put("nobody reads")


@dataclass(frozen=True, slots=True)
class Schedule:
    """`presses` calls spread over `seconds`; then the run ends, unless it is to `stay`."""

    presses: int
    seconds: float
    stay: bool


def run_home(config: HomeConfig, seed: int, ledger: Ledger, schedule: Schedule | None) -> int:
    """Live until the schedule is over or somebody ends it; returns the exit code. Raises ConfigError."""
    endings: SimpleQueue[str] = SimpleQueue()  # put() is safe in a signal handler

    def end_by_signal(number: int, _frame: FrameType | None) -> None:
        endings.put(signal.Signals(number).name)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end_by_signal)
    tell = Happenings(endings)
    plan = _plan(config, seed, schedule)
    home = Home(config, seed, ledger, tell, lambda: endings.put("failed"))
    try:
        _announce(home, config, seed, tell)
        threading.Thread(target=_obey_stdin, args=(home, tell, endings), name="orders", daemon=True).start()
        reason = _live(home, config, schedule, plan, endings, tell)
    finally:
        home.close()
    tell("done", reason=reason, **_totals(ledger))
    return 1 if reason == "failed" else 0


def _plan(config: HomeConfig, seed: int, schedule: Schedule | None) -> list[Call]:
    if schedule is None:
        return []
    return plan_calls(Random(f"{seed}:schedule"), config.callers, schedule.presses, schedule.seconds)


def _announce(home: Home, config: HomeConfig, seed: int, tell: Happenings) -> None:
    connected = home.wait_connected(_CONNECT_S)
    _wait_for_listeners(home, config)
    tell(
        "ready",
        gateway=config.gateway,
        seed=seed,
        mqtt=connected,
        ports={name: os.path.abspath(port.path) for name, port in home.ports.items()},
        pendants=[caller.device for caller in home.pendants],
        sos=[caller.device for caller in home.sos],
        fobs=[caller.device for caller in home.fobs],
        sensors=home.notices.devices,
    )


def _live(
    home: Home,
    config: HomeConfig,
    schedule: Schedule | None,
    plan: list[Call],
    endings: SimpleQueue[str],
    tell: Happenings,
) -> str:
    if schedule is None:
        home.measure_daily()
        return endings.get()
    ends = time.monotonic() + schedule.seconds
    home.wish(plan)
    if config.vitals_every_s > 0:
        home.measure_every(config.vitals_every_s)
    while time.monotonic() < ends or home.unanswered:
        try:
            return endings.get(timeout=_LOOK_S)
        except Empty:
            continue
    if schedule.stay:
        tell("schedule_over")
        return endings.get()
    return "schedule"


def _wait_for_listeners(home: Home, config: HomeConfig) -> None:
    """A home is ready when somebody has its radios open, so that a first press is a press at all; or after a while."""
    names = [radio.name for radio in config.radios] + [stick.name for stick in config.rflinks]
    deadline = time.monotonic() + _CONNECT_S
    while time.monotonic() < deadline and not all(home.ports[name].listening for name in names):
        time.sleep(_LOOK_S)


def _totals(ledger: Ledger) -> dict[str, int]:
    presses = ledger.presses
    return {
        "presses": len(presses),
        "again": sum(press.again_of is not None for press in presses),
        "received": sum(press.received_event is not None for press in presses),
        "accepted": sum(press.accepted_wall_ns is not None for press in presses),
        "vitals": len(ledger.vitals),
        "readings": len(ledger.readings),
        "changes": len(ledger.changes),
    }


def _obey_stdin(home: Home, tell: Happenings, endings: SimpleQueue[str]) -> None:
    """Read the descriptor itself: a thread that waits inside `sys.stdin` would break the interpreter's end."""
    kept = b""
    while True:
        try:
            if not select.select([0], [], [], 1.0)[0]:
                continue
            data = os.read(0, 4096)
        except (OSError, ValueError):
            return
        if not data:
            return
        *lines, kept = (kept + data).split(b"\n")
        for line in lines:
            words = line.decode(errors="replace").split(maxsplit=1)
            if words == ["quit"]:
                endings.put("quit")
            elif words:
                _obey(home, words[0], words[1].strip() if len(words) > 1 else "", tell)


def _obey(home: Home, order: str, argument: str, tell: Happenings) -> None:
    callers = {"press": home.pendants, "service": home.pendants, "sos": home.sos, "fob": home.fobs}.get(order)
    if callers is not None:
        caller = _numbered(callers, argument or "1")
        if caller is not None:
            home.call(caller, ButtonRole.SERVICE if order == "service" else ButtonRole.EMERGENCY)
            return
        tell("error", message=f"{order} {argument}: there are {len(callers)}, counted from 1")
    elif order in ("unplug", "replug"):
        port = home.ports.get(argument)
        if port is None:
            tell("error", message=f"{order} {argument}: no such port; there are {', '.join(home.ports)}")
            return
        (port.unplug if order == "unplug" else port.replug)()
        tell(order, port=argument)
    elif (fault := _obeyed_simply(home, order, argument)) is not None:
        tell("error", message=f"{f'{order} {argument}'.rstrip()}: {fault}")


def _obeyed_simply(home: Home, order: str, argument: str) -> str | None:
    """Why an order could not be obeyed; None when it was."""
    match order, argument:
        case "measure", _:
            return None if home.measure() else "the home has no cuff"
        case "sense", device:
            known = home.notices.happen(device)
            return None if known else f"no such sensor; there are {', '.join(home.notices.devices)}"
        case "reset", device:
            return None if home.reset(device) else "no such plug, or its counter cannot be reset"
        case "zigbee", ("on" | "off"):
            return None if home.turn_zigbee(argument == "on") else "the home has no Zigbee button and no Zigbee sensor"
    return f"unknown order; there are: {ORDERS}"


def _numbered(callers: list[Caller], text: str) -> Caller | None:
    if not text.isdigit() or not 1 <= int(text) <= len(callers):
        return None
    return callers[int(text) - 1]
