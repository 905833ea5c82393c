"""How many hours of room are left is told after a restart, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from hearthline.clock import NS, Stamp
from hearthline.model import Reading
from hearthline_edge.config import EdgeConfig, UplinkConfig
from hearthline_edge.outbox import Outbox
from hearthline_edge.outbox_view import look_into

SAMPLE = [(Reading("meter", "power", 1.5, "W"), 0)]


def test_the_room_left_is_told_across_reboots(tmp_path: Path) -> None:
    """A pack a minute in both boots; what the monotonic clock read at the restart means nothing."""
    outbox = Outbox(tmp_path)
    with outbox.transaction():
        for boot, began_s in (("boot-1", 90_000.0), ("boot-2", 30.0)):
            start = Stamp(1_790_000_000 * NS, 0, boot, True).later(began_s)
            for minute in range(61):
                outbox.append_pack(SAMPLE, start.later(minute * 60))
    outbox.close()
    view = look_into(EdgeConfig("gw-1", str(tmp_path), UplinkConfig("center"), telemetry_max_mb=1), start)
    bytes_each = len(b'[["meter","power",1.5,"W",0]]')
    room_h = (1024 * 1024 - 122 * bytes_each) / (bytes_each * 60)
    assert view.telemetry.room_h == pytest.approx(room_h, rel=0.02)


def test_the_room_left_of_a_single_pack_is_unknown(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    now = Stamp(1_790_000_000 * NS, 100 * NS, "boot-1", True)
    with outbox.transaction():
        outbox.append_pack(SAMPLE, now)
    outbox.close()
    assert look_into(EdgeConfig("gw-1", str(tmp_path), UplinkConfig("center")), now).telemetry.room_h is None
