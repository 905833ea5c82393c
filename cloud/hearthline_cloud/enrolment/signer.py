"""The desk role's loop for enrolments: what was asked for with a right proof is signed here, where the issuing key is.

The role web takes requests and hands answers out, and has no key. Everything waits in rows: killed at any point, or
with two desks, each request is signed once. What it takes from a gateway is noted for a restore.

An offer that is over is refused at once, by the wall clock alone: that is good again when a clock that was set wrong is
set right. What cannot be undone, its secrets wiped and an unused bundle revoked, waits until this desk has found it
over at every look for a day by the monotonic clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from hearthline.errors import ConfigError
from hearthline.log import Log
from hearthline_cloud import withdrawn
from hearthline_cloud.config import CloudConfig
from hearthline_cloud.database import Database
from hearthline_cloud.enrolment.offers import end, over
from hearthline_cloud.enrolment.signing import place_of, sign, waiting
from hearthline_cloud.identity.authority import Authority
from hearthline_cloud.identity.certificates import utc
from hearthline_cloud.loop import Loop, patiently
from hearthline_cloud.wake import Waker

SIGNER = "enrolment"  # of the heartbeat
_PERIOD_S = 0.5
_END_EVERY_S = 60.0
_END_AFTER_S = 24 * 3600.0
log = Log(__name__)


class Signer(Loop):
    """Start it, ask `failed()` now and then, stop it."""

    def __init__(self, config: CloudConfig, database: Database) -> None:
        super().__init__("enrolment")
        self._config = config
        self._database = database
        self._waker = Waker(config.directory)
        self._ended_at = float("-inf")
        self._over: dict[str, float] = {}  # offer -> since when it was found over each time, monotonic seconds
        self._told = ""

    def stop(self) -> None:
        super().stop()
        self._waker.close()

    def _work(self) -> None:
        while not self._stopping.wait(_PERIOD_S):
            patiently("enrolments wait", lambda: self.round(time.time_ns(), time.monotonic()))

    def round(self, now_ns: int, mono_s: float) -> None:
        """Now and then end what is over; sign what waits."""
        if mono_s - self._ended_at >= _END_EVERY_S:
            self._ended_at = mono_s
            self._end(now_ns, mono_s)
        with self._database.reading() as connection:
            offers = waiting(connection, now_ns)
        if offers:
            self._sign(offers, now_ns)

    def _end(self, now_ns: int, mono_s: float) -> None:
        with self._database.reading() as connection:
            found = over(connection, now_ns)
        self._over = {offer: self._over.get(offer, mono_s) for offer in found}
        surely = [offer for offer, since_s in self._over.items() if mono_s - since_s >= _END_AFTER_S]
        if surely:
            with self._database.transaction() as connection:
                lost = end(connection, surely, now_ns)
            self._note(lost, now_ns)

    def _sign(self, offers: Iterable[str], now_ns: int) -> None:
        try:
            authority = Authority(Path(self._config.identity.folder), utc(now_ns))
            place = place_of(self._config.identity)
        except ConfigError as error:
            if str(error) != self._told:
                log.error("no gateway can be enrolled", why=str(error))
            self._told = str(error)
            return
        self._told = ""
        for offer in offers:
            if self._stopping.is_set():
                return
            with self._database.transaction() as connection:
                signed = sign(connection, authority, place, offer, now_ns)
            if signed is None:
                continue
            if signed.refused:
                log.warning("a machine that proved its code was refused", offer=offer, why=signed.refused)
                continue
            log.info("a machine that proved its code was answered", offer=offer)
            self._note([signed.gateway] if signed.has_revoked else [], now_ns)
        self._waker.wake("keeper")

    def _note(self, gateways: Iterable[str], now_ns: int) -> None:
        for gateway in gateways:
            with self._database.reading() as connection:
                line = withdrawn.revoked(connection, gateway, now_ns)
            withdrawn.note_or_tell(self._config.withdrawn_path, line)
