"""The gateway proves its way to the center: a marked alarm of its own goes the whole way of a press.

    command "self-test" --> Press of the gateway --> intake, grouping, outbox, uplink, alarms first --> center

From the intake on nothing tells it from a press, save its role: it drives no local output and lights no lamp in the
home. The mark is the command's id. The center believes it only where it has asked this gateway by that id and the
subject is the gateway, whose id no device can have: a mark on anything else is an alarm like any other.

A command may come several times, also after a restart; the state of its press, committed with the alarm, says whether
it was carried out.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hearthline.clock import Stamp
from hearthline.model import SELF_TEST
from hearthline_edge.arrival import Arrival, Source
from hearthline_edge.devices import GroupingRule, Press
from hearthline_edge.grouping import PressState
from hearthline_edge.outbox import Outbox

_REMEMBERED: Final = 8  # commands that are not made twice
SOURCE: Final = Source(SELF_TEST, SELF_TEST, GroupingRule(quiet_gap_s=60.0, remember=_REMEMBERED))


def role_of(device: str, button: str) -> str:
    """Whatever the configuration says of devices: this is none."""
    return SELF_TEST


def marked_alarm(gateway: str, command: str, now: Stamp) -> Arrival:
    """What the gateway's own button would have given, if it had one."""
    return Arrival((Press(gateway, SELF_TEST, command, "", facts=(("test", command),)),), now)


def was_made(outbox: Outbox, gateway: str, command: str) -> bool:
    """Whether this command's alarm has been committed before."""
    kept = outbox.press_state(gateway, SELF_TEST)
    if kept is None:
        return False
    try:
        state = msgspec.json.decode(kept[0], type=PressState)
    except (ValueError, RecursionError):  # the intake drops it and says so
        return False
    return any(told.content == command for told in state.told)
