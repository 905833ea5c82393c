"""Parts of the roles that no press waits for. A bug in one of them must not end those that a press does wait for.

    ingest, escalation, web .................. a bug ends the process, and the supervisor starts it anew (`roles`)
    supervision, figures, roll-up, ping, … ... a bug ends the part, which is made anew here, after ever longer pauses

A row that one of these stumbles over for ever would otherwise start the whole center anew each second. What died is in
the log and in `/readyz` until the part has run for a while; while it is supervision, no dead-man ping goes out either.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from hearthline.errors import ConfigError
from hearthline.log import Log
from hearthline_cloud.database import Database
from hearthline_cloud.desk import beat

_PAUSES_S = (5.0, 300.0)
_SETTLED_S = 60.0  # a part that has run for so long is taken to be well
_LOOK_EVERY_S = 0.5
log = Log(__name__)


class Part(Protocol):
    """A loop of a role, in threads of its own."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def failed(self) -> BaseException | None:
        """The bug that ended one of its threads, if one did."""
        ...


class Beside:
    """A part that is made anew when it dies. `name`: the role of the heartbeat that says why it does not run."""

    def __init__(
        self,
        name: str,
        database: Database,
        make: Callable[[], Part],
        pauses_s: tuple[float, float] = _PAUSES_S,
        settled_s: float = _SETTLED_S,
    ) -> None:
        """Raises what `make` raises: what is wrong with the configuration is told at the start."""
        self._name = name
        self._database = database
        self._make = make
        self._part = make()
        self._pauses_s = pauses_s
        self._settled_s = settled_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"beside-{name}", daemon=True)

    def start(self) -> None:
        self._part.start()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._part.stop()
        self._thread.join(timeout=1.0)

    def failed(self) -> BaseException | None:
        """Never: whoever runs the process goes on."""
        return None

    def _run(self) -> None:
        pause_s, longest_s = self._pauses_s
        started, is_told = time.monotonic(), True  # a process of before may have left word of its own fault
        while not self._stopping.wait(_LOOK_EVERY_S):
            failure = self._part.failed()
            if failure is None:
                if is_told and time.monotonic() - started > self._settled_s:
                    self._tell("")
                    is_told, pause_s = False, self._pauses_s[0]
                continue
            log.error("a part died, it is started anew", part=self._name, after_s=pause_s, error=repr(failure)[:300])
            is_told = True
            self._tell(f"died by a bug: {type(failure).__name__}")
            self._part.stop()
            if self._stopping.wait(pause_s):
                return
            pause_s = min(pause_s * 2, longest_s)
            self._start_anew()
            started = time.monotonic()

    def _start_anew(self) -> None:
        try:
            part = self._make()
        except ConfigError as error:  # a file that it names is gone: tried again after the next pause
            log.error("a part cannot be started", part=self._name, error=str(error))
            return
        self._part = part
        if not self._stopping.is_set():
            part.start()

    def _tell(self, fault: str) -> None:
        try:
            with self._database.transaction() as connection:
                beat(connection, self._name, time.time_ns(), {"fault": fault})
        except SQLAlchemyError as error:
            log.error("database away, a part's fault is in the log alone", part=self._name, error=str(error)[:300])
