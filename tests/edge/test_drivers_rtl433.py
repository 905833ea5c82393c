"""433 MHz by rtl_433: one code whatever the decoder, one press whatever the shapes, and what the options change."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hearthline.clock import NS, Stamp
from hearthline.errors import ConfigError
from hearthline_edge.devices import Change, DeviceNote, Item, MqttMessage, Press, Readings, Release, Seen
from hearthline_edge.devices.rtl433_codes import name, shapes
from hearthline_edge.devices.rtl433_json import DRIVER
from hearthline_edge.grouping import PressState, Verdict, judge

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
TOPIC = "rtl_433/host/events"
FOB = 0x6F3CB1  # on the air; d3cf6 with data 8, last bit first
LEAK = 0xF0FF9A


def as_decoders_tell(code: int) -> dict[str, dict[str, Any]]:
    """A code in the fields of each decoder, by its documentation."""
    last_first = f"{int(f'{code:024b}'[::-1], 2):06x}"
    pairs = "".join("0ZX1"[code >> place & 3] for place in range(22, -1, -2))
    raw = code ^ 0xFFFFFF
    return {
        "gs558": {"id": 1, "unit": 2, "learn": 0, "code": last_first},
        "generic": {"id": code >> 8, "cmd": code & 0xFF, "tristate": pairs},
        "akhan": {"id": code >> 4, "data": f"0x{code & 15:x} (Lock)"},
        "chuango": {"id": code >> 4, "cmd": "Disarm", "cmd_id": code & 15},
        "kerui": {"id": code >> 4, "cmd": code & 15, "state": "open"},
        "flex 24": {"count": 1, "num_rows": 1, "len": 24, "data": f"{raw:06x}"},
        "flex 25": {"count": 1, "num_rows": 1, "len": 25, "data": f"{(raw << 1 | 1) << 3:07x}"},
        "flex codes": {"num_rows": 1, "codes": [f"{{25}}{(raw << 1 | 1) << 3:07x}"]},
        "flex rows": {"num_rows": 1, "rows": [{"len": 25, "data": f"{(raw << 1 | 1) << 3:07x}"}]},
    }


class Bridge:
    def __init__(self, **options: Any) -> None:
        self.session = DRIVER.configured(options).open_session(options)
        self.now = START
        self.states: dict[tuple[str, str], PressState] = {}
        self.presses: list[tuple[str, str]] = []

    def hear(self, value: dict[str, Any], after_s: float = 0.06) -> list[Item]:
        """One decode, its presses grouped as the agent does."""
        self.now = self.now.later(after_s)
        items = list(self.session.receive(MqttMessage(TOPIC, json.dumps(value).encode(), False), self.now))
        for item in items:
            if isinstance(item, Press):
                key = (item.device, item.button)
                verdict, self.states[key] = judge(self.states.get(key), item, DRIVER.grouping, self.now)
                if verdict is Verdict.NEW:
                    self.presses.append(key)
        return items


@pytest.mark.parametrize("shape", as_decoders_tell(FOB))
@pytest.mark.parametrize("code", [FOB, 0x51918F, 0x13CDC0])
def test_a_code_is_one_device_by_every_decoder(shape: str, code: int) -> None:
    (found,) = shapes(as_decoders_tell(code)[shape])
    assert found.codes[0] == code
    if not found.flex:
        assert name(found.codes[0], found.flex) == name(code, flex=False)


def test_a_burst_in_every_shape_is_one_press_and_the_next_burst_another() -> None:
    bridge = Bridge()
    for burst in range(3):
        for value in as_decoders_tell(FOB).values():
            bridge.hear(value)
        assert bridge.presses == [("rf433:ev1527:d3cf6", "A")] * (burst + 1)
        bridge.now = bridge.now.later(1.6)


@pytest.mark.parametrize("first", ["24 bits", "25 bits", "generic"])
def test_a_code_behind_its_sync_pulse_is_one_press_whichever_shape_is_first(first: str) -> None:
    """The recorded leak detector: 24 bits, the same behind a sync pulse, and the first 24 of those 25."""
    told: dict[str, dict[str, Any]] = {
        "24 bits": {"len": 24, "data": "0f0065", "code": 983141},
        "25 bits": {"len": 25, "data": "8780328", "code": 8880178},
        "generic": {"id": 30847, "cmd": 205, "tristate": "Z1X0Z111101Z"},
    }
    bridge = Bridge()
    for value in [told.pop(first), *told.values()]:
        bridge.hear(value)
    assert len(bridge.presses) == 1
    bridge.now = bridge.now.later(5)
    bridge.hear({"id": 30847, "cmd": 205, "tristate": "Z1X0Z111101Z"})
    assert bridge.presses[-1] == ("rf433:ev1527:0f0065", "code"), "the unshifted shape has taught the code"
    assert len(bridge.presses) == 2


def test_keys_of_one_fob_do_not_repeat_each_other() -> None:
    bridge = Bridge()
    for data in ("8", "4", "8", "2", "1", "a"):
        bridge.hear({"model": "Smoke-GS558", "unit": 1, "learn": 0, "code": f"{data}d3cf6"})
    assert [button for _, button in bridge.presses] == ["A", "B", "C", "D"]
    bridge.now = bridge.now.later(2)
    bridge.hear({"model": "Smoke-GS558", "unit": 1, "learn": 0, "code": "ad3cf6"})
    assert [button for _, button in bridge.presses[4:]] == ["A", "C"]


def test_a_held_button_stays_one_press() -> None:
    bridge = Bridge()
    for _ in range(200):
        bridge.hear(as_decoders_tell(FOB)["akhan"], after_s=0.3)
    assert len(bridge.presses) == 1


def test_only_what_is_named_counts() -> None:
    bridge = Bridge(only=["rf433:ev1527:d3cf6", "rf433:acurite:1"])
    assert not bridge.hear(as_decoders_tell(0x51918F)["generic"])
    assert bridge.hear(as_decoders_tell(FOB)["generic"])
    assert not bridge.hear({"model": "Acurite", "id": 2, "temperature_C": 20})
    (readings,) = bridge.hear({"model": "Acurite", "id": 1, "temperature_C": 20})
    assert isinstance(readings, Readings)


@pytest.mark.parametrize(
    "options", [{"only": ["rf433:ev1527:0f0065"]}, {"sensors": {"rf433:ev1527:0f0065": {"*": "leak"}}}]
)
@pytest.mark.parametrize(
    "first",
    [
        {"len": 25, "data": "8780328"},
        {"id": 30847, "cmd": 205, "tristate": "Z1X0Z111101Z"},
        {"id": 0xF0FF9, "data": "0xa (Lock)"},
    ],
)
def test_what_the_installer_has_named_is_found_in_whichever_shape_comes_first(
    options: dict[str, Any], first: dict[str, Any]
) -> None:
    """Nothing has been heard yet: after a restart the recorded leak may begin with the shape behind the sync pulse."""
    bridge = Bridge(**options)
    bridge.hear(first)
    for _ in range(3):
        bridge.hear({"len": 24, "data": "0f0065"})
    assert bridge.presses == [("rf433:ev1527:0f0065", "leak" if "sensors" in options else "code")]


def test_the_installer_says_what_a_code_means() -> None:
    bridge = Bridge(
        sensors={
            "rf433:ev1527:0f0065": {"*": "leak"},
            "rf433:ev1527:d3cf6": {"0x8": "open", "0x4": "closed", "0x2": "tamper", "0x1": "ignore"},
            "rf433:pt2262:13cd": {"192": "test"},
            "rf433:visonic-powercode:1": {"alarm": "open"},
            "rf433:x10-security:2": {"panic": "fall"},
        }
    )
    (leak,) = bridge.hear({"len": 24, "data": "0f0065"})
    assert isinstance(leak, Press)
    assert leak.button == "leak"
    told = [bridge.hear(as_decoders_tell(FOB & 0xFFFFF0 | data)["generic"]) for data in (1, 1, 2, 4, 4, 8)]
    assert [[getattr(item, "kind", "seen") for item in items] for items in told] == [
        ["open"], ["seen"], ["closed"], ["tamper"], ["seen"], [],
    ]  # fmt: skip
    (note,) = bridge.hear(as_decoders_tell(0x13CDC0)["generic"])
    assert isinstance(note, DeviceNote)
    assert note.kind == "test"
    assert bridge.hear(as_decoders_tell(0x13CD0C)["generic"]) != []
    doors = [bridge.hear({"model": "Visonic-Powercode", "id": "1", "alarm": alarm}) for alarm in (1, 1, 0)]
    assert [[item.kind for item in items if isinstance(item, Change)] for items in doors] == [["open"], [], ["closed"]]
    (fall,) = bridge.hear({"model": "X10-Security", "id": "2", "event": "KR15 PANIC"})
    assert isinstance(fall, Press)
    assert fall.button == "fall"


def test_motion_that_nobody_ends_is_over_after_a_minute_of_silence() -> None:
    bridge = Bridge()
    value = {"model": "PIR", "id": 1, "motion": 1}
    kinds = [bridge.hear(value, after_s)[0] for after_s in (0.1, 1, 59, 61, 1)]
    assert [isinstance(item, Change) for item in kinds] == [True, False, False, True, False]


def test_a_hazard_is_released_once_and_by_the_first_report() -> None:
    """What was told before the agent started anew is over too, or the next fire would count as the same."""
    bridge = Bridge()
    items = [bridge.hear({"model": "S", "id": 1, "smoke": smoke})[0] for smoke in (0, 1, 1, 0, 0, "1", "0")]
    assert [type(item) for item in items] == [Release, Press, Press, Release, Seen, Press, Release]


def test_memory_is_bounded() -> None:
    bridge = Bridge()
    for number in range(5000):
        bridge.hear({"model": "S", "id": number, "smoke": 1, "open": 1, "battery_ok": 0}, after_s=0)
        bridge.hear({"id": number << 4, "data": "0x8"}, after_s=0)
    session: Any = bridge.session
    assert len(session._states) <= 1000
    assert len(session._codes._known) <= 1000
    assert len(session._codes._recent) <= 40


def test_topics() -> None:
    assert DRIVER.claims("rtl_433/any host/events")
    assert not DRIVER.claims("rtl_433/host/devices/Smoke-GS558/1/code")
    assert not DRIVER.claims("rtl_433/host/states")
    other = DRIVER.configured({"topics": ["radio/#", "shed/+/events"]})
    assert other.subscriptions == ("radio/#", "shed/+/events")
    assert other.claims("radio/a/b")
    assert other.claims("shed/x/events")
    assert not other.claims(TOPIC)


@pytest.mark.parametrize("options", [{"topic": "x"}, {"only": "x"}, {"sensors": {"a": {"*": "flood"}}}])
def test_wrong_options(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        DRIVER.open_session(options)
