"""What gateways are told and asked, have proved, and are known by."""

from __future__ import annotations

from enum import IntEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import JSON

from hearthline_cloud.schema.conventions import KEY, metadata


class Urgency(IntEnum):
    """Of a command: the lower goes down first."""

    SIGNAL = 0
    SELF_TEST = 1
    OTHER = 2


command = Table(
    "command",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("gateway_id", String(64), nullable=False),
    Column("body", JSON, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("next_attempt_ns", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("answered_ns", BigInteger),
    Column("result", String(64)),
    Column("urgency", Integer, nullable=False, server_default="2"),  # of `Urgency`
    Index("ix_command_due", "answered_ns", "urgency", "next_attempt_ns"),
    Index("ix_command_gateway", "gateway_id", "answered_ns"),
)

self_test = Table(
    "self_test",
    metadata,
    Column("id", String(64), primary_key=True),  # of the command
    Column("gateway_id", String(64), nullable=False),
    Column("day", String(10)),  # of a daily one: of two desks one asks; NULL: a person asked
    Column("asked_ns", BigInteger, nullable=False),
    Column("asked_by", String(64), nullable=False),
    Column("made_ns", BigInteger),  # by the gateway's clock
    Column("time_quality", String(16)),
    Column("received_ns", BigInteger),  # NULL: not proved
    Column("alert_id", ForeignKey("alert.id")),
    Column("decided_ns", BigInteger),  # when the desk had decided whom it would have told
    Column("decision", JSON),
    Column("missed_ns", BigInteger),  # when its absence was noticed
    UniqueConstraint("gateway_id", "day"),
    Index("ix_self_test_gateway", "gateway_id", "asked_ns"),
    Index("ix_self_test_undecided", "decided_ns", "received_ns"),
    Index("ix_self_test_alert", "alert_id"),
)

commissioning = Table(  # runs in which an installer tries a home's devices: its asked-for presses page nobody
    "commissioning",
    metadata,
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("gateway_id", String(64), nullable=False),
    Column("run", String(64), nullable=False),  # the gateway's id of it
    Column("home_id", String(64)),
    Column("begun_ns", BigInteger, nullable=False),
    Column("until_ns", BigInteger, nullable=False),  # when it is over at the latest
    Column("ended_ns", BigInteger),
    Column("report", JSON(none_as_null=True)),  # as it came
    Column("signature", Text, nullable=False, server_default=""),
    Column("standing", String(16), nullable=False, server_default=""),  # of the report: signed, unsigned, unreadable
    Column("verified_by", String(64)),  # the serial of the certificate whose key has signed it
    UniqueConstraint("gateway_id", "run"),
    sqlite_autoincrement=True,
)

commissioning_press = Table(
    "commissioning_press",
    metadata,
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("commissioning_id", ForeignKey("commissioning.id"), nullable=False),
    Column("event_key", KEY, nullable=False),  # no foreign key: the event goes before, by its own period
    Column("event_id", String(64), nullable=False),
    Column("device_id", String(128), nullable=False),
    Column("ordinal", BigInteger, nullable=False),
    Column("made_ns", BigInteger, nullable=False),  # by the gateway's clock
    Column("time_quality", String(16), nullable=False),
    Column("received_ns", BigInteger, nullable=False),
    Column("decided_ns", BigInteger),  # when the desk had decided whom it would have told
    Column("decision", JSON(none_as_null=True)),
    UniqueConstraint("commissioning_id", "device_id", "ordinal"),
    Index("ix_commissioning_press_undecided", "decided_ns"),
    sqlite_autoincrement=True,
)

_STEP_OPEN = text("closed_ns IS NULL AND state <> 'passed'")

commissioning_step = Table(  # what a report tells of; one that has not passed is a to-do until it is closed
    "commissioning_step",
    metadata,
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("commissioning_id", ForeignKey("commissioning.id"), nullable=False),
    Column("gateway_id", String(64), nullable=False),
    Column("place", Integer, nullable=False),  # in the report
    Column("device_id", String(128), nullable=False),
    Column("room", Text, nullable=False),
    Column("what", String(16), nullable=False),  # press, vital, reading
    Column("state", String(16), nullable=False),  # passed, failed, skipped
    Column("reason", String(32), nullable=False, server_default=""),
    Column("closed_ns", BigInteger),
    Column("closed_by", String(64)),  # system: a later report has it passed, or to do anew
    Column("closed_why", String(16)),
    Index("ix_commissioning_step_gateway", "gateway_id", "closed_ns"),
    Index("ix_commissioning_step_run", "commissioning_id"),
    Index("ix_commissioning_step_open", "gateway_id", sqlite_where=_STEP_OPEN, postgresql_where=_STEP_OPEN),
    sqlite_autoincrement=True,
)

remote_ask = Table(  # what staff have asked of a gateway from afar
    "remote_ask",
    metadata,
    Column("id", String(64), primary_key=True),  # of the command
    Column("gateway_id", String(64), nullable=False),
    Column("what", String(16), nullable=False),  # of `remote.asks.What`
    Column("asked_ns", BigInteger, nullable=False),
    Column("asked_by", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # of `remote.asks.State`
    Column("answered_ns", BigInteger),  # when it came to stand so
    Column("config", JSON(none_as_null=True)),  # of a change: the whole of it
    Column("detail", JSON(none_as_null=True)),  # as the gateway said it, bounded
    Index("ix_remote_ask_gateway", "gateway_id", "what", "asked_ns"),
)

boot_clock = Table(
    "boot_clock",
    metadata,
    Column("gateway_id", String(64), primary_key=True),
    Column("boot", String(64), primary_key=True),
    Column("offset_ns", BigInteger, nullable=False),  # Unix time of the boot's monotonic zero, estimated once
)

certificate = Table(
    "certificate",
    metadata,
    Column("serial", String(64), primary_key=True),  # hexadecimal
    Column("gateway_id", ForeignKey("gateway.id"), nullable=False),
    Column("session", String(80), nullable=False),  # the certificate's name: which of the gateway's two sessions
    Column("issued_ns", BigInteger, nullable=False),
    Column("ends_ns", BigInteger, nullable=False),
    Column("revoked_ns", BigInteger),
    Column("reason", Text, nullable=False, server_default=""),
    Column("enforced_ns", BigInteger),  # of a revoked one: when the broker had thrown it out
    Column("key", String(64), nullable=False, server_default=""),  # SHA-256 of its public key, hexadecimal
    Column("pem", Text, nullable=False, server_default=""),  # with the issuing certificate after it
    Column("seen_ns", BigInteger),  # when its gateway first said that it uses it
    Index("ix_certificate_gateway", "gateway_id"),
    Index("ix_certificate_ends", "ends_ns"),
    Index("ix_certificate_key", "key"),
)

enrolment = Table(  # offers to become a gateway; their codes are kept nowhere
    "enrolment",
    metadata,
    Column("id", String(16), primary_key=True),  # the first part of the code
    Column("gateway_id", ForeignKey("gateway.id"), nullable=False),
    Column("kind", String(8), nullable=False),  # code, bundle
    Column("again", Boolean, nullable=False),  # takes the place of the machine that is this gateway
    Column("made_ns", BigInteger, nullable=False),
    Column("made_by", String(64), nullable=False),
    Column("ends_ns", BigInteger, nullable=False),
    Column("verifier", String(64), nullable=False),  # the public key that proves the code, hexadecimal
    Column("sealed", Text, nullable=False),  # what the answer is sealed with, for the desk alone; "": the offer is over
    Column("wrong", Integer, nullable=False, server_default="0"),  # proofs that were none
    Column("key", String(64), nullable=False, server_default=""),  # SHA-256 of the public key that it is bound to
    Column("request", Text, nullable=False, server_default=""),
    Column("proof", Text, nullable=False, server_default=""),
    Column("asked_ns", BigInteger),
    Column("answer", Text, nullable=False, server_default=""),  # sealed, base64
    Column("answered_ns", BigInteger),
    Column("refused", Text, nullable=False, server_default=""),  # why the desk did not sign
    Column("taken_ns", BigInteger),  # when the gateway first used its certificate
    Column("replaced_ns", BigInteger),  # when it first used the key that replaced a bundle's
    Column("withdrawn_ns", BigInteger),
    Index("ix_enrolment_gateway", "gateway_id"),
)
