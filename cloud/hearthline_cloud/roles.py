"""Roles are processes: `ingest`, `desk` and `web`, one, two or all three in this one.

A bug that ends a thread ends the process with exit code 1, so that the supervisor starts it anew. What no press waits
for is started anew in the process instead (`beside`).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from hearthline.errors import ConfigError
from hearthline.log import Log
from hearthline.service import notify
from hearthline_cloud.beside import Beside, Part
from hearthline_cloud.commissioning import caring
from hearthline_cloud.config import CloudConfig, WebConfig
from hearthline_cloud.database import Database
from hearthline_cloud.deadman import DeadMan, forget
from hearthline_cloud.enrolment.signer import SIGNER, Signer
from hearthline_cloud.escalating import Escalator
from hearthline_cloud.feedback import Asker
from hearthline_cloud.figuring import Figurer
from hearthline_cloud.identity import keeping, renewing
from hearthline_cloud.ingest.role import IngestRole
from hearthline_cloud.ingest.rolling import ROLL_UP, Roller
from hearthline_cloud.listening import Listening
from hearthline_cloud.metrics.measured_store import MeasuredStore
from hearthline_cloud.personal.opening import open_database
from hearthline_cloud.retention import job
from hearthline_cloud.selftesting import SelfTester
from hearthline_cloud.standing import Standing
from hearthline_cloud.store import keeping_of, open_store
from hearthline_cloud.supervising import SUPERVISION, Supervision
from hearthline_cloud.wake import Role, Waker

log = Log(__name__)


def run_roles(config: CloudConfig, roles: Sequence[Role]) -> int:
    """Run until SIGTERM or SIGINT; the exit code."""
    stopping = threading.Event()
    _stop_on_signals(stopping)
    database = open_database(config)
    failures: list[BaseException] = []
    parts = _parts(config, database, roles)
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
        watcher.join(timeout=1)
        database.close()
    return 1 if failures else code


def _parts(config: CloudConfig, database: Database, roles: Sequence[Role]) -> list[Part]:
    """What the roles run besides the web, in the order of their start."""
    parts: list[Part] = []
    if "ingest" in roles:
        store = open_store(config.store, config.directory)
        keeping, zone = keeping_of(config.store), ZoneInfo(config.store.zone)
        parts.append(IngestRole(config, database, MeasuredStore(store)))
        parts.append(Beside(ROLL_UP, database, lambda: Roller(database, store, keeping, zone)))
    if database.is_server:
        parts.append(Listening(config, database))
    if config.metrics is not None:
        from hearthline_cloud.metrics.serving import MetricsPage  # the page's server, where it is wanted

        parts.append(MetricsPage(config, database, roles))
    if "desk" in roles:
        escalator = Escalator(config, database)
        parts += [escalator, *_beside(config, database, escalator, config.web if "web" in roles else None)]
    return parts


def _beside(config: CloudConfig, database: Database, escalator: Escalator, web: WebConfig | None) -> list[Part]:
    """What the role desk does that no press waits for."""

    def supervision() -> Part:
        return Supervision(database, Waker(config.directory))

    def self_tester() -> Part:
        return SelfTester(config.self_test, database, Waker(config.directory), escalator.rules)

    def commissioning() -> Part:
        return caring.Caring(config, database, Waker(config.directory), escalator.rules)

    def standing() -> Part:
        return Standing(config.figures, database, open_store(config.store, config.directory))

    def figurer() -> Part:
        return Figurer(database, Asker(config, database).round)

    parts: list[Part] = [
        Beside(SUPERVISION, database, supervision),
        Beside("figures", database, figurer),
        Beside("self-test", database, self_tester),
        Beside(caring.ROLE, database, commissioning),
        Beside("standing", database, standing),
    ]
    if config.retention.enabled:
        parts.append(Beside(job.ROLE, database, lambda: job.Retainer(config.retention, database)))
    if config.identity.folder:
        parts.append(Beside(keeping.ROLE, database, lambda: keeping.Keeper(config, database)))
        parts.append(Beside(renewing.ROLE, database, lambda: renewing.Renewer(config, database)))
        parts.append(Beside(SIGNER, database, lambda: Signer(config, database)))
    else:
        keeping.forget(database)
        renewing.forget(database)
    deadman = config.deadman
    if deadman is None:
        forget(database)
    else:
        parts.append(Beside("deadman", database, lambda: DeadMan(deadman, database, web)))
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
