"""No noise takes longer to decode than the line takes to bring it: later good frames never wait for the processor.

Measured in processor time, at each line's own speed, for the worst streams that the protocols allow: start marks
without end, headers in a chain, frames that all lack their end; in reads of one byte, of 16, and of everything.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from fuzz.families import FAMILIES, SERIAL, START, good_frames
from fuzz.line_noise import LineNoise
from hearthline.clock import NS, Stamp
from hearthline_edge.bus import character_s
from hearthline_edge.devices import SerialDriver
from trials import SEED, publish, trials

_BYTES = trials(2_048, 65_536)
_READS = (1, 16, _BYTES)
MOST_SHARE = (
    0.5  # of the line's time; a gateway's processor is several times slower than this one, most shares far less
)
pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(1800)]


def streams(driver: str) -> Iterator[bytes]:
    shape, frames = FAMILIES[driver].shape, good_frames(driver)
    longest = max(frames, key=len)
    marks = [shape.starts, shape.starts[:1], shape.starts[-1:]]
    cut = [longest[:-3], longest[:-6] + b"\0"]
    for piece in (*marks, *FAMILIES[driver].hollow, *cut, b"".join(frames)):
        yield (piece * (_BYTES // len(piece) + 1))[:_BYTES]
    noise = LineNoise(driver, random.Random(f"{SEED} load {driver}"))
    pieces = bytearray()
    while len(pieces) < _BYTES:
        pieces += noise.piece()
    yield bytes(pieces[:_BYTES])


def load(driver: SerialDriver, stream: bytes, read: int) -> float:
    """Seconds of the processor for each second of the line."""
    session = driver.open_session(driver.decode_options, "port")
    byte_ns, began = character_s(driver.line) * NS, time.thread_time()
    for at in range(0, len(stream), read):
        mono = START.mono_ns + round(at * byte_ns)
        session.receive(stream[at : at + read], Stamp(START.wall_ns + mono, mono, "boot", True))
    return (time.thread_time() - began) / (len(stream) * byte_ns / NS)


@pytest.mark.parametrize("name", SERIAL)
def test_no_noise_is_slower_to_decode_than_the_line_brings_it(name: str) -> None:
    shares = [load(SERIAL[name], stream, read) for stream in streams(name) for read in _READS]
    assert max(shares) < MOST_SHARE
    publish(f"decoding the worst noise: {name}", share_of_the_lines_time=round(max(shares), 4), streams=len(shares))
