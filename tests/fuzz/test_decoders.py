"""Hostile frames for every driver and shipped profile: none raises, hangs, grows, or gives what cannot be kept.

HEARTHLINE_SEED repeats a run. A new driver or MQTT profile is fuzzed by itself; a new serial driver needs its row in
families.py, and one in asking.py when it asks meters.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest

from fuzz.asking import ASKING
from fuzz.drive import ASKING_WEIGHT, Outcome, drive_line, drive_mqtt
from fuzz.families import FAMILIES, SERIAL, good_frames, vectors
from fuzz.line_noise import LineNoise
from fuzz.mqtt_noise import MqttNoise
from fuzz.over_mqtt import SPEAKERS
from hearthline.clock import Stamp
from hearthline_edge.devices import Item, Press, enocean_esp3
from hearthline_edge.framing import FrameDecoder
from trials import SEED, publish, rate_bound, trials

FRAMES = trials(15_000, 1_000_000)
pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(1800)]


def tell(driver: str, outcome: Outcome) -> None:
    publish(
        f"hostile frames: {driver}",
        frames=outcome.frames,
        failures=0,
        rate_below=rate_bound(outcome.frames),
        seconds=round(outcome.seconds, 1),
        slowest_call_ms=round(outcome.slowest_s * 1000, 1),
        kept_at_most=outcome.heaviest,
        items=dict(sorted(outcome.items.items())),
        **({"requests": outcome.requests} if outcome.requests else {}),
    )


def line_noise(driver: str) -> tuple[LineNoise, random.Random]:
    rng = random.Random(f"{SEED} {driver}")
    return LineNoise(driver, rng), rng


def test_every_serial_driver_has_its_row_and_good_frames() -> None:
    assert set(FAMILIES) == set(SERIAL), "a serial driver needs a row in tests/fuzz/families.py"
    for driver, family in FAMILIES.items():
        assert len(good_frames(driver)) >= 3
        rng, taken = random.Random(SEED), 0
        for _ in range(200):
            frame = family.garbage(rng)
            family.mend(frame)
            taken += family.shape.judge(bytes(frame), 0) == len(frame)
        assert taken > 150, f"{driver}: what should be a frame is none for its decoder"


@pytest.mark.parametrize("driver", SERIAL)
def test_no_hostile_bytes_break_a_serial_driver(driver: str) -> None:
    noise, rng = line_noise(driver)
    outcome = drive_line(SERIAL[driver].open_session(SERIAL[driver].decode_options, "port"), noise, rng, FRAMES)
    tell(driver, outcome)
    expected = {item["type"] for vector in vectors(driver) for item in vector["items"]}
    assert expected <= set(outcome.items), "the noise does not reach everything that the driver can say"


@pytest.mark.parametrize("name", ASKING)
def test_no_hostile_answers_break_a_session_that_asks(name: str) -> None:
    asking, rng = ASKING[name], random.Random(f"{SEED} {name}")
    noise = LineNoise(asking.driver, rng, asking.answer)
    outcome = drive_line(asking.open_session(), noise, rng, FRAMES, ASKING_WEIGHT)
    tell(name, outcome)
    assert {"DeviceNote", "Readings", "Refused", "Seen"} <= set(outcome.items)
    assert outcome.requests > FRAMES / 50


@pytest.mark.parametrize("name", SPEAKERS)
def test_no_hostile_message_breaks_an_mqtt_driver(name: str) -> None:
    speaker = SPEAKERS[name]
    noise = MqttNoise(speaker.messages, random.Random(f"{SEED} {name}"))
    outcome = drive_mqtt(speaker.driver.configured(speaker.options), speaker.open_session(), noise, FRAMES)
    tell(name, outcome)
    assert speaker.says <= set(outcome.items), "the noise does not reach everything that the driver can say"
    assert outcome.claimed > FRAMES / 4


# --- controls: the rig finds what is planted ---------------------------------------------------------------------


class Planted:
    """An EnOcean session with one mistake of a kind that real decoders had."""

    def __init__(self, mistake: str) -> None:
        self._mistake = mistake
        self._decoder = FrameDecoder(enocean_esp3.SHAPE)
        self._inner = SERIAL["enocean-esp3"].open_session({}, "port")
        self.remembered: list[bytes] = []

    def receive(self, data: bytes, now: Stamp) -> Iterable[Item]:
        for frame in self._decoder.feed(data, now):
            if isinstance(frame, bytes):
                self._heed(frame)
        items = list(self._inner.receive(data, now))
        if self._mistake == "half a character":
            return [Press("enocean:1", "\udc00", "30", "") if isinstance(item, Press) else item for item in items]
        return items

    def _heed(self, frame: bytes) -> None:
        if self._mistake == "trusts the length" and frame[6] == 0xF6:
            _ = frame[6:-1][7 + frame[3] - 1]
        elif self._mistake == "remembers everything":
            self.remembered.append(frame)

    def next_request(self, now: Stamp) -> tuple[bytes, float]:
        return (b"", 0.0) if self._mistake == "asks without a pause" else (b"", 1.0)


@pytest.mark.parametrize(
    ("mistake", "found"),
    [
        ("none", None),
        ("trusts the length", IndexError),
        ("half a character", UnicodeEncodeError),
        ("remembers everything", AssertionError),
        ("asks without a pause", AssertionError),
    ],
)
def test_planted_mistakes_are_found(mistake: str, found: type[Exception] | None) -> None:
    noise, rng = line_noise("enocean-esp3")

    def run() -> Any:
        return drive_line(Planted(mistake), noise, rng, 5_000)

    if found is None:
        run()
    else:
        with pytest.raises(found):
            run()
