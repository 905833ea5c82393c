"""Options and fixtures that every test shares."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edge.outside import table
from trials import LONG, published


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--captures", default=None, help="folder of recorded frames (default: HEARTHLINE_CAPTURES)")


def pytest_configure(config: pytest.Config) -> None:
    if (given := _captures(config)) and not Path(given).is_dir():
        raise pytest.UsageError(f"no such folder of recorded frames: {given} (--captures or HEARTHLINE_CAPTURES)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is long is not there in the short form, rather than skipped in it."""
    if LONG:
        return
    long = [item for item in items if item.get_closest_marker("long") is not None]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in set(long)]


def _captures(config: pytest.Config) -> str | None:
    given: str | None = config.getoption("--captures") or os.environ.get("HEARTHLINE_CAPTURES")
    return given


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figures of the fault trials and the table of recordings, which are what they are run for."""
    if published:
        terminalreporter.section("trials")
        for result in published:
            terminalreporter.write_line(json.dumps(result, ensure_ascii=False))
    if table.rows:
        terminalreporter.section("recordings from outside")
        for line in table.lines():
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def root() -> None:
    """Loop devices, mounts and network namespaces need root; CI has it and skips nothing."""
    if os.geteuid() != 0:
        assert not os.environ.get("CI"), "CI must run as root"
        pytest.skip("needs root for loop devices, mounts or network namespaces: run `make test` as root")


@pytest.fixture(scope="session")
def captures_dir(request: pytest.FixtureRequest) -> Path:
    """The folder of recorded frames from outside; a test that needs it is skipped, visibly, without one."""
    given = _captures(request.config)
    if not given:
        pytest.skip("no recorded frames: give --captures DIR or set HEARTHLINE_CAPTURES")
    return Path(given)
