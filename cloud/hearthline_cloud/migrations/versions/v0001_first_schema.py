"""The first schema"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _make_homes()
    _make_devices()
    _make_consents()
    _make_volunteers()
    _make_accounts()
    _make_second_factors()
    _make_alerts()
    _make_events()
    _make_escalation()
    _make_orders()
    _make_supervision()
    _make_figures()
    _make_commands()
    _make_commissioning()
    _make_identity()
    _make_queues()
    if op.get_bind().dialect.name == "postgresql":
        _make_triggers()


def downgrade() -> None:
    raise NotImplementedError("there is no schema before the first")


def _where(condition: str) -> dict[str, Any]:
    """Of an index, on either engine."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _make_homes() -> None:
    """Who lives where, and the keys of what is sealed."""
    op.create_table(
        "community",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
    )
    op.create_table(
        "home",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("community_id", sa.String(64), sa.ForeignKey("community.id"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False, server_default=""),
    )
    op.create_table(
        "resident",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("home_id", sa.String(64), sa.ForeignKey("home.id"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("birth_year", sa.Text()),
        sa.Column("phone", sa.Text(), nullable=False, server_default=""),
        sa.Column("illnesses", sa.Text(), nullable=False, server_default=""),
        sa.Column("notes", sa.Text(), nullable=False, server_default=""),
        sa.Column("contacts", sa.Text(), nullable=False),
    )
    op.create_table(
        "personal_key",
        sa.Column("subject", sa.String(80), primary_key=True),
        sa.Column("sealed", sa.Text(), nullable=False),
    )


def _make_devices() -> None:
    op.create_table(
        "gateway",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("home_id", sa.String(64), sa.ForeignKey("home.id")),
        sa.Column("state", sa.String(16), nullable=False, server_default="unknown"),
        sa.Column("last_seen_ns", sa.BigInteger()),
        sa.Column("status", sa.JSON()),
        sa.Column("outbox", sa.String(64)),
        sa.Column("watched_ns", sa.BigInteger()),
        sa.Column("test_id", sa.String(64)),
        sa.Column("proved_id", sa.String(64)),
        sa.Column("list_due", sa.Boolean(), nullable=False, server_default=sa.text("false")),
    )
    op.create_index("ix_gateway_list_due", "gateway", ["list_due"])
    op.create_table(
        "device",
        sa.Column("gateway_id", sa.String(64), sa.ForeignKey("gateway.id"), primary_key=True),
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("registered", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("name", sa.Text(), nullable=False, server_default=""),
        sa.Column("room", sa.Text(), nullable=False, server_default=""),
        sa.Column("resident_id", sa.String(64), sa.ForeignKey("resident.id")),
        sa.Column("user_number", sa.Integer()),
        sa.Column("last_seen_ns", sa.BigInteger()),
        sa.Column("last_note", sa.Text(), nullable=False, server_default=""),
        sa.Column("kind", sa.String(32), nullable=False, server_default=""),
        sa.Column("supervise_s", sa.BigInteger()),
        sa.Column("watched_ns", sa.BigInteger()),
        sa.Column("lost", sa.String(16), nullable=False, server_default=""),
        sa.Column("lost_ns", sa.BigInteger()),
        sa.Column("buttons", sa.JSON()),
    )


def _make_consents() -> None:
    """What residents have agreed to, and who was erased."""
    op.create_table(
        "consent",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("resident_id", sa.String(64), sa.ForeignKey("resident.id"), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("agreed_by", sa.String(16), nullable=False),
        sa.Column("guardian", sa.Text(), nullable=False, server_default=""),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("agreed_ns", sa.BigInteger(), nullable=False),
        sa.Column("recorded_by", sa.String(64), nullable=False),
        sa.Column("withdrawn_ns", sa.BigInteger()),
        sa.Column("withdrawn_by", sa.String(64)),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_consent_resident", "consent", ["resident_id", "kind"])
    op.create_table(
        "erasure",
        sa.Column("resident_id", sa.String(64), primary_key=True),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("erased_by", sa.String(64), nullable=False),
        sa.Column("series", sa.JSON(), nullable=False),
        sa.Column("series_gone_ns", sa.BigInteger()),
    )


def _make_volunteers() -> None:
    op.create_table(
        "volunteer",
        sa.Column("id", sa.String(48), primary_key=True),
        sa.Column("community_id", sa.String(64), sa.ForeignKey("community.id"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
    )
    op.create_table(
        "pairing",
        sa.Column("home_id", sa.String(64), sa.ForeignKey("home.id"), primary_key=True),
        sa.Column("place", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("volunteer_id", sa.String(48), sa.ForeignKey("volunteer.id"), nullable=False),
    )


def _make_accounts() -> None:
    op.create_table(
        "staff",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("center_wide", sa.Boolean(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False, server_default=sa.text("false")),
    )
    op.create_table(
        "staff_community",
        sa.Column("staff_name", sa.String(64), sa.ForeignKey("staff.name"), primary_key=True),
        sa.Column("community_id", sa.String(64), sa.ForeignKey("community.id"), primary_key=True),
    )
    op.create_table(
        "known_device",
        sa.Column("token_hash", sa.String(64), primary_key=True),
        sa.Column("staff_name", sa.String(64), sa.ForeignKey("staff.name"), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "session",
        sa.Column("token_hash", sa.String(64), primary_key=True),
        sa.Column("staff_name", sa.String(64), sa.ForeignKey("staff.name"), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("expires_ns", sa.BigInteger(), nullable=False),
        sa.Column("seen_ns", sa.BigInteger(), nullable=False),
    )


def _make_second_factors() -> None:
    op.create_table(
        "second_factor",
        sa.Column("staff_name", sa.String(64), sa.ForeignKey("staff.name"), primary_key=True),
        sa.Column("secret", sa.Text()),
        sa.Column("since_ns", sa.BigInteger()),
        sa.Column("last_step", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("offered", sa.Text()),
        sa.Column("offered_ns", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("offered_to", sa.String(64), nullable=False, server_default=""),
    )
    op.create_table(
        "recovery_code",
        sa.Column("code_hash", sa.String(64), primary_key=True),
        sa.Column("staff_name", sa.String(64), sa.ForeignKey("staff.name"), nullable=False),
    )
    op.create_table(
        "login_step",
        sa.Column("token_hash", sa.String(64), primary_key=True),
        sa.Column("staff_name", sa.String(64), sa.ForeignKey("staff.name"), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("expires_ns", sa.BigInteger(), nullable=False),
        sa.Column("wrong", sa.Integer(), nullable=False, server_default="0"),
    )


def _make_alerts() -> None:
    op.create_table(
        "alert",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("join_key", sa.String(256), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("home_id", sa.String(64)),
        sa.Column("resident_id", sa.String(64)),
        sa.Column("gateway_id", sa.String(64), nullable=False),
        sa.Column("device_id", sa.String(128), nullable=False),
        sa.Column("presses", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("certainty", sa.String(16), nullable=False, server_default="certain"),
        sa.Column("cause", sa.String(16), nullable=False, server_default="press"),
        sa.Column("raised_ns", sa.BigInteger(), nullable=False),
        sa.Column("last_press_ns", sa.BigInteger()),
        sa.Column("acknowledged_by", sa.String(64)),
        sa.Column("acknowledged_ns", sa.BigInteger()),
        sa.Column("assigned_to", sa.String(64)),
        sa.Column("attending_ns", sa.BigInteger()),
        sa.Column("arrived_ns", sa.BigInteger()),
        sa.Column("resolved_by", sa.String(64)),
        sa.Column("resolved_ns", sa.BigInteger()),
        sa.Column("outcome", sa.String(32)),
        sa.Column("reopened", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("note", sa.String(16), nullable=False, server_default=""),
        sa.Column("since_ns", sa.BigInteger()),
        sa.Column("ended_ns", sa.BigInteger()),
        sa.Column("cancelled_ns", sa.BigInteger()),
        sa.Column("category", sa.String(16)),
        sa.Column("due_ns", sa.BigInteger()),
        sa.Column("provider", sa.String(64)),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("hastened", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("resent", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("wordless_ns", sa.BigInteger()),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_alert_ended", "alert", ["kind", "ended_ns"], **_where("since_ns IS NOT NULL"))
    op.create_index("ix_alert_key", "alert", ["join_key", "id"])
    op.create_index("ix_alert_since", "alert", ["kind", "gateway_id", "since_ns"])
    op.create_index("ix_alert_state", "alert", ["state", "raised_ns"])
    op.create_index(
        "uq_alert_lasting", "alert", ["join_key"], unique=True, **_where("since_ns IS NOT NULL AND ended_ns IS NULL")
    )
    op.create_index("uq_alert_open", "alert", ["join_key"], unique=True, **_where("state <> 'resolved'"))


def _make_events() -> None:
    op.create_table(
        "event",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("gateway_id", sa.String(64), nullable=False),
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("device_id", sa.String(128), nullable=False),
        sa.Column("occurred_ns", sa.BigInteger(), nullable=False),
        sa.Column("time_quality", sa.String(16), nullable=False),
        sa.Column("received_ns", sa.BigInteger(), nullable=False),
        sa.Column("outbox", sa.String(64), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("boot", sa.String(64), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("suspect", sa.Text(), nullable=False, server_default=""),
        sa.Column("resident_id", sa.String(64)),
        sa.Column("alert_id", _KEY, sa.ForeignKey("alert.id")),
        sa.Column("committed_ns", sa.BigInteger()),
        sa.Column("streamed_ns", sa.BigInteger()),
        sa.Column("hops", sa.JSON()),
        sa.UniqueConstraint("gateway_id", "event_id"),
    )
    op.create_index("ix_event_alert", "event", ["alert_id"])
    op.create_index("ix_event_device", "event", ["gateway_id", "device_id", "type"])
    op.create_index("ix_event_resident", "event", ["resident_id", "type", "occurred_ns"])
    op.create_table(
        "journal",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("alert_id", _KEY),
        sa.Column("event_key", _KEY),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_journal_alert", "journal", ["alert_id"])


def _make_escalation() -> None:
    """Who is told of an alert and when, by which policy."""
    op.create_table(
        "policy",
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("saved_by", sa.String(64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
    )
    op.create_table(
        "escalation",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("alert_id", _KEY, sa.ForeignKey("alert.id"), nullable=False),
        sa.Column("climb", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("waits_for", sa.String(16), nullable=False),
        sa.Column("began_ns", sa.BigInteger(), nullable=False),
        sa.Column("due_ns", sa.BigInteger(), nullable=False),
        sa.Column("set_ns", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("hastened", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("presses", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("hurried", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("fired_ns", sa.BigInteger()),
        sa.UniqueConstraint("alert_id", "climb", "step"),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_escalation_open", "escalation", ["alert_id"], unique=True, **_where("fired_ns IS NULL"))
    op.create_table(
        "notification",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("escalation_id", _KEY, sa.ForeignKey("escalation.id")),
        sa.Column("alert_id", _KEY, sa.ForeignKey("alert.id"), nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("contact", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("feedback_id", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("state", sa.String(16), nullable=False, server_default="queued"),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("next_try_ns", sa.BigInteger(), nullable=False),
        sa.Column("done_ns", sa.BigInteger()),
        sa.Column("result", sa.Text(), nullable=False, server_default=""),
        sa.UniqueConstraint("escalation_id", "channel", "contact", "order_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notification_alert", "notification", ["alert_id"])
    op.create_index("ix_notification_channel", "notification", ["channel", "id"])
    op.create_index("ix_notification_due", "notification", ["channel", "state", "next_try_ns"])


def _make_orders() -> None:
    """Who goes there, and who is asked afterwards."""
    op.create_table(
        "work_order",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("alert_id", _KEY, sa.ForeignKey("alert.id"), nullable=False),
        sa.Column("escalation_id", _KEY, sa.ForeignKey("escalation.id"), nullable=False),
        sa.Column("climb", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("volunteer_id", sa.String(48), sa.ForeignKey("volunteer.id")),
        sa.Column("made_ns", sa.BigInteger(), nullable=False),
        sa.Column("wait_ns", sa.BigInteger()),
        sa.Column("due_ns", sa.BigInteger()),
        sa.Column("opened_ns", sa.BigInteger()),
        sa.Column("went_ns", sa.BigInteger()),
        sa.Column("expires_ns", sa.BigInteger(), nullable=False),
        sa.Column("did", sa.String(16), nullable=False, server_default=""),
        sa.Column("changed_by", sa.String(64), nullable=False, server_default=""),
        sa.Column("changed_ns", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(32)),
        sa.Column("words", sa.Text(), nullable=False, server_default=""),
        sa.Column("subject", sa.String(80), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_work_order_alert", "work_order", ["alert_id"])
    op.create_index("ix_work_order_due", "work_order", ["due_ns"])
    op.create_index("ix_work_order_state", "work_order", ["state"])
    op.create_index(
        "uq_work_order_open",
        "work_order",
        ["alert_id", "kind"],
        unique=True,
        **_where("state IN ('issued', 'accepted', 'on-the-way', 'arrived')"),
    )
    op.create_table(
        "feedback",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("alert_id", _KEY, sa.ForeignKey("alert.id"), nullable=False),
        sa.Column("whom", sa.String(16), nullable=False),
        sa.Column("expires_ns", sa.BigInteger(), nullable=False),
        sa.Column("helped", sa.String(16)),
        sa.Column("replied_ns", sa.BigInteger()),
        sa.UniqueConstraint("alert_id"),
        sqlite_autoincrement=True,
    )


def _make_supervision() -> None:
    op.create_table(
        "heartbeat",
        sa.Column("role", sa.String(16), primary_key=True),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
    )
    op.create_table(
        "declared",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("scope_id", sa.String(64), nullable=False),
        sa.Column("from_ns", sa.BigInteger(), nullable=False),
        sa.Column("to_ns", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("subject", sa.String(80), nullable=False),
        sa.Column("declared_by", sa.String(64), nullable=False),
        sa.Column("declared_ns", sa.BigInteger(), nullable=False),
        sa.Column("ended_by", sa.String(64)),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_declared_to", "declared", ["to_ns"])
    op.create_table(
        "unwatched",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("why", sa.String(16), nullable=False),
        sa.Column("from_ns", sa.BigInteger(), nullable=False),
        sa.Column("to_ns", sa.BigInteger(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_unwatched_to", "unwatched", ["to_ns"])


def _make_figures() -> None:
    op.create_table(
        "figure",
        sa.Column("alert_id", _KEY, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("home_id", sa.String(64)),
        sa.Column("gateway_id", sa.String(64), nullable=False),
        sa.Column("device_id", sa.String(128), nullable=False),
        sa.Column("journal_id", sa.BigInteger(), nullable=False),
        sa.Column("raised_ns", sa.BigInteger(), nullable=False),
        sa.Column("answered_ns", sa.BigInteger()),
        sa.Column("answered_by", sa.String(64)),
        sa.Column("sent_ns", sa.BigInteger()),
        sa.Column("arrived_ns", sa.BigInteger()),
        sa.Column("closed_ns", sa.BigInteger()),
        sa.Column("outcome", sa.String(32)),
        sa.Column("handed_over", sa.Integer(), nullable=False),
        sa.Column("reopened", sa.Integer(), nullable=False),
        sa.Column("asked", sa.Boolean(), nullable=False),
        sa.Column("helped", sa.String(16)),
    )
    op.create_index("ix_figure_raised", "figure", ["kind", "raised_ns"])
    cursor = op.create_table(
        "figure_cursor",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("journal_id", sa.BigInteger(), nullable=False),
    )
    op.bulk_insert(cursor, [{"id": 1, "journal_id": 0}])


def _make_commands() -> None:
    """What gateways are asked and told."""
    op.create_table(
        "command",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("gateway_id", sa.String(64), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_ns", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("answered_ns", sa.BigInteger()),
        sa.Column("result", sa.String(64)),
        sa.Column("urgency", sa.Integer(), nullable=False, server_default="2"),
    )
    op.create_index("ix_command_due", "command", ["answered_ns", "urgency", "next_attempt_ns"])
    op.create_index("ix_command_gateway", "command", ["gateway_id", "answered_ns"])
    op.create_table(
        "self_test",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("gateway_id", sa.String(64), nullable=False),
        sa.Column("day", sa.String(10)),
        sa.Column("asked_ns", sa.BigInteger(), nullable=False),
        sa.Column("asked_by", sa.String(64), nullable=False),
        sa.Column("made_ns", sa.BigInteger()),
        sa.Column("time_quality", sa.String(16)),
        sa.Column("received_ns", sa.BigInteger()),
        sa.Column("alert_id", _KEY, sa.ForeignKey("alert.id")),
        sa.Column("decided_ns", sa.BigInteger()),
        sa.Column("decision", sa.JSON()),
        sa.Column("missed_ns", sa.BigInteger()),
        sa.UniqueConstraint("gateway_id", "day"),
    )
    op.create_index("ix_self_test_alert", "self_test", ["alert_id"])
    op.create_index("ix_self_test_gateway", "self_test", ["gateway_id", "asked_ns"])
    op.create_index("ix_self_test_undecided", "self_test", ["decided_ns", "received_ns"])
    op.create_table(
        "remote_ask",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("gateway_id", sa.String(64), nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("asked_ns", sa.BigInteger(), nullable=False),
        sa.Column("asked_by", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("answered_ns", sa.BigInteger()),
        sa.Column("config", sa.JSON()),
        sa.Column("detail", sa.JSON()),
    )
    op.create_index("ix_remote_ask_gateway", "remote_ask", ["gateway_id", "what", "asked_ns"])


def _make_commissioning() -> None:
    op.create_table(
        "commissioning",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("gateway_id", sa.String(64), nullable=False),
        sa.Column("run", sa.String(64), nullable=False),
        sa.Column("home_id", sa.String(64)),
        sa.Column("begun_ns", sa.BigInteger(), nullable=False),
        sa.Column("until_ns", sa.BigInteger(), nullable=False),
        sa.Column("ended_ns", sa.BigInteger()),
        sa.Column("report", sa.JSON()),
        sa.Column("signature", sa.Text(), nullable=False, server_default=""),
        sa.Column("standing", sa.String(16), nullable=False, server_default=""),
        sa.Column("verified_by", sa.String(64)),
        sa.UniqueConstraint("gateway_id", "run"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "commissioning_press",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("commissioning_id", _KEY, sa.ForeignKey("commissioning.id"), nullable=False),
        sa.Column("event_key", _KEY, nullable=False),
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("device_id", sa.String(128), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("made_ns", sa.BigInteger(), nullable=False),
        sa.Column("time_quality", sa.String(16), nullable=False),
        sa.Column("received_ns", sa.BigInteger(), nullable=False),
        sa.Column("decided_ns", sa.BigInteger()),
        sa.Column("decision", sa.JSON()),
        sa.UniqueConstraint("commissioning_id", "device_id", "ordinal"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_commissioning_press_undecided", "commissioning_press", ["decided_ns"])
    op.create_table(
        "commissioning_step",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("commissioning_id", _KEY, sa.ForeignKey("commissioning.id"), nullable=False),
        sa.Column("gateway_id", sa.String(64), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("device_id", sa.String(128), nullable=False),
        sa.Column("room", sa.Text(), nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False, server_default=""),
        sa.Column("closed_ns", sa.BigInteger()),
        sa.Column("closed_by", sa.String(64)),
        sa.Column("closed_why", sa.String(16)),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_commissioning_step_gateway", "commissioning_step", ["gateway_id", "closed_ns"])
    op.create_index(
        "ix_commissioning_step_open",
        "commissioning_step",
        ["gateway_id"],
        **_where("closed_ns IS NULL AND state <> 'passed'"),
    )
    op.create_index("ix_commissioning_step_run", "commissioning_step", ["commissioning_id"])


def _make_identity() -> None:
    """By what gateways are known."""
    op.create_table(
        "boot_clock",
        sa.Column("gateway_id", sa.String(64), primary_key=True),
        sa.Column("boot", sa.String(64), primary_key=True),
        sa.Column("offset_ns", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "certificate",
        sa.Column("serial", sa.String(64), primary_key=True),
        sa.Column("gateway_id", sa.String(64), sa.ForeignKey("gateway.id"), nullable=False),
        sa.Column("session", sa.String(80), nullable=False),
        sa.Column("issued_ns", sa.BigInteger(), nullable=False),
        sa.Column("ends_ns", sa.BigInteger(), nullable=False),
        sa.Column("revoked_ns", sa.BigInteger()),
        sa.Column("reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("enforced_ns", sa.BigInteger()),
        sa.Column("key", sa.String(64), nullable=False, server_default=""),
        sa.Column("pem", sa.Text(), nullable=False, server_default=""),
        sa.Column("seen_ns", sa.BigInteger()),
    )
    op.create_index("ix_certificate_ends", "certificate", ["ends_ns"])
    op.create_index("ix_certificate_gateway", "certificate", ["gateway_id"])
    op.create_index("ix_certificate_key", "certificate", ["key"])
    op.create_table(
        "enrolment",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("gateway_id", sa.String(64), sa.ForeignKey("gateway.id"), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("again", sa.Boolean(), nullable=False),
        sa.Column("made_ns", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(64), nullable=False),
        sa.Column("ends_ns", sa.BigInteger(), nullable=False),
        sa.Column("verifier", sa.String(64), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("wrong", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("key", sa.String(64), nullable=False, server_default=""),
        sa.Column("request", sa.Text(), nullable=False, server_default=""),
        sa.Column("proof", sa.Text(), nullable=False, server_default=""),
        sa.Column("asked_ns", sa.BigInteger()),
        sa.Column("answer", sa.Text(), nullable=False, server_default=""),
        sa.Column("answered_ns", sa.BigInteger()),
        sa.Column("refused", sa.Text(), nullable=False, server_default=""),
        sa.Column("taken_ns", sa.BigInteger()),
        sa.Column("replaced_ns", sa.BigInteger()),
        sa.Column("withdrawn_ns", sa.BigInteger()),
    )
    op.create_index("ix_enrolment_gateway", "enrolment", ["gateway_id"])


def _make_queues() -> None:
    """What waits for the time-series store, was kept aside, or went with age."""
    op.create_table(
        "store_queue",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("point", sa.LargeBinary(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "roll_up_due",
        sa.Column("gateway_id", sa.String(64), primary_key=True),
        sa.Column("from_ns", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("to_ns", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("renewed", sa.Integer(), nullable=False),
    )
    op.create_index("ix_roll_up_due_from", "roll_up_due", ["from_ns"])
    op.create_table(
        "kept_aside",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("received_ns", sa.BigInteger(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(64)),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "removed",
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("until_ns", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("since_ns", sa.BigInteger()),
    )


def _make_triggers() -> None:
    """What enters the journal wakes the web role of every machine, a command the ingester, a certificate the keeper."""
    op.execute(
        "CREATE FUNCTION hearthline_wake() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_notify('hearthline_wake', TG_ARGV[0]); RETURN NULL; END $$"
    )
    for role, what in (
        ("web", "INSERT ON journal"),
        ("ingest", "INSERT ON command"),
        ("keeper", "INSERT OR UPDATE ON certificate"),
    ):
        op.execute(
            f"CREATE TRIGGER wake_{role} AFTER {what} FOR EACH STATEMENT EXECUTE FUNCTION hearthline_wake('{role}')"
        )
