"""The loops of the role desk: none reads through what is over, and nothing odd about one case stops the others."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event

from cloud_center import Cloud
from hearthline.clock import NS
from hearthline_cloud import figuring
from hearthline_cloud.alerts.escalation import SHIPPED, Reach
from hearthline_cloud.escalating import escalate_once
from hearthline_cloud.notify.sending import _due
from hearthline_cloud.ordering import follow_orders
from hearthline_cloud.telling import failing_channels

NOW_NS = 1_800_000_000 * NS
_OPEN_ALONE = "uq_escalation_open"  # an index of the open alerts' timers, which each round walks


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_looked_for_each_second_is_found_without_reading_through_old_cases(cloud: Cloud) -> None:
    """By SQLite's own plan: a table or index that is walked whole grows with every case there ever was."""
    asked: list[tuple[str, Any]] = []

    def listen(*told: Any) -> None:
        asked.append((told[2], told[3]))

    event.listen(cloud.database.engine, "before_cursor_execute", listen)
    escalate_once(cloud.database, SHIPPED, (), NOW_NS)
    follow_orders(cloud.database, (), NOW_NS)
    figuring.fold_once(cloud.database)
    with cloud.database.reading() as connection:
        failing_channels(connection, [Reach("duty")], NOW_NS)
        connection.execute(_due("duty", NOW_NS)).first()
    event.remove(cloud.database.engine, "before_cursor_execute", listen)
    looks = [each for each in asked if each[0].startswith("SELECT")]
    assert len(looks) >= 9
    for statement, values in looks:
        with cloud.database.reading() as connection:
            steps = [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
        walked = [step for step in steps if step.startswith(("SCAN", "USE TEMP")) and _OPEN_ALONE not in step]
        assert not [step for step in walked if step not in ("SCAN CONSTANT ROW", "SCAN figure_cursor")], statement
