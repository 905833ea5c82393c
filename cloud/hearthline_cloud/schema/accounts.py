"""The staff, their sessions and their second factors."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, String, Table, Text, text

from hearthline_cloud.schema.conventions import metadata

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
