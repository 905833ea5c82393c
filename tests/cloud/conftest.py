from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_center import Cloud, migrate
from hearthline_cloud.database import sqlite_url
from servers import Postgresql, postgresql

TEMPLATE = "migrated"
_MEMORY = Path("/dev/shm")
_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgresql]:
    """One server for the session, in memory where there is such a folder, with a migrated database to copy."""
    with postgresql(_MEMORY if _MEMORY.is_dir() else None) as server:
        migrate(server.create(TEMPLATE))
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of a database for this test alone, on each engine; migrated already where that is a copy."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path / "hearthline.db")
        return
    server: Postgresql = request.getfixturevalue("postgres")
    name = f"test{next(_numbers)}"
    yield server.create(name, TEMPLATE)
    server.drop(name)


@pytest.fixture
def cloud(tmp_path: Path, database_url: str) -> Iterator[Cloud]:
    made = Cloud(tmp_path, database_url)
    made.populate()
    yield made
    made.close()
