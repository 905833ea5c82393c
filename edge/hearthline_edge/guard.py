"""Takes an update of the agent back that does not reach the center: `python -m hearthline_edge.guard /opt/hearthline`.

The old version's code, in a service of its own, so that it works whatever the new version is. It switches, starts the
agent anew, watches, and switches back. Each step may be repeated: after a kill or a power cut it is started again by
systemd, reads the record and goes on; its own link is taken away last, and without it nothing starts it.

    restart --> ready? --> note in the outbox? --> note received?  --> proved
       |          |                |                     |
       +- 3 times +- not in 60 s   +------- not in time -+-------> undone
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from msgspec import structs

from hearthline.errors import StorageError
from hearthline_edge.outbox_rows import Fate
from hearthline_edge.service import UNIT
from hearthline_edge.update_record import GUARDED, Phase, Told, Update, read_told, read_update, write_update
from hearthline_edge.versions import CURRENT, GUARD, PREVIOUS, Versions

READY_S: Final = 60.0
STEADY_S: Final = 5.0  # one that was received and fell over is not proved
SETTLED_S: Final = 60.0  # without a center: so long the new version runs through, and its outbox takes an event
MOST_RESTARTS: Final = 3
MOST_GUARDS: Final = 4  # starts of the guard for one update: a version that takes the machine down with it
_LOOK_S: Final = 0.5
_ASKED: Final = (
    "ActiveState",
    "NRestarts",
    "InvocationID",
    "ActiveExitTimestampMonotonic",
    "ActiveEnterTimestampMonotonic",
)
_UPDATED: Final = "updated"


@dataclass(frozen=True, slots=True)
class Sight:
    """How the new version does. `ready_s`: for how long it has run through, 0 when it is not ready."""

    elapsed_s: float
    ready_s: float
    was_ready: bool
    restarts: int
    told: Told | None


@dataclass(frozen=True, slots=True)
class Verdict:
    phase: Phase  # PROVING: wait
    reason: str = ""


def judge(update: Update, sight: Sight) -> Verdict:
    """Whether the new version is proved, or is to be taken back and why."""
    told = sight.told if sight.told is not None and sight.told.id == update.id and sight.told.kind == _UPDATED else None
    fate = told.fate if told is not None else None
    if fate is Fate.REFUSED:
        return Verdict(Phase.UNDOING, "the center refuses what it sends")
    if sight.restarts >= MOST_RESTARTS:
        return Verdict(Phase.UNDOING, f"it ended {sight.restarts} times in {sight.elapsed_s:.0f} s")
    if fate is Fate.RECEIVED and sight.ready_s >= STEADY_S:
        return Verdict(Phase.PROVED)
    if not sight.was_ready and sight.elapsed_s > READY_S:
        return Verdict(Phase.UNDOING, f"it was not ready after {READY_S:.0f} s")
    if update.offline and fate is not None and sight.ready_s >= SETTLED_S:
        return Verdict(Phase.PROVED)
    if sight.elapsed_s > update.wait_s:
        what = {
            None: "its outbox took no event",
            Fate.RECEIVED: f"it had not once run for {STEADY_S:.0f} s",
        }.get(fate, "the center had not received its first event")
        return Verdict(Phase.UNDOING, f"after {update.wait_s:.0f} s {what}")
    return Verdict(Phase.PROVING)


class Service(Protocol):
    """The agent's service."""

    def restart(self) -> None: ...

    def state(self) -> dict[str, str]:
        """systemd's properties of it, by their names."""


class Systemd:
    """Orders and asks without waiting: an agent that hangs holds no guard up."""

    def restart(self) -> None:
        subprocess.run(["systemctl", "--no-block", "restart", UNIT], check=True, timeout=30)

    def state(self) -> dict[str, str]:
        asked = (
            "--property=ActiveState,NRestarts,InvocationID,ActiveExitTimestampMonotonic,ActiveEnterTimestampMonotonic"
        )
        done = subprocess.run(
            ["systemctl", "show", asked, UNIT], capture_output=True, text=True, check=True, timeout=30
        )
        return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


class Guard:
    """One update, from wherever it is. `clock_s`: seconds that never jump."""

    def __init__(
        self, versions: Versions, service: Service, clock_s: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._versions = versions
        self._service = service
        self._clock_s = clock_s
        self._sleep = sleep

    def run(self) -> None:
        """Raises OSError, StorageError, subprocess.SubprocessError: it is started again."""
        update = self._read()
        if update.phase in (Phase.SWITCHING, Phase.PROVING):
            update = self._save(update, guards=update.guards + 1)
            if update.guards > MOST_GUARDS:
                reason = f"the gateway was started anew {MOST_GUARDS} times meanwhile"
                update = self._save(update, phase=Phase.UNDOING, reason=reason)
        before = ""
        if update.phase is Phase.SWITCHING:
            before = self._service.state().get("InvocationID", "")
            self._switch(update.new)
            update = self._save(update, phase=Phase.PROVING)
        if update.phase is Phase.PROVING:
            update = self._watch(update, before)
        if update.phase is Phase.UNDOING:
            self._switch(update.old)
            update = self._save(update, phase=Phase.UNDONE)
            say(f"taken back: {update.reason}", update)
        self._clear(update)

    def _read(self) -> Update:
        """A record that cannot be read is one of an update that is taken back."""
        own = self._versions.own
        with contextlib.suppress(StorageError):
            update = read_update(self._versions.root)
            if update is not None:
                return update
        new = self._versions.pointed(CURRENT) or own
        lost = Update(id=secrets.token_hex(8), old=own, new=new, phase=Phase.UNDOING, data_dir="/")
        return self._save(lost, reason="the record of the update could not be read")

    def _switch(self, name: str) -> None:
        self._versions.point(CURRENT, name)
        self._service.restart()

    def _watch(self, update: Update, before: str) -> Update:
        """`before`: systemd's id of the run before the switch, whose restarts do not count."""
        began = self._clock_s()
        ready_since: tuple[str, float] | None = None
        was_ready = False
        while True:
            self._sleep(_LOOK_S)
            state, now = self._service.state(), self._clock_s()
            run = state.get("InvocationID", "")
            is_ready = run not in ("", before) and state.get("ActiveState") == "active"
            if not is_ready:
                ready_since = None
            elif ready_since is None or ready_since[0] != run:
                ready_since, was_ready = (run, now), True
            restarts = 0 if run == before else int(state.get("NRestarts", "0"))
            told = read_told(Path(update.data_dir))
            ready_s = now - ready_since[1] if ready_since is not None else 0.0
            verdict = judge(update, Sight(now - began, ready_s, was_ready, restarts, told))
            if verdict.phase is Phase.PROVED:
                update = self._save(update, phase=Phase.PROVED, away_s=away_s(state) if restarts == 0 else None)
                say("proved", update)
                return update
            if verdict.phase is Phase.UNDOING:
                return self._save(update, phase=Phase.UNDOING, reason=verdict.reason)

    def _clear(self, update: Update) -> None:
        if update.phase is Phase.PROVED:
            self._versions.point(PREVIOUS, update.old)
        self._versions.forget_others()
        self._versions.drop(GUARD)

    def _save(self, update: Update, **changes: object) -> Update:
        """A disk that takes no record does not keep a bad version running: what is not written is done again."""
        update = structs.replace(update, **changes)
        try:
            write_update(self._versions.root, update)
        except OSError as error:
            say(f"{update.phase}, but the record cannot be written: {error}", update)
        return update


def away_s(state: dict[str, str]) -> float | None:
    """From the old agent's stopping to the new one's being ready; None when systemd does not know."""
    try:
        left, came = (int(state[f"Active{word}TimestampMonotonic"]) for word in ("Exit", "Enter"))
    except (KeyError, ValueError):
        return None
    return (came - left) / 1e6 if 0 < left < came else None


def say(what: str, update: Update) -> None:
    """For the log of its service."""
    print(f"hearthline guard: update of {update.old} to {update.new}: {what}", flush=True)  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m hearthline_edge.guard", description=__doc__)
    parser.add_argument("root", type=Path, help="where the versions lie")
    root = parser.parse_args().root
    versions = Versions(root, Path(sys.prefix).resolve().name)
    update = None
    with contextlib.suppress(StorageError):
        update = read_update(root)
    if update is not None and update.phase not in GUARDED:
        say(f"it is {update.phase} already", update)
    Guard(versions, Systemd(), time.monotonic, time.sleep).run()


if __name__ == "__main__":
    main()
