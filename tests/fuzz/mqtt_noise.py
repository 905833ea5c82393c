"""Hostile MQTT messages from one seed: the topics and keys of recorded messages, with values from nowhere.

Topics: recorded, with parts exchanged, empty, endless, with wildcards and other scripts. Payloads: recorded JSON with
one value replaced, keys doubled, objects composed of the recorded keys, broken text, nesting, very long strings. Half
of the values are recorded ones.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Any, Final

from hearthline_edge.devices import MqttMessage

_ODD_TEXT: Final = (
    "null", "true", "false", "0", "-0", "-0.0", "1", "-1", "0.1", "1e308", "1e309", "-1e400", "1e-400", "1E+999999999",
    "1e-999999999", "1e99999999999999999999", "9" * 19, "9" * 40, "-" + "9" * 400, "0." + "3" * 400, "NaN", "Infinity",
    "-Infinity", "nan", "01", "1.", ".5", "+1", "0x10", "1_000", '""', '" "', '"\\u0000"', '"a\\u0000b"', '"\\ud800"',
    '"\\udc00\\ud800"', '"\\ud83d\\ude00"', '"\\x41"', '"\n"', '"1e5"', '"-Infinity"', '"NaN"', '"sNaN"', '"100.00"',
    '"１２"', '"٣"', '"1_0"', '"' + "9" * 32 + '"', '"emergency"', '"single"', '"true"', '"2026-11-21T08:00:00Z"',
    '"2026-11-21T08:00:00"', '"0001-01-01T00:00:00+23:59"', '"9999-12-31T23:59:59-23:59"', '"20261121T080000,5Z"',
    '"2026-W47-6"', "1795248000000", "-62135596800001", "999999999999999", "1e15", "[]", "{}", "[[]]", '[{"a":[]}]',
    '"ON"', '"OFF"', '"fall"', "[1,null,-3]", '[{"component":"input:0","event":"single_push","ts":1e9}]',
    '{"Data":"0x7028D2"}', '{"Data":"AA B1 03 0138 03B7 277C 28181909081908190819090908181908181818181908190818 55"}',
    '{"Data":"AAB1FF55"}', '{"Data":1E+999999999}',
    '{"total":1}', '{"total":"1"}', '{"total":NaN}', '{"tC":-273.15}', '{"tC":null}', '{"":{"":""}}',
    '"8d3cf6"', '"ZX110110X10Z"', '"{25}8780328"', '"8780328"', '"0x1 (Lock)"', '"/y4B"', '"017510ff2e01"', "254",
    "'a'", "",
)  # fmt: skip
_DEEP: Final = tuple(text * depth for text in ("[", '{"a":', '[{"action":') for depth in (100, 1_100, 20_000)) + tuple(
    "[" * depth + "]" * depth for depth in (100, 900, 1_100, 20_000)
)
_LONG: Final = ("x" * 100_000, "\\u0000" * 17_000, "客" * 34_000, "9" * 100_000)
_ODD_PARTS: Final = (
    "", " ", "+", "#", "$SYS", "bridge", "set", "get", "availability", "action", "online", "rpc", "status", "switch:0",
    "switch:1", "switch:999", "switch:1000", "switch:-1", "switch:０", "zigbee2mqtt", "客厅 按钮", "\x00", "\ufeff",
    "state", "events", "tele", "stat", "SENSOR", "STATE", "RESULT", "LWT",
    "\u2028", "😀",
    "events", "BTtoMQTT", "up", "join", "status", "log", "2a35", "2a36", "A4:C1:38:00:11:22",
    "a" * 200, "..", "%s", "Ванная", "\n",
)  # fmt: skip


class MqttNoise:
    """`message()`: the next hostile message for who says such `messages`."""

    def __init__(self, messages: Iterable[MqttMessage], rng: random.Random) -> None:
        self._rng = rng
        self._recorded = recorded = tuple(messages)
        self._topics = sorted({message.topic for message in recorded})
        self._parts = sorted({part for topic in self._topics for part in topic.split("/")} | set(_ODD_PARTS))
        self._payloads = sorted({message.payload for message in recorded})
        trees = list(_trees(self._payloads))
        self._keys = sorted({key for tree in trees for key in _keys(tree)} | {""})
        self._holes = sorted({hole for tree in trees for hole in _holes(tree)}) or [(b"", b"")]
        self._values = sorted({value for tree in trees for value in _values(tree)})
        self._values += [payload for payload in self._payloads if len(payload) < 64]
        self._odd_bytes = [text.encode() for text in _ODD_TEXT]
        self._weighted: tuple[tuple[int, Callable[[], bytes]], ...] = (
            (400, self._replaced),
            (300, self._composed),
            (100, self._doubled),
            (80, self._flipped),
            (50, self._cut),
            (30, self._raw),
            (20, self._captured),
            (20, self._bare),
            (2, self._deep),
            (3, self._long),
        )
        self._kinds = [kind for _, kind in self._weighted]
        self._bounds = list(accumulate(weight for weight, _ in self._weighted))

    def message(self) -> MqttMessage:
        if self._rng.random() < 0.03:
            recorded: MqttMessage = self._pick(self._recorded)
            return recorded
        payload = self._rng.choices(self._kinds, cum_weights=self._bounds)[0]()
        return MqttMessage(self._topic(), payload, self._rng.random() < 0.3)

    def _pick(self, options: Any) -> Any:
        return options[int(self._rng.random() * len(options))]

    def _topic(self) -> str:
        topic: str = self._pick(self._topics)
        if self._rng.random() < 0.7:
            return topic
        parts = topic.split("/")
        kind = int(self._rng.random() * 5)
        if kind == 0:
            parts[int(self._rng.random() * len(parts))] = self._pick(self._parts)
        elif kind == 1:
            parts.insert(int(self._rng.random() * (len(parts) + 1)), self._pick(self._parts))
        elif kind == 2:
            parts[int(self._rng.random() * len(parts))] = f"n{self._rng.randrange(1_000_000)}"
        elif kind == 3:
            parts = [self._pick(self._parts) for _ in range(1 + int(self._rng.random() * 5))]
        elif self._rng.random() < 0.01:
            parts[-1] = self._pick(self._parts) * 300
        return "/".join(parts)

    def _odd(self) -> bytes:
        odd: bytes = self._pick(self._values if self._values and self._rng.random() < 0.5 else self._odd_bytes)
        return odd

    def _replaced(self) -> bytes:
        before, after = self._pick(self._holes)
        return bytes(before + self._odd() + after)

    def _composed(self) -> bytes:
        """An object of the driver's own keys, two levels deep."""
        return self._object(1)

    def _object(self, depth: int) -> bytes:
        parts = []
        for _ in range(1 + int(self._rng.random() * 5)):
            nested = depth and self._rng.random() < 0.3
            value = self._object(depth - 1) if nested else self._odd()
            parts.append(b'"%s":%s' % (self._pick(self._keys).encode(), value))
        return b"{" + b",".join(parts) + b"}"

    def _doubled(self) -> bytes:
        payload: bytes = self._pick(self._payloads)
        key = self._pick(self._keys).encode()
        return payload.replace(b"{", b'{"%s":%s,"%s":%s,' % (key, self._odd(), key, self._odd()), 1)

    def _flipped(self) -> bytes:
        payload = bytearray(self._pick(self._payloads) or b"{")
        for _ in range(1 + int(self._rng.random() * 4)):
            payload[int(self._rng.random() * len(payload))] = int(self._rng.random() * 256)
        return bytes(payload)

    def _cut(self) -> bytes:
        one, other = self._pick(self._payloads), self._pick(self._payloads)
        return bytes(one[: int(self._rng.random() * len(one))] + other[int(self._rng.random() * len(other)) :])

    def _raw(self) -> bytes:
        return self._rng.randbytes(int(self._rng.random() * 40))

    def _captured(self) -> bytes:
        payload: bytes = self._pick(self._payloads)
        return payload

    def _bare(self) -> bytes:
        return self._odd()

    def _deep(self) -> bytes:
        deep = self._pick(_DEEP).encode()
        return bytes(deep) if self._rng.random() < 0.5 else b'{"%s":%s}' % (self._pick(self._keys).encode(), deep)

    def _long(self) -> bytes:
        before, after = self._pick(self._holes) if self._rng.random() < 0.5 else (b"", b"")
        if not before:
            before, after = b'{"%s":' % self._pick(self._keys).encode(), b"}"
        return bytes(before + b'"%s"' % self._pick(_LONG).encode() + after)


def _trees(payloads: list[bytes]) -> Iterator[Any]:
    for payload in payloads:
        try:
            yield json.loads(payload)
        except ValueError:
            continue


def _keys(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield key
            yield from _keys(value)


def _values(tree: Any) -> Iterator[bytes]:
    """The texts, numbers and truths of a payload, as JSON."""
    if isinstance(tree, dict | list):
        for each in tree.values() if isinstance(tree, dict) else tree:
            yield from _values(each)
    else:
        yield json.dumps(tree).encode()


def _holes(tree: Any) -> Iterator[tuple[bytes, bytes]]:
    """The text before and after each value of a payload."""
    if not isinstance(tree, dict):
        return
    for key, value in tree.items():
        others = {name: "@@" if name == key else other for name, other in tree.items()}
        before, after = json.dumps(others, ensure_ascii=False).encode().split(b'"@@"', 1)
        yield before, after
        for inner_before, inner_after in _holes(value):
            yield before + inner_before, inner_after + after
