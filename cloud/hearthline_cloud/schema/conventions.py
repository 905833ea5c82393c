"""What all tables share: how their constraints are named, and the key that numbers rows."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, MetaData

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

# SQLite gives a table a 64-bit autoincrementing key only when the column is spelled INTEGER.
KEY = BigInteger().with_variant(Integer, "sqlite")
