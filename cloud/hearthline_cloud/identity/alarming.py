"""What threatens the gateways' way in, as alerts: whoever is on duty hears of it, not only who looks at the console.

    heartbeats of keeper and renewal --> faults --> those that last --> one alert each, until the fault is gone
                        none any more --> `unheard`

A broker that is restarted makes faults for some seconds; what ends on a day does not go away by itself and is told at
once. A person may close an alert before: it is raised anew only when the fault was gone in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from hearthline.clock import NS
from hearthline_cloud.alerts.lifecycle import AlertKind
from hearthline_cloud.desk import Changed
from hearthline_cloud.identity.keeping import ROLE as KEEPER
from hearthline_cloud.identity.renewing import ROLE as RENEWAL
from hearthline_cloud.schema import alert, heartbeat
from hearthline_cloud.silences import LASTS, end, raise_once
from hearthline_cloud.telling import FaultKind

PATIENCE_S = 60.0
UNHEARD = "unheard"  # nobody keeps the broker
UNHEARD_S = 60
_AT_ONCE = frozenset({FaultKind.LIST_OLD.value, FaultKind.ENDING.value, UNHEARD})

Beats = Mapping[str, tuple[int, Mapping[str, Any]]]  # role -> (when it last said that it lives, what it said)


def present(beats: Beats, now_ns: int) -> dict[str, str] | None:
    """Note of an alert -> the fault in words; None where nobody knows, for the keeper is not heard."""
    at_ns, _ = beats.get(KEEPER, (now_ns, {}))
    if abs(now_ns - at_ns) > UNHEARD_S * NS:
        return None
    rows = [row for _, detail in beats.values() for row in detail.get("faults", ())]
    return {row["kind"]: row["text"] for row in rows}


@dataclass
class Patience:
    """Since when each fault lasts, by the monotonic clock."""

    _since: dict[str, int] = field(default_factory=dict)

    def lasting(self, found: Mapping[str, str], mono_ns: int) -> dict[str, str]:
        self._since = {note: self._since.get(note, mono_ns) for note in found}
        waited_ns = round(PATIENCE_S * NS)
        return {
            note: text for note, text in found.items() if note in _AT_ONCE or mono_ns - self._since[note] >= waited_ns
        }


class AccessWatch:
    """Of one desk; two may watch at once."""

    def __init__(self) -> None:
        self._patience = Patience()

    def look(self, connection: Connection, now_ns: int, mono_ns: int) -> tuple[dict[str, str], set[str]]:
        """What is to be raised, with its words, and the notes of what is over."""
        rows = connection.execute(select(heartbeat).where(heartbeat.c.role.in_((KEEPER, RENEWAL))))
        found = present({row.role: (row.at_ns, row.detail) for row in rows}, now_ns)
        told = set(
            connection.execute(select(alert.c.note).where(LASTS, alert.c.kind == AlertKind.ACCESS_FAULT)).scalars()
        )
        if found is None:
            return ({} if UNHEARD in told else {UNHEARD: "nobody keeps the broker"}), set()
        lasting = self._patience.lasting(found, mono_ns)
        return {note: text for note, text in lasting.items() if note not in told}, told - found.keys()


def tell(connection: Connection, due: Mapping[str, str], over: set[str], now_ns: int) -> list[Changed]:
    """Raise and clear, in one transaction; what another desk has done meanwhile is left as it is."""
    kind, changes = AlertKind.ACCESS_FAULT, list[Changed]()
    for note, text in sorted(due.items()):
        values = {"home_id": None, "note": note}
        changes += raise_once(connection, kind, key_of(note), None, now_ns, values, {"fault": text})
    for note in sorted(over):
        changes += end(connection, key_of(note), now_ns)
    return changes


def key_of(note: str) -> str:
    return f"{AlertKind.ACCESS_FAULT}:{note}"
