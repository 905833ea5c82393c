"""MQTT families: no payload raises, the retained rule as a table, and exact decimals."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthline.clock import NS, Stamp, rfc3339
from hearthline.errors import ConfigError
from hearthline_edge.devices import (
    Item,
    MqttDriver,
    MqttMessage,
    MqttSession,
    Press,
    Readings,
    Refused,
    Seen,
    find_drivers,
)

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
MQTT = {name: driver for name, driver in find_drivers().items() if isinstance(driver, MqttDriver)}
TOPICS = {
    "zigbee2mqtt": ["zigbee2mqtt/a b/c", "zigbee2mqtt/x/action", "zigbee2mqtt/", "zigbee2mqtt", "other/x"],
    "shelly-gen2": ["s/status/switch:0", "s/status/em:0", "s/online", "s/rpc", "s/events/rpc", "s/status/", "a/b/c/d"],
    "tasmota": ["tele/x/SENSOR", "a/b/tele/STATE", "tele/x/RESULT", "tele/x/LWT", "stat/x/RESULT", "tele/SENSOR"],
}
KEYS = ["action", "battery", "battery_low", "tamper", "last_seen", "voltage", "src", "result", "apower", "aenergy"]
KEYS += ["params", "method", "events", "smoke", "contact", "ENERGY", "AM2301", "RfReceived", "RfRaw", "Data", "POWER"]
NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False), st.sampled_from([10**400, 1.5e308]))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=20)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from([*KEYS, "switch:0", "switch:1", "total", "tC"]), inner, max_size=5),
    ),
    max_leaves=12,
)
DEEP = b"[" * 100_000
PAYLOADS = st.one_of(
    st.binary(max_size=60),
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(KEYS), VALUES).map(lambda value: json.dumps(value).encode()),
    st.sampled_from(
        [DEEP, b'{"a":' * 100_000, b'{"battery":1e99999999999999999999}', b'{"apower":' + b"9" * 9000 + b"}"]
    ),
)


def send(session: MqttSession, topic: str, value: Any, *, retained: bool = False, now: Stamp = START) -> list[Item]:
    payload = value if isinstance(value, bytes) else json.dumps(value).encode()
    return list(session.receive(MqttMessage(topic, payload, retained), now))


def presses(items: list[Item]) -> list[str]:
    return [item.certainty for item in items if isinstance(item, Press)]


@pytest.mark.parametrize("name", MQTT)
@given(data=st.data())
@settings(max_examples=120, deadline=None)
def test_no_payload_raises(name: str, data: st.DataObject) -> None:
    session = MQTT[name].open_session({})
    for _ in range(3):
        topic = data.draw(st.sampled_from(TOPICS.get(name, [MQTT[name].example_topic])) | st.text(max_size=20))
        MQTT[name].claims(topic)
        for item in send(session, topic, data.draw(PAYLOADS), retained=data.draw(st.booleans())):
            if isinstance(item, Readings):
                assert all(abs(reading.value) < 1e15 for reading in item.readings)


@pytest.mark.parametrize("action", ["emergency", "single", "double", "hold", "pressed", "press", "on", "что угодно"])
def test_every_live_action_is_a_press(action: str) -> None:
    items = send(MQTT["zigbee2mqtt"].open_session({}), "zigbee2mqtt/x", {"action": action})
    assert [(item.button, item.certainty) for item in items if isinstance(item, Press)] == [(action, "certain")]


@pytest.mark.parametrize("value", [{"action": ""}, {"action": None}, {"action": " "}, {"update": {}}, {}])
def test_no_action_is_life_and_no_press(value: dict[str, Any]) -> None:
    assert send(MQTT["zigbee2mqtt"].open_session({}), "zigbee2mqtt/x", value) == [Seen("z2m:x")]


MINUTE_NS = 60 * NS
NAIVE = "2026-09-21T22:10:00"  # START is 2026-09-21T14:13:20Z: fresh in UTC+8


@pytest.mark.parametrize(
    ("last_seen", "synced", "raised"),
    [
        (None, True, False),
        ("yesterday", True, False),
        (rfc3339(START.wall_ns - 9 * MINUTE_NS), True, True),
        (rfc3339(START.wall_ns - 11 * MINUTE_NS), True, False),
        (rfc3339(START.wall_ns + 9 * MINUTE_NS), True, True),
        (rfc3339(START.wall_ns + 11 * MINUTE_NS), True, False),
        (rfc3339(START.wall_ns - 9 * MINUTE_NS), False, True),
        (rfc3339(START.wall_ns - 11 * MINUTE_NS), False, False),
        (rfc3339(START.wall_ns + 9999 * MINUTE_NS), False, True),
        ((START.wall_ns - MINUTE_NS) // 10**6, True, True),
        (str((START.wall_ns - MINUTE_NS) // 10**6), True, True),
        (NAIVE, True, True),
        ("2026-09-21T22:30:00", True, False),
        ("2026-09-19T22:10:00", True, False),
    ],
)
def test_a_retained_action_of_an_unknown_device(last_seen: Any, synced: bool, raised: bool) -> None:
    session = MQTT["zigbee2mqtt"].open_session({})
    value = {"action": "emergency", "last_seen": last_seen, "battery": 50}
    items = send(session, "zigbee2mqtt/x", value, retained=True, now=replace(START, synced=synced))
    assert items == [item for item in items if isinstance(item, Press)]
    assert presses(items) == (["possible"] if raised else [])


@pytest.mark.parametrize(("seconds", "raised"), [(-1, False), (0, False), (1, True)])
def test_a_retained_action_of_a_known_device(seconds: int, raised: bool) -> None:
    session = MQTT["zigbee2mqtt"].open_session({})
    known = START.wall_ns - 9000 * NS
    send(session, "zigbee2mqtt/x", {"action": "", "last_seen": rfc3339(known)})
    value = {"action": "emergency", "last_seen": rfc3339(known + seconds * NS)}
    assert presses(send(session, "zigbee2mqtt/x", value, retained=True)) == (["possible"] if raised else [])
    assert presses(send(session, "zigbee2mqtt/x", value, retained=True)) == []


def test_attribute_output_takes_plain_actions_and_passes_over_unknown_attributes() -> None:
    session = MQTT["zigbee2mqtt"].open_session({"attribute_output": True})
    assert presses(send(session, "zigbee2mqtt/a/b/action", b"emergency")) == ["certain"]
    assert presses(send(session, "zigbee2mqtt/a/b/action", b"emergency", retained=True)) == []
    assert send(session, "zigbee2mqtt/a/b/action", b"") == []
    assert send(session, "zigbee2mqtt/a/b/child_lock", b"UNLOCK") == []


def test_another_base_topic() -> None:
    options = {"base_topic": "home/z2m"}
    driver = MQTT["zigbee2mqtt"].configured(options)
    assert driver.subscriptions == ("home/z2m/#",)
    assert driver.claims("home/z2m/x")
    assert not driver.claims("zigbee2mqtt/x")
    assert MQTT["shelly-gen2"].configured({}) is MQTT["shelly-gen2"]
    session = driver.open_session(options)
    assert presses(send(session, "home/z2m/x", {"action": "on"})) == ["certain"]
    assert send(session, "zigbee2mqtt/x", {"action": "on"}) == []


@pytest.mark.parametrize("name", MQTT)
def test_wrong_options_are_named(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name}: unknown key"):
        MQTT[name].open_session({"nonsense": 1})


@given(st.integers(0, 10**12))
def test_shelly_energy_is_exact(milliwatthours: int) -> None:
    payload = f'{{"aenergy":{{"total":{milliwatthours // 1000}.{milliwatthours % 1000:03d}}}}}'.encode()
    (item,) = send(MQTT["shelly-gen2"].open_session({}), "s/status/switch:0", payload)
    assert isinstance(item, Readings)
    assert item.readings[0].value == float(f"{milliwatthours // 10**6}.{milliwatthours % 10**6:06d}")


@pytest.mark.parametrize("topic", ["s/status/switch:0", "s/online", "s/rpc"])
def test_no_driver_claims_anothers_topic(topic: str) -> None:
    assert [name for name, driver in MQTT.items() if driver.claims(topic)] == ["shelly-gen2"]
    assert [name for name, driver in MQTT.items() if driver.claims(f"zigbee2mqtt/{topic}")] == ["zigbee2mqtt"]


def test_a_payload_that_is_no_object_is_refused() -> None:
    assert send(MQTT["zigbee2mqtt"].open_session({}), "zigbee2mqtt/x", b"\xff") == [Refused("sanity", "�")]


@pytest.mark.parametrize("battery", ["1E+999999999", "-1e999999999999999999", '"1E+999999999"'])
def test_a_number_beyond_every_context_costs_no_press(battery: str) -> None:
    payload = f'{{"action": "emergency", "battery": {battery}}}'.encode()
    session = MQTT["zigbee2mqtt"].open_session({})
    items = list(session.receive(MqttMessage("zigbee2mqtt/x", payload, False), START))
    assert [type(item) for item in items] == [Press]


@pytest.mark.parametrize(
    ("name", "topic", "payload"),
    [
        ("zigbee2mqtt", "zigbee2mqtt/name-{}", b'{"action": "emergency", "tamper": true}'),
        ("shelly-gen2", "name-{}/online", b"false"),
        ("tasmota", "tele/name-{}/LWT", b"Offline"),
    ],
)
def test_names_without_end_do_not_grow_memory(name: str, topic: str, payload: bytes) -> None:
    session = MQTT[name].open_session({})
    for number in range(5_000):
        assert list(session.receive(MqttMessage(topic.format(number), payload, False), START))
    (kept,) = (value for value in vars(session).values() if isinstance(value, dict | set))
    assert 500 < len(kept) <= 1000
