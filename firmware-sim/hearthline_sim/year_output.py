"""Where a simulated year goes: a file, standard output, or an InfluxDB's `/write`. Pieces are sent as they are made."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlencode

import urllib3

from hearthline.errors import ConfigError, LinkError

BATCH_LINES = 10_000
_TIMEOUT_S = 60.0


def to_file(pieces: Iterable[list[str]], out: Path) -> int:
    """Write lines into `out`, `-` for standard output; how many. An incomplete file is left as it is."""
    if str(out) == "-":
        return _put(pieces, sys.stdout.buffer)
    try:
        with out.open("wb") as file:
            return _put(pieces, file)
    except OSError as error:
        raise ConfigError(f"--out {out}: {error.strerror}") from None


def to_influxdb(pieces: Iterable[list[str]], url: str, database: str) -> int:
    """Write lines into a database that exists; how many. Raises LinkError: a repeat of the command is harmless."""
    written = 0
    target = f"{url.rstrip('/')}/write?{urlencode({'db': database})}"
    with urllib3.PoolManager(retries=False, timeout=_TIMEOUT_S) as pool:
        for batch in _batches(pieces):
            body = "\n".join(batch).encode()
            try:
                answer = pool.request("POST", target, body=body)
            except urllib3.exceptions.HTTPError as error:
                raise LinkError(f"InfluxDB at {url} cannot be reached: {error}; start it, and repeat") from None
            if answer.status != 204:
                said = answer.data.decode(errors="replace")[:300]
                raise LinkError(f"InfluxDB at {url} answered {answer.status}: {said}; mend that, and repeat")
            written += len(batch)
    return written


def _put(pieces: Iterable[list[str]], file: BinaryIO) -> int:
    written = 0
    for batch in _batches(pieces):
        file.write(("\n".join(batch) + "\n").encode())
        written += len(batch)
    return written


def _batches(pieces: Iterable[list[str]]) -> Iterator[list[str]]:
    batch: list[str] = []
    for lines in pieces:
        batch += lines
        if len(batch) >= BATCH_LINES:
            yield batch
            batch = []
    if batch:
        yield batch
