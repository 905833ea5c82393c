"""What `hearthline cloud test` waits for, and says."""

from __future__ import annotations

import time

from hearthline_cloud.alerts.self_test import Standing
from hearthline_cloud.api.model import SelfTest
from hearthline_cloud.api.self_test_reads import one_self_test
from hearthline_cloud.database import Database

_LOOK_EVERY_S = 0.2
_DECISION_S = 5.0  # more, for what the desk makes of a proof that is there


def await_proof(database: Database, test: str, wait_s: float) -> SelfTest:
    """How the test stands as soon as it is settled, or at the end of the time."""
    deadline = time.monotonic() + wait_s
    decided_by = deadline + _DECISION_S
    while True:
        with database.reading() as connection:
            found = one_self_test(connection, test)
        waits_for_desk = found.standing == Standing.PROVED and found.decided_s is None
        if found.standing == Standing.CANNOT or (found.decided_s is not None):
            return found
        if time.monotonic() > (decided_by if waits_for_desk else deadline):
            return found
        time.sleep(_LOOK_EVERY_S)


def in_words(gateway: str, found: SelfTest) -> str:
    if found.standing == Standing.CANNOT:
        return f"{gateway} cannot test itself: its version does not know the command. Update it."
    if found.round_s is None:
        return f"{gateway} has not proved its way yet. Is it online, and does ingest run? The center goes on asking."
    hops = (
        ("down to the gateway", found.down_s),
        ("up to the center", found.up_s),
        ("to the decision", found.decided_s),
    )
    told = [f"{seconds:.2f} s {name}" for name, seconds in hops if seconds is not None]
    desk = "" if found.decided_s is not None else " The desk has not decided whom it would tell: does it run?"
    nobody = " Outside the console nobody would be told of a press." if found.messages == 0 else ""
    return f"{gateway} has proved its way in {found.round_s:.2f} s ({', '.join(told)}).{desk}{nobody}"
