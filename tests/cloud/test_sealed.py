"""The sealed file: it opens as it was written, and any bit, cut or chunk that is not in its place is refused."""

from __future__ import annotations

import io
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hearthline.errors import ConfigError
from hearthline_cloud.backup import BackupError
from hearthline_cloud.backup.sealed import CHUNK, HEADER, TAG, Sealer, Unsealer, make_key, read_key

KEY, OTHER_KEY = bytes(range(32)), bytes(32)
PIECE = CHUNK + TAG


def sealed(payload: bytes, key: bytes = KEY, step: int = 100_000) -> bytes:
    with tempfile.TemporaryFile() as file:
        sealer = Sealer(file, key)
        for at in range(0, len(payload), step):
            sealer.write(payload[at : at + step])
        sealer.finish()
        file.seek(0)
        return file.read()


def opened(data: bytes, key: bytes = KEY) -> bytes:
    unsealer = Unsealer(io.BytesIO(data), key)
    found = bytearray()
    while part := unsealer.read(70_001):
        found += part
    return bytes(found)


PAYLOAD = random.Random(5).randbytes(3 * CHUNK + 1234)
SEALED = sealed(PAYLOAD)
PIECES = [SEALED[at : at + PIECE] for at in range(HEADER, len(SEALED), PIECE)]
WHOLE_CHUNKS = sealed(PAYLOAD[: 2 * CHUNK])


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 7])
@pytest.mark.parametrize("step", [1000, CHUNK, 10 * CHUNK])
def test_it_opens_as_it_was_written(size: int, step: int) -> None:
    data = sealed(PAYLOAD[:size], step=step)
    assert opened(data) == PAYLOAD[:size]
    assert len(data) == HEADER + size + TAG * max(1, -(-size // CHUNK))


def test_two_files_of_the_same_content_have_no_byte_in_common_but_the_name() -> None:
    assert SEALED[64:] != sealed(PAYLOAD)[64:]
    assert PAYLOAD[:64] not in SEALED


@given(st.integers(0, len(SEALED) * 8 - 1))
@settings(max_examples=60, deadline=None)
def test_any_flipped_bit_is_refused(bit: int) -> None:
    damaged = bytearray(SEALED)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BackupError):
        opened(bytes(damaged))


@given(st.integers(0, len(SEALED) - 1))
@example(HEADER)
@example(HEADER + PIECE)
@example(HEADER + 3 * PIECE)
@settings(max_examples=60, deadline=None)
def test_any_cut_is_refused(size: int) -> None:
    with pytest.raises(BackupError):
        opened(SEALED[:size])


def test_a_cut_between_two_full_chunks_is_refused() -> None:
    assert opened(WHOLE_CHUNKS) == PAYLOAD[: 2 * CHUNK]
    with pytest.raises(BackupError, match="cut off"):
        opened(WHOLE_CHUNKS[: HEADER + PIECE])


@given(st.binary(min_size=1, max_size=40))
@settings(max_examples=30, deadline=None)
def test_bytes_behind_the_end_are_refused(more: bytes) -> None:
    with pytest.raises(BackupError):
        opened(SEALED + more)


@given(st.lists(st.integers(0, len(PIECES) - 1), max_size=6).filter(lambda order: order != list(range(len(PIECES)))))
@example([1, 0, 2, 3])
@example([0, 1, 2])
@example([0, 1, 1, 2, 3])
@settings(max_examples=40, deadline=None)
def test_chunks_in_another_order_left_out_or_twice_are_refused(order: list[int]) -> None:
    with pytest.raises(BackupError):
        opened(SEALED[:HEADER] + b"".join(PIECES[place] for place in order))


def test_chunks_of_another_file_under_the_same_key_are_refused() -> None:
    other = sealed(PAYLOAD)
    for place in range(len(PIECES)):
        at = HEADER + place * PIECE
        with pytest.raises(BackupError):
            opened(SEALED[:at] + other[at : at + PIECE] + SEALED[at + PIECE :])


def test_another_key_is_told_from_damage() -> None:
    with pytest.raises(BackupError, match="another key"):
        opened(SEALED, OTHER_KEY)
    with pytest.raises(BackupError, match="no backup"):
        opened(b"PK\x03\x04" + SEALED)


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "backup.key"
    make_key(path)
    made = read_key(path)
    assert len(made) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="never written over"):
        make_key(path)
    assert read_key(path) == made
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_key(path)


@pytest.mark.parametrize("content", ["", "abc\n", "zz" * 32, "ab" * 31, "密"])
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "backup.key"
    path.write_text(content, encoding="utf-8")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="no key of backups"):
        read_key(path)
