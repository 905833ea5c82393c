"""The journal folded into one row a case, so that a year of calls is read in a moment.

The role desk folds what is new now and then, in short transactions that no alarm waits for. Whoever reads folds the
rest of the journal by himself, in memory: the figures are those of the journal's last entry whether or not a desk runs,
and killing one loses nothing. An entry that is folded twice counts once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from hearthline.log import Log
from hearthline_cloud.alerts.figures import COUNTED, FOLDED, Case, Entry, Measures, fold
from hearthline_cloud.alerts.lifecycle import AlertKind
from hearthline_cloud.database import Database, is_away
from hearthline_cloud.loop import Loop
from hearthline_cloud.schema import alert, figure, figure_cursor, home, journal
from hearthline_cloud.scoping import EVERY, Communities

PERIOD_S = 15.0
_PAGE = 200  # entries a transaction
_BEHIND = 10_000  # entries of other kinds after which the cursor moves without any of ours
_BREATH_S = 0.05  # between two pages, for whoever waits to write
_MEASURES = [field.name for field in fields(Measures)]
_CASE = [name for name in Case._fields if name not in ("home", "gateway", "device")]
_IS_FOLDED = journal.c.kind.in_(FOLDED)
log = Log(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """What a case is besides its measures; it never changes."""

    kind: str
    home: str | None
    gateway: str
    device: str


@dataclass(frozen=True, slots=True)
class Period:
    """Which cases: of one kind, raised in [begin, end), of these communities or (None) all."""

    kind: AlertKind
    begin_ns: int
    end_ns: int
    communities: Communities = EVERY

    def has(self, raised_ns: int, kind: str) -> bool:
        return kind == self.kind and self.begin_ns <= raised_ns < self.end_ns


class Figurer(Loop):
    """The desk role's thread that keeps the rows near the journal's end. Start it, ask `failed()`, stop it."""

    def __init__(self, database: Database, after: Callable[[], int] | None = None) -> None:
        """`after`: further work of each round, e.g. to ask whether people were helped; says how much it did."""
        super().__init__("figures")
        self._database = database
        self._after = after

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._stopping.wait(_BREATH_S if self._round() else PERIOD_S)

    def _round(self) -> int:
        try:
            return fold_once(self._database) + (self._after() if self._after is not None else 0)
        except SQLAlchemyError as error:
            if not is_away(error):
                raise
            log.error("database away, figures wait", error=str(error))
            return 0


def fold_once(database: Database) -> int:
    """Fold one page of the journal into the rows; how many entries. Two desks do each page once.

    Folded on a snapshot: rows and cursor change together, so while the cursor stands the rows do too, and the writer's
    lock is held for three statements.
    """
    with database.reading() as connection:
        begin, last = _cursor(connection), _last(connection)
        entries = _entries(connection, begin, _PAGE)
        cases, places = _folded(connection, entries)
    if not entries and last - begin < _BEHIND:  # most rounds: no lock for those
        return 0
    end = entries[-1][1].id if len(entries) == _PAGE else last
    with database.transaction() as connection:
        where = figure_cursor.c.journal_id == begin
        if connection.execute(update(figure_cursor).where(where).values(journal_id=end)).rowcount:
            _write(connection, cases, places)
    return len(entries)


def read_cases(connection: Connection, period: Period) -> list[Case]:
    """The cases of a period as the journal's end has them.

    The cursor is read first and each row knows its last entry, so that a page folded in between changes nothing, on a
    database without snapshots too.
    """
    begin = _cursor(connection)
    entries = _entries(connection, begin)
    changed, places = _folded(connection, entries)
    columns = [figure.c[name] for name in (*_CASE, "home_id", "gateway_id", "device_id")]
    is_meant = (figure.c.kind == period.kind) & figure.c.raised_ns.between(period.begin_ns, period.end_ns - 1)
    query, homes = select(*columns).where(is_meant), None
    if changed:
        tail = journal.c.id.between(begin + 1, entries[-1][1].id) & journal.c.alert_id.is_not(None)
        query = query.where(figure.c.alert_id.not_in(select(journal.c.alert_id).where(tail, _IS_FOLDED)))
    if period.communities is not None:
        belongs = select(home.c.id).where(home.c.community_id.in_(sorted(period.communities)))
        query, homes = query.where(figure.c.home_id.in_(belongs)), set(connection.execute(belongs).scalars())
    rows = connection.execute(query)
    assert rows.cursor is not None
    cases = list(map(Case._make, rows.cursor.fetchall()))  # past SQLAlchemy's own rows, which cost as much again
    rows.close()
    for alert_id, measures in changed.items():
        place = places[alert_id]
        if period.has(measures.raised_ns, place.kind) and (homes is None or place.home in homes):
            cases.append(_case(measures, place))
    return cases


def _case(measures: Measures, place: Place) -> Case:
    return Case._make([*(getattr(measures, name) for name in _CASE), place.home, place.gateway, place.device])


def _cursor(connection: Connection) -> int:
    return int(connection.execute(select(figure_cursor.c.journal_id)).scalar_one())


def _last(connection: Connection) -> int:
    return int(connection.execute(select(func.max(journal.c.id))).scalar_one() or 0)


def _entries(connection: Connection, after: int, limit: int | None = None) -> list[tuple[int, Entry, Place]]:
    """What the figures are made of, in the journal's order.

    A kind that no index can be searched for: SQLite would walk all cases that there ever were to find the last entries.
    """
    is_counted = (alert.c.kind + "").in_(COUNTED)
    columns = [journal.c[name] for name in Entry._fields]
    query = (
        select(*columns, journal.c.alert_id, alert.c.kind, alert.c.home_id, alert.c.gateway_id, alert.c.device_id)
        .join(alert, alert.c.id == journal.c.alert_id)
        .where(journal.c.id > after, _IS_FOLDED, is_counted)
        .order_by(journal.c.id)
        .limit(limit)
    )
    rows = connection.execute(query)
    return [(row.alert_id, Entry._make(row[:5]), Place(row[6], row[7], row[8], row[9])) for row in rows]


def _folded(
    connection: Connection, entries: list[tuple[int, Entry, Place]]
) -> tuple[dict[int, Measures], dict[int, Place]]:
    """The cases that these entries change, after them."""
    places = {alert_id: place for alert_id, _, place in entries}
    cases: dict[int, Measures | None] = {}
    for page in _pages(list(places)):
        cases |= _stored(connection, page)
    for alert_id, entry, _ in entries:
        cases[alert_id] = fold(cases.get(alert_id), entry)
    return {alert_id: case for alert_id, case in cases.items() if case is not None}, places


def _pages(keys: list[int]) -> Iterator[list[int]]:
    return (keys[first : first + _PAGE] for first in range(0, len(keys), _PAGE))


def _stored(connection: Connection, alerts: list[int]) -> dict[int, Measures]:
    query = select(figure.c.alert_id, *(figure.c[name] for name in _MEASURES)).where(figure.c.alert_id.in_(alerts))
    return {row[0]: Measures(*row[1:]) for row in connection.execute(query)}


def _write(connection: Connection, cases: dict[int, Measures], places: dict[int, Place]) -> None:
    if not cases:
        return
    rows = []
    for alert_id, case in cases.items():
        place = places[alert_id]
        where = {"kind": place.kind, "home_id": place.home, "gateway_id": place.gateway, "device_id": place.device}
        rows.append({"alert_id": alert_id, **where, **{name: getattr(case, name) for name in _MEASURES}})
    connection.execute(delete(figure).where(figure.c.alert_id.in_(cases)))
    connection.execute(insert(figure), rows)
