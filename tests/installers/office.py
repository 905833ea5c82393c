"""The center of the installers' whole way: mosquitto with TLS, the cloud's roles as processes, its commands as typed.

office commands --> database <-- ingest, desk, web <--> mosquitto (TLS, one certificate a gateway)
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
from sqlalchemy import Row, select

from brokers.certified import Place, faults, place, roles, running
from cloud_processes import until
from hearthline import cli
from hearthline_cloud import schema
from hearthline_cloud.desk import Desk
from hearthline_cloud.wake import Waker
from servers import HOST, free_ports

PATIENCE_S = 40.0
CENTER_COMMANDS = [
    ("community", "add", "east", "--name", "东苑社区"),
    ("home", "add", "home-7", "--community", "east", "--name", "3号楼502室", "--address", "南京西路1号"),
    ("resident", "add", "res-7", "--home", "home-7", "--name", "王秀兰", "--birth-year", "1941"),
    ("gateway", "add", "gw-7", "--home", "home-7"),
]


@dataclass(frozen=True, slots=True)
class Office:
    """Where the center's commands are typed."""

    made: Place
    url: str

    def type(self, *words: str, code: int = 0) -> str:
        """What a command of the center says. Its exit code must be that."""
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            ended = cli.run([*words, "--config", str(self.made.config)])
        assert ended == code, f"{words}: {said.getvalue()}"
        return said.getvalue()

    def ask(self, *words: str) -> Any:
        """What a command says to machines."""
        return json.loads(self.type(*words, "--json"))

    def alerts(self, kind: str = "emergency") -> list[Row[Any]]:
        return self.rows(select(schema.alert).where(schema.alert.c.kind == kind).order_by(schema.alert.c.id))

    def rows(self, query: Any) -> list[Row[Any]]:
        database = self.made.database()
        with database.reading() as connection:
            found = list(connection.execute(query))
        database.close()
        return found

    def acknowledge(self, alert: int) -> None:
        """A person has taken it."""
        database, waker = self.made.database(), Waker(self.made.folder)
        Desk(database, waker).acknowledge(alert, "mei", time.time_ns())
        waker.close()
        database.close()


@contextmanager
def open_office(folder: Path) -> Iterator[Office]:
    """A center with one home that has nobody's gateway yet."""
    folder.mkdir()
    (port,) = free_ports(1)
    url = f"http://{HOST}:{port}"
    with running(place(folder, (), f'[web]\nport = {port}\npublic_url = "{url}"\n')) as made:
        office = Office(made, url)
        office.type("cloud", "migrate")
        for words in CENTER_COMMANDS:
            office.type(*words)
        with roles(made, "ingest", "desk", "web"), urllib3.PoolManager(retries=False, timeout=5.0) as pool:
            until(lambda: _answers(pool, url) and faults(made) == {}, PATIENCE_S)
            yield office


def _answers(pool: urllib3.PoolManager, url: str) -> bool:
    try:
        return pool.request("GET", f"{url}/healthz").status == 200
    except urllib3.exceptions.HTTPError:
        return False
