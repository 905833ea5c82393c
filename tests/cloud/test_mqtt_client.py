"""Properties are taken off a publish by their length, whatever they hold."""

from __future__ import annotations

import pytest

from hearthline_cloud.ingest.mqtt_client import without_properties

HEAD = b"\0\x03a/b\0\x07"


@pytest.mark.parametrize("properties", [b"", b"\xff", b"\xff" * 127, b"\xff" * 128, b"\xfe" * 20_000])
def test_any_properties_are_taken_off(properties: bytes) -> None:
    left, length = len(properties), b""
    while left >= 0x80:
        length, left = length + bytes([left & 0x7F | 0x80]), left >> 7
    packet = HEAD + length + bytes([left]) + properties + b"payload"
    assert without_properties(bytearray(packet), has_mid=True) == HEAD + b"\0payload"
    at_most_once = HEAD[:5] + packet[len(HEAD) :]
    assert without_properties(bytearray(at_most_once), has_mid=False) == HEAD[:5] + b"\0payload"


@pytest.mark.parametrize("packet", [b"", b"\0", b"\0\x09a", HEAD, HEAD + b"\xff\xff", HEAD + b"\xff" * 9])
def test_a_torn_packet_is_left_to_paho(packet: bytes) -> None:
    assert without_properties(bytearray(packet), has_mid=True) == packet
