"""The wire contract between a gateway and the cloud: topics, CloudEvents, SenML, status, acknowledgements, commands.

`docs/wire.md` is its description for others, `tests/wire/golden/` its golden files. Rules: the envelope stays the
same for ever, unknown fields are ignored, an unknown version is kept and reported, no SenML time below 2**28 is
ever sent (RFC 8428 section 4.5.3 reads it as relative to now).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from hearthline.clock import NS, parse_rfc3339, rfc3339
from hearthline.errors import ProtocolError
from hearthline.model import EventType, Lane, Reading

PREFIX = "hearthline/v1"
UP_EVENT, UP_TELEMETRY, UP_STATUS = "up/event", "up/telemetry", "up/status"
DOWN_ACK, DOWN_COMMAND = "down/ack", "down/command"
UP_CERTIFICATE, DOWN_CERTIFICATE = "up/certificate", "down/certificate"

MAX_PACK_BYTES = 8 * 1024
MAX_CERTIFICATE_WORD = 16 * 1024
SENML_VERSION = 10
SENML_TIME_FLOOR = 2**28  # seconds; below it a SenML time is relative to now

# Bounds that keep every sum of times within 64 bits: nanoseconds since boot, and the age of a record in seconds.
MAX_MONO_NS = 2**62
MAX_AGE_S = 10**9
MAX_ID = 64  # characters of an event's id and type, of an outbox and of a boot
MAX_DEVICE = 128
MAX_BUTTONS = 32
MAX_DATA_DEPTH = 16  # nesting of an event's data: whoever reads it later must not run out of stack

_GATEWAY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SENML_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-:.")
_SENML_ESCAPED = re.compile(r"(?:[A-Za-z0-9\-:.]|_[0-9A-Fa-f]{2})*")
_SENML_LEAD = "0__"  # before a name that would not begin with a letter or digit; nothing else yields two underscores
# What a payload can make of a decoder. RecursionError: nesting without end.
_UNDECODABLE = (msgspec.DecodeError, ValueError, OverflowError, RecursionError)


def is_gateway_id(text: str) -> bool:
    """1 to 64 of letters, digits, `.`, `_`, `-`, the first a letter or digit: safe in a topic, a tag and a path."""
    return _GATEWAY_ID.fullmatch(text) is not None


def topic(gateway: str, leaf: str) -> str:
    return f"{PREFIX}/{gateway}/{leaf}"


def gateway_of(topic_name: str) -> str | None:
    """The gateway id of one of our topics, or None."""
    parts = topic_name.split("/")
    if len(parts) != 5 or "/".join(parts[:2]) != PREFIX or not is_gateway_id(parts[2]):
        return None
    return parts[2]


# --- the envelope -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who made a record, which one it is, and what its time is worth.

    `age_s` is how old the record was at sending, by the monotonic clock; present only when `synced` is false.
    """

    outbox: str
    seq: int
    boot: str
    synced: bool
    mono_ns: int
    age_s: float | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One record of the event lane. `wall_ns` is the gateway's time of the event (Unix nanoseconds)."""

    id: str
    source: str
    type: str
    subject: str
    wall_ns: int
    data: dict[str, Any]
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Pack:
    """One record of the telemetry lane: readings with their offsets in nanoseconds from `wall_ns`, never negative."""

    wall_ns: int
    readings: tuple[tuple[Reading, int], ...]
    envelope: Envelope


class _CloudEvent(msgspec.Struct, kw_only=True, omit_defaults=False):
    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    outbox: str
    seq: int
    bootid: str
    clock: str
    mono: str
    age: str | msgspec.UnsetType = msgspec.UNSET
    datacontenttype: str = "application/json"
    data: dict[str, Any]


class _Record(msgspec.Struct, kw_only=True):
    """One SenML record; the custom labels of the envelope stand in the first record only."""

    bn: str | msgspec.UnsetType = msgspec.UNSET
    bt: float | msgspec.UnsetType = msgspec.UNSET
    bu: str | msgspec.UnsetType = msgspec.UNSET
    bv: float | msgspec.UnsetType = msgspec.UNSET
    n: str = ""
    u: str | msgspec.UnsetType = msgspec.UNSET
    v: float | msgspec.UnsetType = msgspec.UNSET
    t: float | msgspec.UnsetType = msgspec.UNSET
    bver: int | msgspec.UnsetType = msgspec.UNSET
    outbox: str | msgspec.UnsetType = msgspec.UNSET
    seq: int | msgspec.UnsetType = msgspec.UNSET
    bootid: str | msgspec.UnsetType = msgspec.UNSET
    clock: str | msgspec.UnsetType = msgspec.UNSET
    mono: str | msgspec.UnsetType = msgspec.UNSET
    age: str | msgspec.UnsetType = msgspec.UNSET


class _LooseEnvelope(msgspec.Struct):
    """The least that an acknowledgement needs."""

    outbox: str
    seq: int


_encode = msgspec.json.Encoder().encode
_event_decoder = msgspec.json.Decoder(_CloudEvent)
_pack_decoder = msgspec.json.Decoder(list[_Record])
_loose_event_decoder = msgspec.json.Decoder(_LooseEnvelope)
_loose_pack_decoder = msgspec.json.Decoder(list[Any])


def encode_event(event: Event) -> bytes:
    """One CloudEvents 1.0 JSON event."""
    envelope = event.envelope
    return _encode(
        _CloudEvent(
            specversion="1.0",
            id=event.id,
            source=event.source,
            type=event.type,
            subject=event.subject,
            time=rfc3339(event.wall_ns),
            outbox=envelope.outbox,
            seq=envelope.seq,
            bootid=envelope.boot,
            clock="synced" if envelope.synced else "free",
            mono=str(envelope.mono_ns),
            age=_age_text(envelope),
            data=event.data,
        )
    )


def decode_event(payload: bytes) -> Event:
    """Raises ProtocolError for anything that is not a CloudEvents event with our envelope."""
    try:
        raw = _event_decoder.decode(payload)
        if raw.specversion != "1.0":
            raise ProtocolError(f"CloudEvents specversion {raw.specversion!r} is not 1.0")
        if not raw.id or not raw.subject:
            raise ProtocolError("an event needs an id and a subject")
        for name, text, longest in (
            ("id", raw.id, MAX_ID),
            ("type", raw.type, MAX_ID),
            ("subject", raw.subject, MAX_DEVICE),
        ):
            if (fault := text_fault(text, longest)) is not None:
                raise ProtocolError(f"{name} {fault}")
        if _nests_deeper(raw.data, MAX_DATA_DEPTH):
            raise ProtocolError(f"data nests more than {MAX_DATA_DEPTH} deep")
        return Event(
            id=raw.id,
            source=raw.source,
            type=raw.type,
            subject=raw.subject,
            wall_ns=parse_rfc3339(raw.time),
            data=raw.data,
            envelope=_envelope(raw.outbox, raw.seq, raw.bootid, raw.clock, raw.mono, raw.age),
        )
    except _UNDECODABLE as error:
        raise ProtocolError(f"not an event: {error}") from None


def text_fault(text: str, longest: int) -> str | None:
    """What is wrong with a text that names something, if anything."""
    if len(text) > longest:
        return f"has {len(text)} characters, {longest} at most"
    return "holds the character NUL" if "\0" in text else None


def _nests_deeper(value: Any, depth: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(depth == 0 or _nests_deeper(each, depth - 1) for each in inner if isinstance(each, dict | list))


def encode_pack(pack: Pack) -> bytes:
    """One SenML JSON pack (RFC 8428): base time and base device name in the first record, the envelope beside."""
    envelope = pack.envelope
    records: list[_Record] = []
    base_name = None
    for reading, offset_ns in pack.readings:
        name = senml_device(reading.device) + "/"
        record = _Record(n=reading.quantity, u=reading.unit, v=reading.value)
        if name != base_name:
            record.bn = base_name = name
        if offset_ns:
            record.t = offset_ns / NS
        records.append(record)
    first = records[0]
    first.bt = max(pack.wall_ns / NS, float(SENML_TIME_FLOOR))
    first.outbox, first.seq, first.bootid = envelope.outbox, envelope.seq, envelope.boot
    first.clock = "synced" if envelope.synced else "free"
    first.mono, first.age = str(envelope.mono_ns), _age_text(envelope)
    return _encode(records)


def decode_pack(payload: bytes) -> Pack:
    """Raises ProtocolError for anything that is not a SenML pack of numbers with our envelope."""
    try:
        records = _pack_decoder.decode(payload)
        if not records:
            raise ProtocolError("an empty SenML pack")
        first = records[0]
        unset = msgspec.UNSET
        if unset in (first.bt, first.outbox, first.seq, first.bootid, first.clock, first.mono):
            raise ProtocolError("the first SenML record lacks the base time or the envelope")
        envelope = _envelope(first.outbox, first.seq, first.bootid, first.clock, first.mono, first.age)
        wall_ns = _senml_ns(first.bt)
        return Pack(wall_ns, tuple(_resolved(records, wall_ns)), envelope)
    except _UNDECODABLE as error:
        raise ProtocolError(f"not a telemetry pack: {error}") from None


def _resolved(records: Sequence[_Record], wall_ns: int) -> Iterator[tuple[Reading, int]]:
    """The readings of a pack, base values applied (RFC 8428 section 4.6), with their offsets from `wall_ns`."""
    base_name, base_unit, base_value, base_ns = "", "", 0.0, wall_ns
    for record in records:
        if not isinstance(record.bver, msgspec.UnsetType) and record.bver != SENML_VERSION:
            raise ProtocolError(f"SenML version {record.bver} is not {SENML_VERSION}")
        base_name = record.bn if isinstance(record.bn, str) else base_name
        base_unit = record.bu if isinstance(record.bu, str) else base_unit
        base_value = record.bv if isinstance(record.bv, float) else base_value
        base_ns = _senml_ns(record.bt) if isinstance(record.bt, float) else base_ns
        device, _, quantity = (base_name + record.n).rpartition("/")
        if not device or not quantity or isinstance(record.v, msgspec.UnsetType):
            raise ProtocolError("a SenML record without device, quantity or numeric value")
        offset_ns = base_ns - wall_ns + (0 if isinstance(record.t, msgspec.UnsetType) else round(record.t * NS))
        if wall_ns + offset_ns < SENML_TIME_FLOOR * NS:
            raise ProtocolError("a SenML time below 2**28 would be relative to now")
        unit = record.u if isinstance(record.u, str) else base_unit
        yield Reading(device_of_senml(device), quantity, base_value + record.v, unit), offset_ns


def _senml_ns(seconds: Any) -> int:
    """A base time in nanoseconds, to the microsecond: a double holds no more of it."""
    if seconds < SENML_TIME_FLOOR:
        raise ProtocolError("a SenML base time below 2**28 would be relative to now")
    microseconds: int = round(seconds * 1_000_000)
    return microseconds * 1000


def read_envelope(lane: Lane, payload: bytes) -> tuple[str, int] | None:
    """(outbox, seq) of a payload that may be wrong in every other way, so that it can be refused; or None."""
    try:
        if lane is Lane.EVENT:
            loose = _loose_event_decoder.decode(payload)
        else:
            loose = msgspec.convert(_loose_pack_decoder.decode(payload)[0], _LooseEnvelope)
    except (*_UNDECODABLE, IndexError):
        return None
    return (loose.outbox, loose.seq) if loose.outbox and _is_seq(loose.seq) else None


def _is_seq(number: int) -> bool:
    return 0 < number < 2**63


def _envelope(outbox: Any, seq: Any, boot: Any, clock: Any, mono: Any, age: Any) -> Envelope:
    if clock not in ("synced", "free"):
        raise ProtocolError(f"clock {clock!r} is neither synced nor free")
    age_s = float(age) if isinstance(age, str) else None
    if age_s is not None and not 0 <= age_s < MAX_AGE_S:
        raise ProtocolError(f"age {age!r} is impossible")
    if not 0 <= int(mono) < MAX_MONO_NS or not _is_seq(seq):
        raise ProtocolError("seq or mono is out of range")
    if not outbox:
        raise ProtocolError("an envelope needs the id of its outbox")
    for name, text in (("outbox", outbox), ("bootid", boot)):
        if (fault := text_fault(text, MAX_ID)) is not None:
            raise ProtocolError(f"{name} {fault}")
    return Envelope(outbox, seq, boot, clock == "synced", int(mono), age_s)


def _age_text(envelope: Envelope) -> str | msgspec.UnsetType:
    if envelope.synced or envelope.age_s is None:
        return msgspec.UNSET
    return f"{max(envelope.age_s, 0.0):.3f}"


def device_name(device: str) -> str:
    """The id as the wire takes it: one that is too long, or holds NUL, is shortened and told apart by a digest.

    Ids come from what devices and their bridges call themselves; an odd one must not cost its alarm.
    """
    if text_fault(device, MAX_DEVICE) is None:
        return device
    digest = hashlib.sha256(device.encode(errors="surrogatepass")).hexdigest()[:16]
    return f"{device.replace(chr(0), '')[: MAX_DEVICE - 17]}#{digest}"


def senml_device(device: str) -> str:
    """A device id with every byte that RFC 8428 section 4.5.1 forbids in a name, and `_`, written `_XX` in hex.

    A name begins with a letter or digit there; one that would not is written with `0__` before it.
    """
    name = "".join(chr(b) if b in _SENML_PLAIN else f"_{b:02X}" for b in device.encode())
    return name if name[:1].isalnum() else _SENML_LEAD + name


def device_of_senml(name: str) -> str:
    """The reverse of `senml_device`; raises ValueError for a bad escape."""
    name = name.removeprefix(_SENML_LEAD)
    if _SENML_ESCAPED.fullmatch(name) is None:
        raise ValueError(f"{name!r} is not a device's name in SenML")
    head, *escapes = name.split("_")
    raw = head.encode()
    for part in escapes:
        raw += bytes.fromhex(part[:2]) + part[2:].encode()
    return raw.decode()


# --- status, acknowledgement, command ---------------------------------------------------------------------------


class LaneStatus(msgspec.Struct, kw_only=True):
    """Depth in records; `oldest_s` age of the oldest; `room_h` hours until full at the present rate."""

    depth: int
    oldest_s: float = 0.0
    room_h: float | None = None
    dropped: int = 0
    refused: int = 0


class AlarmHops(msgspec.Struct, kw_only=True):
    """The way of one alarm until the center's acknowledgement: seconds since its telegram was read, by one clock.

    `kept`: on the gateway's disk; `sent`: first handed to the link, `sendings` how often it was; `received`: the
    center's word that it has committed it has come.
    """

    event: str
    kept: float
    received: float
    sent: float | None = None
    sendings: int = 0


class Status(msgspec.Struct, kw_only=True):
    """`up/status`: retained, every 30 s, and as the last will with `state` offline."""

    state: Literal["online", "offline"]
    version: str = ""
    outbox: str = ""
    bootid: str = ""
    clock: Literal["synced", "free"] = "free"
    mono: str = "0"
    time: str = ""
    event: LaneStatus | None = None
    telemetry: LaneStatus | None = None
    faults: list[str] = []
    refusals: dict[str, int] = {}
    hops: list[AlarmHops] = []


class Ack(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`down/ack`: what the ingester has committed, as closed ranges of sequence numbers of one outbox.

    `refused` belongs to the one lane that the message names; a message with `refused` names exactly one.
    """

    outbox: str
    event: list[tuple[int, int]] | None = None
    telemetry: list[tuple[int, int]] | None = None
    refused: list[tuple[int, int]] = []


class Command(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`down/command`: answered by an event `hearthline.answer.v1` with `command` = this id.

    `type` signal: `signal` accepted, `event` the alarm's id. `type` test: drive the local output for 3 s. `type`
    self-test: answered by a marked alarm of the gateway itself, `test` = this id. `type` resend: send again what was
    made since `since` (RFC 3339; everything without it) and was acknowledged, each with `resent` = this id. `type`
    examine: answered with the doctor's checks. `type` log: answered with the last `lines` of the log. `type` configure:
    `config` takes the place of what the center changed before, on trial for `within_s` seconds (0: 120). `type` bound:
    what the center says to the binding of `device`, `result` bound, elsewhere, refused, unknown-gateway or removed.
    `type` devices: `devices` is the gateway's whole list, each with the keys of a `Binding`, its id as `id`.
    """

    id: str
    type: str
    config: dict[str, Any] | None = None
    device: str = ""
    devices: list[dict[str, Any]] = []
    event: str = ""
    lines: int = 0
    result: str = ""
    signal: str = ""
    since: str = ""
    within_s: float = 0.0


class Binding(msgspec.Struct, kw_only=True):
    """`data` of `hearthline.binding.v1`. `buttons`: what each means, `*` every other. `user` of a shared cuff.

    `state` lost: the gateway no longer knows its list; it names no device then.
    """

    state: Literal["wanted", "removed", "lost"]
    device: str = ""
    name: str = ""
    room: str = ""
    kind: str = ""
    user: Annotated[int, msgspec.Meta(ge=0, le=999)] | None = None
    buttons: dict[str, Literal["emergency", "service", "cancel", "ignore"]] = {}


def binding_of(data: dict[str, Any]) -> Binding:
    """Raises ProtocolError also for names that no registry could take."""
    try:
        binding = msgspec.convert(data, Binding)
    except _UNDECODABLE as error:
        raise ProtocolError(f"not a binding: {error}") from None
    if not binding.device and binding.state != "lost":
        raise ProtocolError("a binding needs a device")
    for name, text, longest in (
        ("device", binding.device, MAX_DEVICE),
        ("name", binding.name, MAX_ID),
        ("room", binding.room, MAX_ID),
        ("kind", binding.kind, MAX_ID),
        *(("button", button, MAX_ID) for button in binding.buttons),
    ):
        if (fault := text_fault(text, longest)) is not None:
            raise ProtocolError(f"{name} {fault}")
    if len(binding.buttons) > MAX_BUTTONS:
        raise ProtocolError(f"a device has at most {MAX_BUTTONS} buttons")
    return binding


class CertificateWord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`up/certificate`: which certificate the gateway uses, and, with `request`, that it asks for new ones.

    `serial`: hexadecimal. `request`: a signing request in PEM with a new key, whose name is the gateway's. `proof`:
    that request signed by the key of `serial` (ECDSA with SHA-256 over the PEM's bytes, DER in hexadecimal).
    """

    serial: str
    request: str = ""
    proof: str = ""


class CertificateAnswer(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`down/certificate`: the two certificates for the key that was asked for, or why there are none.

    `key`: SHA-256 of the requested key's SubjectPublicKeyInfo, hexadecimal. `first`, `second`: PEM, each with the
    issuing certificate after it.
    """

    key: str
    first: str = ""
    second: str = ""
    refused: str = ""


_M = TypeVar("_M", Status, Ack, Command, CertificateWord, CertificateAnswer)
_status_decoder = msgspec.json.Decoder(Status)
_ack_decoder = msgspec.json.Decoder(Ack)
_command_decoder = msgspec.json.Decoder(Command)
_word_decoder = msgspec.json.Decoder(CertificateWord)
_answer_decoder = msgspec.json.Decoder(CertificateAnswer)


def encode(message: Status | Ack | Command | CertificateWord | CertificateAnswer) -> bytes:
    return _encode(message)


def decode_status(payload: bytes) -> Status:
    return _decode_with(_status_decoder, payload, "status")


def decode_ack(payload: bytes) -> Ack:
    """Raises ProtocolError also for a range that is not one: whoever deletes by it must be able to trust it."""
    ack = _decode_with(_ack_decoder, payload, "acknowledgement")
    if ack.refused and (ack.event is None) == (ack.telemetry is None):
        raise ProtocolError("an acknowledgement that refuses must name exactly one lane")
    for low, high in (*(ack.event or ()), *(ack.telemetry or ()), *ack.refused):
        if not (_is_seq(low) and _is_seq(high) and low <= high):
            raise ProtocolError(f"an acknowledgement of the impossible range {low} to {high}")
    return ack


def decode_command(payload: bytes) -> Command:
    return _decode_with(_command_decoder, payload, "command")


def decode_certificate_word(payload: bytes) -> CertificateWord:
    """Raises ProtocolError also for one that is longer than any certificate needs."""
    if len(payload) > MAX_CERTIFICATE_WORD:
        raise ProtocolError(f"a word about a certificate has at most {MAX_CERTIFICATE_WORD} bytes")
    return _decode_with(_word_decoder, payload, "word about a certificate")


def decode_certificate_answer(payload: bytes) -> CertificateAnswer:
    return _decode_with(_answer_decoder, payload, "answer about a certificate")


def _decode_with(decoder: msgspec.json.Decoder[_M], payload: bytes, what: str) -> _M:
    try:
        return decoder.decode(payload)
    except _UNDECODABLE as error:
        raise ProtocolError(f"not a {what}: {error}") from None


def make_ack(outbox: str, lane: Lane, taken: Sequence[tuple[int, int]], refused: Sequence[tuple[int, int]]) -> Ack:
    """An acknowledgement for one lane."""
    ranges = list(taken)
    if lane is Lane.EVENT:
        return Ack(outbox=outbox, event=ranges, refused=list(refused))
    return Ack(outbox=outbox, telemetry=ranges, refused=list(refused))


KNOWN_EVENT_TYPES = frozenset(EventType)
