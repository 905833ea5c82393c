"""`hearthline gateway commission`: an installer's walk through the home, and what comes of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
import uuid_utils

from hearthline import __version__
from hearthline.clock import SystemClock, rfc3339
from hearthline.commissioning import (
    RECEIVED_WITHIN_S,
    SKIPPED_FOR,
    Reason,
    Report,
    RunState,
    Step,
    StepState,
    What,
    as_document,
)
from hearthline.errors import ConfigError
from hearthline_edge.__main__ import DEFAULT_CONFIG
from hearthline_edge.commissioning_files import in_words, reason_in_words, signature, uplink_key, write_report
from hearthline_edge.commissioning_plan import Planned, plan, rooms_in
from hearthline_edge.commissioning_state import State, forget_state, load_state, save_state
from hearthline_edge.commissioning_texts import say
from hearthline_edge.commissioning_walk import Bounds, Walk
from hearthline_edge.config import EdgeConfig
from hearthline_edge.control import SOCKET
from hearthline_edge.control_client import ControlClient, Line
from hearthline_edge.expecting import LONGEST_WAIT_S
from hearthline_edge.foreign_folder import as_owner_of
from hearthline_edge.loading import load_edge_config
from hearthline_edge.terminal import LeftError, Terminal

NO_ROOM: Final = frozenset({"", "worn", "随身", "随身佩戴"})
_KEYS: Final = dict(zip("nbedl", SKIPPED_FOR, strict=True))  # what an installer types to skip a step
_VITAL_S, _READING_S = (
    LONGEST_WAIT_S,
    1000.0,
)  # a measurement takes minutes; a meter may be read every quarter of an hour

ConfigOption = Annotated[Path, typer.Option("--config", help="The agent's configuration file.", metavar="FILE")]


def commission(
    config: ConfigOption = DEFAULT_CONFIG,
    rooms: Annotated[str, typer.Option("--rooms", help=say("option-rooms"))] = "",
    wait: Annotated[float, typer.Option("--wait", help=say("option-wait"), min=1, max=LONGEST_WAIT_S)] = 60.0,
    within: Annotated[float, typer.Option("--within", help=say("option-within"), min=0.1, max=600)] = RECEIVED_WITHIN_S,
    folder: Annotated[Path | None, typer.Option("--folder", help=say("option-folder"), metavar="FOLDER")] = None,
    anew: Annotated[bool, typer.Option("--anew", help=say("option-anew"))] = False,
    no_input: Annotated[bool, typer.Option("--no-input", help=say("option-no-input"))] = False,
    json: Annotated[bool, typer.Option("--json", help=say("option-json"))] = False,
) -> int:
    settings = load_edge_config(config)
    if settings.list_fault:
        raise ConfigError(settings.list_fault)
    place = Path(settings.data_dir) / "commissioning"
    key = uplink_key(settings)  # before anybody has pressed anything
    tool = Tool(
        settings,
        place,
        Bounds(
            {
                What.PRESS: wait,
                What.VITAL: _VITAL_S if not no_input else wait,
                What.READING: _READING_S if not no_input else wait,
            },
            within,
            settings.gather_s,
        ),
        not no_input,
        quiet=json,
    )
    state = None if anew else load_state(place, settings.gateway)
    try:
        state = tool.prepare(state, _names(rooms))
        if key is None:
            tool.tell("unsigned")
        report = tool.walk(state)
    except (KeyboardInterrupt, LeftError):
        tool.tell("stopped")
        return 1
    document = as_document(report)
    signed = signature(document, key)
    with as_owner_of(place.parent) if folder is None else nullcontext():
        files = write_report(folder or place, report, document, signed)
    tool.hand_over(document, signed)
    forget_state(place)
    return tool.conclude(report, files)


class Tool:
    """One start of the command. `asks`: somebody sits at the terminal."""

    def __init__(self, config: EdgeConfig, place: Path, bounds: Bounds, asks: bool, quiet: bool) -> None:
        self._config = config
        self._place = place
        self._bounds = bounds
        self._terminal = Terminal(lambda text: typer.echo(text, err=quiet), quiet=quiet) if asks else None
        self._quiet = quiet
        self._client = ControlClient(Path(config.data_dir) / SOCKET)
        self._clock = SystemClock(config.clock.trust)
        self._walk: Walk | None = None
        self._planned: list[Planned] = []

    def tell(self, key: str, **values: object) -> None:
        typer.echo(say(key, **values), err=self._quiet)

    def prepare(self, state: State | None, rooms: Sequence[str]) -> State:
        """What to try, and what has been. Raises ConfigError where there is nothing."""
        devices = self._config.listed
        known = rooms_in(devices, NO_ROOM)
        if state is not None:
            passed = sum(step.state is StepState.PASSED for step in state.steps)
            self.tell("resumed", begun=state.begun, passed=passed)
        else:
            state = State(gateway=self._config.gateway, begun=self._now())
        if rooms:
            state.rooms = list(rooms)
        elif not state.rooms and self._terminal and known and any(each.room in NO_ROOM for each in devices):
            told = self._terminal.ask(f"{say('ask-rooms')} [{', '.join(known)}]: ")
            state.rooms = _names(told) or list(known)
        self._planned = plan(devices, state.rooms, NO_ROOM)
        if not self._planned:
            raise ConfigError(say("nothing"))
        save_state(self._place, state)
        return state

    def walk(self, state: State) -> Report:
        """Each step that has not passed; its state is on the disk before the next is asked for."""
        steps = len(self._planned)
        self.tell("begin", steps=steps)
        if self._terminal is not None:
            keys = ", ".join(f"{key} = {reason_in_words(reason)}" for key, reason in _KEYS.items())
            self.tell("how-to-skip", keys=keys)
        for number, planned in enumerate(self._planned, 1):
            done = state.done(planned)
            if done is not None and done.state is StepState.PASSED:
                continue
            walk = self._open_run(state)
            names = {"room": planned.room or say("no-room"), "device": planned.name or planned.device}
            self.tell(f"ask-{planned.what}", number=number, steps=steps, **names)
            step = self._try(walk, planned)
            state.put(step)
            save_state(self._place, state)
        walk = self._open_run(state)
        for step in state.steps:
            state.put(walk.look_again(step))
        return state.report(self._planned, self._now(), __version__, self._bounds.within_s)

    def _open_run(self, state: State) -> Walk:
        """The run of this start; another one when it lasts too long for the center."""
        if self._walk is None or self._walk.is_over:
            run = str(uuid_utils.uuid7())
            state.begin(run)
            save_state(self._place, state)
            self._walk = Walk(self._client, run, self._bounds)
            is_known = self._walk.begin()
            self.tell("online" if is_known else "not-told" if self._walk.is_online() else "offline")
        return self._walk

    def _try(self, walk: Walk, planned: Planned) -> Step:
        terminal = self._terminal
        word = None if terminal is None else partial(_skipped, terminal)
        while True:
            step = walk.take(planned, self._now(), word)
            self._say_how(step)
            failed = step.state is StepState.FAILED and step.reason != Reason.NOT_RECEIVED
            if not (failed and terminal and terminal.agrees(say("again"))):
                return step

    def _say_how(self, step: Step) -> None:
        if step.state is StepState.PASSED and step.hops_ms is not None and step.hops_ms.received is not None:
            radio = f", {step.radio_dbm} dBm" if step.radio_dbm is not None else ""
            self.tell("passed", seconds=f"{step.hops_ms.received / 1000:.2f}", radio=radio)
        else:
            self.tell("not-passed", reason=reason_in_words(step.reason))
        if step.reason == Reason.NOT_MARKED:
            self.tell("real-alarm")

    def hand_over(self, document: dict[str, object], signed: str) -> None:
        """The end of the run, with the report, to the center."""
        assert self._walk is not None
        data = {"run": self._walk.run, "state": RunState.ENDED.value, "report": document}
        data |= {"signature": signed} if signed else {}
        has_it = self._walk.tell(data)
        self.tell("center-has-it" if has_it else "center-waits")

    def conclude(self, report: Report, files: tuple[Path, Path]) -> int:
        left = [step for step in report.steps if step.state is not StepState.PASSED]
        if left:
            self.tell("left", passed=len(report.steps) - len(left), steps=len(report.steps))
            for step in left:
                typer.echo(f"  - {in_words(step)}", err=self._quiet)
        else:
            self.tell("done", steps=len(report.steps))
        self.tell("files", json=files[0], html=files[1])
        if self._quiet:
            typer.echo(msgspec.json.encode(report).decode())
        return 1 if left else 0

    def _now(self) -> str:
        return rfc3339(self._clock.now().wall_ns)


def _skipped(terminal: Terminal, line: Line, seconds: float) -> Reason | None:
    return _KEYS.get((terminal.typed([line], seconds) or "").lower()[:1])


def _names(text: str) -> list[str]:
    return [each.strip() for each in re.split("[,，、]", text) if each.strip()]
