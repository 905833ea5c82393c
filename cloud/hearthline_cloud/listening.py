"""On PostgreSQL a commit also wakes the processes of other machines: LISTEN, told by triggers on journal and command.

Only a hint, as `wake` is: a process hears that its role has something to do, and wakes itself by its own socket.
While the connection is away, everybody looks for himself once a second.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from hearthline.log import Log
from hearthline_cloud.config import CloudConfig
from hearthline_cloud.database import Database, is_away
from hearthline_cloud.wake import Waker

CHANNEL = "hearthline_wake"  # of the triggers that the migrations make; the payload is the role
_PATIENCE_S = 1.0
log = Log(__name__)


class Listening:
    """Start it, ask `failed()` now and then, stop it."""

    def __init__(self, config: CloudConfig, database: Database) -> None:
        self._database = database
        self._waker = Waker(config.directory, os.getpid())
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="listening", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=2 * _PATIENCE_S)
        self._waker.close()

    def failed(self) -> BaseException | None:
        """The bug that ended the thread, if one did."""
        return self._failure

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    self._listen()
                except SQLAlchemyError as error:
                    if not is_away(error):
                        raise
                    log.error("database away, wakes from other machines wait", error=str(error))
                except self._database.driver_error as error:
                    log.error("lost the database, wakes from other machines wait", error=str(error))
                self._stopping.wait(_PATIENCE_S)
        except BaseException as error:  # told to the watching thread, which ends the process
            self._failure = error
            log.exception("listening died")
            raise

    def _listen(self) -> None:
        connection = self._database.engine.raw_connection()
        driver: Any = connection.driver_connection
        connection.detach()  # one that listens is nobody else's
        try:
            driver.execute(f"LISTEN {CHANNEL}")
            while not self._stopping.is_set():
                for heard in driver.notifies(timeout=_PATIENCE_S):
                    self._waker.wake(heard.payload)
                    if self._stopping.is_set():
                        return
        finally:
            connection.close()
