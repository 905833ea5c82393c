"""Who lives where with which devices, who looks after them, and what they have agreed to."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, text
from sqlalchemy.types import JSON

from hearthline_cloud.personal.column import Personal
from hearthline_cloud.schema.conventions import KEY, metadata

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
    Column("id", KEY, primary_key=True, autoincrement=True),
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
