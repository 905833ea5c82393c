"""Twenty operators at once: everybody hears everything in order, each alert has one taker, and nobody waits long."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from sqlalchemy import select

from hearthline_cloud import schema
from hearthline_cloud.permissions import Role
from web.seeding import PASSWORD, Center, Client

OPERATORS = 20
ALERTS = 10


def _operators(center: Center) -> list[Client]:
    """Twenty accounts with a session each; one password hash serves them all."""
    with center.database.transaction() as connection:
        hashed = connection.execute(
            select(schema.staff.c.password_hash).where(schema.staff.c.name == "mei")
        ).scalar_one()
        account = {"password_hash": hashed, "role": Role.OPERATOR, "created_ns": 0, "center_wide": True}
        rows = [account | {"name": f"op-{number}"} for number in range(OPERATORS)]
        connection.execute(schema.staff.insert(), rows)
    clients = []
    for row in rows:
        client = center.client()
        client.token, _ = center.people.log_in(str(row["name"]), PASSWORD, "here", time.time_ns())
        clients.append(client)
    return clients


def _listen(client: Client) -> list[tuple[int, str, str]]:
    """(journal id, kind, actor) of everything that this operator's page is told, up to the note "end"."""
    heard = []
    with closing(client.stream(after=0)) as stream:
        while (message := stream.journal()) is not None:
            heard.append((message["journal"], message["kind"], message["actor"]))
            if message["kind"] == "note":
                break
    return heard


def test_twenty_operators_hear_the_same_and_each_alert_has_one_taker(served: Center) -> None:
    operators = _operators(served)
    with ThreadPoolExecutor(2 * OPERATORS) as pool:
        listening = [pool.submit(_listen, client) for client in operators]
        alerts = [served.press(f"gw-new-{number}", "rf433:ffee01") for number in range(ALERTS)]

        def reach(client: Client) -> list[tuple[int, int, float]]:
            """Everybody reaches for every alert at once: (alert, status, seconds)."""
            got = []
            for alert in alerts:
                started = time.monotonic()
                status = client.post(f"alerts/{alert}/acknowledge", {"version": 1}).status
                got.append((alert, status, time.monotonic() - started))
            return got

        answers = [answer for each in pool.map(reach, operators) for answer in each]
        assert served.client("mei").post(f"alerts/{alerts[-1]}/notes", {"text": "end"}).status == 201
        heard = [listener.result(timeout=30) for listener in listening]
    for alert in alerts:
        assert sorted(status for of, status, _ in answers if of == alert) == [200] + [409] * (OPERATORS - 1)
    assert all(each == heard[0] for each in heard)
    assert [number for number, _, _ in heard[0]] == sorted({number for number, _, _ in heard[0]})
    taken = [actor for _, kind, actor in heard[0] if kind == "acknowledged"]
    assert len(taken) == ALERTS
    with served.database.reading() as connection:
        rows = connection.execute(select(schema.alert.c.id, schema.alert.c.assigned_to)).all()
    assert sorted(row.assigned_to for row in rows if row.id in alerts) == sorted(taken)
    waits = sorted(seconds for _, _, seconds in answers)
    assert waits[len(waits) // 2] < 5, waits[-5:]
