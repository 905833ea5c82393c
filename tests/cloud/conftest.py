from __future__ import annotations

import itertools
import shutil
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


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "hearthline.db"
    migrate(sqlite_url(path))
    return path


@pytest.fixture
def file_url(tmp_path: Path, migrated_file: Path) -> str:
    """Of a migrated database in SQLite for this test alone."""
    shutil.copy(migrated_file, tmp_path / "hearthline.db")
    return sqlite_url(tmp_path / "hearthline.db")


@pytest.fixture(params=["sqlite", "postgresql"])
def either_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Of a migrated database for this test alone, on each engine."""
    if request.param == "sqlite":
        yield request.getfixturevalue("file_url")
        return
    server: Postgresql = request.getfixturevalue("postgres")
    name = f"test{next(_numbers)}"
    yield server.create(name, TEMPLATE)
    server.drop(name)


@pytest.fixture
def database_url(either_url: str) -> str:
    """What `cloud` is on: a module for which one engine is enough says `file_url`."""
    return either_url


@pytest.fixture
def cloud(tmp_path: Path, database_url: str) -> Iterator[Cloud]:
    yield from _populated(tmp_path, database_url)


@pytest.fixture
def either(tmp_path: Path, either_url: str) -> Iterator[Cloud]:
    """On each engine, in a module whose `cloud` is on one."""
    yield from _populated(tmp_path, either_url)


def _populated(folder: Path, url: str) -> Iterator[Cloud]:
    made = Cloud(folder, url)
    made.populate()
    yield made
    made.close()
