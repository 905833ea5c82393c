"""What of commissioning and enrolment has an end: runs, reports that others have superseded, offers that are over.

A gateway's newest report stays, and each that has the last word on a registered device or something left to do: from
them is known which pendants are to be tried each month. The runs without a report that a report may be made of, which
are those between it and the one before, go when it is past.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, or_

from hearthline.commissioning import PAIRING, StepState
from hearthline_cloud.commissioning.verifying import Standing
from hearthline_cloud.schema import commissioning, commissioning_press, commissioning_step, device, enrolment

_newer = commissioning.alias()
_is_signed = _newer.c.standing == Standing.SIGNED


def is_old_run(before_ns: int) -> ColumnElement[bool]:
    """One without a report, all of whose presses are judged."""
    run, press, report = commissioning, commissioning_press, commissioning.alias()
    is_waiting = exists().where(press.c.commissioning_id == run.c.id, press.c.decided_ns.is_(None))
    is_reported = and_(report.c.gateway_id == run.c.gateway_id, report.c.id > run.c.id, report.c.standing != "")
    is_newer = and_(_newer.c.gateway_id == run.c.gateway_id, _newer.c.id > report.c.id, _is_signed)
    is_past = exists().where(is_reported, is_newer)
    is_of_none = or_(run.c.run.startswith(PAIRING, autoescape=True), ~exists().where(is_reported), is_past)
    return and_(run.c.standing == "", _is_over(before_ns), ~is_waiting, is_of_none)


def is_superseded(before_ns: int) -> ColumnElement[bool]:
    """A report after which a signed one has come, and of which nothing is needed any more."""
    run, step, again = commissioning, commissioning_step, commissioning_step.alias()
    is_newest = ~exists().where(_newer.c.gateway_id == run.c.gateway_id, _newer.c.id > run.c.id, _is_signed)
    is_of_it = step.c.commissioning_id == run.c.id
    is_left = exists().where(is_of_it, step.c.state != StepState.PASSED, step.c.closed_ns.is_(None))
    is_tried_again = exists().where(
        again.c.gateway_id == step.c.gateway_id, again.c.device_id == step.c.device_id, again.c.what == step.c.what,
        again.c.commissioning_id > step.c.commissioning_id, _newer.c.id == again.c.commissioning_id, _is_signed,
    )  # fmt: skip
    is_its_device = and_(device.c.gateway_id == step.c.gateway_id, device.c.id == step.c.device_id, device.c.registered)
    is_last_word = exists().where(is_of_it, is_its_device, ~is_tried_again)
    return and_(run.c.standing != "", _is_over(before_ns), ~is_newest, ~is_left, ~is_last_word)


def is_old_offer(before_ns: int) -> ColumnElement[bool]:
    """The journal keeps who was let in, and by whom."""
    return and_(enrolment.c.sealed == "", enrolment.c.ends_ns < before_ns)


def remove_runs(connection: Connection, runs: Sequence[int], now_ns: int) -> None:
    for table in (commissioning_step, commissioning_press):  # they refer to the run
        connection.execute(delete(table).where(table.c.commissioning_id.in_(runs)))
    connection.execute(delete(commissioning).where(commissioning.c.id.in_(runs)))


def _is_over(before_ns: int) -> ColumnElement[bool]:
    return func.coalesce(commissioning.c.ended_ns, commissioning.c.until_ns) < before_ns
