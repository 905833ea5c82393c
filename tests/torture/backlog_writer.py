"""Child of a torn-log trial: appends alarms and packs, says which are committed and how long the log is then."""

from __future__ import annotations

import sys
from pathlib import Path

from hearthline.clock import NS, Stamp
from hearthline.model import EventType, Reading
from hearthline_edge.outbox import Outbox

outbox = Outbox(Path(sys.argv[1]))
log = outbox.path.with_name("outbox.db-wal")
now = Stamp(1_790_000_000 * NS, 100 * NS, "boot-1", True)
while True:
    with outbox.transaction():
        row = outbox.append_event(EventType.ALARM, "d", {"raw": "00" * 40}, now, urgent=True, sounds=True)
        outbox.append_pack([(Reading("m", "power", 1.0, "W"), 0)], now)
    sys.stdout.write(f"{row.seq} {row.id} {log.stat().st_size}\n")
    sys.stdout.flush()
