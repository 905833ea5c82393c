"""One serial port: opened for ever again, its bytes handed to the driver's session, the session's requests sent.

A port that does not exist, was unplugged or takes no such settings is a fault that is said, never a reason to stop the
others. It is tried again every second, so an adapter that is plugged in again is back within two; a fault that lasts is
reported once, and its end.
"""

from __future__ import annotations

import asyncio
import os
import termios
from collections.abc import Callable

import serial
import serial_asyncio_fast

from hearthline.clock import Clock, Stamp
from hearthline.log import Log
from hearthline_edge.devices import Item, LineSettings, SerialSession, run_driver

REOPEN_S = 1.0
_AGAIN_S = 1.0  # until a session that failed to ask is asked again
REPORT_AFTER_S = 10.0  # an adapter that is only plugged in again is nobody's business
log = Log(__name__)


class SerialPort(asyncio.Protocol):
    """Keeps `path` open. `on_items(items, now)` for whatever the session makes of the bytes.

    `on_lasting_fault(fault, now)` when the port has been away for `report_after_s`, and with "" when it is back.
    """

    def __init__(
        self,
        name: str,
        path: str,
        line: LineSettings,
        session: SerialSession,
        clock: Clock,
        on_items: Callable[[tuple[Item, ...], Stamp], None],
        on_lasting_fault: Callable[[str, Stamp], None],
        report_after_s: float = REPORT_AFTER_S,
    ) -> None:
        self.name = name
        self.fault = f"port {name}: not open yet"
        self._path = path
        self._line = line
        self._session = session
        self._clock = clock
        self._on_items = on_items
        self._on_lasting_fault = on_lasting_fault
        self._report_after_s = report_after_s
        self._away_since: Stamp | None = clock.now()
        self._reported = False
        self._transport: asyncio.Transport | None = None
        self._closed = asyncio.Event()
        self._request: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Open and reopen until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._closed.clear()
                try:
                    opened = await loop.run_in_executor(None, open_line, self._path, self._line)
                    await serial_asyncio_fast.connection_for_serial(loop, lambda: self, opened)
                except Exception as error:  # noqa: BLE001 - whatever an adapter or its settings do costs this port alone
                    self._say(f"port {self.name}: {self._path} cannot be opened: {cause_of(error)}")
                    self._report_if_it_lasts()
                else:
                    await self._closed.wait()
                await asyncio.sleep(REOPEN_S)
        finally:
            self._stop_asking()
            if self._transport is not None:
                self._transport.abort()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.fault = ""
        self._away_since = None
        if self._reported:
            self._reported = False
            self._on_lasting_fault("", self._clock.now())
        log.info("port open", port=self.name)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._receive(data)
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_asking()
        self._transport = None
        self._away_since = self._clock.now()
        self._say(f"port {self.name}: {self._path} was lost: {exc or 'closed'}")
        self._closed.set()

    # ---

    def _receive(self, data: bytes) -> None:
        now = self._clock.now()
        items = run_driver(self.name, lambda: self._session.receive(data, now), data.hex())
        if items:
            self._on_items(items, now)

    def _time_passed(self) -> None:
        self._receive(b"")  # a frame behind a false start mark must not wait for the next bytes
        self._ask()

    def _ask(self) -> None:
        self._stop_asking()
        if self._transport is None:
            return
        wait_s = _AGAIN_S
        try:
            request, wait_s = self._session.next_request(self._clock.now())
        finally:
            self._request = asyncio.get_running_loop().call_later(max(wait_s, 0.01), self._time_passed)
        if request and not self._transport.get_write_buffer_size():  # else the adapter hangs: it would be sent too late
            self._transport.write(request)

    def _stop_asking(self) -> None:
        if self._request is not None:
            self._request.cancel()
            self._request = None

    def _report_if_it_lasts(self) -> None:
        now = self._clock.now()
        since_s = None if self._away_since is None else now.seconds_since(self._away_since)
        if not self._reported and since_s is not None and since_s >= self._report_after_s:
            self._reported = True
            self._on_lasting_fault(self.fault, now)

    def _say(self, fault: str) -> None:
        if fault != self.fault:
            log.warning("port fault", port=self.name, fault=fault)
        self.fault = fault


def open_line(path: str, line: LineSettings) -> serial.Serial:
    """A file of this machine, never one of pyserial's URLs, which may wait for a network.

    Raises whatever pyserial does: OSError, termios.error, ValueError, and what it does not foresee.
    """
    return serial.Serial(path, line.baudrate, line.bytesize, line.parity, line.stopbits, exclusive=True)


def cause_of(error: Exception) -> str:
    """Why a port could not be used, in words, without its path."""
    if isinstance(error, termios.error):
        return f"the line settings are refused: {error.args[-1]}"
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error) or type(error).__name__
