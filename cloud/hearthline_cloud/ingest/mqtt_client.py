"""paho's client, deaf to the MQTT 5 properties of what it receives."""

from __future__ import annotations

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode


class BareClient(paho.Client):
    """Takes the properties off each publish before paho reads it: the ingester uses none of them.

    Brokers forward properties that paho calls malformed and ends the connection for, a text with U+FEFF for one.
    Under a lasting session such a message comes first again after every reconnection, and nothing behind it is heard.
    """

    def _handle_publish(self) -> MQTTErrorCode:
        has_mid = bool(self._in_packet["command"] & 0x06)
        self._in_packet["packet"] = without_properties(self._in_packet["packet"], has_mid)
        return super()._handle_publish()


def without_properties(packet: bytearray, has_mid: bool) -> bytearray:
    """The body of an MQTT 5 PUBLISH with its properties left out; one that is too short stays as it is."""
    start = 2 + int.from_bytes(packet[:2], "big") + (2 if has_mid else 0)
    length = 0
    for place, byte in enumerate(packet[start : start + 4]):
        length |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return packet[:start] + b"\0" + packet[start + place + 1 + length :]
    return packet
