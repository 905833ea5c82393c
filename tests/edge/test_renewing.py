"""The errand that renews: asks until answered, believes no answer that is not its own, and waits for the clock."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import msgspec
import pytest

from edge.renewed_home import GATEWAY, Home, Signer, make_home, make_signer, stamp
from hearthline import wire
from hearthline.clock import Stamp
from hearthline_edge.renewing import Pace, Renewal
from hearthline_edge.wallet import Wallet

PACE = Pace(look=0.01, patience=0.3, first=0.05, longest=0.2)
DOWN = wire.topic(GATEWAY, wire.DOWN_CERTIFICATE)
Answer = Callable[["Center", wire.CertificateWord], bytes | None]


@dataclass
class SetClock:
    stamp: Stamp

    def now(self) -> Stamp:
        return self.stamp


@dataclass
class Message:
    payload: bytes
    topic: str = DOWN
    retain: bool = False


@dataclass
class Center:
    """What is behind the second session: hears words, and answers as it is told to."""

    home: Home
    clock: SetClock
    answer: Answer = lambda center, word: None
    words: list[wire.CertificateWord] = field(default_factory=list)
    proven: int = 0

    def __post_init__(self) -> None:
        self.wallet = Wallet(self.home.config, self.home.data)
        self.renewal = Renewal(GATEWAY, self.wallet, self.clock, random.Random(1), self._prove, PACE)

    def _prove(self) -> None:
        self.proven += 1

    @property
    def asked(self) -> list[wire.CertificateWord]:
        return [word for word in self.words if word.request]

    def faults(self) -> str:
        return "; ".join(self.renewal.faults(self.clock.stamp))

    def hear(self, payload: bytes, **facts: Any) -> None:
        self.renewal.heard(Message(payload, **facts))  # type: ignore[arg-type]

    # --- as a client of the broker ---

    async def subscribe(self, topics: Any, timeout: float) -> None:
        assert [topic for topic, _ in topics] == [DOWN]

    async def publish(self, topic: str, payload: bytes, qos: int, retain: bool, timeout: float) -> None:
        assert (topic, qos, retain) == (wire.topic(GATEWAY, wire.UP_CERTIFICATE), 1, False)
        word = wire.decode_certificate_word(payload)
        self.words.append(word)
        if word.request and (answer := self.answer(self, word)) is not None:
            self.hear(answer)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Signer, Path]:
    folder = tmp_path_factory.mktemp("ca")
    return make_signer(folder), folder / "root" / "root.crt"


@pytest.fixture
def center(tmp_path: Path, authority: tuple[Signer, Path]) -> Center:
    return Center(make_home(tmp_path, *authority), SetClock(stamp(64)))


def signed(center: Center, word: wire.CertificateWord) -> bytes:
    return wire.encode(center.home.signer.answer(word.request))


def silent(center: Center, word: wire.CertificateWord) -> bytes | None:
    return None


def refused(center: Center, word: wire.CertificateWord) -> bytes:
    key = center.home.signer.answer(word.request).key
    return wire.encode(wire.CertificateAnswer(key=key, refused="five renewals a day are enough"))


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - a test waits for what it cannot be told
            await asyncio.sleep(0.005)


@asynccontextmanager
async def session(center: Center) -> AsyncIterator[asyncio.Task[None]]:
    """A second session that has been let in."""
    await center.renewal.let_in(center.renewal.candidate() or center.wallet.chosen)
    task = asyncio.create_task(center.renewal.run(center))  # type: ignore[arg-type]
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def renewed(task: asyncio.Task[None]) -> None:
    """The errand has ended the session, so that the renewal is tried."""
    async with asyncio.timeout(30):
        await asyncio.wait({task})
    assert isinstance(task.exception(), aiomqtt.MqttError)


def test_it_asks_with_one_request_until_it_is_answered_then_the_renewal_is_tried_and_counts(center: Center) -> None:
    async def test() -> None:
        old = center.wallet.chosen
        async with session(center) as task:
            await until(lambda: len(center.asked) >= 3)
            assert center.words[0] == wire.CertificateWord(serial=old.facts.serial if old.facts else "")
            center.answer = signed
            await renewed(task)
        assert len({word.request for word in center.asked}) == 1
        candidate = center.renewal.candidate()
        assert candidate is not None
        assert (center.wallet.chosen, center.proven) == (old, 0)
        async with session(center):
            assert (center.wallet.chosen, center.proven) == (candidate, 1)
            await until(lambda: center.words[-1].serial == (candidate.facts.serial if candidate.facts else ""))
        assert center.faults() == ""

    asyncio.run(test())


def test_begun_anew_in_the_middle_it_asks_for_the_same_key(center: Center) -> None:
    """The session was lost, or the agent killed, between the request and the answer."""

    async def test() -> None:
        async with session(center):
            await until(lambda: center.asked)
        again = Center(center.home, center.clock, signed)
        async with session(again) as task:
            await renewed(task)
        key = center.home.signer.answer(center.asked[0].request).key
        assert key == again.home.signer.answer(again.asked[0].request).key

    asyncio.run(test())


def test_what_is_no_answer_to_it_changes_nothing(center: Center) -> None:
    async def test() -> None:
        async with session(center) as task:
            await until(lambda: center.asked)
            mine = wire.decode_certificate_answer(signed(center, center.asked[0]))
            center.hear(wire.encode(wire.CertificateAnswer(key="0" * 64, first=mine.first, second=mine.second)))
            center.hear(b"{")
            center.hear(wire.encode(mine), retain=True)
            center.hear(wire.encode(mine), topic=wire.topic(GATEWAY, wire.DOWN_COMMAND))
            await until(lambda: len(center.asked) >= 3)
            assert center.wallet.untried() is None
            swapped = wire.CertificateAnswer(key=mine.key, first=mine.first, second="no certificate")
            center.answer = lambda *_: wire.encode(swapped)
            await until(lambda: len(center.asked) >= 5)
            assert center.wallet.untried() is None
            center.answer = signed
            await renewed(task)

    asyncio.run(test())


def test_a_refusal_is_told_at_once_and_no_answer_after_a_while(center: Center) -> None:
    async def test() -> None:
        center.answer = refused
        async with session(center):
            await until(lambda: "refuses: five renewals a day" in center.faults())
            center.answer = silent
            await until(lambda: "does not answer" in center.faults())
            assert len(center.asked) >= 5

    asyncio.run(test())


def test_a_certificate_that_ends_soon_is_told_of(center: Center) -> None:
    center.clock.stamp = stamp(69)
    assert center.faults() == ""
    center.clock.stamp = stamp(71)
    assert "no new one is in use" in center.faults()
    center.clock.stamp = stamp(71, synced=False)
    assert center.faults() == ""


def test_without_a_right_clock_nothing_is_asked(center: Center) -> None:
    """No clock until NTP answers: whatever it says, also that the certificate has long ended."""

    async def test() -> None:
        center.answer = signed
        async with session(center) as task:
            for clock in (stamp(64, synced=False), stamp(-20000, synced=False), stamp(5000, synced=False), stamp(30)):
                center.clock.stamp = clock
                await asyncio.sleep(5 * PACE.look)
                assert center.asked == []
            center.clock.stamp = stamp(64)
            await renewed(task)

    asyncio.run(test())


def test_a_key_that_came_in_a_file_is_replaced_once_whatever_the_clock_says(center: Center) -> None:
    async def test() -> None:
        config = msgspec.structs.replace(center.home.config, replace_key=True)
        center.wallet = Wallet(config, center.home.data)
        center.renewal = Renewal(GATEWAY, center.wallet, center.clock, random.Random(1), center._prove, PACE)
        center.clock.stamp = stamp(-20000, synced=False)
        center.answer = signed
        async with session(center) as task:
            await renewed(task)
        async with session(center):
            await asyncio.sleep(10 * PACE.look)
            assert len(center.asked) == 1
        assert Wallet(config, center.home.data).chosen.folder is not None, "after a restart it is not shown again"
        assert not Wallet(config, center.home.data).is_key_shared

    asyncio.run(test())


def test_a_clock_that_is_far_ahead_and_says_that_it_is_right_asks_once(center: Center) -> None:
    async def test() -> None:
        center.clock.stamp = stamp(5000)
        center.answer = signed
        async with session(center) as task:
            await renewed(task)
        async with session(center):
            await asyncio.sleep(10 * PACE.look)
            assert len(center.asked) == 1

    asyncio.run(test())


def test_a_renewal_that_does_not_let_it_in_leaves_the_old_one_and_is_tried_again(center: Center) -> None:
    async def test() -> None:
        old = center.wallet.chosen
        center.answer = signed
        async with session(center) as task:
            await renewed(task)
        for attempt in (1, 2):
            await until(lambda: center.renewal.candidate() is not None)
            candidate = center.renewal.candidate()
            assert candidate is not None
            center.renewal.turned_away(candidate)
            assert center.renewal.candidate() is None
            assert (center.wallet.chosen, center.proven) == (old, 0)
            assert ("does not let this gateway in" in center.faults()) == (attempt == 2)
        async with session(center) as task:  # with the old one; it ends by itself when the renewal's time has come
            await renewed(task)
        async with session(center):
            assert (center.wallet.chosen != old, center.proven) == (True, 1)
        assert len(center.asked) == 1

    asyncio.run(test())


def test_a_present_key_that_cannot_be_read_is_told_and_ends_nothing(center: Center) -> None:
    async def test() -> None:
        center.answer = signed
        (center.home.folder / "uplink.key").chmod(0o600)
        (center.home.folder / "uplink.key").write_bytes(b"spoilt")
        async with session(center) as task:
            await until(lambda: "no private key in PEM" in center.faults())
            assert not task.done()
            assert center.asked == []

    asyncio.run(test())
