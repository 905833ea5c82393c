"""What the coverage-guided fuzzer drives: a function of bytes for every driver, the profiles, recordings and the wire.

A target raises when it finds a mistake. `seeds(name)` gives the inputs that it starts from: captures and golden files.
How the bytes of a target are read:

    serial driver   00 ll <ll bytes> 01 ll <ll bytes> …   pieces of a line; the first byte: how long it was silent, and
                                                          with 04 that what the session sent last comes back first
    MQTT driver     topic \\n flags \\n payload            flags: r retained
    profiles        as an MQTT driver, to the shipped MQTT profiles that claim the topic
    profile-paths   path \\n topic \\n payload             of a profile
    profile-file    TOML of a profile
    recordings      dd <recording>                        dd: which driver decodes it
    wire            the payload
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from fuzz import planted
from fuzz.asking import ASKING
from fuzz.drive import ASKING_WEIGHT, LINE_WEIGHT, MQTT_WEIGHT
from fuzz.families import MQTT, SERIAL, START, good_frames, vectors
from fuzz.health import check_item, weight
from fuzz.over_mqtt import PROFILES, SPEAKERS, Speaker
from hearthline import wire
from hearthline.errors import ConfigError, ProtocolError
from hearthline.model import Lane
from hearthline_edge.devices import Driver, MqttDriver, MqttMessage, SerialDriver, SerialSession
from hearthline_edge.profile_paths import Payload, is_nothing, is_unknown, parse_path, parse_topic, text_of
from hearthline_edge.profiles import SHIPPED, driver_of, load_profile
from hearthline_edge.recording import read_recording
from hearthline_edge.replay import replay

Target = Callable[[bytes], None]
GOLDEN = Path(__file__).parent.parent / "wire" / "golden"
_SILENCES_S = (0.0, 0.001, 0.3, 1.2)


_ECHO = 4
_DRIVERS: tuple[Driver, ...] = (*SERIAL.values(), *MQTT.values(), *(each.driver for each in PROFILES.values()))


def _line(open_session: Callable[[], SerialSession], limit: int, data: bytes) -> None:
    session, now, sent = open_session(), START, b""
    while len(data) > 1:
        now = now.later(_SILENCES_S[data[0] % len(_SILENCES_S)])
        echo = sent if data[0] & _ECHO else b""
        for item in session.receive(echo + data[2 : 2 + data[1]], now):
            check_item(item)
        request, delay_s = session.next_request(now)
        assert 0 < delay_s <= 3600
        sent = request or sent
        data = data[2 + data[1] :]
    assert weight(session) <= limit


def _mqtt(speakers: tuple[Speaker, ...], data: bytes) -> None:
    topic, _, rest = data.partition(b"\n")
    flags, _, payload = rest.partition(b"\n")
    message = MqttMessage(topic.decode("utf-8", "replace"), payload, b"r" in flags)
    for speaker in speakers:
        if not speaker.driver.claims(message.topic) and len(speakers) > 1:
            continue
        session = speaker.open_session()
        for _ in range(2):  # told twice: the second time the device is known
            for item in session.receive(message, START):
                check_item(item)
        assert weight(session) <= MQTT_WEIGHT


def _profile_paths(data: bytes) -> None:
    path, topic, payload = [*data.split(b"\n", 2), b"", b""][:3]
    for named in (False, True):
        with suppress(ValueError):
            parse_topic(topic.decode("utf-8", "replace"), named_by_payload=named)
    try:
        steps = parse_path(path.decode("utf-8", "replace"))
    except ValueError:
        return
    found = Payload.of(payload)
    value = found.find(steps)
    assert isinstance(is_unknown(value) or is_nothing(value), bool)
    assert isinstance(text_of(value), str)
    for wanted in (True, 1, 0.1, "on"):
        found.is_any_of(steps, (wanted,))


def _profile_file(data: bytes) -> None:
    """A profile is wrong by a ConfigError, or becomes a driver that opens a session."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "own.toml"
        file.write_bytes(data)
        try:
            driver = driver_of(load_profile(file))
        except ConfigError:
            return
    if isinstance(driver, SerialDriver):
        driver.open_session(driver.decode_options, "port").next_request(START)
        return
    assert driver.claims(driver.example_topic)
    for payload in (b"on", b"1", b'{"a":[1,"on",null]}', data):
        for item in driver.open_session({}).receive(MqttMessage(driver.example_topic, payload, False), START):
            check_item(item)


def _recording(data: bytes) -> None:
    """As `hearthline edge decode` reads a file: refused by a ProtocolError that tells the line, or decoded."""
    driver = _DRIVERS[data[0] % len(_DRIVERS)] if data else _DRIVERS[0]
    heard = read_recording(BytesIO(data[1:]), 0.15, 960.0)
    with suppress(ProtocolError):
        for found in replay(driver, {}, heard, START):
            assert msgspec.json.encode(found)


def _round_trip(decode: Callable[[bytes], Any], encode: Callable[[Any], bytes], payload: bytes) -> None:
    """What is taken is sent the same; what is not is a ProtocolError and still tells its envelope, or nothing."""
    for lane in Lane:
        found = wire.read_envelope(lane, payload)
        assert found is None or (found[0] and 0 < found[1] < 2**63)
    try:
        value = decode(payload)
    except ProtocolError:
        return
    if isinstance(value, wire.Event) and abs(value.wall_ns) >= 2**63:
        return  # a year that no gateway's clock holds; the center's own time stands for it
    sent = encode(value)
    assert encode(decode(sent)) == sent


def _pack_round_trip(payload: bytes) -> None:
    """Readings come back the same; a far offset to the precision of a double only."""
    try:
        pack = wire.decode_pack(payload)
    except ProtocolError:
        return
    assert pack.readings
    again = wire.decode_pack(wire.encode_pack(pack)) if _can_be_sent(pack) else pack
    assert [reading for reading, _ in again.readings] == [reading for reading, _ in pack.readings]


def _can_be_sent(pack: wire.Pack) -> bool:
    """Strangers' packs may name what no gateway of ours would: an infinite sum, no quantity of one word."""
    return all(
        abs(reading.value) < 1e300 and "/" not in reading.quantity and abs(offset) < 2**53 and pack.wall_ns < 2**62
        for reading, offset in pack.readings
    )


TARGETS: dict[str, Target] = {
    **{name: partial(_line, partial(driver.open_session, {}, "port"), LINE_WEIGHT) for name, driver in SERIAL.items()},
    **{name: partial(_line, asking.open_session, ASKING_WEIGHT) for name, asking in ASKING.items()},
    **{name: partial(_mqtt, (SPEAKERS[name],)) for name in MQTT},
    "profiles": partial(_mqtt, tuple(PROFILES.values())),
    "profile-paths": _profile_paths,
    "profile-file": _profile_file,
    "recordings": _recording,
    "wire-event": partial(_round_trip, wire.decode_event, wire.encode_event),
    "wire-pack": _pack_round_trip,
    "wire-status": partial(_round_trip, wire.decode_status, wire.encode),
    "wire-ack": partial(_round_trip, wire.decode_ack, wire.encode),
    "wire-command": partial(_round_trip, wire.decode_command, wire.encode),
    "planted": planted.decode,
}


@cache
def seeds(name: str) -> tuple[bytes, ...]:
    """Good inputs of a target."""
    if name in SERIAL:
        chunks = [bytes.fromhex(chunk) for vector in vectors(name) for chunk in vector["hex"]]
        lines = [_piece(0, frame) for frame in (*good_frames(name), *chunks) if len(frame) < 256]
        return (*lines, b"".join(lines[:4]))
    if name in ASKING:
        return tuple(_conversation(name, echo, number) for echo in (0, _ECHO) for number in range(4))
    if name in MQTT:
        return tuple(_message(each) for each in SPEAKERS[name].messages)
    match name:
        case "profiles":
            return tuple(_message(each) for speaker in PROFILES.values() for each in speaker.messages)
        case "profile-paths":
            messages = [each for speaker in PROFILES.values() for each in speaker.messages]
            return tuple(b"a.b[0].'c d'\nx/{device}/+/#\n" + each.payload for each in messages)
        case "profile-file":
            return tuple(path.read_bytes() for path in sorted(SHIPPED.glob("*.toml")))
        case "recordings":
            return tuple(bytes((number,)) + seed for number, each in enumerate(_DRIVERS) for seed in _recorded(each))
    kind = name.removeprefix("wire-")
    return tuple(path.read_bytes() for path in sorted(GOLDEN.glob(f"{kind}*.json")))


def _piece(head: int, data: bytes) -> bytes:
    return bytes((head, len(data))) + data


def _message(message: MqttMessage) -> bytes:
    return message.topic.encode() + (b"\nr\n" if message.retained else b"\n\n") + message.payload


def _conversation(name: str, echo: int, number: int) -> bytes:
    """A session that is answered as it should be."""
    asking, rng, pieces = ASKING[name], Random(number), []
    session, now = asking.open_session(), START
    for _ in range(16):
        request, _ = session.next_request(now)
        answer = asking.answer(request, rng) if request else b""
        head = (1 if request else 2) | (echo if request else 0)
        now = now.later(_SILENCES_S[head % len(_SILENCES_S)])
        session.receive((request if head & _ECHO else b"") + answer, now)
        pieces.append(_piece(head, answer))
    return b"".join(pieces)


def _recorded(driver: Driver) -> list[bytes]:
    """A driver's messages and frames as files hold them."""
    if isinstance(driver, MqttDriver):
        messages = SPEAKERS[driver.name].messages[:4]
        lines = [
            msgspec.json.encode({"topic": each.topic, "payload": each.payload.decode(), "at": number})
            for number, each in enumerate(messages)
        ]
        return [b"\n".join(lines), messages[0].payload]
    frames = good_frames(driver.name)[:4]
    hexadecimal = b"\n".join(frame.hex().encode() for frame in frames)
    lines = [msgspec.json.encode({"hex": frame.hex(), "at": "2026-11-22T10:00:00Z"}) for frame in frames]
    return [hexadecimal, b"".join(frames), b"\n".join(lines)]


def words(name: str) -> list[bytes]:
    """What libFuzzer may insert as a whole: marks of a line, keys and odd values of JSON."""
    if name in SERIAL or name in ASKING:
        driver = ASKING[name].driver if name in ASKING else name
        return [frame[:4] for frame in good_frames(driver)][:20]
    if name == "planted":
        return []
    if name == "profile-file":
        return sorted({word for seed in seeds(name) for word in re.findall(rb"[a-z_]{3,}|\[.*\]", seed)})
    keys: set[str] = set()
    for seed in seeds(name):
        keys |= _keys(seed[seed.rfind(b"\n{") + 1 :])
    values = (
        "null",
        "true",
        "1e309",
        "1E+999999999",
        "-1",
        "9223372036854775808",
        '"\\ud800"',
        '"\\u0000"',
        "[]",
        "{}",
    )
    return [f'"{key}":'.encode() for key in sorted(keys)] + [value.encode() for value in values]


def _keys(payload: bytes) -> set[str]:
    try:
        tree = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return set()
    return _keys_of(tree)


def _keys_of(tree: Any) -> set[str]:
    inner = list(tree.values()) if isinstance(tree, dict) else tree if isinstance(tree, list) else []
    found = set(tree) if isinstance(tree, dict) else set()
    for each in inner:
        found |= _keys_of(each)
    return found
