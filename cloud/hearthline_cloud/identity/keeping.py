"""The keeper, a loop of the desk role: what the broker lets in is what our database says, within a second of a change.

    certificates in the database --> revocation list, written whole --> the broker reads it (SIGHUP)
                                 --> clients and roles of the broker's plugin

The order makes a revoked gateway stay out. The list alone does nothing until the broker reads it, and then only for new
connections; deleting the client ends the session at once, and what comes back finds the list. Everything is derived
from the database and from what the broker has: killed at any point, the next round does the rest.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from sqlalchemy import delete

from hearthline.clock import NS
from hearthline.config import read_secret
from hearthline.errors import HearthlineError, LinkError
from hearthline.log import Log
from hearthline_cloud.config import CloudConfig, IdentityConfig
from hearthline_cloud.database import Database
from hearthline_cloud.desk import beat
from hearthline_cloud.identity.authority import (
    ISSUING_CERT,
    LIST,
    LIST_DAYS,
    Authority,
    write_public,
)
from hearthline_cloud.identity.broker import KEEPER, PID, SERVER_CERT, STATE, Present, gateway_of, reconciled
from hearthline_cloud.identity.certificates import Standing, enforced, standing, utc
from hearthline_cloud.identity.control import Control
from hearthline_cloud.loop import Loop, patiently
from hearthline_cloud.schema import heartbeat
from hearthline_cloud.telling import Fault, FaultKind
from hearthline_cloud.wake import WakeListener

ROLE = "keeper"  # of the heartbeat
WRITE_LEFT, OLD_LEFT = timedelta(days=5), timedelta(days=2)  # of the list: written anew, and told as a fault
_TELL_LEFT = {ISSUING_CERT: timedelta(days=180), SERVER_CERT: timedelta(days=30)}
_PERIOD_S = 1.0
_BEAT_S = 5.0
_LOOK_AGAIN_S = 600.0  # at what the broker has: somebody else may have changed it
_HEEDED_S = 0.2  # mosquitto heeds a signal within 0.1 s
_RELOAD_S = 10.0
log = Log(__name__)


class Keeper(Loop):
    """Start it, ask `failed()` now and then, stop it."""

    def __init__(self, config: CloudConfig, database: Database) -> None:
        """Raises ConfigError with the key."""
        super().__init__("keeper")
        identity = self._identity = config.identity
        self._folder = Path(identity.broker)
        self._database = database
        self._control = Control(config.broker, keeper_password(identity))
        self._listener = WakeListener(config.directory, "keeper")
        self._present: Present | None = None
        self._looked_at = 0.0
        self._beaten_at = float("-inf")
        self._reload_due = True  # who ran before may have been killed before he could
        self._faults: dict[FaultKind, Fault] = {}
        self._told: set[str] = set()

    def stop(self) -> None:
        super().stop()
        self._listener.close()

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                patiently("the broker is kept as it was", lambda: self.round(time.time_ns(), time.monotonic()))
                if not self._stopping.is_set():
                    self._listener.wait(_PERIOD_S)
        finally:
            self._control.close()

    def round(self, now_ns: int, mono_s: float) -> None:
        """Bring the broker to what the database says, as far as it can be done now."""
        with self._database.reading() as connection:
            wanted = standing(connection, now_ns)
        heeded = self._keep_list(wanted, now_ns)
        kept = self._keep_clients(wanted, heeded, mono_s)
        if heeded and kept and wanted.unenforced:
            with self._database.transaction() as connection:
                enforced(connection, wanted.unenforced, now_ns)
            log.info("revoked certificates are out", sessions=sorted(wanted.unenforced.values()))
        self._tell(now_ns, mono_s)

    # --- the revocation list ---

    def _keep_list(self, wanted: Standing, now_ns: int) -> bool:
        """Whether the broker goes by a list that names all that is revoked."""
        path, now = self._folder / LIST, utc(now_ns)
        try:
            if not is_good(path, {each.serial for each in wanted.revoked}, now):
                authority = Authority(Path(self._identity.folder), now)
                write_public(path, authority.revocation_list(wanted.revoked, now_ns // NS, now))
                self._reload_due = True
                log.info("revocation list written", revoked=len(wanted.revoked))
            if self._reload_due:
                self._reload()
                self._reload_due = False
                if wanted.unenforced:
                    self._stopping.wait(_HEEDED_S)
        except (HearthlineError, OSError, subprocess.SubprocessError) as error:
            self._fault(FaultKind.RELOAD, why=str(error))
            return False
        else:
            self._faults.pop(FaultKind.RELOAD, None)
            return True
        finally:
            self._look_at_ends(wanted, now)

    def _reload(self) -> None:
        """Raises LinkError, OSError, SubprocessError."""
        if self._identity.reload:
            subprocess.run(self._identity.reload, check=True, timeout=_RELOAD_S, stdin=subprocess.DEVNULL)
            return
        _hang_up(self._folder / PID)

    def _look_at_ends(self, wanted: Standing, now: datetime) -> None:
        found = _listed(self._folder / LIST)
        ends = now if found is None else found[1]
        if ends - now < OLD_LEFT:
            self._fault(FaultKind.LIST_OLD, ends=f"{ends:%Y-%m-%d %H:%M} UTC")
        else:
            self._faults.pop(FaultKind.LIST_OLD, None)
        self._faults.pop(FaultKind.ENDING, None)
        if wanted.ending:
            first, *others = sorted(wanted.ending, key=lambda gateway: (wanted.ending[gateway], gateway))
            more = f" (+{len(others)})" if others else ""
            self._fault(FaultKind.ENDING, name=f"{first}{more}", ends=f"{utc(wanted.ending[first]):%Y-%m-%d}")
        for folder, name in ((Path(self._identity.folder), ISSUING_CERT), (self._folder, SERVER_CERT)):
            until = _certificate_ends(folder / name)
            if until is None or until - now < _TELL_LEFT[name]:  # worse: it locks everybody out
                self._fault(FaultKind.ENDING, name=name, ends="?" if until is None else f"{until:%Y-%m-%d}")

    # --- clients and roles ---

    def _keep_clients(self, wanted: Standing, heeded: bool, mono_s: float) -> bool:
        """Whether the broker has the clients and roles that it must have."""
        gateways = wanted.gateways
        if not heeded:  # else a new certificate would give the revoked one its rights back
            gateways -= {gateway_of(session) for session in wanted.unenforced.values()}
        try:
            if not self._control.connected:
                self._present = None
                self._control.connect()
            if self._present is None or mono_s - self._looked_at > _LOOK_AGAIN_S:
                self._present, self._looked_at = self._control.present(), mono_s
            commands = reconciled(gateways, self._present, wanted.unenforced.values())
            if commands:
                self._present = None  # looked at again, whatever becomes of them
                refused = self._control.run(commands)
                with suppress(FileNotFoundError):
                    _to_disk(self._folder / STATE)
                if refused:
                    raise LinkError("; ".join(refused[:3]))
                log.info("broker's clients brought up to date", commands=len(commands))
        except (LinkError, OSError) as error:
            self._fault(FaultKind.CONTROL, why=str(error))
            return False
        self._faults.pop(FaultKind.CONTROL, None)
        return True

    # --- what people are told ---

    def _fault(self, kind: FaultKind, **facts: str) -> None:
        self._faults[kind] = Fault(kind, facts)

    def _tell(self, now_ns: int, mono_s: float) -> None:
        told = {str(fault) for fault in self._faults.values()}
        if told == self._told and mono_s - self._beaten_at < _BEAT_S:
            return
        for fault in sorted(told - self._told):
            log.error("the broker is not as it should be", fault=fault)
        self._told, self._beaten_at = told, mono_s
        with self._database.transaction() as connection:
            beat(connection, ROLE, now_ns, {"faults": [fault.as_row() for fault in self._faults.values()]})


def keeper_password(identity: IdentityConfig) -> str:
    """Raises ConfigError for a file that is missing, empty, or open to others."""
    path = identity.keeper_password_file or Path(identity.broker) / f"{KEEPER}.password"
    return read_secret(str(path), "identity.keeper_password_file") or ""


def forget(database: Database) -> None:
    """The section is gone from the configuration: nobody waits for its heartbeat."""
    with database.transaction() as connection:
        connection.execute(delete(heartbeat).where(heartbeat.c.role == ROLE))


def is_good(path: Path, serials: set[str], now: datetime) -> bool:
    """Whether the list in this file names all of them, and is good for long enough and from now on."""
    found = _listed(path)
    if found is None:
        return False
    left = found[1] - now
    return serials <= found[0] and WRITE_LEFT <= left <= timedelta(days=LIST_DAYS)


def _listed(path: Path) -> tuple[set[str], datetime] | None:
    """The serials on a revocation list and its end; None for a file that is absent or none."""
    try:
        found = x509.load_pem_x509_crl(path.read_bytes())
    except (OSError, ValueError):
        return None
    ends = found.next_update_utc
    return None if ends is None else ({f"{each.serial_number:x}" for each in found}, ends)


def _certificate_ends(path: Path) -> datetime | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return None


def _hang_up(pid_file: Path) -> None:
    """Make the broker read its files, and nobody else: the file may have outlived it. Raises LinkError, OSError."""
    try:
        process = int(pid_file.read_text(encoding="ascii"))
        about = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
        facts = dict(line.split(":\t", 1) for line in about.splitlines() if ":\t" in line)
        name, heeds = facts["Name"], int(facts["SigCgt"], 16) >> (signal.SIGHUP - 1) & 1
    except (OSError, ValueError, KeyError):
        raise LinkError(f"{pid_file} names no process: the broker does not run here") from None
    if name != "mosquitto":
        raise LinkError(f"{pid_file} names a process that is no mosquitto")
    if not heeds:  # it would die of it
        raise LinkError("the broker is still starting")
    os.kill(process, signal.SIGHUP)


def _to_disk(path: Path) -> None:
    """The plugin writes its file and does not wait for the disk."""
    for each in (path, path.parent):
        handle = os.open(each, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
