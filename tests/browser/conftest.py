"""A headless Chromium, one for the module; screenshots go to HEARTHLINE_SCREENSHOTS when it is set."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from web.seeding import Center

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

Shoot = Callable[[Page, str], None]


@pytest.fixture(scope="module")  # Playwright's own event loop runs in this thread as long as it lives
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no {CHROMIUM}: install Debian's chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def browser_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Center(tmp_path_factory.mktemp("template"))
    made.populate()
    made.close()
    return made.folder / "hearthline.db"


@pytest.fixture
def center(tmp_path: Path, browser_template: Path) -> Iterator[Center]:
    shutil.copy(browser_template, tmp_path / "hearthline.db")
    made = Center(tmp_path)
    made.refresh()
    with made.beating():
        yield made
    made.close()


@pytest.fixture
def shoot() -> Shoot:
    folder = os.environ.get("HEARTHLINE_SCREENSHOTS")

    def take(page: Page, name: str) -> None:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=Path(folder) / f"{name}.png", full_page=True, animations="disabled")

    return take
