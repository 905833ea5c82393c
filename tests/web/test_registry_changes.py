"""Changing the registry over the API: what is done, what is refused in both languages, and for whom."""

from __future__ import annotations

import io
import socket
import time
from urllib.parse import urlencode

import pytest
import urllib3
from openpyxl import Workbook
from sqlalchemy import select, update

from hearthline_cloud import schema
from hearthline_cloud.alerts.lifecycle import Outcome
from hearthline_cloud.api import routes_registry_import
from hearthline_cloud.api.shield import MAX_TABLE_BYTES
from hearthline_cloud.desk import Desk
from hearthline_cloud.permissions import Role
from web.client import Client
from web.seeding import Center
from web.two_communities import OTHER, OWN, logged_in, settle

CSV = {"content-type": "text/csv"}


def ask(client: Client, method: str, path: str, body: object = None, **query: object) -> urllib3.BaseHTTPResponse:
    asked = f"/api/v1/registry/{path}" + (f"?{urlencode(query)}" if query else "")
    return client.request(method, asked, body, CSV if isinstance(body, bytes) else None)


def did(answer: urllib3.BaseHTTPResponse) -> str:
    assert answer.status in (200, 201), answer.data
    return str(answer.json()["did"])


def codes(answer: urllib3.BaseHTTPResponse) -> list[tuple[str, str]]:
    assert (answer.status, answer.json()["error"]["code"]) == (422, "registry"), answer.data
    return [(each["field"], each["code"]) for each in answer.json()["error"]["problems"]]


def test_a_home_is_set_up_changed_and_taken_down(served: Center) -> None:
    boss = served.client("boss")
    assert ask(boss, "POST", "communities", {"id": "c-7", "name": "西区"}).status == 201
    assert ask(boss, "GET", "communities").json() == [
        {"id": "c-1", "name": "梧桐苑社区"}, {"id": "c-7", "name": "西区"},
    ]  # fmt: skip
    assert did(ask(boss, "POST", "homes", {"id": "h-7", "community": "c-7", "name": "7号楼"})) == "added"
    assert did(ask(boss, "PATCH", "homes/h-7", {"address": "梧桐路 7 号"})) == "changed"
    assert (
        did(ask(boss, "POST", "residents", {"id": "r-7", "home": "h-7", "name": "李", "birth_year": 1940})) == "added"
    )
    assert did(ask(boss, "PATCH", "residents/r-7", {"birth_year": None, "phone": "１１０"})) == "changed"
    assert did(ask(boss, "POST", "residents/r-7/contacts", {"name": "李明", "phone": "138"})) == "added"
    assert did(ask(boss, "PATCH", "residents/r-7/contacts", {"relation": "儿子"}, number=1)) == "changed"
    card = boss.get("residents/r-7").json()
    assert (card["birth_year"], card["phone"], card["address"]) == (None, "110", "梧桐路 7 号")
    assert card["contacts"] == [{"name": "李明", "relation": "儿子", "phone": "138"}]
    assert did(ask(boss, "DELETE", "residents/r-7/contacts", number=1)) == "removed"
    assert did(ask(boss, "POST", "gateways", {"id": "gw-7", "home": "h-7"})) == "added"
    device = {"id": "enocean:002EE196", "room": "卧室", "resident": "r-7", "kind": "push-button"}
    assert did(ask(boss, "POST", "gateways/gw-7/devices", device)) == "added"
    assert did(ask(boss, "PATCH", "gateways/gw-7/devices", {"resident": None}, id=device["id"])) == "changed"
    assert codes(ask(boss, "DELETE", "gateways/gw-7")) == [("id", "still-devices")]
    assert did(ask(boss, "DELETE", "gateways/gw-7/devices", id=device["id"])) == "removed"
    assert codes(ask(boss, "DELETE", "homes/h-7")) == [("id", "still-residents"), ("id", "still-gateways")]
    assert ask(boss, "DELETE", "residents/r-7").status == 422  # without erase=yes
    assert did(ask(boss, "DELETE", "residents/r-7", erase="yes")) == "erased"
    assert did(ask(boss, "DELETE", "homes/h-7", with_gateways=True)) == "removed"
    assert did(ask(boss, "DELETE", "communities/c-7")) == "removed"
    with served.database.reading() as connection:
        kept = select(schema.journal.c.actor, schema.journal.c.detail).where(schema.journal.c.kind == "registry")
        told = connection.execute(kept).all()
    assert {row.actor for row in told} == {"boss"}
    assert not any(word in str(row.detail) for row in told for word in ("李", "西区", "梧桐"))


def test_what_is_wrong_is_told_by_field_in_both_languages(served: Center) -> None:
    boss = served.client("boss")
    answer = ask(boss, "POST", "homes", {"id": "h 8", "community": "c-x", "name": "8"})
    assert codes(answer) == [("id", "bad-id")]
    (problem,) = answer.json()["error"]["problems"]
    assert "cannot be an id" in problem["message"]
    assert "不能用作编号" in problem["message_zh"]
    assert codes(ask(boss, "POST", "homes", {"id": "h-1", "community": "c-1", "name": "1"})) == [("id", "exists")]
    assert codes(ask(boss, "PATCH", "residents/r-1", {"phone": "none"})) == [("phone", "bad-phone")]
    wrong_bodies: tuple[object, ...] = ({"id": "h-8"}, {"id": "h-8", "community": "c-1", "name": "8", "road": "x"}, [])
    for wrong in wrong_bodies:
        assert ask(boss, "POST", "homes", wrong).status == 422
    assert ask(boss, "PATCH", "homes/h-none", {"name": "x"}).status == 404
    assert ask(boss, "DELETE", "gateways/gw-east-1/devices", id="x:none").status == 404


def test_each_role_changes_its_own_part(served: Center) -> None:
    settle(served)
    installer, nurse, auditor = (logged_in(served, role, OWN) for role in (Role.INSTALLER, Role.NURSE, Role.AUDITOR))
    home, person = {"id": "h-6", "community": "c-1", "name": "6"}, {"id": "r-6", "home": "h-1", "name": "六"}
    assert [ask(who, "POST", "homes", home).status for who in (auditor, nurse, installer)] == [403, 403, 201]
    assert [ask(who, "POST", "residents", person).status for who in (auditor, installer, nurse)] == [403, 403, 201]
    boss = logged_in(served, Role.ADMINISTRATOR, OWN)
    assert ask(nurse, "DELETE", "residents/r-6", erase="yes").status == 403
    assert ask(boss, "POST", "communities", {"id": "c-6", "name": "6"}).status == 403  # of the whole center alone
    assert ask(boss, "DELETE", "residents/r-6", erase="yes").status == 200


def test_nothing_of_another_community_is_changed_or_told(served: Center) -> None:
    settle(served)
    other = logged_in(served, Role.ADMINISTRATOR, OTHER)
    pendant = {"id": "enocean:01a2b3c4"}
    with served.database.transaction() as connection:
        connection.execute(update(schema.gateway).where(schema.gateway.c.id == "gw-west-9").values(home_id="h-9"))
    for method, path, body in (
        ("PATCH", "homes/h-1", {"name": "x"}), ("DELETE", "homes/h-1", None), ("PATCH", "residents/r-1", {"name": "x"}),
        ("POST", "gateways/gw-east-1/devices", {"id": "x:1"}), ("DELETE", "gateways/gw-east-1", None),
    ):  # fmt: skip
        assert ask(other, method, path, body).status == 404
    assert codes(ask(other, "POST", "homes", {"id": "h-1", "community": "c-2", "name": "x"})) == [("id", "taken")]
    assert codes(ask(other, "POST", "homes", {"id": "h-8", "community": "c-1", "name": "x"})) == [
        ("community", "no-such")
    ]
    assert codes(ask(other, "PATCH", "homes/h-9", {"community": "c-1"})) == [("community", "no-such")]
    refused = ask(other, "POST", "gateways/gw-west-9/devices", pendant)
    assert codes(refused) == [("id", "elsewhere-hidden")]
    table = "编号,社区,名称\nh-1,c-2,x\nh-8,c-1,x\n".encode()
    told = ask(other, "POST", "import", table, kind="home", dry_run=True)
    assert [each["code"] for each in told.json()["problems"]] == ["taken", "no-such"]
    for answer in (refused, told):
        assert not any(word in answer.data.decode() for word in ("梧桐", "gw-east"))


def test_a_table_is_tried_and_brought_in_whole(served: Center) -> None:
    boss = served.client("boss")
    bad = "编号,社区,名称\nh-5,c-1,五\nh-6,c-x,六\n"
    tried = ask(boss, "POST", "import", bad.encode("gb18030"), kind="home", dry_run=True).json()
    (problem,) = tried["problems"]
    assert (problem["row"], problem["column"], problem["field"], problem["code"]) == (3, "社区", "community", "no-such")
    assert codes(ask(boss, "POST", "import", bad.encode(), kind="home")) == [("community", "no-such")]
    book = Workbook()
    book.worksheets[0].title = "住家"
    for row in (["编号", "社区", "名称"], ["h-5", "c-1", "五"], ["h-6", "c-1", "六"]):
        book.worksheets[0].append(row)
    into = io.BytesIO()
    book.save(into)
    done = ask(boss, "POST", "import", into.getvalue()).json()
    assert (done["written"], done["counts"]) == (True, {"home": {"new": 2, "changed": 0, "same": 0}})
    assert {each["id"] for each in boss.get("homes").json()} == {"h-1", "h-2", "h-5", "h-6"}
    again = ask(boss, "POST", "import", into.getvalue(), dry_run=True).json()
    assert again["counts"] == {"home": {"new": 0, "changed": 0, "same": 2}}


def test_a_table_is_bounded_and_read_only_for_who_may(served: Center, monkeypatch: pytest.MonkeyPatch) -> None:
    boss, operator, stranger = served.client("boss"), served.client("mei"), served.client()
    large = b"id,name\n" + b"x" * MAX_TABLE_BYTES
    assert ask(boss, "POST", "import", large, kind="home").status == 413
    assert ask(operator, "POST", "import", b"id", kind="home").status == 403
    assert ask(stranger, "POST", "import", b"id", kind="home").status == 401
    assert ask(boss, "POST", "homes", {"id": "h", "community": "c-1", "name": "x" * 70_000}).status == 413
    monkeypatch.setattr(routes_registry_import, "MAX_ROWS", 2)
    many = b"id,home\n" + b"".join(b"gw-%d,h-1\n" % n for n in range(9))
    assert codes(ask(boss, "POST", "import", many, kind="gateway")) == [("", "too-many-rows")]
    chunks = (b"x" * 65_536 for _ in range(64))
    assert chunked(served, boss.token, chunks) == 413


def chunked(center: Center, token: str, chunks: object) -> int:
    """The answer to a body that does not say how long it is."""
    head = f"POST /api/v1/registry/import?kind=home HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
    with socket.create_connection(("127.0.0.1", center.port), timeout=8) as line:
        line.sendall(head.encode() + b"content-type: text/csv\r\ntransfer-encoding: chunked\r\n\r\n")
        try:
            for chunk in chunks:  # type: ignore[attr-defined]
                line.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        except ConnectionError:
            pass  # it has heard enough
        return int(line.recv(4096).split(b" ")[1])


def test_a_removed_pendant_still_raises(served: Center) -> None:
    boss = served.client("boss")
    alert = served.press()
    assert codes(ask(boss, "DELETE", "gateways/gw-east-1", with_devices=True)) == [("id", "still-open")]
    Desk(served.database, served.waker).resolve(alert, Outcome.HELP_GIVEN, "mei", time.time_ns())
    assert did(ask(boss, "DELETE", "gateways/gw-east-1", with_devices=True)) == "removed"
    assert served.press() != alert
