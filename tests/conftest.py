"""Options and fixtures that every test shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--captures", default=None, help="folder of recorded frames (default: HEARTHLINE_CAPTURES)")


@pytest.fixture(scope="session")
def captures_dir(request: pytest.FixtureRequest) -> Path:
    """The folder of recorded frames from outside; a test that needs it is skipped, visibly, without one."""
    given = request.config.getoption("--captures") or os.environ.get("HEARTHLINE_CAPTURES")
    if not given:
        pytest.skip("no recorded frames: give --captures DIR or set HEARTHLINE_CAPTURES")
    folder = Path(given)
    assert folder.is_dir(), f"no such folder of recorded frames: {folder}"
    return folder
