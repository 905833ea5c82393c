"""Remote hands: what the center asks of a gateway beside its alarms, and the trial of a changed configuration.

    examine ---> the doctor's checks      in a thread of its own, for it waits for brokers and ports
    log -------> the last lines
    configure -> looked at, tried: the agent begins anew with it, says so, and has to hear "received" for that and to
                 have no fault that it had not before, within two minutes; else it begins anew without it

Orders wait in a queue of their own, and their answers behind every alarm. The agent does not begin anew while an alarm
waits for the center.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hearthline import __version__, wire
from hearthline.clock import Clock
from hearthline.errors import ConfigError, HearthlineError, StorageError
from hearthline.log import Excerpt, Log
from hearthline.model import EventType
from hearthline.remote import (
    CONFIGURE,
    EXAMINE,
    LOG,
    MAX_LINE,
    MAX_LINES,
    TRIAL_BOUNDS_S,
    TRIAL_S,
    Result,
    config_digest,
    fitting,
)
from hearthline_edge.config import EdgeConfig
from hearthline_edge.custody import Custody
from hearthline_edge.loading import load_changed
from hearthline_edge.outbox import EventRow
from hearthline_edge.remote_look import Found, looked
from hearthline_edge.remote_trial import CENTER_FILE, Folder, Trial

EXCERPT: Final = Excerpt(500, MAX_LINE)
ORDERS: Final = frozenset({CONFIGURE, EXAMINE, LOG})
_WAITING = 16
_ALARM_S = 30.0  # so long a change waits for an alarm to be received
_LOOK_S = 0.2
_AGAIN_S = 5.0
_MAX_REASON = 500
log = Log(__name__)


@dataclass(frozen=True, slots=True)
class Start:
    """How this run of the agent began. `ordered_s`: when the last one was ended for it, by the monotonic clock."""

    folder: Folder | None = None  # None: this agent has no configuration file that could be changed
    on_trial: bool = False
    ordered_s: float | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """What remote hands may do with the agent. `faults`: of what a configuration can break.

    `unstored`: whether there are presses that no disk has taken yet, which another run would not know of.
    """

    committed: Callable[[list[EventRow]], None]
    faults: Callable[[], list[str]]
    status: Callable[[], Awaitable[wire.Status]]
    begin_anew: Callable[[], None]
    unstored: Callable[[], bool]


class Remote:
    """Give it orders with `take`, run it, tell it what the center has received."""

    def __init__(self, config: EdgeConfig, start: Start, custody: Custody, clock: Clock, host: Host) -> None:
        self._config = config
        self._start = start
        self._custody = custody
        self._clock = clock
        self._host = host
        self._orders: asyncio.Queue[wire.Command] = asyncio.Queue(_WAITING)
        self._under_way: set[str] = set()
        self._proof = ""  # the answer whose reception proves the configuration on trial
        self._proved = asyncio.Event()
        self._deaf: dict[str, Any] = {}

    async def take(self, command: wire.Command) -> None:
        """Carry it out later. What is under way, or has no place, is told again by the center."""
        if command.id in self._under_way:
            return
        try:
            self._orders.put_nowait(command)
            self._under_way.add(command.id)
        except asyncio.QueueFull:
            log.warning("too many orders of the center at once", command=command.id)

    def received(self, rows: Sequence[EventRow]) -> None:
        """The center has these."""
        if any(row.id == self._proof for row in rows):
            self._proved.set()

    async def run(self) -> None:
        """Until cancelled; from when the agent hears the home's devices."""
        if self._start.ordered_s is not None:
            self._deaf = {"deaf_s": round(time.monotonic() - self._start.ordered_s, 2)}
        async with asyncio.TaskGroup() as group:
            group.create_task(self._conclude())
            while True:
                command = await self._orders.get()
                await self._obey(command)
                self._under_way.discard(command.id)

    async def _obey(self, command: wire.Command) -> None:
        for carry_out in (self._carry_out, self._give_up):
            try:
                await carry_out(command)
                return
            except HearthlineError as error:
                log.error("order not carried out", command=command.id, error=str(error))
                return
            except Exception:  # the center tells it again at every start: no order, whatever it meets, ends the agent
                log.exception("order died", command=command.id)

    async def _carry_out(self, command: wire.Command) -> None:
        if command.type == CONFIGURE:
            await self._configure(command)
        elif command.type == LOG:
            lines = EXCERPT.last(min(command.lines or MAX_LINES, MAX_LINES))
            await self._answer(command.id, Result.DONE, fitting({}, "lines", lines))
        else:
            await self._answer(command.id, Result.DONE, await self._examination())

    async def _give_up(self, command: wire.Command) -> None:
        reason = "the agent failed at it, which is a bug; its log says where, report it"
        await self._answer(command.id, Result.REFUSED, {"reason": reason})

    async def _answer(self, command: str, result: Result, detail: dict[str, Any]) -> EventRow:
        """Take the answer into custody. Raises StorageError."""
        now, gateway = self._clock.now(), self._config.gateway
        data = {"command": command, "result": result.value, "detail": detail}
        row = await self._custody.submit(lambda ob: ob.append_event(EventType.ANSWER, gateway, data, now, urgent=False))
        self._host.committed([row])
        return row

    # --- looking ---

    async def _examination(self) -> dict[str, Any]:
        status = await self._host.status()
        center, unreadable = _proved(self._start.folder)
        state = {
            "version": __version__,
            "boot": status.bootid,
            "clock": status.clock,
            "up_s": round(self._clock.now().mono_ns / 1e9),
            "center": sorted(self._config.center),
            "center_digest": config_digest(center),
            "on_trial": self._start.on_trial and not self._proved.is_set(),
        }
        found = await looked(self._config, self._clock)
        return fitting({"state": state}, "checks", found + unreadable)

    # --- changing ---

    async def _configure(self, command: wire.Command) -> None:
        folder = self._start.folder
        trial = folder.trial() if folder is not None else None
        if folder is None or trial is None:
            await self._answer(command.id, Result.REFUSED, {"reason": "this agent has no configuration file"})
        elif (told := trial.answer_to(command.id)) is not None:
            await self._answer(command.id, told.result, told.detail)
        elif trial.stage != "quiet":
            if trial.command != command.id:
                await self._turn_away(folder, command.id, Result.BUSY, "another configuration is on trial")
        else:
            await self._try(folder, command)

    async def _try(self, folder: Folder, command: wire.Command) -> None:
        config = command.config or {}
        low, high = TRIAL_BOUNDS_S
        within_s = min(max(command.within_s, low), high) if command.within_s else TRIAL_S
        try:
            await asyncio.to_thread(load_changed, folder.config_file, config)
        except ConfigError as error:
            await self._turn_away(folder, command.id, Result.REFUSED, str(error))
            return
        if not await self._alarms_received():
            await self._turn_away(folder, command.id, Result.BUSY, "an alarm waits for the center")
            return
        before = sorted({_who(fault) for fault in self._host.faults()})
        try:
            await asyncio.to_thread(folder.propose, command.id, config, within_s, before)
        except OSError as error:
            reason = f"{folder.center_file.parent} cannot be written: {error.strerror}"
            await self._answer(command.id, Result.REFUSED, {"reason": reason})
            return
        log.warning("begins anew with a configuration on trial", command=command.id, keys=sorted(config))
        await self._begin_anew()

    async def _turn_away(self, folder: Folder, command: str, result: Result, reason: str) -> None:
        """Raises StorageError."""
        detail = {"reason": reason[:_MAX_REASON]}
        await self._answer(command, result, detail)
        try:
            await asyncio.to_thread(folder.settle, command, result, detail)
        except OSError as error:  # asked again, it is looked at again
            log.error("answer not remembered", command=command, error=str(error))

    async def _alarms_received(self) -> bool:
        """Whether no alarm waits for the center, or none any more soon."""
        deadline = asyncio.get_running_loop().time() + _ALARM_S
        while self._host.unstored() or await self._custody.submit(lambda ob: bool(ob.events(1, urgent_only=True))):
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(_LOOK_S)
        return True

    async def _begin_anew(self) -> None:
        """Once the disk has every press: another run would not know of the others."""
        while self._host.unstored():  # noqa: ASYNC110 - the disk tells nobody
            await asyncio.sleep(_LOOK_S)
        self._host.begin_anew()

    # --- the trial ---

    async def _conclude(self) -> None:
        """What the last run has left to do, and this one has to show."""
        folder = self._start.folder
        while folder is not None:
            trial = folder.trial()
            try:
                if trial.stage == "trial":
                    if not await self._prove(folder, trial):
                        return
                elif trial.stage == "proved":
                    await asyncio.to_thread(folder.prove)
                    await self._settle(folder, Result.DONE, self._deaf)
                elif trial.stage == "undone":
                    await self._settle(folder, Result.UNDONE, {"reason": trial.reason} | self._deaf)
                else:
                    return
            except (StorageError, OSError, ValueError) as error:  # ValueError: a file that holds what TOML cannot say
                log.error("the trial of a configuration cannot be concluded", error=str(error))
                await asyncio.sleep(_AGAIN_S)

    async def _settle(self, folder: Folder, result: Result, detail: dict[str, Any]) -> None:
        command = folder.trial().command
        await self._answer(command, result, detail)
        await asyncio.to_thread(folder.settle, command, result, detail)
        log.warning("trial of a configuration has ended", command=command, result=result.value)

    async def _prove(self, folder: Folder, trial: Trial) -> bool:
        """Whether this run of the agent goes on."""
        if self._start.on_trial:
            reason = await self._shown(trial)
        else:  # its start could not be counted: it was not begun with
            reason = f"{folder.center_file.parent} could not be written"
        if not reason:
            await asyncio.to_thread(folder.prove)
            return True
        await asyncio.to_thread(folder.take_back, reason[:_MAX_REASON])
        if self._start.on_trial:
            log.warning("begins anew without the configuration on trial", command=trial.command, reason=reason)
            await self._begin_anew()
        return not self._start.on_trial

    async def _shown(self, trial: Trial) -> str:
        """Why the configuration is not proved within its time; empty: it is."""
        deadline = asyncio.get_running_loop().time() + trial.within_s
        self._proof = (await self._answer(trial.command, Result.TRIAL, self._deaf)).id
        try:
            async with asyncio.timeout_at(deadline):
                await self._proved.wait()
        except TimeoutError:
            return f'no "received" within {trial.within_s:g} s'
        while new := [fault for fault in self._host.faults() if _who(fault) not in trial.before]:
            if asyncio.get_running_loop().time() > deadline:
                return f"a fault that was not there before: {new[0]}"
            await asyncio.sleep(_LOOK_S)
        return ""


def _proved(folder: Folder | None) -> tuple[dict[str, Any], list[Found]]:
    """What the center has changed for good; a file that cannot be read is a check that failed."""
    if folder is None:
        return {}, []
    try:
        return folder.proved(), []
    except (OSError, ValueError) as error:
        sentence = f"{folder.center_file} is unreadable: {error}; send the configuration from the center again"
        return {}, [{"name": CENTER_FILE, "ok": False, "sentence": sentence[:MAX_LINE]}]


def _who(fault: str) -> str:
    """Whose fault it is, whatever it is about: `port cuff`, `local broker (home)`."""
    return fault.partition(": ")[0]
