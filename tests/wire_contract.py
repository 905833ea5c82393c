"""One value for each golden file: `encode(value)` is the file byte for byte, `decode(file)` is the value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearthline import wire
from hearthline.clock import parse_rfc3339
from hearthline.model import EventType, Lane, Reading

GOLDEN = Path(__file__).parent / "wire" / "golden"
NOW_NS = parse_rfc3339("2026-11-21T08:00:00.123456Z")
OUTBOX = "0193a2f4c5d67e8f"
BOOT = "6b0b2f3e-9a5c-4b7e-8f11-2d3c4b5a6978"
_SERIAL = "3fa9c2d1e0b74455968778695a4b3c2d1e0f1122"
_KEY = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
ALARM_ID = "01934d2a-7b1c-7c3a-9d0e-1f2a3b4c5d6e"


@dataclass(frozen=True)
class Case:
    value: Any
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


def envelope(seq: int, synced: bool = True, age_s: float | None = None) -> wire.Envelope:
    return wire.Envelope(OUTBOX, seq, BOOT, synced, 5_025_000_000_000, age_s)


def _event(value: wire.Event) -> Case:
    return Case(value, wire.encode_event, wire.decode_event)


def _pack(value: wire.Pack) -> Case:
    return Case(value, wire.encode_pack, wire.decode_pack)


def _event_of(kind: str, subject: str, data: dict[str, Any], env: wire.Envelope) -> Case:
    return _event(wire.Event(ALARM_ID, "hearthline/gw-east-1", kind, subject, NOW_NS, data, env))


_PRESS = {
    "role": "emergency",
    "button": "A0",
    "ordinal": 7,
    "certainty": "certain",
    "raw": "F6100029E19630",
    "port": "usb-EnOcean_USB300",
    "radio_level": -67,
}
_LANE = wire.LaneStatus(depth=2, oldest_s=1.5, room_h=71.25, dropped=3, refused=1)

CASES: dict[str, Case] = {
    "event-alarm": _event_of(EventType.ALARM, "enocean:002EE196", _PRESS, envelope(12)),
    "event-service": _event_of(EventType.ALARM, "z2m:客厅按钮", _PRESS | {"role": "service"}, envelope(13)),
    "event-vital": _event_of(
        EventType.VITAL,
        "raycome:cuff-1",
        {
            "values": [
                {"quantity": "systolic", "value": 132, "unit": "mm[Hg]"},
                {"quantity": "diastolic", "value": 84, "unit": "mm[Hg]"},
                {"quantity": "heart_rate", "value": 71, "unit": "/min"},
            ],
            "user": 1,
            "device_time": "2026-11-21T15:59:12",
            "raw": "0202",
            "port": "usb-cuff",
        },
        envelope(14),
    ),
    "event-device": _event_of(
        EventType.DEVICE,
        "enocean:002EE196",
        {"kind": "chatter", "detail": "A0: 6 further presses in a minute", "count": 6},
        envelope(15),
    ),
    "event-activity": _event_of(
        EventType.ACTIVITY, "z2m:front door", {"kind": "open", "raw": '{"contact":false}'}, envelope(18)
    ),
    "event-answer": _event_of(
        EventType.ANSWER,
        "gw-east-1",
        {"command": "01934d2a-8000-7000-8000-000000000001", "result": "done"},
        envelope(16),
    ),
    "event-cancel": _event_of(
        EventType.CANCEL, "enocean:002EE196", {"event": "01934d2a-7a00-7000-8000-000000000003"}, envelope(19)
    ),
    "event-binding": _event_of(
        EventType.BINDING,
        "gw-east-1",
        {
            "state": "wanted",
            "device": "enocean:002EE196",
            "name": "吊坠",
            "room": "bedroom",
            "kind": "push-button",
            "buttons": {"*": "emergency", "BO": "service"},
        },
        envelope(21),
    ),
    "event-binding-removed": _event_of(
        EventType.BINDING, "gw-east-1", {"state": "removed", "device": "enocean:002EE196"}, envelope(22)
    ),
    "event-self-test": _event_of(
        EventType.ALARM,
        "gw-east-1",
        {
            "role": "self-test",
            "button": "self-test",
            "ordinal": 3,
            "certainty": "certain",
            "cause": "press",
            "test": "01934d2a-8000-7000-8000-000000000003",
        },
        envelope(20),
    ),
    "event-commissioning-press": _event_of(
        EventType.ALARM,
        "enocean:002EE196",
        _PRESS | {"commissioning": "01934d2a-9000-7000-8000-000000000001"},
        envelope(22),
    ),
    "event-commissioning-begun": _event_of(
        EventType.COMMISSIONING,
        "gw-east-1",
        {"run": "01934d2a-9000-7000-8000-000000000001", "state": "begun"},
        envelope(21),
    ),
    "event-commissioning-ended": _event_of(
        EventType.COMMISSIONING,
        "gw-east-1",
        {
            "run": "01934d2a-9000-7000-8000-000000000001",
            "state": "ended",
            "report": {
                "gateway": "gw-east-1",
                "runs": ["01934d2a-9000-7000-8000-000000000001"],
                "begun": "2026-11-21T07:50:00Z",
                "ended": "2026-11-21T08:00:00Z",
                "version": "0.1.0",
                "within_ms": 10000,
                "steps": [
                    {
                        "device": "enocean:002EE196",
                        "room": "卧室",
                        "what": "press",
                        "state": "passed",
                        "at": "2026-11-21T07:51:07.2Z",
                        "run": "01934d2a-9000-7000-8000-000000000001",
                        "event": ALARM_ID,
                        "hops_ms": {"committed": 4, "sent": 6, "received": 131},
                        "radio_dbm": -67,
                    },
                    {
                        "device": "raycome:cuff-1",
                        "room": "客厅",
                        "what": "vital",
                        "state": "skipped",
                        "reason": "battery",
                    },
                ],
            },
            "signature": "3045022100c0ffee",
        },
        envelope(23),
    ),
    "event-free-clock": _event_of(EventType.ALARM, "enocean:002EE196", _PRESS, envelope(17, False, 42.5)),
    "pack": _pack(
        wire.Pack(
            NOW_NS,
            (
                (Reading("dlt645:000012345678", "energy_import", 1234.56, "kWh"), 0),
                (Reading("dlt645:000012345678", "power", 230.5, "W"), 0),
                (Reading("shelly:客厅 插座/1", "power", 11.25, "W"), 250_000_000),
                (Reading("客厅_2", "temperature", -3.5, "Cel"), 1_000_000_000),
            ),
            envelope(7),
        )
    ),
    "pack-free-clock": _pack(
        wire.Pack(NOW_NS, ((Reading("dlt645:000012345678", "power", 230.5, "W"), 0),), envelope(8, False, 3600.125))
    ),
    "status-online": Case(
        wire.Status(
            state="online",
            version="0.1.0",
            outbox=OUTBOX,
            bootid=BOOT,
            clock="synced",
            mono="5025000000000",
            time="2026-11-21T08:00:00.123456Z",
            event=_LANE,
            telemetry=wire.LaneStatus(depth=0),
            faults=["port usb-meter: cannot be opened"],
            hops=[
                wire.AlarmHops(
                    event="01934d2a-7a00-7000-8000-000000000003", kept=0.004, received=0.031, sent=0.006, sendings=1
                )
            ],
            refusals={"enocean-esp3: crc": 4},
        ),
        wire.encode,
        wire.decode_status,
    ),
    "status-offline": Case(wire.Status(state="offline"), wire.encode, wire.decode_status),
    "ack": Case(wire.make_ack(OUTBOX, Lane.EVENT, [(12, 14), (16, 16)], []), wire.encode, wire.decode_ack),
    "ack-telemetry": Case(wire.make_ack(OUTBOX, Lane.TELEMETRY, [(7, 9)], []), wire.encode, wire.decode_ack),
    "ack-refused": Case(wire.make_ack(OUTBOX, Lane.EVENT, [(12, 14)], [(15, 15)]), wire.encode, wire.decode_ack),
    "command-signal": Case(
        wire.Command(id="01934d2a-8000-7000-8000-000000000001", type="signal", event=ALARM_ID, signal="accepted"),
        wire.encode,
        wire.decode_command,
    ),
    "command-test": Case(
        wire.Command(id="01934d2a-8000-7000-8000-000000000002", type="test"), wire.encode, wire.decode_command
    ),
    "command-bound": Case(
        wire.Command(
            id="01934d2a-8000-7000-8000-000000000005", type="bound", device="enocean:002EE196", result="bound"
        ),
        wire.encode,
        wire.decode_command,
    ),
    "command-devices": Case(
        wire.Command(
            id="01934d2a-8000-7000-8000-000000000006",
            type="devices",
            devices=[
                {
                    "id": "enocean:002EE196",
                    "name": "吊坠",
                    "room": "bedroom",
                    "kind": "push-button",
                    "buttons": {"*": "emergency", "BO": "service"},
                },
                {"id": "ble:A4C138000001", "room": "客厅", "kind": "cuff", "user": 2},
            ],
        ),
        wire.encode,
        wire.decode_command,
    ),
    "command-resend": Case(
        wire.Command(id="01934d2a-8000-7000-8000-000000000004", type="resend", since="2026-11-21T07:00:00.000000Z"),
        wire.encode,
        wire.decode_command,
    ),
    "command-examine": Case(
        wire.Command(id="01934d2a-8000-7000-8000-000000000005", type="examine"), wire.encode, wire.decode_command
    ),
    "command-log": Case(
        wire.Command(id="01934d2a-8000-7000-8000-000000000006", type="log", lines=50), wire.encode, wire.decode_command
    ),
    "command-configure": Case(
        wire.Command(
            id="01934d2a-8000-7000-8000-000000000007",
            type="configure",
            config={"local_alarm_after_s": 20, "metrics": {"port": 9467}},
            within_s=120.0,
        ),
        wire.encode,
        wire.decode_command,
    ),
    "command-self-test": Case(
        wire.Command(id="01934d2a-8000-7000-8000-000000000003", type="self-test"), wire.encode, wire.decode_command
    ),
    "certificate-in-use": Case(wire.CertificateWord(serial=_SERIAL), wire.encode, wire.decode_certificate_word),
    "certificate-request": Case(
        wire.CertificateWord(
            serial=_SERIAL,
            request="-----BEGIN CERTIFICATE REQUEST-----\nMIHM…\n-----END CERTIFICATE REQUEST-----\n",
            proof="3045022100c1…",
        ),
        wire.encode,
        wire.decode_certificate_word,
    ),
    "certificate-answer": Case(
        wire.CertificateAnswer(
            key=_KEY,
            first="-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----\n",
            second="-----BEGIN CERTIFICATE-----\nMIIC…\n-----END CERTIFICATE-----\n",
        ),
        wire.encode,
        wire.decode_certificate_answer,
    ),
    "certificate-refused": Case(
        wire.CertificateAnswer(key=_KEY, refused="the certificate is revoked, or not of this gateway"),
        wire.encode,
        wire.decode_certificate_answer,
    ),
}
