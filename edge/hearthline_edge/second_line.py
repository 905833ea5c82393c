"""A second session to the broker, which repeats alarms: what waits behind a lost packet comes by the other way.

    an alarm -> 0.3 s -> still in the outbox? -> said here too, and again after 1.5, 3, 6, 6 … s while it stays there

On a line that loses nothing the center has acknowledged by then and this session says nothing. Nothing rests on it: an
alarm's id makes the effect once, and custody ends with `down/ack`, which the first session hears.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from collections.abc import Awaitable, Callable
from typing import Protocol

import aiomqtt

from hearthline.errors import StorageError
from hearthline.log import Log
from hearthline_edge.link import heed_cancellation, lost_together, within

PATIENCE_S = 0.3  # what an acknowledgement takes on a slow line that loses nothing
_FIRST_REPEAT_S = 1.5
_REPEAT_MAX_S = 6.0  # an ingester may be away for hours, and the broker keeps all of it
_LOOK_S = 0.25
_AT_ONCE = 8  # alarms, the oldest; a crowd of them is the first session's to carry
_PUBACK_TIMEOUT_S = 4.0
_BACKOFF_S = (1.0, 30.0)
_STEADY_S = 10.0  # a broker that gives both sessions one client id throws out the first for the second: not for ever
_STORAGE_RETRY_S = 1.0
log = Log(__name__)

Connect = Callable[[], contextlib.AbstractAsyncContextManager[aiomqtt.Client]]
Alarms = Callable[[int], Awaitable[list[tuple[int, bytes]]]]  # (at most so many) -> (sequence number, payload)


class Errand(Protocol):
    """What else this session does: nothing that an alarm waits for."""

    async def run(self, client: aiomqtt.Client) -> None:
        """While the session lives. Raises MqttError to have it made anew."""
        ...

    def heard(self, message: aiomqtt.Message) -> None: ...


class SecondLine:
    """`connect` raises MqttError; `alarms` are those that the center has not acknowledged, the oldest first."""

    def __init__(
        self, connect: Connect, topic: str, alarms: Alarms, rng: random.Random, errand: Errand | None = None
    ) -> None:
        self._connect = connect
        self._topic = topic
        self._alarms = alarms
        self._rng = rng
        self._errand = errand
        self._wake = asyncio.Event()

    def woken(self) -> None:
        """There is an alarm."""
        self._wake.set()

    async def run(self) -> None:
        """Keep the session up until cancelled; that it is away is no fault while the first one lives."""
        loop = asyncio.get_running_loop()
        shortest, longest = _BACKOFF_S
        backoff = shortest
        while True:
            began = loop.time()
            try:
                async with self._connect() as client:
                    await self._session(client)
            except aiomqtt.MqttError as error:
                log.debug("second line lost", reason=str(error))
                heed_cancellation()  # it came while the session was being lost
            if loop.time() - began > _STEADY_S:
                backoff = shortest
            await asyncio.sleep(backoff * self._rng.uniform(0.7, 1.3))
            backoff = min(backoff * 2, longest)

    async def _session(self, client: aiomqtt.Client) -> None:
        client.pending_calls_threshold = 4 * _AT_ONCE
        with lost_together():
            async with asyncio.TaskGroup() as group:
                group.create_task(self._repeat(client, group))
                if self._errand is not None:
                    group.create_task(self._errand.run(client))
                async for message in client.messages:  # hears the end of the connection too
                    if self._errand is not None:
                        self._errand.heard(message)
                raise aiomqtt.MqttError("the broker closed the connection")

    async def _repeat(self, client: aiomqtt.Client, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        due: dict[int, float] = {}
        pauses: dict[int, float] = {}
        while True:
            try:
                waiting = await self._alarms(_AT_ONCE)
            except StorageError:  # the first session tells it
                await asyncio.sleep(_STORAGE_RETRY_S)
                continue
            now = loop.time()
            due = {seq: due.get(seq, now) for seq, _ in waiting}
            pauses = {seq: pauses.get(seq, _FIRST_REPEAT_S) for seq, _ in waiting}
            for seq, payload in waiting:
                if due[seq] <= now:
                    due[seq] = now + pauses[seq]
                    pauses[seq] = min(pauses[seq] * 2, _REPEAT_MAX_S)
                    group.create_task(self._say(client, payload))
            if waiting:
                await asyncio.sleep(_LOOK_S)
            else:
                await self._wake.wait()
                self._wake.clear()
                await asyncio.sleep(PATIENCE_S)

    async def _say(self, client: aiomqtt.Client, payload: bytes) -> None:
        async with within(_PUBACK_TIMEOUT_S):
            await client.publish(self._topic, payload, qos=1, retain=False, timeout=math.inf)
