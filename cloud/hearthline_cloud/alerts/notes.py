"""What a gateway's notes about its devices mean at the desk: lost, found again, a fault that is work, or nothing."""

from __future__ import annotations

# The device is lost from now on, whatever its period.
LOST = frozenset({"offline", "no-reply", "port-lost"})
# It is there again. Anything else that it says means that too.
FOUND = frozenset({"online", "reply", "port-back"})
# Of these the gateway tells about a port of its own.
OF_PORTS = frozenset({"port-lost", "port-back"})
# Somebody has to do something about it, in days rather than in minutes.
FAULTS = frozenset({"low-battery", "tamper", "error", "encrypted"})
# The device says itself that a fault is over.
OVER: dict[str, str] = {"battery-ok": "low-battery", "tamper-over": "tamper"}
# Told of what the gateway itself asks by its own configuration, so that nobody need have registered it.
_OF_OUR_OWN = frozenset({"no-reply", "port-lost"})

PORT = "port"
"""The kind, and the beginning of the id, of a gateway's port: it stands for itself among the gateway's devices."""


def is_raised(note: str, kind: str, is_registered: bool, is_off: bool) -> bool:
    """Whether a device that is lost by `note` is an alert. `is_off`: the registry says that nobody watches it."""
    return not is_off and (is_registered or note in _OF_OUR_OWN or kind in (PORT, "receiver"))


def port_id(name: str) -> str:
    return f"{PORT}:{name}"
