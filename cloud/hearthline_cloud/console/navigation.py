"""The rooms that the main navigation leads to, in its order: one line each."""

from __future__ import annotations

from dataclasses import dataclass

from hearthline_cloud.people import Role


@dataclass(frozen=True, slots=True)
class Entry:
    """A page and the key of its name; `only` names the one role that sees it."""

    path: str
    text: str
    only: Role | None = None


NAVIGATION: tuple[Entry, ...] = (
    Entry("/", "nav.alerts"),
    Entry("/service", "nav.service"),
    Entry("/orders", "nav.orders"),
    Entry("/homes", "nav.homes"),
    Entry("/watch", "nav.watch"),
    Entry("/history", "nav.history"),
    Entry("/figures", "nav.figures"),
    Entry("/protection", "nav.protection"),
    Entry("/wall", "nav.wall"),
    Entry("/policy", "nav.policy", only=Role.ADMINISTRATOR),
)


def entries_for(role: Role) -> list[Entry]:
    """What a member of staff is led to. A screen's account has no navigation: it sees the wall alone."""
    return [entry for entry in NAVIGATION if entry.only in (None, role)]


def is_here(entry: Entry, path: str) -> bool:
    """Whether `path` is the entry's page or lies below it."""
    return path == entry.path or (entry.path != "/" and path.startswith(entry.path + "/"))
