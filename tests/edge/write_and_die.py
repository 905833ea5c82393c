"""Child of test_outbox: appends alarms one by one, says which are committed, and waits to be killed."""

from __future__ import annotations

import sys
from pathlib import Path

from hearthline.clock import NS, Stamp
from hearthline.model import EventType, Reading
from hearthline_edge.outbox import Outbox

outbox = Outbox(Path(sys.argv[1]))
now = Stamp(1_790_000_000 * NS, 100 * NS, "boot-1", True)
while True:
    with outbox.transaction():
        row = outbox.append_event(EventType.ALARM, "d", {}, now, urgent=True, sounds=True)
        outbox.append_pack([(Reading("m", "power", 1.0, "W"), 0)], now)
    sys.stdout.write(f"{row.seq} {row.id}\n")
    sys.stdout.flush()
