"""The renewal of the gateway's certificates, as an errand of the second session: no alarm waits for any of it.

    two thirds used, clock right --> new key (a process of its own) --> up/certificate --> down/certificate
                                          ^                                  |                   |
                                          +---- 1, 2, 4 … min, 6 h ----------+ no answer         v
    first session changes over <-- let in <-- second session tries it <-- kept whole on the disk (`wallet`)
     when no alarm waits             |
                                     +--> turned away: the old one again, tried anew after 1, 2, 4 … min, 6 h

Killed at any point it begins again with what is on the disk: the same key asks again and gets the same answer.
"""

from __future__ import annotations

import asyncio
import math
import random
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import aiomqtt
import msgspec

from hearthline import wire
from hearthline.clock import NS, Clock, Stamp, rfc3339
from hearthline.errors import ConfigError, LinkError, ProtocolError
from hearthline.log import Log
from hearthline_edge.link import ANSWER_S, within
from hearthline_edge.wallet import NEXT_KEY, Identity, Wallet

_DAY_S = 24 * 3600.0
_TOLD_BEFORE_END_S, _TOLD_BEFORE_END = 20 * _DAY_S, 2 / 9  # of a life, where that is less
_TOLD_AFTER = 5  # attempts in vain
_MAKING_S = 180.0  # for the key and the request, on a board that does much else
_PUBACK_S = 15.0
log = Log(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. `look`: between looks at the clock; `patience`: for an answer; `first`, `longest`: between attempts."""

    look: float = 60.0
    patience: float = 20.0
    first: float = 60.0
    longest: float = 6 * 3600.0
    rest: float = _DAY_S  # after a renewal, whatever the clock then says
    told_every: float = 3600.0  # which certificate is in use: nobody acknowledges it


class _Made(msgspec.Struct):
    """What `requesting` has made."""

    key: str
    request: str
    proof: str


@dataclass(frozen=True, slots=True)
class _Asking:
    made: _Made
    by: Identity


class _Retry:
    """When the next attempt may be made, by the event loop's clock."""

    def __init__(self, pace: Pace, rng: random.Random) -> None:
        self._pace = pace
        self._rng = rng
        self.failures = 0
        self.at = float("-inf")

    def failed(self, now: float) -> None:
        pause = min(self._pace.first * 2 ** min(self.failures, 20), self._pace.longest)
        self.failures += 1
        self.at = now + pause * self._rng.uniform(0.7, 1.3)

    def done(self, rest_until: float = float("-inf")) -> None:
        self.failures, self.at = 0, rest_until


class Renewal:
    """The errand; `candidate`, `let_in` and `turned_away` are for who makes the second session."""

    def __init__(
        self,
        gateway: str,
        wallet: Wallet,
        clock: Clock,
        rng: random.Random,
        proven: Callable[[], None],
        pace: Pace | None = None,
    ) -> None:
        """`proven`: called when a renewed certificate has let the second session in."""
        self._gateway = gateway
        self._wallet = wallet
        self._clock = clock
        self._proven = proven
        self._pace = pace or Pace()
        self._asks, self._trials = _Retry(self._pace, rng), _Retry(self._pace, rng)
        self._asking: _Asking | None = None
        self._answers: asyncio.Queue[wire.CertificateAnswer] = asyncio.Queue()
        self._used: Identity | None = None
        self._why = ""

    def faults(self, now: Stamp) -> list[str]:
        """What people should hear of."""
        told = []
        facts = self._wallet.chosen.facts
        if facts is not None and now.synced:
            told_before_ns = min(_TOLD_BEFORE_END_S * NS, (facts.ends_ns - facts.begins_ns) * _TOLD_BEFORE_END)
            if facts.ends_ns - now.wall_ns < told_before_ns:
                told.append(f"certificate: ends on {rfc3339(facts.ends_ns)[:10]}, and no new one is in use")
        if self._why and (self._asks.failures >= _TOLD_AFTER or self._why.startswith("the center refuses")):
            told.append(f"certificate: cannot be renewed: {self._why}")
        if self._trials.failures > 1:
            told.append("certificate: the renewed one does not let this gateway in; the old one is used")
        return told

    # --- for who makes the second session ---

    def candidate(self) -> Identity | None:
        """A renewed certificate to try now."""
        return None if asyncio.get_running_loop().time() < self._trials.at else self._wallet.untried()

    async def let_in(self, identity: Identity) -> None:
        """The second session is up with it."""
        self._used = identity
        if identity == self._wallet.untried():
            await asyncio.to_thread(self._wallet.prove, identity)
            self._trials.done()
            log.info("a renewed certificate has let the gateway in", serial=getattr(identity.facts, "serial", ""))
            self._proven()

    def turned_away(self, identity: Identity) -> None:
        """The second session did not come up with it, for whatever reason."""
        if identity == self._wallet.untried():
            self._trials.failed(asyncio.get_running_loop().time())
            log.warning("a renewed certificate did not let the gateway in", attempts=self._trials.failures)

    # --- the errand ---

    def heard(self, message: aiomqtt.Message) -> None:
        if message.retain or not str(message.topic).endswith(wire.DOWN_CERTIFICATE):
            return
        payload = message.payload if isinstance(message.payload, bytes) else b""
        try:
            answer = wire.decode_certificate_answer(payload)
        except ProtocolError as error:
            log.warning("an answer about a certificate was not understood", error=str(error))
            return
        if self._asking is None or answer.key != self._asking.made.key:
            log.warning("an answer about another key's certificate ignored")
            return
        self._answers.put_nowait(answer)

    async def run(self, client: aiomqtt.Client) -> None:
        """Raises MqttError when there is a renewed certificate to try."""
        topic = wire.topic(self._gateway, wire.DOWN_CERTIFICATE)
        async with within(ANSWER_S):
            await client.subscribe([(topic, 1)], timeout=math.inf)
        used = None if self._used is None else self._used.facts
        said_at = float("-inf")
        while True:
            if used is not None and asyncio.get_running_loop().time() - said_at >= self._pace.told_every:
                said_at = asyncio.get_running_loop().time()
                await self._say(client, wire.CertificateWord(serial=used.serial))
            if self.candidate() is not None:
                raise aiomqtt.MqttError("a renewed certificate is tried")
            if self._is_due(self._clock.now()):
                await self._renew(client)
            else:
                await asyncio.sleep(self._pace.look)

    def _is_due(self, now: Stamp) -> bool:
        """Only a clock that is right can say so, and is waited for; a key that others have had does not wait for it."""
        facts = self._wallet.chosen.facts
        if facts is None or self._wallet.untried() is not None or asyncio.get_running_loop().time() < self._asks.at:
            return False
        return self._wallet.is_key_shared or (now.synced and now.wall_ns >= facts.due_ns)

    async def _renew(self, client: aiomqtt.Client) -> None:
        loop = asyncio.get_running_loop()
        try:
            await self._ask(client)
        except (ConfigError, LinkError, OSError) as error:
            self._why = str(error)
            if isinstance(error, ConfigError):  # the key on the disk may be that of an agent that was killed
                self._asking = None
            self._asks.failed(loop.time())
            log.warning("certificate not renewed", reason=self._why, attempts=self._asks.failures)
        else:
            self._why, self._asking = "", None
            self._asks.done(loop.time() + self._pace.rest)
            self._trials.done()
            log.info("certificate renewed, it is tried now")

    async def _ask(self, client: aiomqtt.Client) -> None:
        """Raises LinkError, ConfigError, OSError with what stands in the way."""
        by = self._wallet.chosen
        if self._asking is None or self._asking.by != by:
            self._asking = _Asking(await self._make(by), by)
        made = self._asking.made
        while not self._answers.empty():
            self._answers.get_nowait()
        serial = "" if by.facts is None else by.facts.serial
        await self._say(client, wire.CertificateWord(serial=serial, request=made.request, proof=made.proof))
        try:
            async with asyncio.timeout(self._pace.patience):
                answer = await self._answers.get()
        except TimeoutError:
            raise LinkError("the center does not answer") from None
        if answer.refused:
            raise LinkError(f"the center refuses: {answer.refused}")
        await asyncio.to_thread(self._wallet.adopt, answer)

    async def _make(self, by: Identity) -> _Made:
        """A new key and its request, by a process of its own."""
        task = {"gateway": self._gateway, "new_key": str(self._wallet.folder / NEXT_KEY)}
        command = (sys.executable, "-m", "hearthline_edge.requesting")
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
        try:
            async with asyncio.timeout(_MAKING_S):
                out, said = await process.communicate(
                    msgspec.json.encode({**task, "present_key": by.files.key_file or ""})
                )
        except TimeoutError:
            raise LinkError(f"no new key was made within {_MAKING_S:g} s") from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode == 0:
            with suppress(msgspec.DecodeError):
                return msgspec.json.decode(out, type=_Made)
        raise LinkError(said.decode(errors="replace").strip()[-300:] or "no new key could be made")

    async def _say(self, client: aiomqtt.Client, word: wire.CertificateWord) -> None:
        topic = wire.topic(self._gateway, wire.UP_CERTIFICATE)
        async with within(_PUBACK_S):
            await client.publish(topic, wire.encode(word), qos=1, retain=False, timeout=math.inf)
