"""When silence is an alarm: pure decisions over the times at which gateways were last heard.

A gateway says `up/status` every 30 s; its silence is shown within 90 s. Right after the supervising process itself
has started nothing is known yet, so every period counts from that start at the earliest. The same holds while the
center itself is blind (its ingester or broker is away) and after a step of its clock: gateways are not silent because
nobody listens. Times are Unix nanoseconds of the cloud's clock; `mono` ones count on through a step of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hearthline.clock import NS
from hearthline_cloud.alerts.intervals import Interval, clip, length

STATUS_PERIOD_S = 30
SILENT_AFTER_S = 75  # two missed statuses and a slow third; with a check every 5 s the alert stands within 90 s
OFFLINE_GRACE_S = 20  # a broker's last will may only mean a reconnection

INGEST_FRESH_S = 5  # the ingester says every second that it lives
BLIND_AFTER_S = 30  # a restart of a broker or an ingester is no alert
STEADY_S = 10  # seeing again for so long ends a blindness: a link that flaps is one blindness, not many
RETURN_GRACE_S = 20  # on top of STEADY_S: a gateway may wait 39 s between two tries to connect
CLOCK_STEP_S = 5
_LOCK_WAIT_S = 15  # a writer may have waited so long for the database since `now` was read


def is_silent(state: str, last_seen_ns: int | None, watching_since_ns: int, now_ns: int) -> bool:
    """Whether a registered gateway's silence must be raised. `last_seen_ns` None: never heard."""
    limit_s = OFFLINE_GRACE_S if state == "offline" else SILENT_AFTER_S
    heard = max(credible(last_seen_ns, now_ns) or 0, watching_since_ns)
    return now_ns - heard > limit_s * NS


def credible(at_ns: int | None, now_ns: int) -> int | None:
    """`at_ns`, or None for a time of the future: it was read from a clock that has been set back since."""
    return None if at_ns is None or at_ns > future_ns(now_ns) else at_ns


def future_ns(now_ns: int) -> int:
    """What lies after it is of the future."""
    return now_ns + _LOCK_WAIT_S * NS


def is_alive(beat_ns: int | None, now_ns: int) -> bool:
    """Whether the ingester is, by its last heartbeat. One of the future tells nothing."""
    return beat_ns is not None and abs(now_ns - beat_ns) < INGEST_FRESH_S * NS


@dataclass(frozen=True, slots=True)
class Sight:
    """What the desk's own eyes are worth: since when it watches, and since when it has been blind, if it is."""

    watching_since_ns: int
    looked_ns: int
    looked_mono_ns: int
    blind_since_mono_ns: int | None = None
    last_blind_mono_ns: int = 0

    @classmethod
    def opened(cls, now_ns: int, mono_ns: int) -> Sight:
        return cls(now_ns, now_ns, mono_ns)

    @property
    def is_blind(self) -> bool:
        return self.blind_since_mono_ns is not None

    @property
    def blind_since_ns(self) -> int:
        """When this blindness began, by the cloud's clock of today; now when there is none."""
        began = self.looked_mono_ns if self.blind_since_mono_ns is None else self.blind_since_mono_ns
        return self.looked_ns - (self.looked_mono_ns - began)

    @property
    def is_long_blind(self) -> bool:
        """Blind at this look, and for so long that a person must know."""
        began, now = self.blind_since_mono_ns, self.looked_mono_ns
        return began is not None and self.last_blind_mono_ns == now and now - began >= BLIND_AFTER_S * NS


def look(before: Sight, sees: bool, now_ns: int, mono_ns: int) -> Sight:
    """The sight at this round. `sees`: the ingester lives and has its broker."""
    watching, began, last_blind = before.watching_since_ns, before.blind_since_mono_ns, before.last_blind_mono_ns
    stepped_ns = (now_ns - before.looked_ns) - (mono_ns - before.looked_mono_ns)
    if abs(stepped_ns) > CLOCK_STEP_S * NS:
        watching = now_ns
    if not sees:
        watching, last_blind = now_ns, mono_ns
        began = mono_ns if began is None else began
    elif began is not None and mono_ns - last_blind >= STEADY_S * NS:
        watching, began = now_ns + RETURN_GRACE_S * NS, None
    elif began is not None:
        watching = now_ns
    return Sight(watching, now_ns, mono_ns, began, last_blind)


# --- devices ------------------------------------------------------------------------------------------------------

GATEWAY_FRESH_S = 45  # only who hears its gateway can say that the device behind it is silent: a status and a half
DEVICE_GRACE_S = 60  # after whatever kept us from hearing: what is polled is polled again, what waited has come
DESK_GAP_S = 30  # a desk that looked no more often did not watch: it was down, or its clock or database was away


def unheard_ns(heard_ns: int, deaf: Iterable[Interval], now_ns: int) -> int:
    """For how long somebody listened since `heard_ns` and heard nothing.

    `deaf`: when nobody could. So a device can neither become silent because nobody listened, nor stay unnoticed
    because its gateway comes and goes, or the center is started again and again.
    """
    late = ((begin, end + DEVICE_GRACE_S * NS) for begin, end in deaf)
    return max(now_ns - heard_ns - length(clip(late, heard_ns, now_ns)), 0)


def watched_gap(last_beat_ns: int | None, now_ns: int) -> Interval | None:
    """The time in which no desk watched, if it was long enough to matter. Also when the clock was set forward."""
    if last_beat_ns is None or now_ns - last_beat_ns <= DESK_GAP_S * NS:
        return None
    return last_beat_ns, now_ns
