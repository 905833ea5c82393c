"""The page that Prometheus reads: `GET /metrics` on a port of its own, one a process, plain HTTP.

It is not the console's port: whoever reaches the console from outside need not see how the center is. It holds no
personal data, nor any id of a home; what it says of the alarms' number is for whoever runs the center.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hearthline import __version__
from hearthline.errors import ConfigError
from hearthline_cloud.config import CloudConfig
from hearthline_cloud.database import Database
from hearthline_cloud.metrics.instruments import DESK, EVERY_ROLE, INGEST, WEB
from hearthline_cloud.metrics.state import StateOfCenter
from hearthline_cloud.wake import Role

PATH = "/metrics"
_OF_ROLE = {"ingest": INGEST, "desk": DESK, "web": WEB}
_PLACE = {"ingest": 0, "desk": 1, "web": 2}  # of a role's port after the configured one
_PATIENCE_S = 5.0  # for whoever opens a connection and asks nothing


class _Build(Collector):
    def __init__(self, roles: Sequence[Role]) -> None:
        self._roles = ",".join(roles)

    def collect(self) -> Iterable[Metric]:
        build = GaugeMetricFamily(
            "hearthline_build_info", "Which version runs which roles", labels=["version", "roles"]
        )
        build.add_metric([__version__, self._roles], 1.0)
        return [build]


class Together(Collector):
    """Several collectors as one."""

    def __init__(self, collectors: Sequence[Collector]) -> None:
        self._collectors = collectors

    def collect(self) -> Iterator[Metric]:
        for collector in self._collectors:
            yield from collector.collect()


def registry_of(roles: Sequence[Role], state: Collector) -> CollectorRegistry:
    """Everything that a process of these roles shows; `state` belongs to the role desk."""
    shown: list[Collector] = [_Build(roles), EVERY_ROLE, *(_OF_ROLE[role] for role in roles)]
    if "desk" in roles:
        shown.append(state)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Together(shown))
    ProcessCollector(registry=registry)
    return registry


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever hangs up in the middle is no news."""


class _Handler(WSGIRequestHandler):
    timeout = _PATIENCE_S

    def log_message(self, format: str, *args: object) -> None:
        """A scrape every 15 s is no news either."""


class MetricsPage:
    """A part of a process (`beside.Part`). Binds at once, so that a port that is taken is told at the start."""

    def __init__(self, config: CloudConfig, database: Database, roles: Sequence[Role]) -> None:
        """Raises ConfigError when it cannot listen."""
        assert config.metrics is not None
        port = config.metrics.port + min(_PLACE[role] for role in roles)
        registry = registry_of(roles, StateOfCenter(database, config.directory))
        try:
            self._server = make_server(
                config.metrics.host, port, only_metrics(make_wsgi_app(registry)), _Server, _Handler
            )
        except OSError as error:
            raise ConfigError(
                f"metrics: cannot listen on {config.metrics.host}:{port}: {error}; choose another metrics.port"
            ) from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    @property
    def port(self) -> int:
        return self._server.server_port

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():  # else nobody would answer
            self._server.shutdown()
        self._server.server_close()

    def failed(self) -> BaseException | None:
        """Never: no press waits for it."""
        return None


_Wsgi = Callable[..., Iterable[bytes]]


def only_metrics(app: _Wsgi) -> _Wsgi:
    """Answer `GET /metrics` and nothing else."""

    def answer(environ: dict[str, str], start: Callable[..., object]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != PATH or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"There is /metrics alone.\n"]
        return app(environ, start)

    return answer
