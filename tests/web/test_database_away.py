"""A database that is locked or takes no writes: whoever acts is told so, can still read, and nothing is half done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from sqlalchemy import select

from hearthline_cloud import schema, sqlite
from web.seeding import Center

ACTS: dict[str, dict[str, Any]] = {
    "acknowledge": {"version": 1},
    "attend": {"version": 1},
    "resolve": {"version": 1, "outcome": "help-given"},
    "notes": {"text": "on the way"},
}
PAGE = {"accept": "text/html", "accept-language": "en"}


@contextmanager
def locked(served: Center) -> Iterator[None]:
    """Somebody else writes for longer than anybody waits."""
    with served.database.transaction():
        yield


@pytest.mark.parametrize("fault", [locked, Center.read_only])
def test_who_acts_is_told_and_nothing_is_half_done(
    served: Center, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Center], AbstractContextManager[None]]
) -> None:
    monkeypatch.setattr(sqlite, "_BUSY_TIMEOUT_MS", 200)
    mei, alert = served.client("mei"), served.press()

    def rows() -> list[object]:
        tables = (schema.alert, schema.journal, schema.command, schema.escalation, schema.work_order)
        with served.database.reading() as connection:
            return [connection.execute(select(table)).all() for table in tables]

    before = rows()
    with fault(served):
        for act, body in ACTS.items():
            answer = mei.post(f"alerts/{alert}/{act}", body)
            assert (answer.status, answer.json()["error"]["code"]) == (503, "database-away"), act
        card = mei.request("GET", f"/alerts/{alert}", headers=PAGE)  # its trace cannot be written
        assert (card.status, "does not answer now" in card.data.decode()) == (503, True)
        assert [each["id"] for each in mei.get("alerts", state="open").json()["alerts"]] == [alert]
    assert rows() == before
    for act, body in ACTS.items():
        again = mei.post(f"alerts/{alert}/{act}", body | {"version": None} if act != "notes" else body)
        assert again.status in (200, 201), act
