"""One entry of the registry, on both databases: added, changed, refused, removed, and what the journal says of it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from cloud_center import Cloud
from hearthline.errors import RefusedError
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts.lifecycle import Outcome
from hearthline_cloud.desk import Desk, NotFoundError
from hearthline_cloud.registry.cleaning import clean
from hearthline_cloud.registry.editing import RegistryError, add, edit, edit_contact, put
from hearthline_cloud.registry.reading import list_entries, show_entry
from hearthline_cloud.registry.removing import Along, remove, remove_contact
from hearthline_cloud.registry.shape import Key, Kind, Values

NOW = time.time_ns()
WANG: dict[str, Any] = {
    "id": "r-9",
    "home": "home-1",
    "name": "王秀兰",
    "birth_year": 1941,
    "phone": "１３８ 0000 0142",
}

on_sqlite = pytest.mark.parametrize("either_url", ["sqlite"], indirect=True)  # alike on both: tried on one


def added(cloud: Cloud, what: Kind, seen: frozenset[str] | None = None, /, **values: Any) -> None:
    with cloud.database.transaction() as connection:
        add(connection, what, values, "mei", NOW, seen)


def shown(cloud: Cloud, kind: Kind, *key: str) -> Values:
    with cloud.database.reading() as connection:
        return show_entry(connection, kind, key)


def removed(cloud: Cloud, kind: Kind, *key: str, along: Along | None = None) -> None:
    with cloud.database.transaction() as connection:
        remove(connection, kind, key, "mei", NOW, along=along or Along())


def ids(cloud: Cloud, kind: Kind, seen: frozenset[str] | None = None) -> list[str]:
    with cloud.database.reading() as connection:
        return [each["id"] for each in list_entries(connection, kind, seen)]


def told(cloud: Cloud) -> list[tuple[str, str, list[str]]]:
    entries = [row for row in cloud.rows(schema.journal) if row.kind == "registry"]
    assert {row.actor for row in entries} <= {"mei"}
    return [(row.detail["do"], row.detail["kind"], row.detail["ids"]) for row in entries]


def codes(caught: pytest.ExceptionInfo[RegistryError]) -> list[tuple[str, str]]:
    return [(found.problem.field, found.problem.code) for found in caught.value.found]


def test_what_is_added_is_sealed_and_journalled_by_its_id_alone(cloud: Cloud) -> None:
    added(cloud, Kind.RESIDENT, **WANG)
    assert shown(cloud, Kind.RESIDENT, "r-9") == {
        "id": "r-9", "home": "home-1", "name": "王秀兰", "birth_year": 1941, "phone": "138 0000 0142",
        "illnesses": "", "notes": "",
    }  # fmt: skip
    assert told(cloud) == [("added", "resident", ["r-9"])]
    with cloud.database.reading() as connection:
        raw = connection.exec_driver_sql("SELECT * FROM resident WHERE id = 'r-9'").one()
        assert journal.check(connection).broken_at is None
    assert "王秀兰" not in str(raw)


def test_an_edit_changes_what_is_given_and_tells_of_nothing_that_is_so_already(cloud: Cloud) -> None:
    added(cloud, Kind.RESIDENT, **WANG)
    with cloud.database.transaction() as connection:
        edit(connection, Kind.RESIDENT, {"id": "r-9", "phone": "", "notes": "第一行\n第二行"}, "mei", NOW)
        edit(connection, Kind.RESIDENT, {"id": "r-9", "name": "王秀兰"}, "mei", NOW)
    found = shown(cloud, Kind.RESIDENT, "r-9")
    assert (found["phone"], found["notes"], found["birth_year"]) == ("", "第一行\n第二行", 1941)
    assert [entry[0] for entry in told(cloud)] == ["added", "changed"]
    with pytest.raises(NotFoundError), cloud.database.transaction() as connection:
        edit(connection, Kind.HOME, {"id": "home-7", "name": "x"}, "mei", NOW)


WRONG: list[tuple[Kind, dict[str, Any], list[tuple[str, str]]]] = [
    (Kind.HOME, {"id": "h", "name": "x"}, [("community", "missing")]),
    (Kind.HOME, {"id": "h", "community": "c-x", "name": "x"}, [("community", "no-such")]),
    (Kind.HOME, {"id": "home-1", "community": "com-1", "name": "x"}, [("id", "exists")]),
    (Kind.HOME, {"id": "梧桐路", "community": "com-1", "name": "x"}, [("id", "bad-id")]),
    (Kind.RESIDENT, WANG | {"id": "r-wang", "name": "Wang Xiulan"}, [("id", "id-is-name")]),
    (Kind.RESIDENT, WANG | {"phone": "n/a", "birth_year": 2941},
     [("birth_year", "bad-year"), ("phone", "bad-phone")]),
    (Kind.RESIDENT, WANG | {"name": "a\0b"}, [("name", "nul")]),
    (Kind.RESIDENT, WANG | {"name": "x" * 201}, [("name", "too-long")]),
    (Kind.RESIDENT, WANG | {"name": "王\ufffd"}, [("name", "unreadable")]),
    (Kind.DEVICE, {"gateway": "gw-1", "id": "x:1", "kind": "toaster"}, [("kind", "no-kind")]),
    (Kind.DEVICE, {"gateway": "gw-1", "id": "x:1", "user": "one"}, [("user", "bad-number")]),
    (Kind.DEVICE, {"gateway": "gw-1", "id": "rf433:pt2262:1", "supervise": "1d"}, [("supervise", "supervise-silent")]),
    (Kind.CONTACT, {"resident": "res-1", "relation": "son"}, [("name", "missing")]),
]  # fmt: skip


@on_sqlite
def test_what_is_wrong_is_told_whole_and_changes_nothing(cloud: Cloud) -> None:
    for kind, values, wrong in WRONG:
        with pytest.raises(RegistryError) as caught:
            added(cloud, kind, **values)
        assert codes(caught) == wrong
    assert told(cloud) == []


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("138 0000 0142", "138 0000 0142"), ("＋８６（０２１）５５５０－０１４２", "+86(021)5550-0142"), ("110", "110"),
        ("021—5550 0142转8", "021-5550 0142转8"), ("\u3000139\u200b0000\ufeff0001 ", "13900000001"), ("12", None),
        ("see notes", None), ("138/139 0000", "138/139 0000"), ("1" * 21, None),
    ],
)  # fmt: skip
def test_a_telephone_number_gets_plain_digits(written: str, kept: str | None) -> None:
    values, problems = clean(Kind.CONTACT, {"phone": written}, NOW)
    assert values.get("phone") == kept
    assert [each.code for each in problems] == ([] if kept else ["bad-phone"])


@pytest.mark.parametrize(
    ("written", "is_whole"),
    [
        (2155500142, False), ("57155500142", False), ("1055500142", False), ("02155500142", True),
        ("55500142", True), ("13800000142", True), ("4008100142", True), ("8008100142", True), ("12320", True),
        ("+12125550142", True), ("212-555-0142", True),
    ],
)  # fmt: skip
def test_a_telephone_number_whose_first_0_a_spreadsheet_took_away_is_told(written: object, is_whole: bool) -> None:
    values, problems = clean(Kind.CONTACT, {"phone": written}, NOW)
    assert [each.code for each in problems] == ([] if is_whole else ["lost-zero"])
    assert ("phone" in values) is is_whole


@pytest.mark.parametrize(
    ("written", "kept"), [("1941年", 1941), ("１９４１", 1941), (1941.0, 1941), (1941, 1941), ("", None), (None, None)]
)
def test_a_year_as_people_and_spreadsheets_write_it(written: object, kept: int | None) -> None:
    assert clean(Kind.RESIDENT, {"birth_year": written}, NOW) == ({"birth_year": kept}, [])


@pytest.mark.parametrize(
    ("kind", "name", "written", "kept"),
    [
        (Kind.DEVICE, "user", "000001999999999999", None), (Kind.DEVICE, "user", "0000000255", 255),
        (Kind.DEVICE, "user", "256", None), (Kind.DEVICE, "user", "0", 0), (Kind.DEVICE, "user", "-1", None),
        (Kind.RESIDENT, "birth_year", "0019901", None), (Kind.RESIDENT, "birth_year", "19901", None),
        (Kind.RESIDENT, "birth_year", "00001941", 1941), (Kind.RESIDENT, "birth_year", "1849", None),
    ],
)  # fmt: skip
def test_a_number_is_bounded_as_the_whole_that_it_is(kind: Kind, name: str, written: str, kept: int | None) -> None:
    values, problems = clean(kind, {name: written}, NOW)
    assert (values.get(name), len(problems)) == (kept, int(kept is None))


def test_a_devices_id_is_what_its_gateway_says() -> None:
    for written, kept in (
        ("z2m:SOS 1", "z2m:SOS 1"),
        ("ｅｎｏｃｅａｎ：００２EE196 ", "enocean:002EE196"),
        ("z2m:床头（左）", "z2m:床头（左）"),
    ):
        assert clean(Kind.DEVICE, {"id": written}, NOW) == ({"id": kept}, [])


def test_a_pendant_of_another_home_is_refused_and_one_of_the_same_home_is_not(cloud: Cloud) -> None:
    for gateway, home in (("gw-2", "home-2"), ("gw-3", "home-1")):
        added(cloud, Kind.GATEWAY, id=gateway, home=home)
    with pytest.raises(RegistryError) as caught:
        added(cloud, Kind.DEVICE, gateway="gw-2", id="enocean:1")
    assert codes(caught) == [("id", "elsewhere")]
    assert "home-1" in str(caught.value)
    added(cloud, Kind.DEVICE, gateway="gw-3", id="enocean:1")
    added(cloud, Kind.DEVICE, gateway="gw-2", id="cuff:1")  # the name of a port: each home has one


def test_a_gateway_goes_to_another_home_when_its_devices_are_nobodys(cloud: Cloud) -> None:
    move = {"id": "gw-1", "home": "home-2"}
    with pytest.raises(RegistryError) as caught, cloud.database.transaction() as connection:
        edit(connection, Kind.GATEWAY, move, "mei", NOW)
    assert codes(caught) == [("home", "left-behind")] * 2
    assert shown(cloud, Kind.GATEWAY, "gw-1")["home"] == "home-1"
    with cloud.database.transaction() as connection:
        for device in ("cuff:1", "enocean:1"):
            edit(connection, Kind.DEVICE, {"gateway": "gw-1", "id": device, "resident": ""}, "mei", NOW)
        edit(connection, Kind.GATEWAY, move, "mei", NOW)
    assert shown(cloud, Kind.GATEWAY, "gw-1")["home"] == "home-2"


def test_what_was_heard_and_is_not_registered_is_kept_and_registered(cloud: Cloud) -> None:
    with cloud.database.transaction() as connection:
        connection.execute(insert(schema.gateway).values(id="gw-7", last_seen_ns=5, state="online"))
        connection.execute(insert(schema.device).values(gateway_id="gw-7", id="x:1", last_seen_ns=5))
    assert "gw-7" not in ids(cloud, Kind.GATEWAY)
    added(cloud, Kind.GATEWAY, id="gw-7", home="home-2")
    added(cloud, Kind.DEVICE, gateway="gw-7", id="x:1", room="卧室", supervise="12小时", kind="detector")
    (gateway,) = (row for row in cloud.rows(schema.gateway) if row.id == "gw-7")
    (device,) = (row for row in cloud.rows(schema.device) if row.id == "x:1")
    assert (gateway.home_id, gateway.last_seen_ns, gateway.state) == ("home-2", 5, "online")
    assert (device.registered, device.last_seen_ns, device.supervise_s) == (True, 5, 43_200)
    assert shown(cloud, Kind.DEVICE, "gw-7", "x:1")["supervise"] == "12h"


def test_contacts_are_kept_in_order_and_changed_by_number(cloud: Cloud) -> None:
    added(cloud, Kind.CONTACT, resident="res-1", name="王建国", relation="儿子", phone="138 0000 0142")
    added(cloud, Kind.CONTACT, resident="res-1", name="李梅")
    with pytest.raises(RegistryError) as caught:
        added(cloud, Kind.CONTACT, resident="res-1", name="李梅")
    assert codes(caught) == [("name", "exists")]
    with cloud.database.transaction() as connection:
        edit_contact(connection, "res-1", 2, {"phone": "139 0000 0001"}, "mei", NOW)
        remove_contact(connection, "res-1", 1, "mei", NOW)
    (person,) = cloud.rows(schema.resident)
    assert person.contacts == [{"name": "李梅", "relation": "", "phone": "139 0000 0001"}]
    with pytest.raises(RegistryError, match="1 contacts"), cloud.database.transaction() as connection:
        remove_contact(connection, "res-1", 2, "mei", NOW)
    assert [entry[1:] for entry in told(cloud)] == [
        ("contact", ["res-1"]), ("contact", ["res-1"]), ("resident", ["res-1"]), ("contact", ["res-1"]),
    ]  # fmt: skip


@on_sqlite
def test_no_contact_goes_while_a_message_waits_that_would_go_to_another(cloud: Cloud) -> None:
    added(cloud, Kind.CONTACT, resident="res-1", name="王建国", phone="138 0000 0142")
    cloud.take(cloud.gateway.press())
    with cloud.database.transaction() as connection:
        message = {"alert_id": 1, "channel": "sms", "contact": 0, "created_ns": NOW, "next_try_ns": NOW}
        connection.execute(insert(schema.notification).values(**message))
    with pytest.raises(RegistryError) as caught, cloud.database.transaction() as connection:
        remove_contact(connection, "res-1", 1, "mei", NOW)
    assert codes(caught) == [("number", "still-messages")]
    with cloud.database.transaction() as connection:
        connection.execute(update(schema.notification).values(state="sent"))
    with cloud.database.transaction() as connection:
        remove_contact(connection, "res-1", 1, "mei", NOW)


@on_sqlite
def test_what_is_referred_to_stays(cloud: Cloud) -> None:
    referred: list[tuple[Kind, Key, list[str]]] = [
        (Kind.COMMUNITY, ("com-1",), ["still-homes"]),
        (Kind.HOME, ("home-1",), ["still-residents", "still-gateways"]),
        (Kind.GATEWAY, ("gw-1",), ["still-devices"]),
        (Kind.RESIDENT, ("res-1",), ["erase"]),
    ]
    for kind, key, why in referred:
        with pytest.raises(RegistryError) as caught:
            removed(cloud, kind, *key)
        assert [code for _, code in codes(caught)] == why
    assert (cloud.count(schema.home), cloud.count(schema.gateway), cloud.count(schema.device)) == (2, 1, 2)


def test_a_home_goes_with_its_gateways_and_their_devices_when_that_is_said(cloud: Cloud) -> None:
    with cloud.database.transaction() as connection:
        connection.execute(update(schema.resident).values(home_id="home-2"))
    cloud.take(cloud.gateway.press())
    with pytest.raises(RegistryError, match=r"open case \(1\)"):
        removed(cloud, Kind.HOME, "home-1", along=Along(gateways=True))
    Desk(cloud.database, cloud.waker).resolve(1, Outcome.HELP_GIVEN, "mei", NOW)
    removed(cloud, Kind.HOME, "home-1", along=Along(gateways=True))
    assert (ids(cloud, Kind.HOME), cloud.count(schema.gateway), cloud.count(schema.device)) == (["home-2"], 0, 0)
    assert told(cloud) == [
        ("removed", "device", ["gw-1/cuff:1", "gw-1/enocean:1"]),
        ("removed", "gateway", ["gw-1"]),
        ("removed", "home", ["home-1"]),
    ]
    with cloud.database.reading() as connection:
        keys = connection.execute(select(schema.personal_key.c.subject)).scalars().all()
    assert "place:home-1" not in keys
    assert "place:home-2" in keys
    cloud.take(cloud.gateway.press())  # a pendant that nobody knows any more still raises
    assert cloud.count(schema.alert) == 2


@on_sqlite
def test_a_gateway_with_certificates_is_revoked_first_and_its_revocation_is_kept(cloud: Cloud) -> None:
    with cloud.database.transaction() as connection:
        values = {"serial": "1", "gateway_id": "gw-1", "session": "gw-1", "issued_ns": NOW, "ends_ns": NOW * 2}
        connection.execute(insert(schema.certificate).values(**values))
        offer = {"id": "AAAA", "gateway_id": "gw-1", "kind": "code", "again": False, "made_by": "mei", "verifier": ""}
        connection.execute(insert(schema.enrolment).values(**offer, made_ns=NOW, ends_ns=NOW * 2, sealed="x"))
    with pytest.raises(RegistryError) as caught:
        removed(cloud, Kind.GATEWAY, "gw-1", along=Along(devices=True))
    assert codes(caught) == [("id", "still-certified")]
    with cloud.database.transaction() as connection:
        connection.execute(update(schema.certificate).values(revoked_ns=NOW))
    removed(cloud, Kind.GATEWAY, "gw-1", along=Along(devices=True))
    assert ids(cloud, Kind.GATEWAY) == []
    assert (cloud.count(schema.certificate), cloud.count(schema.enrolment)) == (1, 0)
    (row,) = cloud.rows(schema.gateway)
    assert (row.id, row.home_id, row.last_seen_ns) == ("gw-1", None, None)


@on_sqlite
def test_an_account_of_some_communities_changes_nothing_of_others(cloud: Cloud) -> None:
    added(cloud, Kind.COMMUNITY, id="com-2", name="西区")
    added(cloud, Kind.HOME, id="home-9", community="com-2", name="9")
    mine = frozenset({"com-2"})
    assert ids(cloud, Kind.HOME, mine) == ["home-9"]
    for kind, values in (
        (Kind.HOME, {"id": "home-8", "community": "com-1", "name": "8"}),
        (Kind.RESIDENT, {"id": "r-8", "home": "home-1", "name": "8"}),
        (Kind.DEVICE, {"gateway": "gw-1", "id": "x:8"}),
        (Kind.CONTACT, {"resident": "res-1", "name": "8"}),
        (Kind.COMMUNITY, {"id": "com-3", "name": "3"}),
        (Kind.COMMUNITY, {"id": "com-2", "name": "not theirs to name"}),
        (Kind.HOME, {"id": "home-1", "community": "com-2", "name": "8"}),
    ):
        with pytest.raises(RegistryError):
            added(cloud, kind, mine, **values)
        with pytest.raises(RefusedError), cloud.database.transaction() as connection:
            put(connection, kind, values, "mei", NOW, mine)
    with cloud.database.transaction() as connection:
        put(
            connection, Kind.COMMUNITY, {"id": "com-2", "name": "西区"}, "mei", NOW, mine
        )  # a file may name it as it is
    assert shown(cloud, Kind.COMMUNITY, "com-2")["name"] == "西区"
    with pytest.raises(NotFoundError), cloud.database.transaction() as connection:
        remove(connection, Kind.DEVICE, ("gw-1", "cuff:1"), "mei", NOW, mine)
    added(cloud, Kind.GATEWAY, mine, id="gw-9", home="home-9")
    with pytest.raises(RegistryError) as caught:
        added(cloud, Kind.DEVICE, mine, gateway="gw-9", id="enocean:1")
    assert codes(caught) == [("id", "elsewhere-hidden")]
    assert "home-1" not in str(caught.value)
