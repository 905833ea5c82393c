"""systemd's notification protocol (sd_notify(3)): one datagram to `$NOTIFY_SOCKET`; silent where there is none."""

from __future__ import annotations

import os
import socket


def notify(message: str) -> None:
    """Send e.g. `READY=1`, `WATCHDOG=1`, `STOPPING=1`."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.sendto(message.encode(), address)
        except OSError:
            return  # a supervisor that went away must not take the alarm path with it


def watchdog_interval_s() -> float | None:
    """Half of the watchdog's period, or None when systemd watches nothing."""
    usec = os.environ.get("WATCHDOG_USEC")
    return int(usec) / 2_000_000 if usec and usec.isdecimal() and int(usec) else None
