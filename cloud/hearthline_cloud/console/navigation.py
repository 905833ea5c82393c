"""The rooms that the main navigation leads to, in its order: one line each."""

from __future__ import annotations

from dataclasses import dataclass

from hearthline_cloud.people import Session
from hearthline_cloud.permissions import ROUTES, Role


@dataclass(frozen=True, slots=True)
class Entry:
    """A page and the key of its name. Who may not open the page is not led to it."""

    path: str
    text: str


ALERTS = Entry("/", "nav.alerts")
WALL = Entry("/wall", "nav.wall")
NAVIGATION: tuple[Entry, ...] = (
    ALERTS,
    Entry("/service", "nav.service"),
    Entry("/orders", "nav.orders"),
    Entry("/homes", "nav.homes"),
    Entry("/watch", "nav.watch"),
    Entry("/history", "nav.history"),
    Entry("/figures", "nav.figures"),
    Entry("/protection", "nav.protection"),
    WALL,
    Entry("/policy", "nav.policy"),
    Entry("/staff", "nav.staff"),
)
ENROL = "/account/second-factor"


def entries_for(session: Session) -> list[Entry]:
    """What somebody is led to. A screen's account has no navigation: it sees the wall alone."""
    return [] if session.role is Role.VIEWER else [entry for entry in NAVIGATION if _leads(entry, session)]


def first_page(session: Session) -> str:
    """Where somebody begins."""
    if session.must_enrol:
        return ENROL
    return next((entry.path for entry in entries_for(session)), WALL.path)


def is_here(entry: Entry, path: str) -> bool:
    """Whether `path` is the entry's page or lies below it."""
    return path == entry.path or (entry.path != "/" and path.startswith(entry.path + "/"))


def _leads(entry: Entry, session: Session) -> bool:
    needed = ROUTES["GET /fragments/alerts" if entry is ALERTS else f"GET {entry.path}"]
    return needed is not None and session.may(needed)
