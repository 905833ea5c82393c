"""What the coverage-guided fuzzer drives: one function of bytes for every driver and every message of the wire.

A target raises when it finds a mistake. `seeds(name)` gives the inputs that it starts from: captures and golden files.
How the bytes of a target are read:

    serial driver   00 ll <ll bytes> 01 ll <ll bytes> …   pieces of a line; the first byte: how long the line was silent
    MQTT driver     topic \\n flags \\n payload            flags: r retained
    wire            the payload
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from fuzz import planted
from fuzz.drive import LINE_WEIGHT, MQTT_WEIGHT
from fuzz.families import MQTT, SERIAL, START, good_frames, vectors
from fuzz.health import check_item, weight
from hearthline import wire
from hearthline.errors import ProtocolError
from hearthline.model import Lane
from hearthline_edge.devices import MqttMessage

Target = Callable[[bytes], None]
GOLDEN = Path(__file__).parent.parent / "wire" / "golden"
_SILENCES_S = (0.0, 0.001, 0.3, 1.2)


def _line(driver: str, data: bytes) -> None:
    session, now = SERIAL[driver].open_session({}, "port"), START
    while len(data) > 1:
        now = now.later(_SILENCES_S[data[0] % len(_SILENCES_S)])
        for item in session.receive(data[2 : 2 + data[1]], now):
            check_item(item)
        session.next_request(now)
        data = data[2 + data[1] :]
    assert weight(session) <= LINE_WEIGHT


def _mqtt(driver: str, data: bytes) -> None:
    topic, _, rest = data.partition(b"\n")
    flags, _, payload = rest.partition(b"\n")
    message = MqttMessage(topic.decode("utf-8", "replace"), payload, b"r" in flags)
    session = MQTT[driver].open_session({})
    MQTT[driver].claims(message.topic)
    for _ in range(2):  # told twice: the second time the device is known
        for item in session.receive(message, START):
            check_item(item)
    assert weight(session) <= MQTT_WEIGHT


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
    **{name: partial(_line, name) for name in SERIAL},
    **{name: partial(_mqtt, name) for name in MQTT},
    "wire-event": partial(_round_trip, wire.decode_event, wire.encode_event),
    "wire-pack": _pack_round_trip,
    "wire-status": partial(_round_trip, wire.decode_status, wire.encode),
    "wire-ack": partial(_round_trip, wire.decode_ack, wire.encode),
    "wire-command": partial(_round_trip, wire.decode_command, wire.encode),
    "planted": planted.decode,
}


def seeds(name: str) -> list[bytes]:
    """Good inputs of a target."""
    if name in SERIAL:
        chunks = [bytes.fromhex(chunk) for vector in vectors(name) for chunk in vector["hex"]]
        lines = [bytes((0, len(frame))) + frame for frame in (*good_frames(name), *chunks) if len(frame) < 256]
        return [*lines, b"".join(lines[:4])]
    if name in MQTT:
        messages = [message for vector in vectors(name) for message in vector["messages"]]
        return [
            f"{each['topic']}\n{'r' if each.get('retained') else ''}\n{each['payload']}".encode() for each in messages
        ]
    kind = name.removeprefix("wire-")
    return [path.read_bytes() for path in sorted(GOLDEN.glob(f"{kind}*.json"))]


def words(name: str) -> list[bytes]:
    """What libFuzzer may insert as a whole: marks of a line, keys and odd values of JSON."""
    if name in SERIAL or name == "planted":
        return [frame[:4] for frame in good_frames(name)][:20] if name in SERIAL else []
    keys: set[str] = set()
    for seed in seeds(name):
        keys |= _keys(seed[seed.rfind(b"\n{") + 1 :] if name in MQTT else seed)
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
