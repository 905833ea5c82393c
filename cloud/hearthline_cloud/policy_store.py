"""The saved versions of the policies: the database is the one place that they hold from.

A version is saved only when it has no problem, on top of the one that its author saw. What holds is the newest version
that can be read; before the first, and if none can, the shipped policies. So nothing that stands in the table, whoever
wrote it, can stop escalation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select

from hearthline.errors import RefusedError
from hearthline_cloud import journal
from hearthline_cloud.alerts.escalation import SHIPPED, Policies, Reach
from hearthline_cloud.policy_file import read_policies
from hearthline_cloud.policy_problems import Problem
from hearthline_cloud.policy_text import shipped_text
from hearthline_cloud.schema import policy as policy_table

SHIPPED_VERSION = 0
_TRIED = 20  # versions, the newest first


class PolicyError(RefusedError):
    """A policy that is not saved; `problems` says why."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


class StalePolicyError(RefusedError):
    """Somebody has saved another version meanwhile; `version` is the newest."""

    def __init__(self, version: int, by: str) -> None:
        super().__init__(f"{by} has saved version {version} meanwhile: look at it, and save again")
        self.version = version
        self.by = by


@dataclass(frozen=True, slots=True)
class Saved:
    """One version as it was saved. Version 0 is what is shipped, of nobody."""

    version: int
    at_ns: int | None
    by: str
    text: str


@dataclass(frozen=True, slots=True)
class Holding:
    """What escalation goes by. `version` is the one that holds; `refused`: what is wrong with a newer one."""

    policies: Policies
    version: int
    newest: int
    refused: Problem | None = None


def newest_version(connection: Connection) -> int:
    return connection.execute(select(func.max(policy_table.c.version))).scalar() or SHIPPED_VERSION


def newest(connection: Connection) -> Saved:
    row = connection.execute(select(policy_table).order_by(policy_table.c.version.desc()).limit(1)).first()
    if row is None:
        return Saved(SHIPPED_VERSION, None, "", shipped_text())
    return Saved(row.version, row.at_ns, row.saved_by, row.text)


def save(connection: Connection, text: str, base: int, reaches: Iterable[Reach], by: str, now_ns: int) -> Saved:
    """Save the version after `base`, in a transaction. Raises PolicyError, StalePolicyError."""
    reading = read_policies(text, reaches)
    if reading.problems:
        raise PolicyError(reading.problems)
    before = newest(connection)
    if before.version != base:
        raise StalePolicyError(before.version, before.by)
    saved = Saved(before.version + 1, now_ns, by, text)
    connection.execute(insert(policy_table).values(version=saved.version, at_ns=now_ns, saved_by=by, text=text))
    journal.append(connection, "policy-saved", now_ns, {"version": saved.version}, actor=by)
    return saved


def holding(connection: Connection) -> Holding:
    """What holds now. Whether the channels that there are reach everybody is not asked: see `telling`."""
    rows = connection.execute(select(policy_table).order_by(policy_table.c.version.desc()).limit(_TRIED)).all()
    refused: Problem | None = None
    for row in rows:
        reading = read_policies(row.text)
        if reading.policies is not None:
            return Holding(reading.policies, row.version, rows[0].version, refused)
        refused = refused or reading.problems[0]
    return Holding(SHIPPED, SHIPPED_VERSION, rows[0].version if rows else SHIPPED_VERSION, refused)
