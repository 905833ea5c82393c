"""How far a commissioning has come, in a file that survives Ctrl-C and a power cut; and the report that it becomes.

The folder lies in the agent's, and root may run the command: there it has the agent's rights alone.

Every start of the command begins a new run at the center and keeps what has passed; what has not is tried again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from hearthline.commissioning import MAX_STEPS, Reason, Report, Step, StepState
from hearthline.errors import ConfigError
from hearthline.whole_file import write_whole
from hearthline_edge.commissioning_plan import Planned
from hearthline_edge.foreign_folder import as_owner_of, read_plain

FILE: Final = "under-way.json"
_MOST_RUNS: Final = 64


class State(msgspec.Struct, kw_only=True):
    """`begun`: RFC 3339. `steps`: what was tried last of each device and room."""

    gateway: str
    begun: str
    runs: list[str] = []
    rooms: list[str] = []
    steps: list[Step] = []

    def done(self, planned: Planned) -> Step | None:
        return next((step for step in self.steps if (step.device, step.room, step.what) == planned.key), None)

    def put(self, step: Step) -> None:
        key = (step.device, step.room, step.what)
        self.steps = [each for each in self.steps if (each.device, each.room, each.what) != key] + [step]

    def begin(self, run: str) -> None:
        self.runs = [*self.runs, run][-_MOST_RUNS:]

    def report(self, planned: Sequence[Planned], ended: str, version: str, within_s: float) -> Report:
        """Every planned step once, in the order of the walk; what nobody came to is one that was not tried."""
        if len(planned) > MAX_STEPS:
            raise ConfigError(f"{len(planned)} steps; a commissioning has {MAX_STEPS} at most")
        steps = [self.done(each) or _untried(each) for each in planned]
        return Report(
            gateway=self.gateway,
            runs=self.runs,
            begun=self.begun,
            ended=ended,
            version=version,
            within_ms=round(within_s * 1000),
            steps=steps,
        )


def _untried(planned: Planned) -> Step:
    state, reason = StepState.SKIPPED, Reason.NOT_TRIED
    return Step(device=planned.device, room=planned.room, what=planned.what, state=state, reason=reason)


def load_state(folder: Path, gateway: str) -> State | None:
    """What was begun and not ended; None: nothing, or what nobody can read. Raises ConfigError."""
    path = folder / FILE
    try:
        with as_owner_of(folder.parent):
            state = msgspec.json.decode(read_plain(path), type=State)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; run the command with sudo") from None
    except (ValueError, RecursionError):
        return None
    return state if state.gateway == gateway else None


def save_state(folder: Path, state: State) -> None:
    """Raises ConfigError when the disk does not take it."""
    try:
        with as_owner_of(folder.parent):
            folder.mkdir(mode=0o700, exist_ok=True)
            write_whole(folder / FILE, msgspec.json.encode(state))
    except OSError as error:
        raise ConfigError(f"{folder / FILE}: cannot be written: {error.strerror}; free space, or use sudo") from None


def forget_state(folder: Path) -> None:
    with as_owner_of(folder.parent):
        (folder / FILE).unlink(missing_ok=True)
