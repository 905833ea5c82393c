"""Reading self-tests: how each stands, and how long each hop of a proof took."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Select, select

from hearthline.clock import NS
from hearthline_cloud.alerts.self_test import standing
from hearthline_cloud.api.alert_reads import time_or_none
from hearthline_cloud.api.model import SelfTest, SelfTests
from hearthline_cloud.desk import NotFoundError
from hearthline_cloud.schema import command, gateway, self_test

_SHOWN = 30
_TESTS: Select[Any] = select(self_test, command.c.result).outerjoin(command, command.c.id == self_test.c.id)


def self_tests(connection: Connection, gateway_id: str) -> SelfTests:
    """The last tests of a gateway, the newest first, and its last proof. Raises NotFoundError."""
    row = connection.execute(select(gateway.c.proved_id).where(gateway.c.id == gateway_id)).first()
    if row is None:
        raise NotFoundError(f"there is no gateway {gateway_id}")
    query = _TESTS.where(self_test.c.gateway_id == gateway_id).order_by(self_test.c.asked_ns.desc())
    tests = [_self_test(each) for each in connection.execute(query.limit(_SHOWN))]
    proof = None if row.proved_id is None else one_self_test(connection, row.proved_id)
    return SelfTests(gateway_id, proof, tests)


def one_self_test(connection: Connection, test: str) -> SelfTest:
    return _self_test(connection.execute(_TESTS.where(self_test.c.id == test)).one())


def last_self_tests(connection: Connection) -> dict[str, tuple[SelfTest, SelfTest | None]]:
    """Gateway -> its last test and its last proof, of those that were ever asked."""
    tests = {
        row.id: _self_test(row)
        for row in connection.execute(
            _TESTS.where(self_test.c.id.in_(select(gateway.c.test_id).union(select(gateway.c.proved_id))))
        )
    }
    asked = select(gateway.c.id, gateway.c.test_id, gateway.c.proved_id).where(gateway.c.test_id.is_not(None))
    return {row.id: (tests[row.test_id], tests.get(row.proved_id)) for row in connection.execute(asked)}


def _self_test(row: Row[Any]) -> SelfTest:
    decision = row.decision if isinstance(row.decision, dict) else {}
    clocks_agree = row.time_quality == "synced"
    return SelfTest(
        id=row.id,
        standing=standing(row.received_ns is not None, row.missed_ns is not None, row.result),
        asked=time_or_none(row.asked_ns) or "",
        asked_by=row.asked_by,
        proved=time_or_none(row.received_ns),
        alert=row.alert_id,
        down_s=_between(row.asked_ns, row.made_ns) if clocks_agree else None,
        up_s=_between(row.made_ns, row.received_ns) if clocks_agree else None,
        round_s=_between(row.asked_ns, row.received_ns),
        decided_s=_between(row.received_ns, row.decided_ns),
        policy=decision.get("policy"),
        messages=decision.get("messages"),
    )


def _between(first_ns: int | None, then_ns: int | None) -> float | None:
    return None if first_ns is None or then_ns is None else (then_ns - first_ns) / NS
