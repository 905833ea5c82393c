"""After any noise: which good frame is certain to be decoded, for every framing; whole, byte by byte, in any chunks.

The guarantees of `framing.FrameDecoder`, for each protocol alike:
- After a silence longer than its patience the next good frame is decoded, whatever came before. Always.
- Of a pair of good frames right behind noise the last is decoded, unless bytes that hold as a frame by the protocol's
  own check lie over it (noise that claims a length into the pair, with the right check by chance). Nobody can tell
  those apart; how often it happens is counted and published.
- Every byte comes out once, as part of a frame that holds or as refused, and the split of the stream changes nothing.
And a meter that is asked and answers as it should is read, whatever answers and echoes the line brought before.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from fuzz.asking import ASKING, Asking
from fuzz.families import FAMILIES, START, good_frames
from fuzz.line_noise import LineNoise
from hearthline.clock import Stamp
from hearthline_edge.devices import Readings, Refused, SerialSession
from hearthline_edge.framing import Doubt, FrameDecoder, FrameShape
from trials import SEED, publish, rate_bound, trials

TRIALS = trials(1_500, 100_000)
pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(1800)]
SILENCE_S = 1.0
_USUAL_FRAME = 48  # bytes; of longer ones, whose streams are fed byte by byte, there are fewer trials
_ANSWERS = 20  # a reset, a selection or an address, and at most 16 parts of a reply that the noise may have begun

Found = list[bytes | Refused]


def bare(shape: FrameShape) -> FrameShape:
    """The same protocol without filler, so that every byte of the stream can be accounted for."""
    return replace(shape, filler=b"")


def settle(decoder: FrameDecoder, seconds: float) -> Found:
    """What silence gives, `seconds` after the start."""
    return decoder.feed(b"", START.later(seconds)) + decoder.feed(b"", START.later(seconds + SILENCE_S))


def decode(shape: FrameShape, chunks: list[bytes]) -> Found:
    """Everything in the same moment, and then silence."""
    decoder = FrameDecoder(shape)
    found: Found = []
    for chunk in chunks:
        found += decoder.feed(chunk, START)
    return found + settle(decoder, SILENCE_S)


def chunks_of(stream: bytes, rng: random.Random) -> list[bytes]:
    chunks, at = [], 0
    while at < len(stream):
        size = rng.choice((1, 1, 2, 3, 7, 20, 64))
        chunks.append(stream[at : at + size])
        at += size
    return chunks


def placed(found: Found) -> tuple[bytes, list[tuple[int, int]]]:
    """The stream that came out, and where in it frames were taken."""
    stream, places = bytearray(), []
    for item in found:
        if isinstance(item, bytes):
            places.append((len(stream), len(stream) + len(item)))
            stream += item
        else:
            stream += bytes.fromhex(item.raw)
    return bytes(stream), places


def check_pair(shape: FrameShape, noise: bytes, pair: tuple[bytes, bytes], rng: random.Random) -> bool:
    """Assert the guarantees without a silence; whether the last frame of the pair came out."""
    stream = noise + pair[0] + pair[1]
    found = decode(shape, [stream])
    out, places = placed(found)
    assert out == stream, "a byte was lost, doubled or moved"
    assert all(shape.judge(stream[low:high], 0) == high - low for low, high in places), "a frame that does not hold"
    assert decode(shape, [bytes((byte,)) for byte in stream]) == found, "byte by byte gives something else"
    assert decode(shape, chunks_of(stream, rng)) == found, "in chunks it gives something else"
    last = (len(stream) - len(pair[1]), len(stream))
    if last in places:
        return True
    assert any(low < last[1] and high > last[0] for low, high in places), "a good frame was lost to noise"
    return False


@pytest.mark.parametrize("driver", FAMILIES)
def test_the_last_of_a_pair_behind_noise(driver: str) -> None:
    rng = random.Random(f"{SEED} resync {driver}")
    noise, frames, shape = LineNoise(driver, rng), good_frames(driver), bare(FAMILIES[driver].shape)
    decoded, pairs = 0, TRIALS * _USUAL_FRAME // max(_USUAL_FRAME, sum(map(len, frames)) // len(frames))
    for _ in range(pairs):
        hostile = b"".join(noise.piece() for _ in range(1 + int(rng.random() * 3)))
        decoded += check_pair(shape, hostile, (rng.choice(frames), rng.choice(frames)), rng)
    overlaid = pairs - decoded  # `check_pair` has asserted that nothing else hid the last one
    assert overlaid < pairs / 20
    figures = {"decoded": decoded, "overlaid_by_a_frame_that_holds": overlaid, "rate_below": rate_bound(pairs)}
    publish(f"resynchronisation behind noise: {driver}", pairs=pairs, **figures)


@pytest.mark.parametrize("driver", FAMILIES)
def test_the_next_frame_after_a_silence_always(driver: str) -> None:
    rng = random.Random(f"{SEED} silence {driver}")
    noise, frames, shape = LineNoise(driver, rng), good_frames(driver), FAMILIES[driver].shape
    decoder, at_s, lost = FrameDecoder(shape), 0.0, 0
    for _ in range(TRIALS):
        for _ in range(1 + int(rng.random() * 3)):
            decoder.feed(noise.piece(), START.later(at_s))
            at_s += rng.random() * 0.1
        frame, at_s = rng.choice(frames), at_s + SILENCE_S
        if rng.random() < 0.5:
            decoder.feed(b"", START.later(at_s))
        chunks = [frame] if rng.random() < 0.5 else chunks_of(frame, rng)
        found = [item for chunk in chunks for item in decoder.feed(chunk, START.later(at_s))]
        lost += found[-1:] != [frame]
        assert not lost, f"not decoded after a silence: {frame.hex()}"
        at_s += SILENCE_S
    publish(f"a frame after noise and silence: {driver}", frames=TRIALS, lost=lost, rate_below=rate_bound(TRIALS))


def answer_rightly(asking: Asking, session: SerialSession, now: Stamp, rng: random.Random) -> tuple[int, Stamp]:
    """Let the meters answer each request after 50 ms until one is read. How many answers that took."""
    for answers in range(1, _ANSWERS + 1):
        request, delay_s = session.next_request(now)
        while not request:
            now = now.later(delay_s)
            assert not any(isinstance(item, Readings) for item in session.receive(b"", now))
            request, delay_s = session.next_request(now)
        echo = request if rng.random() < 0.5 else b""
        now = now.later(0.05)
        items = [item for chunk in (echo, asking.answer(request, rng)) for item in session.receive(chunk, now)]
        assert not any(isinstance(item, Refused) for item in items)
        if any(isinstance(item, Readings) for item in items):
            return answers, now
    raise AssertionError("a meter that answers is not read")


@pytest.mark.parametrize("name", ASKING)
def test_a_meter_that_answers_is_read_after_any_noise(name: str) -> None:
    asking, rng = ASKING[name], random.Random(f"{SEED} read {name}")
    noise, session, now, most = LineNoise(asking.driver, rng, asking.answer), asking.open_session(), START, 0
    meetings = TRIALS // 4
    for _ in range(meetings):
        for _ in range(int(rng.random() * 30)):
            session.receive(noise.piece(), now)
            request, delay_s = session.next_request(now)
            if request:
                noise.asked(request)
            now = now.later(rng.random() * (delay_s if rng.random() < 0.3 else 0.1))
        now = now.later(SILENCE_S)
        session.receive(b"", now)
        answers, now = answer_rightly(asking, session, now, rng)
        most = max(most, answers)
    publish(
        f"a meter read after noise: {name}", meetings=meetings, lost=0, rate_below=rate_bound(meetings), answers=most
    )


# --- controls ----------------------------------------------------------------------------------------------------


class SkipsWholeHeaders(FrameDecoder):
    """The classic mistake: a false start costs its header, not one byte."""

    def _scan(self, now: object, found: Found) -> None:
        at = 0
        while at < len(self._buffer):
            verdict = self._judge(self._buffer, at)
            if isinstance(verdict, int):
                found.append(self._buffer[at : at + verdict])
                at += verdict
            elif verdict is Doubt.MORE:
                break
            else:
                at += 6 if self._buffer[at] in self._shape.starts else 1
        self._forget(at)


def test_a_decoder_that_skips_whole_headers_is_caught() -> None:
    driver = "enocean-esp3"
    rng = random.Random(SEED)
    noise, frames, shape = LineNoise(driver, rng), good_frames(driver), FAMILIES[driver].shape
    lost = 0
    for _ in range(500):
        decoder = SkipsWholeHeaders(shape)
        frame = rng.choice(frames)
        found = decoder.feed(noise.piece() + frame, START) + settle(decoder, SILENCE_S)
        lost += frame not in found
    assert lost > 20


def test_a_split_that_matters_is_caught() -> None:
    """A judge that looks at the end of the buffer instead of the end of the frame depends on the split."""
    shape = bare(FAMILIES["enocean-esp3"].shape)

    def greedy(buffer: bytes, at: int) -> int | Doubt:
        return Doubt.BAD_CHECK if len(buffer) - at > 25 else shape.judge(buffer, at)

    rng, frames = random.Random(SEED), good_frames("enocean-esp3")
    with pytest.raises(AssertionError, match="gives something else"):
        check_pair(replace(shape, judge=greedy), bytes(40), (rng.choice(frames), rng.choice(frames)), rng)
