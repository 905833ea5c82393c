"""The agent tells the center of an update, and beside its outbox what became of that note.

An event like any other, once for each step however often the agent is started: which were told stands in the outbox,
committed with the event. "received" of the new version's own event is what proves an update; the guard reads it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from hearthline.clock import Clock, Stamp
from hearthline.errors import StorageError
from hearthline.log import Log
from hearthline.model import EventType
from hearthline_edge.config import EdgeConfig
from hearthline_edge.custody import Custody
from hearthline_edge.outbox import EventRow, Outbox
from hearthline_edge.outbox_rows import Fate
from hearthline_edge.update_record import Phase, Told, Update, read_update, write_told
from hearthline_edge.versions import Versions

BEGINS, UPDATED, UNDONE = "update-begins", "updated", "update-undone"
_LOOK_S: Final = 1.0
_KEPT: Final = 8  # notes that are not told twice
_WORD: Final = "update-notes"  # in the outbox
log = Log(__name__)

_Kept = dict[str, tuple[str, int]]  # "update id:kind" -> id and number of its event


@dataclass(frozen=True, slots=True)
class Note:
    update: str
    kind: str
    detail: str

    @property
    def key(self) -> str:
        return f"{self.update}:{self.kind}"


def note_of(update: Update, own: str) -> Note | None:
    """What the version `own` has to say at this step, if anything."""
    if update.phase is Phase.ASKING and own == update.old:
        return Note(update.id, BEGINS, f"{update.old} to {update.new}")
    if update.phase in (Phase.SWITCHING, Phase.PROVING, Phase.PROVED) and own == update.new:
        return Note(update.id, UPDATED, f"{update.old} to {update.new}")
    if update.phase in (Phase.UNDOING, Phase.UNDONE) and own == update.old:
        return Note(update.id, UNDONE, f"{update.new}: {update.reason}; {update.old} is back")
    return None


def version_told(update: Update | None, own: str) -> str:
    """For the status: which version runs, and while it is on trial the last good one."""
    on_trial = update is not None and update.phase in (Phase.SWITCHING, Phase.PROVING) and own == update.new
    return f"{own}, on trial; last good {update.old}" if on_trial and update is not None else own


class UpdateTelling:
    """Watches the record of updates beside the versions; `told` is given each event that it put into the outbox."""

    def __init__(
        self,
        config: EdgeConfig,
        versions: Versions,
        custody: Custody,
        clock: Clock,
        told: Callable[[list[EventRow]], None],
    ) -> None:
        self._gateway = config.gateway
        self._data_dir = Path(config.data_dir)
        self._versions = versions
        self._custody = custody
        self._clock = clock
        self._tell = told
        self.fault = ""
        self.version = versions.own

    async def run(self) -> None:
        last: tuple[str, Fate | None] | None = None
        while True:
            try:
                update = await asyncio.to_thread(read_update, self._versions.root)
                self.version = version_told(update, self._versions.own)
                note = note_of(update, self._versions.own) if update is not None else None
                if note is not None and (last is None or last[0] != note.key or last[1] is Fate.WAITING):
                    fate = await self._fate(note)
                    if last != (note.key, fate):
                        told = Told(id=note.update, kind=note.kind, fate=fate)
                        await asyncio.to_thread(write_told, self._data_dir, told)
                    last = note.key, fate
                self.fault = ""
            except (StorageError, OSError) as error:
                fault = f"update: the center cannot be told of it: {error}"
                if fault != self.fault:
                    log.error("update not told", error=str(error))
                self.fault = fault
            await asyncio.sleep(_LOOK_S)

    async def _fate(self, note: Note) -> Fate:
        now = self._clock.now()
        row, fate = await self._custody.submit(lambda ob: tell_once(ob, self._gateway, note, now))
        if row is not None:
            self._tell([row])
        return fate


def tell_once(outbox: Outbox, gateway: str, note: Note, now: Stamp) -> tuple[EventRow | None, Fate]:
    """Inside a transaction: the event, if it is a new one, and what became of it."""
    kept = _kept(outbox)
    if note.key in kept:
        return None, outbox.fate(*kept[note.key])
    data = {"kind": note.kind, "detail": note.detail}
    row = outbox.append_event(EventType.DEVICE, gateway, data, now, urgent=False)
    kept[note.key] = row.id, row.seq
    outbox.write_down(_WORD, msgspec.json.encode(dict(list(kept.items())[-_KEPT:])).decode())
    return row, Fate.WAITING


def _kept(outbox: Outbox) -> _Kept:
    try:
        return msgspec.json.decode(outbox.word(_WORD) or "{}", type=_Kept)
    except ValueError:  # garbled on the card: told once more
        return {}
