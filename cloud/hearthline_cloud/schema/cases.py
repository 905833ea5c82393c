"""Events, the alerts that they raise, the journal, and whom an alert reaches."""

from __future__ import annotations

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

from hearthline_cloud.personal.column import Personal
from hearthline_cloud.schema.conventions import KEY, metadata

event = Table(
    "event",
    metadata,
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("gateway_id", String(64), nullable=False),
    Column("event_id", String(64), nullable=False),
    Column("type", String(64), nullable=False),
    Column("device_id", String(128), nullable=False),
    Column("occurred_ns", BigInteger, nullable=False),
    Column("time_quality", String(16), nullable=False),  # synced, estimated
    Column("received_ns", BigInteger, nullable=False),
    Column("outbox", String(64), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("boot", String(64), nullable=False),
    Column("data", JSON, nullable=False),
    Column("suspect", Text, nullable=False, server_default=""),  # why this event deserves a second look
    Column("resident_id", String(64)),
    Column("alert_id", ForeignKey("alert.id")),
    Column("committed_ns", BigInteger),  # of an alarm: hops that are noted afterwards (`tracing`); NULL: unknown
    Column("streamed_ns", BigInteger),
    Column("hops", JSON(none_as_null=True)),  # seconds by the gateway's clock, as it told them
    UniqueConstraint("gateway_id", "event_id"),
    Index("ix_event_device", "gateway_id", "device_id", "type"),
    Index("ix_event_alert", "alert_id"),
    Index("ix_event_resident", "resident_id", "type", "occurred_ns"),
)

alert = Table(
    "alert",
    metadata,
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),  # of `alerts.lifecycle.AlertKind`
    Column("join_key", String(256), nullable=False),
    Column("state", String(16), nullable=False),  # raised, acknowledged, scheduled, attending, arrived, resolved
    Column("home_id", String(64)),
    Column("resident_id", String(64)),
    Column("gateway_id", String(64), nullable=False),
    Column("device_id", String(128), nullable=False),
    Column("presses", Integer, nullable=False, server_default="0"),
    Column("certainty", String(16), nullable=False, server_default="certain"),
    Column("cause", String(16), nullable=False, server_default="press"),
    Column("raised_ns", BigInteger, nullable=False),
    Column("last_press_ns", BigInteger),
    Column("acknowledged_by", String(64)),
    Column("acknowledged_ns", BigInteger),
    Column("assigned_to", String(64)),  # who has it now
    Column("attending_ns", BigInteger),
    Column("arrived_ns", BigInteger),
    Column("resolved_by", String(64)),
    Column("resolved_ns", BigInteger),
    Column("outcome", String(32)),
    Column("reopened", Integer, nullable=False, server_default="0"),  # how often
    Column("note", String(16), nullable=False, server_default=""),  # of a device's fault: which
    Column("since_ns", BigInteger),  # of a silence: when it began
    Column("ended_ns", BigInteger),  # of a silence: when it was over, whoever closed the alert when
    Column("cancelled_ns", BigInteger),  # when the elder took it back at home; that closes nothing
    Column("category", String(16)),  # of a scheduled service call: meal, repair, visit, chat, transport, other
    Column("due_ns", BigInteger),
    Column("provider", String(64)),  # who does it; empty: the staff
    Column("version", Integer, nullable=False, server_default="1"),  # optimistic lock of two operators
    Column("hastened", Integer, nullable=False, server_default="0"),  # how often the next step was wanted at once
    Column("resent", Boolean, nullable=False, server_default=text("false")),  # after a restore, not pressed now
    Column("wordless_ns", BigInteger),  # when the words of its notes were removed
    Index("uq_alert_open", "join_key", unique=True, sqlite_where=text("state <> 'resolved'"),
          postgresql_where=text("state <> 'resolved'")),
    Index("ix_alert_state", "state", "raised_ns"),
    Index("ix_alert_key", "join_key", "id"),
    Index("uq_alert_lasting", "join_key", unique=True,  # a silence is raised once, also after a person closed it
          sqlite_where=text("since_ns IS NOT NULL AND ended_ns IS NULL"),
          postgresql_where=text("since_ns IS NOT NULL AND ended_ns IS NULL")),
    Index("ix_alert_since", "kind", "gateway_id", "since_ns"),
    Index("ix_alert_ended", "kind", "ended_ns",  # the silences that last, and the last ones, among those of years
          sqlite_where=text("since_ns IS NOT NULL"), postgresql_where=text("since_ns IS NOT NULL")),
    sqlite_autoincrement=True,  # a number is never given twice, also when the last case is removed
)  # fmt: skip

journal = Table(
    "journal",
    metadata,
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False),  # raised, joined, acknowledged, …; vital, gateway, card-shown
    Column("alert_id", KEY),  # no foreign keys: an entry outlives what it speaks of
    Column("event_key", KEY),
    Column("actor", String(64), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("hash", String(64), nullable=False),  # written by `journal.append` alone
    Index("ix_journal_alert", "alert_id"),
    sqlite_autoincrement=True,
)

policy = Table(  # the newest version that can be read holds; the shipped policies where there is none
    "policy",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("saved_by", String(64), nullable=False),
    Column("text", Text, nullable=False),
)

escalation = Table(
    "escalation",
    metadata,
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("alert_id", ForeignKey("alert.id"), nullable=False),
    Column("climb", Integer, nullable=False),  # an alert that nobody gets on with climbs again
    Column("step", Integer, nullable=False),  # how many of this climb came before; beyond the policy's: repeats
    Column("waits_for", String(16), nullable=False),  # step, progress
    Column("began_ns", BigInteger, nullable=False),
    Column("due_ns", BigInteger, nullable=False),
    Column("set_ns", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),  # of the alert when the timer was set
    Column("hastened", Integer, nullable=False, server_default="0"),  # of the alert, as far as the timer knows
    Column("presses", Integer, nullable=False, server_default="0"),  # of the alert that the timer knows
    Column("hurried", Integer, nullable=False, server_default="0"),  # how many of them have hastened this climb
    Column("fired_ns", BigInteger),  # NULL: the alert's one timer
    UniqueConstraint("alert_id", "climb", "step"),
    Index("uq_escalation_open", "alert_id", unique=True, sqlite_where=text("fired_ns IS NULL"),
          postgresql_where=text("fired_ns IS NULL")),
    sqlite_autoincrement=True,
)  # fmt: skip

notification = Table(
    "notification",
    metadata,
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("escalation_id", ForeignKey("escalation.id")),  # NULL: it asks a question
    Column("alert_id", ForeignKey("alert.id"), nullable=False),
    Column("channel", String(64), nullable=False),
    Column("contact", Integer, nullable=False),  # which of the resident's contacts; -1: to none of them
    Column("order_id", BigInteger, nullable=False, server_default="0"),  # the work order that it tells of; 0: none
    Column("feedback_id", BigInteger, nullable=False, server_default="0"),  # the question that it asks; 0: none
    Column("state", String(16), nullable=False, server_default="queued"),  # queued, sent, failed, dropped
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("created_ns", BigInteger, nullable=False),
    Column("next_try_ns", BigInteger, nullable=False),
    Column("done_ns", BigInteger),
    Column("result", Text, nullable=False, server_default=""),
    UniqueConstraint("escalation_id", "channel", "contact", "order_id"),
    Index("ix_notification_due", "channel", "state", "next_try_ns"),
    Index("ix_notification_channel", "channel", "id"),  # how a channel's last messages went
    Index("ix_notification_alert", "alert_id"),
    sqlite_autoincrement=True,
)

_ORDER_OPEN = text("state IN ('issued', 'accepted', 'on-the-way', 'arrived')")

work_order = Table(
    "work_order",
    metadata,
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("alert_id", ForeignKey("alert.id"), nullable=False),
    Column("escalation_id", ForeignKey("escalation.id"), nullable=False),  # the step that made it
    Column("climb", Integer, nullable=False),
    Column("kind", String(16), nullable=False),  # call-back, street, volunteer
    Column("state", String(16), nullable=False),  # issued, accepted, on-the-way, arrived, reported, declined, …
    Column("volunteer_id", ForeignKey("volunteer.id")),
    Column("made_ns", BigInteger, nullable=False),
    Column("wait_ns", BigInteger),  # so long a volunteer may take to open it, and again to answer
    Column("due_ns", BigInteger),  # when the system has to look at it
    Column("opened_ns", BigInteger),  # when the volunteer asked for the address
    Column("went_ns", BigInteger),
    Column("expires_ns", BigInteger, nullable=False),  # of the link
    Column("did", String(16), nullable=False, server_default=""),  # the last action, by whom and when
    Column("changed_by", String(64), nullable=False, server_default=""),
    Column("changed_ns", BigInteger, nullable=False),
    Column("outcome", String(32)),
    Column("words", Personal("", of="subject"), nullable=False, server_default=""),
    Column("subject", String(80), nullable=False),  # of `personal_key`
    Column("version", Integer, nullable=False, server_default="1"),
    Index("uq_work_order_open", "alert_id", "kind", unique=True, sqlite_where=_ORDER_OPEN,
          postgresql_where=_ORDER_OPEN),
    Index("ix_work_order_alert", "alert_id"),
    Index("ix_work_order_state", "state"),
    Index("ix_work_order_due", "due_ns"),
    sqlite_autoincrement=True,
)  # fmt: skip

feedback = Table(  # one question an alert; its number stands in the link
    "feedback",
    metadata,
    Column("id", KEY, primary_key=True, autoincrement=True),
    Column("alert_id", ForeignKey("alert.id"), nullable=False),
    Column("whom", String(16), nullable=False),  # contact, resident
    Column("expires_ns", BigInteger, nullable=False),
    Column("helped", String(16)),  # yes, partly, no; NULL: no answer yet
    Column("replied_ns", BigInteger),
    UniqueConstraint("alert_id"),
    sqlite_autoincrement=True,
)
