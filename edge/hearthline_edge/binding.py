"""Which devices belong to this home: bound by an installer, kept in `devices.toml`, told to the center, answered by it.

    bind ---> waiting, on the disk --> event hearthline.binding.v1, in the outbox --> command "bound" --> bound, refused
    unbind --> leaving, on the disk --> event, in the outbox --> gone from the list
    command "devices" --> the registry's list in the place of ours, save what still waits

Killed between any two steps, the agent asks again for whatever waits and has no event under way, and tells again of
whatever leaves; and once an hour, for the answer may have been given up, or the gateway had no home yet. What buttons
mean changes with the list, at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from hearthline import wire
from hearthline.clock import Clock, Stamp, rfc3339
from hearthline.errors import ConfigError, RefusedError, StorageError
from hearthline.log import Log
from hearthline.model import BOUND, EventType
from hearthline_edge.config import EdgeConfig
from hearthline_edge.control import Conversation
from hearthline_edge.custody import Custody
from hearthline_edge.device_list import (
    FILE,
    LEAVING,
    ListedDevice,
    Role,
    as_listed,
    merged,
    refusals,
    role_in,
    set_aside_list,
    with_center_list,
    write_list,
)
from hearthline_edge.obeying import Reply
from hearthline_edge.outbox import EventRow, Outbox

LOOK_S: Final = 60.0
AGAIN_S: Final = 3600.0
MAX_DEVICES: Final = 1000
_FROM_CENTER: Final = ("id", "name", "room", "kind", "user", "buttons")
_WAITS: Final = "unknown-gateway"
_WANTED, _REMOVED = "wanted", "removed"  # what an event asks for
_ANSWERS: Final = {BOUND: {_WANTED}, "elsewhere": {_WANTED}, _REMOVED: {_REMOVED}}  # other results are of either
log = Log(__name__)


class Binding:
    """The list of one gateway. Call from the event loop; `role` from any thread."""

    def __init__(
        self,
        config: EdgeConfig,
        custody: Custody,
        clock: Clock,
        committed: Callable[[list[EventRow]], None],
        tell_faults: Callable[[], None],
    ) -> None:
        """`tell_faults`: called when `faults` may be others."""
        self._gateway = config.gateway
        self._folder = Path(config.folder) if config.folder else None
        self._own = [device for device in config.device if not isinstance(device, ListedDevice)]
        self._custody = custody
        self._clock = clock
        self._committed = committed
        self._tell_faults = tell_faults
        self._broken = config.list_fault
        self._unwritten = ""
        self._asked: dict[str, Stamp] = {}
        self._waiting: dict[tuple[str, str], list[asyncio.Future[str]]] = {}
        self._changing = asyncio.Lock()
        self._under_way: set[asyncio.Task[str]] = set()
        self._take(config.listed)

    def _take(self, listed: Sequence[ListedDevice]) -> None:
        self._listed = {device.id: device for device in listed}
        self._devices = merged(self._own, listed)

    def role(self, device: str, button: str) -> Role:
        """In doubt an emergency."""
        return role_in(self._devices, device, button)

    def has(self, device: str) -> bool:
        """Whether a device, named as on the wire, is this home's."""
        return any(wire.device_name(each.id) == device for each in self._devices)

    @property
    def faults(self) -> list[str]:
        own = [fault for fault in (self._broken, self._unwritten) if fault]
        return own + refusals(self._listed.values())

    def view(self, heard: dict[str, Stamp]) -> list[dict[str, Any]]:
        """Every device that this home's files name; `heard`: the last time since the agent's start, or None."""
        own: list[dict[str, Any]] = [
            msgspec.to_builtins(ListedDevice(id=device.id, buttons=device.buttons)) | {"file": "edge.toml"}
            for device in self._own
            if device.id not in self._listed
        ]
        roles = {device.id: device.buttons for device in self._own}  # they go before the list's
        listed: list[dict[str, Any]] = [
            msgspec.to_builtins(device) | {"file": FILE, "buttons": roles.get(device.id, device.buttons)}
            for device in self._listed.values()
        ]
        return [
            each | {"heard": rfc3339(heard[each["id"]].wall_ns) if each["id"] in heard else None}
            for each in (*listed, *own)
        ]

    # --- orders of the control socket ---

    async def bind(self, order: dict[str, Any], client: Conversation) -> None:
        """Say the event once it is committed, then what the center answers; both are done without the client too."""
        device = _wanted(order.get("device"), self._clock.now())
        await self._answered((_WANTED, device.id), self._bind(device), client)

    async def unbind(self, order: dict[str, Any], client: Conversation) -> None:
        device = order.get("device")
        if not isinstance(device, str) or device not in self._listed:
            raise RefusedError(f"{str(device)[:128]} is not in this home's list: hearthline edge devices")
        await self._answered((_REMOVED, device), self._unbind(device), client)

    async def _answered(self, asked: tuple[str, str], doing: Any, client: Conversation) -> None:
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(asked, [])
        waiting.append(answer)
        task: asyncio.Task[str] = asyncio.ensure_future(doing)
        self._under_way.add(task)
        task.add_done_callback(self._done)
        try:
            event = await asyncio.shield(task)
            client.say({"event": event or None})
            client.say({"answer": {"result": await answer if event else _REMOVED}})
        finally:
            waiting.remove(answer)
            if not waiting:
                self._waiting.pop(asked, None)

    def _done(self, task: asyncio.Task[str]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("a device was not bound or removed", error=str(error))

    async def _bind(self, device: ListedDevice) -> str:
        async with self._changing:
            known = self._listed.get(device.id)
            if known is not None and known.state != "refused" and not _is_same(known, device):
                raise RefusedError(
                    f"{device.id} is bound in this home already, as {known.name or known.id} in {known.room or '?'}; "
                    f"to change that: hearthline edge devices remove {device.id}"
                )
            if known is None or known.state != "waiting":
                if known is None and len(self._listed) >= MAX_DEVICES:
                    raise RefusedError(f"this home has {MAX_DEVICES} devices already")
                rest = [each for each in self._listed.values() if each.id != device.id]
                await self._write([*rest, device])
            return await self._ask(device)

    async def _unbind(self, device: str) -> str:
        async with self._changing:
            known = self._listed.get(device)
            if known is None:
                raise RefusedError(f"{device} is not in this home's list any more")
            if known.state == "refused" and known.reason != LEAVING:  # the center has nothing of ours then
                await self._write_without(device)
                return ""
            leaving = msgspec.structs.replace(known, state="refused", reason=LEAVING)
            await self._write([leaving if each is known else each for each in self._listed.values()])
            self._asked.pop(device, None)  # until the removal has been told, nothing was asked
            event = await self._append({"state": _REMOVED, "device": device})
            await self._write_without(device)
            return event

    # --- commands of the center ---

    async def bound(self, command: wire.Command) -> Reply:
        """Raises StorageError: then the command comes again."""
        async with self._changing:
            listed = [
                _with_answer(each, command.result) if each.id == command.device else each
                for each in self._listed.values()
            ]
            if listed != list(self._listed.values()):
                await self._write(listed)
        for asked in _ANSWERS.get(command.result, (_WANTED, _REMOVED)):
            for answer in self._waiting.get((asked, command.device), ()):
                if not answer.done():
                    answer.set_result(command.result)
        return Reply("done")

    async def devices(self, command: wire.Command) -> Reply:
        """Raises StorageError: then the command comes again."""
        async with self._changing:
            center = self._understood(command.devices[:MAX_DEVICES])
            listed = with_center_list(list(self._listed.values()), {each.id: each for each in center}.values())
            if self._broken or listed != list(self._listed.values()):
                await self._write(listed)
        return Reply("done")

    def _understood(self, entries: Sequence[dict[str, Any]]) -> list[ListedDevice]:
        """The center's list; in the place of an entry that is not understood, what is here of that id."""
        center = []
        for entry in entries:
            try:
                center.append(as_listed({key: entry[key] for key in _FROM_CENTER if key in entry}))
            except ConfigError as error:
                log.warning("a device of the center's list not understood", error=str(error))
                if (known := self._listed.get(str(entry.get("id")))) is not None:
                    center.append(known)
        return center

    # --- asking ---

    async def run(self) -> None:
        """Ask again for whatever waits, until cancelled."""
        while True:
            try:
                await self._ask_again()
            except StorageError as error:
                log.error("bindings not stored", error=str(error))
            await asyncio.sleep(LOOK_S)

    async def _ask_again(self) -> None:
        async with self._changing:
            unanswered = [each for each in self._listed.values() if each.state == "waiting" and self._is_due(each.id)]
            leaving = [each.id for each in self._listed.values() if each.reason == LEAVING]
            is_lost = bool(self._broken) and self._is_due("")
            if not (unanswered or leaving or is_lost):
                return
            under_way = await self._custody.submit(_bindings_under_way)
            for device in unanswered:
                if under_way.get(device.id) != _WANTED:
                    await self._ask(device)
            for name in leaving:
                if under_way.get(name) != _REMOVED and self._is_due(name):
                    await self._append({"state": _REMOVED, "device": name})
                await self._write_without(name)
            if is_lost and "" not in under_way:
                await self._append({"state": "lost"})

    def _is_due(self, device: str) -> bool:
        asked = self._asked.get(device)
        elapsed_s = None if asked is None else self._clock.now().seconds_since(asked)
        return elapsed_s is None or elapsed_s >= AGAIN_S

    async def _ask(self, device: ListedDevice) -> str:
        tree: dict[str, Any] = {"state": _WANTED, "device": device.id}
        for key in ("name", "room", "kind", "user", "buttons"):
            if (value := getattr(device, key)) not in ("", None, {}):
                tree[key] = value
        return await self._append(tree)

    async def _append(self, data: dict[str, Any]) -> str:
        now, gateway = self._clock.now(), self._gateway
        row = await self._custody.submit(
            lambda ob: ob.append_event(EventType.BINDING, gateway, data, now, urgent=False)
        )
        self._asked[data.get("device", "")] = now
        self._committed([row])
        return row.id

    async def _write_without(self, device: str) -> None:
        """Raises StorageError."""
        await self._write([each for each in self._listed.values() if each.id != device])

    async def _write(self, listed: Sequence[ListedDevice]) -> None:
        """The list on the disk, then in force. Raises StorageError."""
        if self._folder is None:
            raise StorageError("this agent has no folder for devices.toml; start it with a configuration file")
        try:
            if self._broken:
                await asyncio.to_thread(set_aside_list, self._folder)
            await asyncio.to_thread(write_list, self._folder, listed)
        except OSError as error:
            self._unwritten = f"devices: {self._folder / FILE} cannot be written: {error.strerror}"
            self._tell_faults()
            raise StorageError(self._unwritten) from None
        self._broken = self._unwritten = ""
        self._take(listed)
        self._tell_faults()


def _wanted(tree: Any, now: Stamp) -> ListedDevice:
    """What a client wants bound. Raises ConfigError, ProtocolError."""
    device = as_listed({key: tree[key] for key in _FROM_CENTER if key in tree} if isinstance(tree, dict) else tree)
    told = {key: value for key, value in msgspec.to_builtins(device).items() if key in _FROM_CENTER and key != "id"}
    wire.binding_of({"state": "wanted", "device": device.id, **told})
    return msgspec.structs.replace(device, bound=rfc3339(now.wall_ns), state="waiting")


def _is_same(known: ListedDevice, device: ListedDevice) -> bool:
    """The same answers again: somebody repeats what was cut short."""
    return msgspec.structs.replace(device, bound=known.bound, state=known.state, reason=known.reason) == known


def _with_answer(device: ListedDevice, result: str) -> ListedDevice:
    """What has been removed is gone, or was bound again since: then that answer comes later."""
    if device.state == "bound" or device.reason == LEAVING or result == _REMOVED:
        return device
    if device.state == "refused" and result != BOUND:
        return device
    if result == _WAITS:
        return msgspec.structs.replace(device, reason=result)
    if result == BOUND:
        return msgspec.structs.replace(device, state="bound", reason="")
    return msgspec.structs.replace(device, state="refused", reason=result[:64])


def _bindings_under_way(outbox: Outbox) -> dict[str, str]:
    """What the center has not received yet: the last word on each device."""
    return {str(row.data.get("device", "")): str(row.data.get("state")) for row in outbox.events_of(EventType.BINDING)}
