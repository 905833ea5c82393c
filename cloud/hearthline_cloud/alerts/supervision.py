"""When silence is an alarm: pure decisions over the times at which gateways were last heard.

A gateway says `up/status` every 30 s; its silence is shown within 90 s. Right after the supervising process itself
has started nothing is known yet, so every period counts from that start at the earliest.
"""

from __future__ import annotations

from hearthline.clock import NS

STATUS_PERIOD_S = 30
SILENT_AFTER_S = 75  # two missed statuses and a slow third; with a check every 5 s the alert stands within 90 s
OFFLINE_GRACE_S = 20  # a broker's last will may only mean a reconnection


def is_silent(state: str, last_seen_ns: int | None, watching_since_ns: int, now_ns: int) -> bool:
    """Whether a registered gateway's silence must be raised. `last_seen_ns` None: never heard."""
    limit_s = OFFLINE_GRACE_S if state == "offline" else SILENT_AFTER_S
    heard = max(last_seen_ns or 0, watching_since_ns)
    return now_ns - heard > limit_s * NS
