"""The cloud's truth as tables: registry, people, events, alerts, journal, queues. Times are Unix nanoseconds, UTC.

Names, addresses and illnesses live in `home`, `resident` and `volunteer` alone, sealed (`Personal`); everything else
refers to them by pseudonymous ids. The journal's `id` is the cursor that the console resumes from.
"""

from __future__ import annotations

from enum import IntEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import JSON

from hearthline_cloud.personal.column import Personal

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

# SQLite gives a table a 64-bit autoincrementing key only when the column is spelled INTEGER.
_Key = BigInteger().with_variant(Integer, "sqlite")

community = Table(
    "community", metadata, Column("id", String(64), primary_key=True), Column("name", Text, nullable=False)
)

home = Table(
    "home",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("community_id", ForeignKey("community.id"), nullable=False),
    Column("name", Personal("place"), nullable=False),
    Column("address", Personal("place"), nullable=False, server_default=""),
)

resident = Table(
    "resident",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("home_id", ForeignKey("home.id"), nullable=False),
    Column("name", Personal("resident"), nullable=False),
    Column("birth_year", Personal("resident", shape="json")),
    Column("phone", Personal("resident"), nullable=False, server_default=""),
    Column("illnesses", Personal("resident"), nullable=False, server_default=""),
    Column("notes", Personal("resident"), nullable=False, server_default=""),
    Column("contacts", Personal("resident", shape="json"), nullable=False),  # [{"name", "relation", "phone"}]
)

personal_key = Table(  # the data keys, each sealed by the center's key, which is in a file
    "personal_key",
    metadata,
    Column("subject", String(80), primary_key=True),  # resident:<id>, home:<id>, place:<id>, volunteer:<id>, center
    Column("sealed", Text, nullable=False),
)

gateway = Table(
    "gateway",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("home_id", ForeignKey("home.id")),  # NULL: heard but not registered
    Column("state", String(16), nullable=False, server_default="unknown"),  # online, offline, unknown
    Column("last_seen_ns", BigInteger),  # by the cloud's clock
    Column("status", JSON),  # the last `up/status` as it came
    Column("outbox", String(64)),
    Column("watched_ns", BigInteger),  # since when the desk watches it
    Column("test_id", String(64)),  # the last self-test that it was asked for
    Column("proved_id", String(64)),  # the last one that came through
    Column("list_due", Boolean, nullable=False, server_default=text("false"), index=True),  # of its devices (`listing`)
)

device = Table(
    "device",
    metadata,
    Column("gateway_id", ForeignKey("gateway.id"), primary_key=True),
    Column("id", String(128), primary_key=True),
    Column("registered", Boolean, nullable=False, server_default=text("false")),
    Column("name", Text, nullable=False, server_default=""),
    Column("room", Text, nullable=False, server_default=""),
    Column("resident_id", ForeignKey("resident.id")),
    Column("user_number", Integer),  # which user of a shared cuff the resident is; NULL: any
    Column("last_seen_ns", BigInteger),
    Column("last_note", Text, nullable=False, server_default=""),
    Column("kind", String(32), nullable=False, server_default=""),  # of `alerts.profiles`
    Column("supervise_s", BigInteger),  # the registry's own period; 0: not supervised; NULL: the kind's
    Column("watched_ns", BigInteger),  # since when the desk watches it
    Column("lost", String(16), nullable=False, server_default=""),  # the note by which it is lost; "": it is not
    Column("lost_ns", BigInteger),
    Column("buttons", JSON(none_as_null=True)),  # {button: role} as the installer has bound it; "*": every other
)

consent = Table(
    "consent",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("resident_id", ForeignKey("resident.id"), nullable=False),
    Column("kind", String(16), nullable=False),  # alarm, vitals, family, activity
    Column("agreed_by", String(16), nullable=False),  # resident, guardian
    Column("guardian", Personal("resident", of="resident_id"), nullable=False, server_default=""),
    Column("document", Text, nullable=False),  # which version was signed
    Column("agreed_ns", BigInteger, nullable=False),
    Column("recorded_by", String(64), nullable=False),
    Column("withdrawn_ns", BigInteger),
    Column("withdrawn_by", String(64)),
    Index("ix_consent_resident", "resident_id", "kind"),
    sqlite_autoincrement=True,
)

erasure = Table(
    "erasure",
    metadata,
    Column("resident_id", String(64), primary_key=True),  # never given to anybody else
    Column("at_ns", BigInteger, nullable=False),
    Column("erased_by", String(64), nullable=False),
    Column("series", JSON, nullable=False),  # the time series that go
    Column("series_gone_ns", BigInteger),  # NULL: the store has not done it yet
)

volunteer = Table(
    "volunteer",
    metadata,
    Column("id", String(48), primary_key=True),  # an actor of the journal is `volunteer:<id>`
    Column("community_id", ForeignKey("community.id"), nullable=False),
    Column("name", Personal("volunteer"), nullable=False),
    Column("phone", Personal("volunteer"), nullable=False),
)

pairing = Table(
    "pairing",
    metadata,
    Column("home_id", ForeignKey("home.id"), primary_key=True),
    Column("place", Integer, primary_key=True),  # who is asked first, second, …
    Column("volunteer_id", ForeignKey("volunteer.id"), nullable=False),
)

event = Table(
    "event",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
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
    Column("id", _Key, primary_key=True, autoincrement=True),
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
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False),  # raised, joined, acknowledged, …; vital, gateway, card-shown
    Column("alert_id", _Key),  # no foreign keys: an entry outlives what it speaks of
    Column("event_key", _Key),
    Column("actor", String(64), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("hash", String(64), nullable=False),  # written by `journal.append` alone
    Index("ix_journal_alert", "alert_id"),
    sqlite_autoincrement=True,
)


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
    Column("id", _Key, primary_key=True, autoincrement=True),
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
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("commissioning_id", ForeignKey("commissioning.id"), nullable=False),
    Column("event_key", _Key, nullable=False),  # no foreign key: the event goes before, by its own period
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
    Column("id", _Key, primary_key=True, autoincrement=True),
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

store_queue = Table(
    "store_queue",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("point", LargeBinary, nullable=False),  # one `store.Point` as JSON
    sqlite_autoincrement=True,  # a number is never given twice: the drain deletes up to the last one it has copied
)

roll_up_due = Table(  # spans of time whose summaries in the time-series store are to be made (anew)
    "roll_up_due",
    metadata,
    Column("gateway_id", String(64), primary_key=True),  # "": all gateways
    Column("from_ns", BigInteger, primary_key=True, autoincrement=False),
    Column("to_ns", BigInteger, primary_key=True, autoincrement=False),
    Column("renewed", Integer, nullable=False),
    Index("ix_roll_up_due_from", "from_ns"),
)

kept_aside = Table(
    "kept_aside",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("received_ns", BigInteger, nullable=False),
    Column("topic", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("digest", String(64)),  # of topic and payload: a gateway may repeat for ever what cannot be read
    UniqueConstraint("digest"),
)

boot_clock = Table(
    "boot_clock",
    metadata,
    Column("gateway_id", String(64), primary_key=True),
    Column("boot", String(64), primary_key=True),
    Column("offset_ns", BigInteger, nullable=False),  # Unix time of the boot's monotonic zero, estimated once
)

staff = Table(
    "staff",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("role", String(16), nullable=False),  # of `permissions.Role`
    Column("created_ns", BigInteger, nullable=False),
    Column("center_wide", Boolean, nullable=False),  # else: those of staff_community
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
)

staff_community = Table(
    "staff_community",
    metadata,
    Column("staff_name", ForeignKey("staff.name"), primary_key=True),
    Column("community_id", ForeignKey("community.id"), primary_key=True),
)

known_device = Table(  # a browser that a person has logged in with: it is not slowed by those who guess
    "known_device",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("staff_name", ForeignKey("staff.name"), nullable=False),
    Column("created_ns", BigInteger, nullable=False),
)

second_factor = Table(  # a secret that a person's phone has too; sealed by `people.sealing`
    "second_factor",
    metadata,
    Column("staff_name", ForeignKey("staff.name"), primary_key=True),
    Column("secret", Text),  # NULL until a code has confirmed it
    Column("since_ns", BigInteger),
    Column("last_step", BigInteger, nullable=False, server_default="0"),  # the time step of the last code used
    Column("offered", Text),  # one that waits for its confirmation
    Column("offered_ns", BigInteger, nullable=False, server_default="0"),
    Column("offered_to", String(64), nullable=False, server_default=""),  # the session's hash
)

recovery_code = Table(  # each opens once, and is then deleted
    "recovery_code",
    metadata,
    Column("code_hash", String(64), primary_key=True),
    Column("staff_name", ForeignKey("staff.name"), nullable=False),
)

login_step = Table(  # the password was right, the second factor is awaited: no session yet
    "login_step",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("staff_name", ForeignKey("staff.name"), nullable=False),
    Column("password_hash", Text, nullable=False),  # the one that was right
    Column("expires_ns", BigInteger, nullable=False),
    Column("wrong", Integer, nullable=False, server_default="0"),
)

session = Table(
    "session",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("staff_name", ForeignKey("staff.name"), nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger, nullable=False),
    Column("seen_ns", BigInteger, nullable=False),  # when it was used last, to the minute
)

heartbeat = Table(
    "heartbeat",
    metadata,
    Column("role", String(16), primary_key=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("detail", JSON, nullable=False),  # e.g. {"broker": true, "store": true}
)

escalation = Table(
    "escalation",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
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

policy = Table(  # the newest version that can be read holds; the shipped policies where there is none
    "policy",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("saved_by", String(64), nullable=False),
    Column("text", Text, nullable=False),
)

notification = Table(
    "notification",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
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

figure = Table(  # what the journal says of each case, as far as `figure_cursor`: derived, it can be made anew
    "figure",
    metadata,
    Column("alert_id", _Key, primary_key=True, autoincrement=False),  # the case itself may be removed
    Column("kind", String(32), nullable=False),
    Column("home_id", String(64)),
    Column("gateway_id", String(64), nullable=False),
    Column("device_id", String(128), nullable=False),
    Column("journal_id", BigInteger, nullable=False),  # the last entry that went in
    Column("raised_ns", BigInteger, nullable=False),
    Column("answered_ns", BigInteger),
    Column("answered_by", String(64)),
    Column("sent_ns", BigInteger),
    Column("arrived_ns", BigInteger),
    Column("closed_ns", BigInteger),
    Column("outcome", String(32)),
    Column("handed_over", Integer, nullable=False),
    Column("reopened", Integer, nullable=False),
    Column("asked", Boolean, nullable=False),
    Column("helped", String(16)),
    Index("ix_figure_raised", "kind", "raised_ns"),
)

figure_cursor = Table(
    "figure_cursor",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # one row: 1
    Column("journal_id", BigInteger, nullable=False),
)

_ORDER_OPEN = text("state IN ('issued', 'accepted', 'on-the-way', 'arrived')")

work_order = Table(
    "work_order",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
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

declared = Table(
    "declared",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("what", String(16), nullable=False),  # maintenance, absence
    Column("scope", String(16), nullable=False),  # community, home, gateway
    Column("scope_id", String(64), nullable=False),
    Column("from_ns", BigInteger, nullable=False),
    Column("to_ns", BigInteger, nullable=False),  # when it ends, or was ended
    Column("reason", Personal("", of="subject"), nullable=False),  # may speak of a person: shown to staff alone
    Column("subject", String(80), nullable=False),  # of `personal_key`
    Column("declared_by", String(64), nullable=False),
    Column("declared_ns", BigInteger, nullable=False),
    Column("ended_by", String(64)),
    Index("ix_declared_to", "to_ns"),
    sqlite_autoincrement=True,
)

unwatched = Table(
    "unwatched",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("why", String(16), nullable=False),  # desk: no desk ran, or its clock was set; store: telemetry waits
    Column("from_ns", BigInteger, nullable=False),
    Column("to_ns", BigInteger, nullable=False),
    Index("ix_unwatched_to", "to_ns"),
    sqlite_autoincrement=True,
)

feedback = Table(  # one question an alert; its number stands in the link
    "feedback",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("alert_id", ForeignKey("alert.id"), nullable=False),
    Column("whom", String(16), nullable=False),  # contact, resident
    Column("expires_ns", BigInteger, nullable=False),
    Column("helped", String(16)),  # yes, partly, no; NULL: no answer yet
    Column("replied_ns", BigInteger),
    UniqueConstraint("alert_id"),
    sqlite_autoincrement=True,
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

removed = Table(  # what the retention periods have taken away
    "removed",
    metadata,
    Column("kind", String(16), primary_key=True),  # of `retention.kinds`
    Column("until_ns", BigInteger, nullable=False),  # what is older is gone
    Column("rows", BigInteger, nullable=False, server_default="0"),  # since the journal was told
    Column("since_ns", BigInteger),  # when the first of them went; NULL: none
)
