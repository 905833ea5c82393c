"""The sliding decoder: a false start mark costs one byte, and nobody waits over a second."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import Refused, dlt645_2007, enocean_esp3, raycome_rbp
from hearthline_edge.framing import NOISE_CHUNK, TICK_S, FrameDecoder, FrameShape

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)
ESP3 = bytes.fromhex("55000707017af630002ee1963001ffffffff4a0028")
RBP = bytes.fromhex("aa80020f010601120918172c18007a004b005f45")
DLT = bytes.fromhex("68660000023022689106333434358356ca16")
FRAMES = [
    pytest.param(enocean_esp3.SHAPE, ESP3, id="esp3"),
    pytest.param(raycome_rbp.SHAPE, RBP, id="rbp"),
    pytest.param(dlt645_2007.SHAPE, DLT, id="dlt645"),
]
# A header whose own check holds, for a body that never comes.
FALSE_HEADERS = {
    enocean_esp3.SHAPE.starts: bytes.fromhex("550100000111"),
    raycome_rbp.SHAPE.starts: bytes.fromhex("aa800220"),
    dlt645_2007.SHAPE.starts: bytes.fromhex("680000000000006891c8"),
}


def frames(found: list[bytes | Refused]) -> list[bytes]:
    return [one for one in found if isinstance(one, bytes)]


@pytest.mark.parametrize("junk", ["", "55", "5555", "550007", "557017af60ff", "00ff", "5500070701", "ff55"])
def test_esp3_junk_never_costs_the_frame_behind_it(junk: str) -> None:
    found = FrameDecoder(enocean_esp3.SHAPE).feed(bytes.fromhex(junk) + ESP3, START)
    assert found == ([Refused("noise", junk)] if junk else []) + [ESP3]


@pytest.mark.parametrize(("shape", "frame"), FRAMES)
@pytest.mark.parametrize("copies", [1, 3])
def test_any_split_gives_the_same(shape: FrameShape, frame: bytes, copies: int) -> None:
    stream = (frame[:4] + frame) * copies
    whole = FrameDecoder(shape).feed(stream, START)
    decoder = FrameDecoder(shape)
    single = [found for byte in stream for found in decoder.feed(bytes((byte,)), START)]
    assert whole == single
    assert [one if isinstance(one, bytes) else one.raw for one in whole] == [frame[:4].hex(), frame] * copies


@pytest.mark.parametrize(("shape", "frame"), FRAMES)
def test_a_false_header_blocks_for_less_than_a_second(shape: FrameShape, frame: bytes) -> None:
    decoder = FrameDecoder(shape)
    found = frames(decoder.feed(FALSE_HEADERS[shape.starts] + frame, START))
    assert bool(found) is (shape is dlt645_2007.SHAPE)  # which looks for a frame within what a header claims
    elapsed_s = 0.0
    while not found:
        assert decoder.waiting
        elapsed_s += TICK_S
        found = frames(decoder.feed(b"", START.later(elapsed_s)))
    assert found == [frame]
    assert elapsed_s < 1.0


@pytest.mark.parametrize(("shape", "frame"), FRAMES)
def test_false_headers_in_a_chain_do_not_add_up(shape: FrameShape, frame: bytes) -> None:
    decoder = FrameDecoder(shape)
    found = decoder.feed(FALSE_HEADERS[shape.starts] * 5 + frame, START)
    assert frames([*found, *decoder.feed(b"", START.later(0.9))]) == [frame]


@pytest.mark.parametrize(("shape", "frame"), FRAMES)
def test_a_half_frame_is_given_up_for_the_next(shape: FrameShape, frame: bytes) -> None:
    decoder = FrameDecoder(shape)
    decoder.feed(frame[:-1], START)
    assert frames(decoder.feed(frame, START.later(1.1))) == [frame]


@pytest.mark.parametrize(("shape", "frame"), FRAMES)
def test_the_late_half_of_a_frame_still_completes_it(shape: FrameShape, frame: bytes) -> None:
    decoder = FrameDecoder(shape)
    decoder.feed(frame[:8], START)
    assert decoder.feed(frame[8:], START.later(5)) == [frame]


def test_a_bad_checksum_is_one_refusal() -> None:
    bad = ESP3[:-1] + b"\x00"
    decoder = FrameDecoder(enocean_esp3.SHAPE)
    assert decoder.feed(bad + ESP3, START) == [Refused("checksum", bad.hex()), ESP3]


def test_noise_is_given_in_silence_and_in_chunks() -> None:
    decoder = FrameDecoder(enocean_esp3.SHAPE)
    assert decoder.feed(b"\x00\xff", START) == []
    assert decoder.feed(b"", START.later(0.6)) == [Refused("noise", "00ff")]
    assert not decoder.waiting
    found = decoder.feed(bytes(3 * NOISE_CHUNK), START.later(1))
    assert found == [Refused("noise", "00" * NOISE_CHUNK)] * 3


def test_the_preamble_is_no_noise() -> None:
    decoder = FrameDecoder(dlt645_2007.SHAPE)
    assert decoder.feed(b"\xfe" * 4 + DLT + b"\xfe" * 4, START) == [DLT]
    assert decoder.feed(b"", START.later(2)) == []


@pytest.mark.parametrize(("shape", "frame"), FRAMES)
def test_the_buffer_is_bounded(shape: FrameShape, frame: bytes) -> None:
    decoder = FrameDecoder(shape)
    for _ in range(50):
        decoder.feed(shape.starts * 200, START)
    assert len(decoder._buffer) <= shape.limit
    assert len(decoder._skipped) <= NOISE_CHUNK


def test_crc8_of_the_specification() -> None:
    assert enocean_esp3.crc8(bytes.fromhex("00070701")) == 0x7A


MARKS = st.sampled_from([0x55, 0x68, 0xFE, 0xAA, 0x80, 0xCC, 0x16, 0x00, 0x01, 0x02, 0x07, 0x7A, 0xFF])
NOISE = st.lists(st.one_of(MARKS, st.integers(0, 255)), max_size=60).map(bytes)


@pytest.mark.parametrize(("shape", "frame"), FRAMES)
@given(before=NOISE, after=NOISE, size=st.integers(1, 40))
@settings(max_examples=80, deadline=None)
def test_good_frames_after_a_silent_second_always_decode(
    shape: FrameShape, frame: bytes, before: bytes, after: bytes, size: int
) -> None:
    decoder, now = FrameDecoder(shape), START
    for noise in (before, frame[:-3] + before, after):
        decoder.feed(noise, now)
        decoder.feed(b"", now.later(1))
        now = now.later(1.1)
        found: list[bytes | Refused] = []
        for at in range(0, len(frame), size):
            found += decoder.feed(frame[at : at + size], now)
        assert found == [frame]
        now = now.later(1.1)


@pytest.mark.parametrize(("shape", "frame"), FRAMES)
@given(pieces=st.lists(st.one_of(NOISE, st.just(None)), max_size=6))
@settings(max_examples=80, deadline=None)
def test_every_byte_comes_out_once_and_frames_hold(shape: FrameShape, frame: bytes, pieces: list[bytes | None]) -> None:
    decoder = FrameDecoder(FrameShape(shape.starts, shape.judge, shape.patience_s, shape.limit))
    stream = b"".join(frame if piece is None else piece for piece in pieces)
    found = decoder.feed(stream, START) + decoder.feed(b"", START.later(1)) + decoder.feed(b"", START.later(3))
    assert b"".join(one if isinstance(one, bytes) else bytes.fromhex(one.raw) for one in found) == stream
    assert all(shape.judge(one, 0) == len(one) for one in frames(found))
