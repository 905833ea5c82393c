"""The role `web`: API, live stream and console in one process behind uvicorn."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import Depends, FastAPI
from starlette.staticfiles import StaticFiles

from hearthline import __version__
from hearthline.log import Log
from hearthline_cloud.api import (
    routes_alerts,
    routes_commissioning,
    routes_consents,
    routes_enrolment,
    routes_figures,
    routes_health,
    routes_orders,
    routes_policy,
    routes_protection,
    routes_readings,
    routes_registry,
    routes_registry_edit,
    routes_registry_import,
    routes_remote,
    routes_self_test,
    routes_service,
    routes_session,
    routes_watch,
    stream,
)
from hearthline_cloud.api.access import authorize
from hearthline_cloud.api.bounded import Bounded
from hearthline_cloud.api.errors import install_error_handlers
from hearthline_cloud.api.follow import Follower
from hearthline_cloud.api.http import BoundedH11
from hearthline_cloud.api.journal import last_id
from hearthline_cloud.api.lane import Lane
from hearthline_cloud.api.pace import paced
from hearthline_cloud.api.parts import Parts
from hearthline_cloud.api.proxies import Proxies
from hearthline_cloud.api.ready import Readiness
from hearthline_cloud.api.shield import MAX_HEADER_BYTES, RequestLimits, SecurityHeaders
from hearthline_cloud.charts.reading import ReadableStore
from hearthline_cloud.config import CloudConfig
from hearthline_cloud.console import (
    pages,
    pages_account,
    pages_charts,
    pages_commissioning,
    pages_consents,
    pages_feedback,
    pages_figures,
    pages_gateway,
    pages_history,
    pages_orders,
    pages_policy,
    pages_protection,
    pages_second_factor,
    pages_self_test,
    pages_service,
    pages_session,
    pages_staff,
    pages_volunteer,
    pages_wall,
    pages_watch,
)
from hearthline_cloud.console.link_pages import WRONG_PER_MINUTE, dead_link
from hearthline_cloud.console.shared import Shared
from hearthline_cloud.console.view import HERE
from hearthline_cloud.database import Database
from hearthline_cloud.desk import Desk
from hearthline_cloud.guarding import Throttle
from hearthline_cloud.links import DeadLinkError, open_links
from hearthline_cloud.meals import open_timetable
from hearthline_cloud.metrics.measured_store import MeasuredStore
from hearthline_cloud.metrics.requests import MeasuredRequests
from hearthline_cloud.order_desk import OrderDesk
from hearthline_cloud.pacing import RATES, Cost, Pacing, Rate
from hearthline_cloud.people import People
from hearthline_cloud.personal.opening import open_database
from hearthline_cloud.store import open_store
from hearthline_cloud.wake import Waker

_GRACE_S = 3
_log = Log("hearthline.web")
_API = (
    routes_remote,
    routes_self_test,
    routes_commissioning,
    routes_session,
    routes_alerts,
    routes_registry,
    routes_registry_edit,
    routes_registry_import,
    routes_policy,
    routes_readings,
    routes_service,
    routes_figures,
    routes_orders,
    routes_watch,
    routes_protection,
    routes_consents,
    routes_enrolment,
    stream,
)
_PAGES = (
    pages_session,
    pages_account,
    pages_second_factor,
    pages_staff,
    pages_gateway,
    pages_self_test,
    pages_commissioning,
    pages,
    pages_history,
    pages_service,
    pages_wall,
    pages_figures,
    pages_policy,
    pages_orders,
    pages_volunteer,
    pages_watch,
    pages_protection,
    pages_feedback,
    pages_charts,
    pages_consents,
)


def create_app(
    config: CloudConfig, database: Database, store: ReadableStore, rates: Mapping[Cost, Rate] = RATES
) -> FastAPI:
    """The application over a migrated database. Its lifespan runs the journal's follower."""
    (config.directory / "wake").mkdir(mode=0o700, exist_ok=True)
    waker = Waker(config.directory)
    people = People(database, config.web.session_hours, config.web.idle_minutes, config.web.second_factor_roles)
    meals = open_timetable(config.service)

    def cursor() -> int:
        with database.reading() as connection:
            return last_id(connection)

    parts = Parts(
        config=config,
        database=database,
        store=store,
        readings=Bounded(),
        people=people,
        desk=Desk(database, waker, meals),
        meals=meals,
        waker=waker,
        follower=Follower(database, config.directory, people),
        readiness=Readiness(database),
        orders=OrderDesk(database, waker),
        links=open_links(config),
        wrong_links=Throttle(WRONG_PER_MINUTE),
        pacing=Pacing(rates),
        lane=Lane(),
        proxies=Proxies(config.web.trusted_proxies),
        started_ns=time.time_ns(),
        fragments=Shared(cursor),
        counts=Shared(cursor),
    )
    app = FastAPI(
        title="Hearthline",
        version=__version__,
        summary="Alerts, events, registry and readings of a community center",
        description="Log in at `/api/v1/login`; send the token as `Authorization: Bearer …`, or keep the cookie.",
        lifespan=_lifespan,
        dependencies=[Depends(authorize), Depends(paced)],
        docs_url=None,  # the usual page of documentation loads scripts from a CDN
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.state.parts = parts
    install_error_handlers(app)
    app.add_exception_handler(DeadLinkError, dead_link)
    app.add_middleware(RequestLimits)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(MeasuredRequests)
    for room in (*_API, routes_health, *_PAGES):
        app.include_router(room.router)
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    return app


class WebServer(uvicorn.Server):
    """uvicorn in one process: ends its streams before it waits for its connections, and stops without an error."""

    def __init__(self, app: FastAPI, config: CloudConfig, stop: threading.Event | None = None) -> None:
        self._follower: Follower = app.state.parts.follower
        self._stop = stop
        super().__init__(
            uvicorn.Config(
                app,
                host=config.web.host,
                port=config.web.port,
                http=BoundedH11,
                ws="none",
                h11_max_incomplete_event_size=MAX_HEADER_BYTES,
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._follower.close()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        asked = self._stop is not None and self._stop.is_set()
        return asked or self._follower.failed or await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT stop the server; unlike uvicorn's own way the process then ends with 0."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run_web(config: CloudConfig, stop: threading.Event | None = None) -> int:
    """Serve until SIGTERM, SIGINT or `stop`. Returns the exit code: 1 when it could not start or had to give up.

    The database must have been migrated. In a thread other than the main one only `stop` ends it.
    """
    database = open_database(config)
    try:
        app = create_app(config, database, MeasuredStore(open_store(config.store, config.directory)))
        server = WebServer(app, config, stop)
        _log.info("the console listens", host=config.web.host, port=config.web.port)
        server.run()
        return 0 if server.started and not app.state.parts.follower.failed else 1
    finally:
        database.close()


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    follower: Follower = app.state.parts.follower
    task = asyncio.create_task(follower.run())
    task.add_done_callback(lambda done: setattr(follower, "failed", not done.cancelled()))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        app.state.parts.waker.close()
    if not task.cancelled():
        task.result()  # a bug: raise it where it is seen
