"""The way to the center: publishes what is in custody, alarms first, until the ingester acknowledges it.

A broker's PUBACK proves nothing and decides nothing here; a record leaves the outbox when `down/ack` names it. One
MQTT session at a time, made anew for ever with backoff and jitter; MQTT 5, falling back to 3.1.1. Beside it `second`,
which repeats alarms.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import aiomqtt
from aiomqtt import ProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from hearthline import wire
from hearthline.clock import Clock
from hearthline.config import read_secret
from hearthline.errors import ProtocolError, StorageError
from hearthline.log import Log
from hearthline.model import Lane
from hearthline_edge.config import UplinkConfig
from hearthline_edge.custody import Custody
from hearthline_edge.departures import Departures
from hearthline_edge.landed import LandedPacks
from hearthline_edge.link import (
    ANSWER_S,
    LinkClient,
    connected,
    heed_cancellation,
    judge_times,
    lost_together,
    socket_options,
    within,
)
from hearthline_edge.outbox import EventRow, Outbox
from hearthline_edge.renewing import Renewal
from hearthline_edge.second_line import SecondLine
from hearthline_edge.sending import EVENT_WINDOW, TELEMETRY_WINDOW
from hearthline_edge.wallet import Identity, Wallet

_RECONNECT_FIRST_S = 0.25
_RECONNECT_MAX_S = 30.0
_RECONNECT_ALARM_MAX_S = 2.0  # with an alarm waiting, the door is tried every other second
_RECONNECT_GAP_S = 0.3  # between the beginnings of two attempts, also for an alarm
_STEADY_S = 10.0  # a session that lived so long was no failed attempt
_PUBACK_TIMEOUT_S = 15.0
_ALARM_PUBACK_TIMEOUT_S = 4.0  # a link that swallows an alarm is given up soon; on the next one it goes first
_GOODBYE_S = 1.0
_STORAGE_RETRY_S = 1.0
_LOOK_FOR_ALARMS_S = 1.0
_NO_SUCH_PROTOCOL = frozenset({1, 129, 130, 132})  # CONNACK of 3.1.1, and malformed, protocol error, version of 5
log = Log(__name__)

Ranges = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Ears:
    """Who is told of what comes down. `received`, `refused`: before the rows leave the outbox; `let_go`: after.

    `sent`: of each alarm that is handed to the link.
    """

    received: Callable[[list[EventRow]], None]
    refused: Callable[[list[EventRow]], None]
    let_go: Callable[[], None]
    command: Callable[[wire.Command], Awaitable[None]]
    status: Callable[[], Awaitable[wire.Status]]
    sent: Callable[[EventRow], None]


class Uplink:
    """Sends from `custody`; call `woken()` whenever there is something new to send."""

    def __init__(
        self,
        gateway: str,
        config: UplinkConfig,
        custody: Custody,
        clock: Clock,
        ears: Ears,
        rng: random.Random,
        wallet: Wallet,
        make_client: Callable[..., aiomqtt.Client] = LinkClient,
        gather_s: float = 0.0,
    ) -> None:
        self._gateway = gateway
        self._config = config
        self._custody = custody
        self._clock = clock
        self._ears = ears
        self._rng = rng
        self._make_client = make_client
        self.landed = LandedPacks(custody, gather_s)
        self._wake = asyncio.Event()
        self._departures = Departures(gateway, custody, clock, rng, self._wake.set)
        self._status_wake = asyncio.Event()
        self._protocol = ProtocolVersion.V311 if config.protocol == "3.1.1" else ProtocolVersion.V5
        self._alarm_waiting = False
        self._alarm_came = asyncio.Event()
        self._met = asyncio.Event()
        self.connected = False
        self.fault = "uplink: not connected yet"
        self._wallet = wallet
        self._identity = wallet.chosen
        self._stands_in_for: Identity | None = None
        self._turned_away = 0  # attempts in a row that reached the broker, and got no session
        self._renewed = asyncio.Event()
        self._is_changing_over = False
        self._socket_options = socket_options()
        self._password = read_secret(config.password_file, "uplink.password_file")
        self.renewal = Renewal(gateway, wallet, clock, rng, self._renewed.set)
        errand = self.renewal if wallet.renews else None
        self.second = SecondLine(self._second_link, self._topic(wire.UP_EVENT), self._departures.alarms, rng, errand)

    def woken(self, alarm: bool = False) -> None:
        if alarm:
            self._alarm_waiting = True
            self._alarm_came.set()
            self.second.woken()
        self._wake.set()

    def status_changed(self) -> None:
        self._status_wake.set()

    async def run(self, status_period_s: float) -> None:
        """Keep a session up until cancelled."""
        loop = asyncio.get_running_loop()
        backoff = _RECONNECT_FIRST_S
        while True:
            began = loop.time()
            self._identity = self._wallet.shown(self._turned_away, self._clock.now())
            self._stands_in_for = None if self._identity == self._wallet.chosen else self._wallet.chosen
            try:
                async with self._link() as client:
                    await self._session(client, status_period_s)
            except aiomqtt.MqttError as error:
                if not self._is_changing_over:
                    self._lost(error)
                heed_cancellation()  # it came while the session was being lost
            if self._is_changing_over:
                self._is_changing_over = self.connected = False
                continue
            if self.connected and loop.time() - began > _STEADY_S:
                backoff = _RECONNECT_FIRST_S
            self.connected = False
            await self._rest(began, backoff)
            backoff = min(backoff * 2, _RECONNECT_MAX_S)

    async def _rest(self, began: float, backoff_s: float) -> None:
        """Wait before the next attempt; an alarm that comes meanwhile ends the wait."""
        if not self._alarm_waiting:
            self._alarm_came.clear()  # it came while the session lived, and was received
        longest_s = backoff_s * self._rng.uniform(0.7, 1.3)
        if self._alarm_waiting:
            longest_s = min(longest_s, _RECONNECT_ALARM_MAX_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                await self._alarm_came.wait()
        self._alarm_came.clear()
        await asyncio.sleep(began + _RECONNECT_GAP_S - asyncio.get_running_loop().time())

    def _link(self) -> contextlib.AbstractAsyncContextManager[aiomqtt.Client]:
        offline = wire.encode(wire.Status(state="offline"))
        will = aiomqtt.Will(self._topic(wire.UP_STATUS), offline, qos=1, retain=True)
        return connected(self._client(self._gateway, will, self._identity))

    @contextlib.asynccontextmanager
    async def _second_link(self) -> AsyncIterator[aiomqtt.Client]:
        """Once the first session has found out the protocol; without a last will, for its end says nothing."""
        await self._met.wait()
        identity = self.renewal.candidate() or self._identity
        async with contextlib.AsyncExitStack() as stack:
            try:
                client = self._client(f"{self._gateway}-second", None, identity, second=True)
                await stack.enter_async_context(connected(client))
            except aiomqtt.MqttError:
                self.renewal.turned_away(identity)
                raise
            await self.renewal.let_in(identity)
            yield client

    def _client(
        self, identifier: str, will: aiomqtt.Will | None, identity: Identity, second: bool = False
    ) -> aiomqtt.Client:
        tls = self._wallet.context(identity, second)
        if tls is not None:
            judge_times(tls, self._clock.now().synced)
        return self._make_client(
            self._config.host,
            self._config.port,
            identifier=identifier,
            username=self._config.username,
            password=self._password,
            protocol=self._protocol,
            will=will,
            clean_session=True if self._protocol is ProtocolVersion.V311 else None,
            keepalive=self._config.keepalive_s,
            timeout=ANSWER_S,
            tls_context=tls,
            socket_options=self._socket_options,
        )

    async def _session(self, client: aiomqtt.Client, status_period_s: float) -> None:
        client.pending_calls_threshold = EVENT_WINDOW + TELEMETRY_WINDOW + 8
        topics = [(self._topic(wire.DOWN_ACK), 1), (self._topic(wire.DOWN_COMMAND), 1)]
        async with within(ANSWER_S):
            granted = await client.subscribe(topics, timeout=math.inf)
        self.connected = True
        self._met.set()
        deaf = any(code.is_failure if isinstance(code, ReasonCode) else code >= 0x80 for code in granted)
        self.fault = "uplink: the broker lets this gateway hear nothing; allow it its down/ topics" if deaf else ""
        if deaf:
            log.warning("uplink is deaf", fault=self.fault)
        with contextlib.suppress(StorageError):  # a disk that takes no note: they are sent again
            await self.landed.leave()
        self._departures.ground(self._custody.outbox.id)
        self._wake.set()
        log.info("uplink connected", host=self._config.host, port=self._config.port, mqtt=self._protocol.name)
        try:
            with lost_together():
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._say_status(client, status_period_s))
                    group.create_task(self.landed.run())
                    group.create_task(self._send(client, group))
                    group.create_task(self._change_over())
                    # here: a group that fails at its end leaves its task marked as cancelled
                    await self._listen(client)
        except asyncio.CancelledError:
            await self._say_goodbye(client)
            raise

    async def _change_over(self) -> None:
        """Keep to the certificate that let this session in; end the session for a newer one when no alarm waits."""
        if not self._wallet.renews:
            return
        if self._stands_in_for == self._wallet.chosen:
            await asyncio.to_thread(self._wallet.prove, self._identity)
        await asyncio.to_thread(self._wallet.settled)
        while self._wallet.chosen == self._identity:
            self._renewed.clear()
            await self._renewed.wait()
        while self._alarm_waiting:  # noqa: ASYNC110 - it ends by an acknowledgement, and a second more is nothing
            await asyncio.sleep(_LOOK_FOR_ALARMS_S)
        log.info("uplink changes over to the renewed certificate")
        self._is_changing_over = True
        raise aiomqtt.MqttError("the renewed certificate takes over")

    async def _say_goodbye(self, client: aiomqtt.Client) -> None:
        """A clean stop sends no last will, so say it oneself: a gateway that was stopped is silent all the same."""
        with contextlib.suppress(aiomqtt.MqttError):
            await self._publish(client, wire.UP_STATUS, wire.encode(wire.Status(state="offline")), _GOODBYE_S)

    def _lost(self, error: aiomqtt.MqttError) -> None:
        cause = error.__context__
        fault = f"uplink: {error}"
        if fault != self.fault:
            log.warning("uplink lost", reason=str(error))
        self.fault = fault
        if self.connected:
            self._turned_away = 0
        elif not _is_unreachable(cause):
            self._turned_away += 1
        if self._config.protocol != "auto" or self.connected:
            return
        code = error.rc if isinstance(error, aiomqtt.MqttCodeError) else None
        number = code.value if isinstance(code, ReasonCode) else code
        if number in _NO_SUCH_PROTOCOL or isinstance(cause, TimeoutError):  # or it hung up on our CONNECT
            self._protocol = ProtocolVersion.V311 if self._protocol is ProtocolVersion.V5 else ProtocolVersion.V5

    # --- downward ---

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            payload = message.payload if isinstance(message.payload, bytes) else b""
            try:
                if str(message.topic).endswith(wire.DOWN_ACK):
                    await self._acknowledged(wire.decode_ack(payload))
                elif not message.retain:
                    await self._ears.command(wire.decode_command(payload))
            except ProtocolError as error:
                log.warning("downward message not understood", topic=str(message.topic), error=str(error))
        raise aiomqtt.MqttError("the broker closed the connection")

    async def _acknowledged(self, ack: wire.Ack) -> None:
        if ack.outbox != self._custody.outbox.id:
            log.warning("acknowledgement for another outbox ignored", outbox=ack.outbox)
            return
        try:
            if ack.event is not None:
                await self._let_go(ack.outbox, ack.event, ack.refused)
                self._departures.events.landed([*ack.event, *ack.refused])
            if ack.telemetry is not None:
                self.landed.add(ack.outbox, ack.telemetry, ack.refused)
                self._departures.packs.landed([*ack.telemetry, *ack.refused])
                if not self._departures.caught_up:  # a lane that may be full must not drop what the center has
                    await self.landed.leave()
        except StorageError as error:
            log.error("acknowledged records not removed, they will be sent again", error=str(error))
        self._wake.set()

    async def _let_go(self, outbox: str, taken: Ranges, refused: Ranges) -> None:
        """Tell the home, then give up custody of events; what an alarm's end needs is worth the ballast."""
        rows, turned_away = await self._custody.submit(
            lambda ob: (ob.events_in(taken), ob.events_in(refused)) if ob.id == outbox else ([], [])
        )
        self._ears.received(rows)
        self._ears.refused(turned_away)
        self._alarm_waiting = await self._custody.submit(lambda ob: _let_go(ob, outbox, taken, refused), urgent=True)
        self._ears.let_go()

    # --- upward ---

    async def _say_status(self, client: aiomqtt.Client, period_s: float) -> None:
        while True:
            self._status_wake.clear()
            status = await self._ears.status()
            await self._publish(client, wire.UP_STATUS, wire.encode(status), _PUBACK_TIMEOUT_S)
            try:
                async with asyncio.timeout(period_s):
                    await self._status_wake.wait()
            except TimeoutError:
                pass

    async def _send(self, client: aiomqtt.Client, group: asyncio.TaskGroup) -> None:
        while True:
            self._wake.clear()
            await self._departures.keep_clock()
            now = asyncio.get_running_loop().time()
            try:
                for row, payload in await self._departures.next_events(now):
                    timeout_s = _ALARM_PUBACK_TIMEOUT_S if row.urgent else _PUBACK_TIMEOUT_S
                    group.create_task(self._publish(client, wire.UP_EVENT, payload, timeout_s))
                    self._ears.sent(row)
                if not self._wake.is_set():  # an alarm that came meanwhile goes first
                    for payload in await self._departures.next_packs(now):
                        group.create_task(self._publish(client, wire.UP_TELEMETRY, payload, _PUBACK_TIMEOUT_S))
            except StorageError as error:
                log.error("outbox not read, nothing is sent", error=str(error))
                await asyncio.sleep(_STORAGE_RETRY_S)
                continue
            await self._sleep_until_due(now)

    async def _sleep_until_due(self, now: float) -> None:
        due = self._departures.next_due()
        try:
            async with asyncio.timeout(None if due is None else max(due - now, 0.05)):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _publish(self, client: aiomqtt.Client, leaf: str, payload: bytes, timeout_s: float) -> None:
        retain = leaf == wire.UP_STATUS
        async with within(timeout_s):
            await client.publish(self._topic(leaf), payload, qos=1, retain=retain, timeout=math.inf)

    def _topic(self, leaf: str) -> str:
        return wire.topic(self._gateway, leaf)


def _is_unreachable(cause: BaseException | None) -> bool:
    """Whether the attempt ended before the broker could say anything about us."""
    return isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError | TimeoutError)


def _let_go(ob: Outbox, outbox: str, taken: Ranges, refused: Ranges) -> bool:
    """Whether alarms are still waiting for the center. The file may have been found damaged since, and begun anew."""
    if ob.id == outbox:
        ob.delete(Lane.EVENT, taken)
        ob.refuse(Lane.EVENT, refused)
    return bool(ob.events(1, urgent_only=True))
