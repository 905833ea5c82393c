"""Asking a gateway for its self-test, from the console and the API."""

from __future__ import annotations

from sqlalchemy import select

from hearthline_cloud import schema
from web.seeding import Center


def test_an_operator_asks_and_sees_that_it_waits(served: Center) -> None:
    mei = served.client("mei")
    asked = mei.post("gateways/gw-east-1/self-tests", {})
    assert asked.status == 202
    assert (asked.json()["standing"], asked.json()["asked_by"]) == ("waiting", "mei")
    assert mei.post("gateways/gw-east-1/self-tests", {}).json()["id"] == asked.json()["id"]
    with served.database.reading() as connection:
        (command,) = connection.execute(select(schema.command)).all()
    assert (command.id, command.gateway_id, command.body) == (asked.json()["id"], "gw-east-1", {"type": "self-test"})
    found = mei.get("gateways/gw-east-1/self-tests").json()
    assert (found["proof"], len(found["tests"])) == (None, 1)
    page = mei.request("GET", "/homes/gateways/gw-east-1/self-tests")
    assert page.status == 200
    assert mei.request("GET", "/homes").status == 200


def test_an_unknown_gateway_is_not_found(served: Center) -> None:
    mei = served.client("mei")
    assert mei.post("gateways/nobody/self-tests", {}).status == 404
    assert mei.get("gateways/nobody/self-tests").status == 404
