"""Roles are processes: `ingest`, `desk` and `web`, one, two or all three in this one.

A bug that ends a thread ends the process with exit code 1, so that the supervisor starts it anew.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Sequence
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from hearthline.errors import ConfigError
from hearthline.log import Log
from hearthline.service import notify
from hearthline_cloud.config import CloudConfig
from hearthline_cloud.database import Database, is_away
from hearthline_cloud.deadman import DeadMan, forget
from hearthline_cloud.escalating import Escalator
from hearthline_cloud.feedback import Asker
from hearthline_cloud.figuring import Figurer
from hearthline_cloud.ingest.role import IngestRole
from hearthline_cloud.listening import Listening
from hearthline_cloud.selftesting import SelfTester
from hearthline_cloud.store import open_store
from hearthline_cloud.supervising import Supervisor
from hearthline_cloud.wake import Role, Waker

SUPERVISION_PERIOD_S = 5.0
log = Log(__name__)


class Part(Protocol):
    """A loop of a role, in threads of its own."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def failed(self) -> BaseException | None:
        """The bug that ended one of its threads, if one did."""
        ...


def run_roles(config: CloudConfig, roles: Sequence[Role]) -> int:
    """Run until SIGTERM or SIGINT; the exit code."""
    stopping = threading.Event()
    _stop_on_signals(stopping)
    database = Database(config.database_url)
    database.migrate()
    failures: list[BaseException] = []
    parts = _parts(config, database, roles)
    desk = threading.Thread(target=_supervise, args=(config, database, stopping, failures), name="desk", daemon=True)
    if "desk" in roles:
        desk.start()
    for part in parts:
        part.start()
    watcher = threading.Thread(target=_watch, args=(parts, stopping, failures), name="watch", daemon=True)
    watcher.start()
    notify("READY=1")
    log.info("cloud running", roles=list(roles))
    try:
        code = _serve_web(config, stopping) if "web" in roles else _wait(stopping)
    finally:
        stopping.set()
        notify("STOPPING=1")
        for part in parts:
            part.stop()
        if desk.is_alive():
            desk.join(timeout=1)
        watcher.join(timeout=1)
        database.close()
    return 1 if failures else code


def _parts(config: CloudConfig, database: Database, roles: Sequence[Role]) -> list[Part]:
    """What the roles run besides supervision and the web, in the order of their start."""
    parts: list[Part] = []
    if "ingest" in roles:
        parts.append(IngestRole(config, database, open_store(config.store, config.directory)))
    if database.is_server:
        parts.append(Listening(config, database))
    if "desk" in roles:
        escalator = Escalator(config, database)
        tester = SelfTester(config.self_test, database, Waker(config.directory), escalator.rules)
        parts += [escalator, Figurer(database, Asker(config, database).round), tester]
        if config.deadman is None:
            forget(database)
        else:
            parts.append(DeadMan(config.deadman, database, config.web if "web" in roles else None))
    return parts


def _serve_web(config: CloudConfig, stopping: threading.Event) -> int:
    from hearthline_cloud.web import run_web  # an ingester alone carries no web framework

    return run_web(config, stopping)


def _stop_on_signals(stopping: threading.Event) -> None:
    """From the first moment on; uvicorn puts its own handlers over these while it serves."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())


def _wait(stopping: threading.Event) -> int:
    while not stopping.wait(1.0):
        pass
    return 0


def _supervise(
    config: CloudConfig, database: Database, stopping: threading.Event, failures: list[BaseException]
) -> None:
    waker = Waker(config.directory)
    supervisor = Supervisor(database, waker, time.time_ns(), time.monotonic_ns())
    try:
        while not stopping.wait(SUPERVISION_PERIOD_S):
            try:
                supervisor.round(time.time_ns(), time.monotonic_ns())
            except SQLAlchemyError as error:
                if not is_away(error):
                    raise
                log.error("database away, supervision waits", error=str(error))
                supervisor.start_over(time.time_ns(), time.monotonic_ns())
    except BaseException as error:  # told to the watching thread, which ends the process
        failures.append(error)
        log.exception("supervision died")
        raise
    finally:
        waker.close()


def _watch(parts: Sequence[Part], stopping: threading.Event, failures: list[BaseException]) -> None:
    """End the process when one of its threads has died."""
    while not stopping.wait(0.5):
        failures += [failure for part in parts if (failure := part.failed()) is not None]
        if failures:
            stopping.set()


def parse_roles(names: Sequence[str]) -> list[Role]:
    """The roles to run; all three when none is named. Raises ConfigError."""
    known: tuple[Role, ...] = ("ingest", "desk", "web")
    for name in names:
        if name not in known:
            raise ConfigError(f"--role {name}: there is no such role; there are: {', '.join(known)}")
    return [role for role in known if role in names] or list(known)
