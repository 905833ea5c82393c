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


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, migrated_file: Path) -> Iterator[str]:
    """Of a migrated database for this test alone, on each engine."""
    if request.param == "sqlite":
        shutil.copy(migrated_file, tmp_path / "hearthline.db")
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
