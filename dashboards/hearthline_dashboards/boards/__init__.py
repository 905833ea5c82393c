"""The dashboards, one module each: what it is for stands in its description, and in docs/dashboards.md."""

from __future__ import annotations

from hearthline_dashboards.board import LANGUAGES, Board, Setting
from hearthline_dashboards.boards import devices, energy, home, overview, parts, service, vitals

MAKERS = (overview.make, home.make, vitals.make, energy.make, devices.make, service.make, parts.make)


def boards(setting: Setting) -> list[Board]:
    """One language's set, in the order in which people need them."""
    return [make(setting) for make in MAKERS]


def every_board(zone: str, console: str) -> list[Board]:
    return [board for language in LANGUAGES for board in boards(Setting(language, zone, console))]
