"""A served center for each test; migrating and hashing passwords is done once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from web.seeding import Center


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Center(tmp_path_factory.mktemp("template"))
    made.populate()
    made.close()
    return made.folder / "hearthline.db"


@pytest.fixture
def center(tmp_path: Path, template: Path) -> Iterator[Center]:
    """Populated, not served."""
    shutil.copy(template, tmp_path / "hearthline.db")
    made = Center(tmp_path)
    made.refresh()
    yield made
    made.close()


@pytest.fixture
def served(center: Center) -> Iterator[Center]:
    with center.serving():
        yield center
