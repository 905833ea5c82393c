"""A part of a role that is one thread doing its rounds: start it, ask `failed()` now and then, stop it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from hearthline.log import Log
from hearthline_cloud.database import is_away

_STOP_S = 1.0
_ERROR_CHARS = 300
log = Log(__name__)


class Loop(ABC):
    """A bug ends the thread and is told to whoever watches, who ends the process or makes the part anew (`beside`)."""

    def __init__(self, name: str) -> None:
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._guard, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Within a second; what hangs is left to the end of the process."""
        self._stopping.set()
        self._thread.join(timeout=_STOP_S)

    def failed(self) -> BaseException | None:
        """The bug that ended the thread, if one did."""
        return self._failure

    @abstractmethod
    def _work(self) -> None:
        """Round after round, until `_stopping` is set."""

    def _guard(self) -> None:
        try:
            self._work()
        except BaseException as error:  # told to whoever watches, who ends the process or makes the part anew
            self._failure = error
            log.exception("a part died", part=self._thread.name)
            raise


def patiently(waits: str, round_: Callable[[], object]) -> bool:
    """Do it, unless the database is away: then say what waits for it. Whether it was done."""
    try:
        round_()
    except SQLAlchemyError as error:
        if not is_away(error):
            raise
        log.error(f"database away, {waits}", error=str(error)[:_ERROR_CHARS])
        return False
    return True
