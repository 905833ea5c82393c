"""What installers bind in homes, at the center: registered, refused or kept, answered; the lists that gateways get."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from sqlalchemy import insert, update

from cloud_center import Cloud, TestGateway
from hearthline import wire
from hearthline.clock import NS
from hearthline.model import BOUND, DEVICES, EventType
from hearthline_cloud import journal, schema
from hearthline_cloud.ingest.commands import due_commands
from hearthline_cloud.listing import SUPERSEDED, is_any_list_due, order_due_lists
from hearthline_cloud.registry.editing import edit, put
from hearthline_cloud.registry.removing import remove
from hearthline_cloud.registry.shape import Kind

PENDANT = "enocean:002EE196"
NOW = time.time_ns()


def binding(gateway: TestGateway, device: str = PENDANT, state: str = "wanted", **data: Any) -> wire.Event:
    wanted = {"name": "吊坠", "room": "bedroom", "kind": "push-button", "buttons": {"*": "emergency", "BO": "service"}}
    told = wanted | data if state == "wanted" else data
    return word(gateway, {"state": state, "device": device, **told})


def word(gateway: TestGateway, data: dict[str, Any]) -> wire.Event:
    return replace(gateway.event(EventType.BINDING, gateway.id), data=data)


def bind(cloud: Cloud, event: wire.Event, gateway: TestGateway | None = None) -> None:
    (acked,) = cloud.take((gateway or cloud.gateway).message(event))
    assert acked[1].event == [(event.envelope.seq, event.envelope.seq)], "a binding is never left unacknowledged"


def device(cloud: Cloud, name: str = PENDANT, gateway: str = "gw-1") -> Any:
    return next((row for row in cloud.rows(schema.device) if (row.id, row.gateway_id) == (name, gateway)), None)


def answers(cloud: Cloud, kind: str = BOUND) -> list[tuple[str, str, str]]:
    rows = sorted(cloud.rows(schema.command), key=lambda row: row.created_ns)
    return [(row.gateway_id, row.body["device"], row.body["result"]) for row in rows if row.body["type"] == kind]


def sent(cloud: Cloud, now_ns: int = 0) -> list[tuple[str, wire.Command]]:
    """What goes down in one round of the ingester."""
    with cloud.database.transaction() as connection:
        order_due_lists(connection, now_ns or time.time_ns())
        return due_commands(connection, now_ns or time.time_ns())


def test_a_bound_pendant_is_registered_journalled_and_answered(cloud: Cloud) -> None:
    bind(cloud, binding(cloud.gateway))
    row = device(cloud)
    assert (row.registered, row.name, row.room, row.kind) == (True, "吊坠", "bedroom", "push-button")
    assert row.buttons == {"*": "emergency", "BO": "service"}
    assert row.last_seen_ns is None, "that it was bound says not that it was heard"
    assert answers(cloud) == [("gw-1", PENDANT, "bound")]
    told = [(each.kind, each.detail) for each in cloud.rows(schema.journal)]
    assert ("binding", {"gateway": "gw-1", "device": PENDANT, "result": "bound"}) in told
    assert not [detail for _, detail in told if "吊坠" in str(detail) or "bedroom" in str(detail)]
    with cloud.database.reading() as connection:
        assert journal.check(connection).broken_at is None


def test_what_was_known_of_a_device_stays_and_a_press_before_its_binding_counted(cloud: Cloud) -> None:
    cloud.take(cloud.gateway.press(device=PENDANT))
    assert cloud.count(schema.alert) == 1
    bind(cloud, binding(cloud.gateway, device="cuff:1", name="cuff", room="", kind="cuff", buttons={}, user=1))
    row = device(cloud, "cuff:1")
    assert (row.resident_id, row.user_number, row.kind) == ("res-1", 1, "cuff")


def test_told_again_and_bound_again_change_nothing_and_are_answered(cloud: Cloud) -> None:
    event = binding(cloud.gateway)
    bind(cloud, event)
    bind(cloud, event)
    assert len(answers(cloud)) == 1, "the same event"
    before = device(cloud)
    bind(cloud, binding(cloud.gateway))
    assert answers(cloud) == [("gw-1", PENDANT, "bound")] * 2
    assert device(cloud) == before


def test_a_binding_told_again_leaves_what_the_office_wrote_since(cloud: Cloud) -> None:
    """A gateway without a home asks each hour, and the answer may be lost."""
    heard(cloud)
    bind(cloud, binding(cloud.gateway, name=""))
    with cloud.database.transaction() as connection:
        edit(connection, Kind.DEVICE, {"gateway": "gw-1", "id": PENDANT, "room": "厨房", "user": "2"}, "mei", NOW)
    sent(cloud, time.time_ns() + NS)
    bind(cloud, binding(cloud.gateway, user=1, buttons={"*": "service"}))
    row = device(cloud)
    assert (row.name, row.room, row.kind, row.user_number) == ("吊坠", "厨房", "push-button", 2)
    assert row.buttons == {"*": "service"}, "which only the gateway says"
    assert answers(cloud)[-1][2] == "bound"
    assert lists(sent(cloud, time.time_ns() + 2 * NS)), "the gateway goes back to the office's word"
    commands = cloud.count(schema.command)
    bind(cloud, binding(cloud.gateway, room="厨房", user=2, buttons={"*": "service"}))
    with cloud.database.reading() as connection:
        assert not is_any_list_due(connection)
    assert cloud.count(schema.command) == commands + 1, "the answer"


def test_a_pendant_of_another_home_is_refused_and_stays_where_it_is(cloud: Cloud) -> None:
    other = TestGateway("gw-2")
    with cloud.database.transaction() as connection:
        connection.execute(insert(schema.gateway).values(id="gw-2", home_id="home-2"))
    bind(cloud, binding(cloud.gateway))
    bind(cloud, binding(other, room="kitchen"), other)
    assert answers(cloud)[-1] == ("gw-2", PENDANT, "elsewhere")
    assert device(cloud, gateway="gw-2") is None
    assert device(cloud).room == "bedroom"
    bind(cloud, binding(other, device="rf433:ev1527:abcde"), other)
    bind(cloud, binding(cloud.gateway, device="rf433:ev1527:abcde"))
    assert answers(cloud)[-1][2] == "bound", "a fob's code may be in two homes"


def test_a_second_gateway_of_the_same_home_may_have_it_too(cloud: Cloud) -> None:
    other = TestGateway("gw-2")
    with cloud.database.transaction() as connection:
        connection.execute(insert(schema.gateway).values(id="gw-2", home_id="home-1"))
    bind(cloud, binding(cloud.gateway))
    bind(cloud, binding(other), other)
    assert answers(cloud)[-1] == ("gw-2", PENDANT, "bound")


def test_a_gateway_without_a_home_is_kept_waiting_and_asks_again(cloud: Cloud) -> None:
    stranger = TestGateway("gw-9")
    bind(cloud, binding(stranger), stranger)
    assert answers(cloud) == [("gw-9", PENDANT, "unknown-gateway")]
    assert device(cloud, gateway="gw-9") is None
    with cloud.database.transaction() as connection:
        put(connection, Kind.GATEWAY, {"id": "gw-9", "home": "home-2"}, "mei", NOW)
    bind(cloud, binding(stranger), stranger)
    assert answers(cloud)[-1] == ("gw-9", PENDANT, "bound")


def test_a_removed_device_leaves_the_registry_once(cloud: Cloud) -> None:
    bind(cloud, binding(cloud.gateway))
    for _ in range(2):
        bind(cloud, binding(cloud.gateway, state="removed"))
    assert [result for _, _, result in answers(cloud)] == ["bound", "removed", "removed"]
    assert device(cloud) is None


IMPOSSIBLE: list[dict[str, Any]] = [
    {"state": "wanted"},
    {"state": "wanted", "device": ""},
    {"state": "perhaps", "device": PENDANT},
    {"state": "wanted", "device": PENDANT, "name": "x" * 65},
    {"state": "wanted", "device": PENDANT, "room": "a\0b"},
    {"state": "wanted", "device": "d" * 129},
    {"state": "wanted", "device": PENDANT, "buttons": {"*": "launch"}},
    {"state": "wanted", "device": PENDANT, "buttons": {str(number): "service" for number in range(33)}},
    {"state": "wanted", "device": PENDANT, "user": 2**70},
    {},
]


def test_a_binding_that_cannot_be_is_kept_as_suspect_and_changes_nothing(cloud: Cloud) -> None:
    for data in IMPOSSIBLE:
        bind(cloud, word(cloud.gateway, data))
    assert all(event.suspect for event in cloud.rows(schema.event))
    assert cloud.count(schema.event) == len(IMPOSSIBLE)
    assert cloud.count(schema.command) == 0
    assert device(cloud) is None


def test_what_the_registry_cannot_take_is_refused_and_changes_nothing(cloud: Cloud) -> None:
    for data in ({"kind": "toaster"}, {"kind": "port"}, {"user": 999}, {"name": "a\u0007b"}):
        bind(cloud, binding(cloud.gateway, **data))
    assert answers(cloud) == [("gw-1", PENDANT, "refused")] * 4
    assert device(cloud) is None


# --- the list ------------------------------------------------------------------------------------------------------


def heard(cloud: Cloud, outbox: str = "card.1") -> None:
    cloud.take(cloud.gateway.message(wire.Status(state="online", outbox=outbox), wire.UP_STATUS))


def lists(commands: list[tuple[str, wire.Command]]) -> list[tuple[str, list[str]]]:
    return [(gateway, [each["id"] for each in one.devices]) for gateway, one in commands if one.type == DEVICES]


def test_what_the_registry_changes_goes_down_as_the_whole_list(cloud: Cloud) -> None:
    heard(cloud)
    assert sent(cloud) == []
    with cloud.database.transaction() as connection:
        values = {"gateway": "gw-1", "id": PENDANT, "name": "吊坠", "room": "卧室", "kind": "push-button"}
        put(connection, Kind.DEVICE, values, "mei", NOW)
        connection.execute(
            insert(schema.device).values(gateway_id="gw-1", id="port:radio", registered=True, kind="port")
        )
        connection.execute(insert(schema.device).values(gateway_id="gw-1", id="enocean:who"))
    ((gateway, command),) = sent(cloud)
    assert (gateway, command.type) == ("gw-1", DEVICES)
    assert command.devices == [
        {"id": "cuff:1", "user": 1},
        {"id": PENDANT, "name": "吊坠", "room": "卧室", "kind": "push-button"},
        {"id": "enocean:1"},
    ]
    with cloud.database.reading() as connection:
        assert not is_any_list_due(connection)
    with cloud.database.transaction() as connection:
        edit(connection, Kind.DEVICE, {"gateway": "gw-1", "id": PENDANT, "room": "厨房"}, "mei", NOW)
        remove(connection, Kind.DEVICE, ("gw-1", "cuff:1"), "mei", NOW)
    later = time.time_ns() + 600 * NS
    assert lists(sent(cloud, later)) == [("gw-1", [PENDANT, "enocean:1"])], "one, and the older is not sent again"
    results = [row.result for row in sorted(cloud.rows(schema.command), key=lambda row: row.created_ns)]
    assert results == [SUPERSEDED, None]


def test_a_gateway_that_was_never_heard_is_told_when_it_is(cloud: Cloud) -> None:
    with cloud.database.transaction() as connection:
        put(connection, Kind.DEVICE, {"gateway": "gw-1", "id": PENDANT}, "mei", NOW)
    assert sent(cloud) == []
    heard(cloud)
    assert [gateway for gateway, _ in lists(sent(cloud))] == ["gw-1"]


def test_another_card_and_a_lost_list_are_told_the_list_again(cloud: Cloud) -> None:
    heard(cloud)
    heard(cloud, "card.2")
    assert sent(cloud) == [], "the same card, another start"
    heard(cloud, "other.1")
    assert lists(sent(cloud)) == [("gw-1", ["cuff:1", "enocean:1"])]
    bind(cloud, word(cloud.gateway, {"state": "lost"}))
    assert [gateway for gateway, _ in lists(sent(cloud, time.time_ns() + NS))] == ["gw-1"]


def test_roles_survive_the_way_through_the_registry(cloud: Cloud) -> None:
    heard(cloud)
    bind(cloud, binding(cloud.gateway))
    with cloud.database.transaction() as connection:
        edit(connection, Kind.DEVICE, {"gateway": "gw-1", "id": PENDANT, "room": "厨房"}, "mei", NOW)
    (command,) = (one for _, one in sent(cloud, time.time_ns() + NS) if one.type == DEVICES)
    (told,) = (each for each in command.devices if each["id"] == PENDANT)
    assert told["buttons"] == {"*": "emergency", "BO": "service"}
    assert told["room"] == "厨房"


def test_a_binding_is_told_to_a_gateway_that_was_away_for_weeks(cloud: Cloud) -> None:
    bind(cloud, binding(cloud.gateway))
    weeks = time.time_ns() + 20 * 24 * 3600 * NS
    assert [one.result for _, one in sent(cloud, weeks) if one.type == BOUND] == ["bound"]
    months = time.time_ns() + 40 * 24 * 3600 * NS
    with cloud.database.transaction() as connection:
        connection.execute(update(schema.command).values(next_attempt_ns=0))
    assert not [one for _, one in sent(cloud, months) if one.type == BOUND]
    assert [row.result for row in cloud.rows(schema.command) if row.body["type"] == BOUND] == ["expired"]
