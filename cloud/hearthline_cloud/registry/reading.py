"""What is registered, by the names of the fields; a resident's card and contacts leave a trace of who looked."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from hearthline_cloud import journal
from hearthline_cloud.desk import NotFoundError
from hearthline_cloud.registry.cleaning import period_text
from hearthline_cloud.registry.known import look_up, rows_of
from hearthline_cloud.registry.shape import FIELDS, Key, Kind, Values
from hearthline_cloud.registry.texts import SPEECH, kind_word
from hearthline_cloud.scoping import EVERY, Communities

_LISTED = {Kind.RESIDENT: ("id", "home", "name")}  # the rest is the person's card


def list_entries(connection: Connection, kind: Kind, seen: Communities = EVERY, place: str = "") -> list[Values]:
    """By id, without a person's card. `place`: a community whose entries alone are wanted."""
    found = [each for each in rows_of(connection, kind) if _is_theirs(each, seen) and place in ("", each["place"])]
    listed = _LISTED.get(kind)
    return [told(kind, each, listed) for each in found]


def show_entry(connection: Connection, kind: Kind, key: Key, seen: Communities = EVERY) -> Values:
    """Everything of an entry but a resident's contacts. Raises NotFoundError."""
    return told(kind, find(connection, kind, key, seen))


def find(connection: Connection, kind: Kind, key: Key, seen: Communities = EVERY) -> Values:
    """As it is stored, opened. Raises NotFoundError, also for what is another's."""
    found = look_up(connection, {kind: {key}}, {kind: {key}}).rows[kind].get(key)
    if found is None or not _is_theirs(found, seen):
        raise NotFoundError(SPEECH.say("none", what=kind_word(kind), id=key[-1]))
    return found


def contacts_of(connection: Connection, resident: str, seen: Communities = EVERY) -> list[dict[str, str]]:
    """In the order in which they are told. Raises NotFoundError."""
    found: list[dict[str, str]] = find(connection, Kind.RESIDENT, (resident,), seen)["contacts"]
    return found


def leave_trace(connection: Connection, resident: str, actor: str, now_ns: int) -> None:
    """Who looked at a card, in the transaction that reads it."""
    journal.append(connection, journal.CARD_SHOWN, now_ns, {"resident": resident}, actor=actor)


def told(kind: Kind, stored: Values, listed: tuple[str, ...] | None = None) -> dict[str, Any]:
    """As it would be written: a period as 12h."""
    names = listed or tuple(field.name for field in FIELDS[kind])
    found = {name: stored[name] for name in names}
    if "supervise" in found:
        found["supervise"] = period_text(found["supervise"])
    return found


def _is_theirs(entry: Values, seen: Communities) -> bool:
    return seen is None or entry["place"] in seen
