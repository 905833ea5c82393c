"""A gateway's page and the API of remote hands, by those who may and those who may not."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import insert, select, update

from hearthline.clock import NS
from hearthline_cloud import schema
from hearthline_cloud.permissions import Role
from web.client import Client
from web.seeding import Center

PAGE = "/homes/gateways/gw-east-1"
FORM = {"content-type": "application/x-www-form-urlencoded", "x-hearthline": "1", "accept": "text/html"}


@pytest.fixture
def installer(served: Center) -> Client:
    with served.database.transaction() as connection:
        mei = schema.staff.c.name == "mei"
        hashed = connection.execute(select(schema.staff.c.password_hash).where(mei)).scalar_one()
        values = {"name": "wang", "password_hash": hashed, "role": Role.INSTALLER, "created_ns": 0}
        connection.execute(insert(schema.staff).values(**values, center_wide=True))
    return served.client("wang")


def send(client: Client, path: str, **fields: str) -> Any:
    return client.request("POST", f"{PAGE}{path}", urlencode(fields).encode(), FORM)


def commands(center: Center) -> list[dict[str, Any]]:
    with center.database.reading() as connection:
        rows = connection.execute(select(schema.command).order_by(schema.command.c.created_ns)).all()
    return [dict(row.body) for row in rows]


def tell(center: Center, ask: str, state: str, detail: dict[str, Any]) -> None:
    """As if the gateway had answered."""
    values = {"state": state, "detail": detail, "answered_ns": time.time_ns() - 60 * NS}
    with center.database.transaction() as connection:
        connection.execute(update(schema.remote_ask).where(schema.remote_ask.c.id == ask).values(**values))


def test_an_installer_asks_and_sees_the_answer(served: Center, installer: Client) -> None:
    for what in ("examine", "log", "test"):
        asked = installer.post("gateways/gw-east-1/asks", {"what": what})
        assert (asked.status, asked.json()["state"], asked.json()["asked_by"]) == (202, "asked", "wang")
    assert [body["type"] for body in commands(served)] == ["examine", "log", "test"]
    found = installer.get("gateways/gw-east-1/remote").json()
    assert {ask["what"] for ask in found["waiting"]} == {"examine", "log", "test"}
    ids = {ask["what"]: ask["id"] for ask in found["waiting"]}
    wrong = {"name": "<b>disk</b>", "ok": False, "sentence": "no room"}
    tell(served, ids["examine"], "done", {"checks": [wrong, {"name": "clock", "ok": True, "sentence": "right"}]})
    tell(served, ids["log"], "done", {"lines": ["<script>alert(1)</script>"], "left_out": 3})
    page = installer.request("GET", PAGE).data.decode()
    assert "&lt;b&gt;disk&lt;/b&gt;" in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert installer.request("GET", "/fragments/gateways/gw-east-1").status == 200


@pytest.mark.parametrize("name", ["mei", "wall"])
def test_who_answers_alarms_has_no_hands_on_a_gateway(served: Center, name: str) -> None:
    client = served.client(name)
    assert client.get("gateways/gw-east-1/remote").status == 403
    assert client.post("gateways/gw-east-1/asks", {"what": "log"}).status == 403
    assert client.request("PUT", "/api/v1/gateways/gw-east-1/configuration", {"config": {}}).status == 403
    assert send(client, "/ask", what="test").status == 403
    assert PAGE + '"' not in client.request("GET", "/homes").data.decode()
    assert commands(served) == []


def test_a_change_by_the_form_and_what_was_typed_wrong_is_shown_again(served: Center, installer: Client) -> None:
    wrong = send(installer, "/configuration", local_alarm_after_s="soon", tables="[metrics]\nport = 1")
    assert wrong.status == 422
    assert "local_alarm_after_s must be a number" in wrong.data.decode()
    for tables, told in (
        ("[uplink]\nhost = 'x'", "uplink cannot be changed"),
        ("serial = ", "TOML"),
        ("local_alarm_after_s = 1\n", "give it once"),
        ("born = 2026-01-01", "texts, numbers"),
    ):
        refused = send(installer, "/configuration", local_alarm_after_s="20", tables=tables)
        assert refused.status == 422
        assert told in refused.data.decode()
        assert 'value="20"' in refused.data.decode(), "nothing typed is lost"
    assert commands(served) == []
    sent = send(
        installer, "/configuration", local_alarm_after_s="20", cancel_window_s="2.5", tables="[metrics]\r\nport = 1"
    )
    assert (sent.status, sent.headers["location"]) == (303, PAGE)
    config = {"metrics": {"port": 1}, "local_alarm_after_s": 20, "cancel_window_s": 2.5}
    assert commands(served) == [{"type": "configure", "config": config}]
    again = send(installer, "/configuration", tables="")
    assert (again.status, "under way" in again.data.decode()) == (409, True)
    (change,) = installer.get("gateways/gw-east-1/remote").json()["changes"]
    tell(served, change["id"], "done", {"deaf_s": 0.4})
    page = installer.request("GET", PAGE).data.decode()
    assert 'name="local_alarm_after_s" type="number" min="0" max="60" step="0.5" value="20"' in page
    assert "port = 1" in page


def test_the_api_names_what_is_wrong(served: Center, installer: Client) -> None:
    path = "/api/v1/gateways/gw-east-1/configuration"
    for body, status in (
        ({"config": {"data_dir": "/"}}, 422),
        ({"config": [1]}, 422),
        ({"config": {}, "within_s": 1}, 422),
        ({"config": {}, "based_on": "x"}, 409),
        ({"config": {"gather_s": 1.0}, "within_s": 30, "based_on": ""}, 202),
    ):
        assert installer.request("PUT", path, body).status == status, body
    assert commands(served) == [{"type": "configure", "config": {"gather_s": 1.0}, "within_s": 30.0}]
    assert installer.post("gateways/gw-east-1/asks", {"what": "shell"}).status == 422
    assert installer.get("gateways/nobody/remote").status == 404


def test_the_list_of_devices_is_changed_on_the_page(served: Center, installer: Client) -> None:
    changed = send(installer, "/devices", action="put", device="enocean:01a2b3c4", room="阳台")
    assert (changed.status, changed.headers["location"]) == (303, PAGE)
    added = send(installer, "/devices", action="put", device="enocean:0badcafe", name="备用", kind="pendant")
    assert added.status == 303

    def devices() -> dict[str, tuple[str, str]]:
        found = installer.get("devices").json()
        return {each["id"]: (each["name"], each["room"]) for each in found if each["gateway"] == "gw-east-1"}

    assert devices()["enocean:01a2b3c4"] == ("挂件", "阳台"), "what was left empty stays"
    assert devices()["enocean:0badcafe"] == ("备用", "")
    with served.database.transaction() as connection:
        connection.execute(insert(schema.device).values(gateway_id="gw-east-2", id="enocean:0000beef", registered=True))
    for path in (PAGE, "/fragments/gateways/gw-east-1"):
        page = installer.request("GET", path).data.decode()
        assert ("备用" in page, "enocean:0000beef" in page) == (True, False), "its own devices alone"
    with served.database.reading() as connection:
        due = connection.execute(select(schema.gateway.c.list_due).where(schema.gateway.c.id == "gw-east-1")).scalar()
    assert due, "the gateway is told"
    assert send(installer, "/devices", action="remove", device="enocean:0badcafe").status == 303
    assert "enocean:0badcafe" not in devices()
    for fields, status in (({"device": "", "action": "put"}, 422), ({"device": "none:1", "action": "remove"}, 404)):
        wrong = send(installer, "/devices", name="<b>typed</b>", **fields)
        assert wrong.status == status
        assert "&lt;b&gt;typed" in wrong.data.decode(), "nothing typed is lost"
    assert send(served.client("mei"), "/devices", action="put", device="enocean:1").status == 403
