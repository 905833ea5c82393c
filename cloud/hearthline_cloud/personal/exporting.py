"""Everything that the center has of one resident, for that person: as JSON for machines, as HTML for people."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, or_, select

from hearthline.clock import rfc3339
from hearthline.errors import RefusedError
from hearthline_cloud import journal, schema
from hearthline_cloud.database import Database
from hearthline_cloud.personal.vault import open_notes
from hearthline_cloud.store import SeriesQuery, TimeSeries
from hearthline_cloud.store.paging import every_sample
from hearthline_cloud.store.port import MAX_TIME_NS, MIN_TIME_NS

EXPORTED = "resident-exported"  # the kind of the journal's entry
_PAGE = 10_000


def export(database: Database, store: TimeSeries, who: str, actor: str, now_ns: int) -> dict[str, Any]:
    """Sections by name: lists of rows; the journal tells that it was made.

    Raises RefusedError for nobody, LinkError while the time-series store is away: nothing is left out unsaid.
    """
    with database.reading() as connection:
        found = _sections(connection, who)
    devices = [{"gateway": row["gateway_id"], "device": row["id"], "resident": ""} for row in found["devices"]]
    # years of values take minutes: a transaction that waited for them would keep every press out of the database
    found["readings"] = list(_readings(store, [{"resident": who}, *devices]))
    with database.transaction() as connection:
        _person(connection, who)
        journal.append(connection, EXPORTED, now_ns, {"resident": who}, actor=actor)
    return found


def _sections(connection: Connection, who: str) -> dict[str, list[dict[str, Any]]]:
    person = _person(connection, who)
    alert, event, device, order = schema.alert, schema.event, schema.device, schema.work_order
    cases = select(alert.c.id).where(alert.c.resident_id == who)
    return {
        "resident": [_row(person)],
        "home": _rows(connection, select(schema.home).where(schema.home.c.id == person.home_id)),
        "consents": _rows(connection, select(schema.consent).where(schema.consent.c.resident_id == who)),
        "devices": _rows(connection, select(device).where(device.c.resident_id == who)),
        "absences_of_the_home": _rows(connection, select(schema.declared).where(
            schema.declared.c.scope == "home", schema.declared.c.scope_id == person.home_id)),
        "alerts": _rows(connection, select(alert).where(alert.c.id.in_(cases))),
        "events": _rows(connection, select(event).where(or_(event.c.resident_id == who, event.c.alert_id.in_(cases)))),
        "work_orders": _rows(connection, select(order).where(order.c.alert_id.in_(cases))),
        "answers": _rows(connection, select(schema.feedback).where(schema.feedback.c.alert_id.in_(cases))),
        "journal": _journal(connection, who),
    }  # fmt: skip


def _person(connection: Connection, who: str) -> Row[Any]:
    person = connection.execute(select(schema.resident).where(schema.resident.c.id == who)).first()
    if person is None:
        raise RefusedError(f"there is no resident {who!r}")
    return person


def page(found: dict[str, Any], who: str) -> str:
    """A whole document that a browser shows without a network."""
    parts = ['<!doctype html><html lang="en"><meta charset="utf-8">', f"<title>{html.escape(who)}</title>"]
    for name, rows in found.items():
        parts.append(f"<h2>{html.escape(name.replace('_', ' '))}</h2>")
        if not rows:
            parts.append("<p>none</p>")
            continue
        head = "".join(f'<th scope="col">{html.escape(column)}</th>' for column in rows[0])
        lines = ("".join(f"<td>{_cell(value)}</td>" for value in row.values()) for row in rows)
        parts.append(f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>")
    return "\n".join(parts) + "</html>\n"


def _cell(value: Any) -> str:
    return "" if value is None else html.escape(str(value))


def _journal(connection: Connection, who: str) -> list[dict[str, Any]]:
    """Of the person's cases, with the words of notes; and who looked at the card, agreed, exported."""
    table = schema.journal
    cases = select(schema.alert.c.id).where(schema.alert.c.resident_id == who)
    about = or_(table.c.alert_id.in_(cases), table.c.detail["resident"].as_string() == who)
    rows = connection.execute(select(table).where(about).order_by(table.c.id)).all()
    return [_row(row) | {"detail": detail} for row, detail in zip(rows, open_notes(connection, rows), strict=True)]


def _readings(store: TimeSeries, tags: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    for quantity in store.quantities():
        for which in tags:
            query = SeriesQuery(quantity, MIN_TIME_NS, MAX_TIME_NS, limit=_PAGE, **which)  # type: ignore[arg-type]
            for sample in every_sample(store, query):
                place = {"gateway": sample.tags.gateway, "device": sample.tags.device, "resident": sample.tags.resident}
                yield {"quantity": quantity, **place, "at": rfc3339(sample.time_ns), "value": sample.value}


def _rows(connection: Connection, query: Any) -> list[dict[str, Any]]:
    return [_row(row) for row in connection.execute(query)]


def _row(row: Any) -> dict[str, Any]:
    """Times in words beside their numbers."""
    told: dict[str, Any] = {}
    for name, value in row._mapping.items():
        told[name] = rfc3339(value) if name.endswith("_ns") and isinstance(value, int) else value
    return told
