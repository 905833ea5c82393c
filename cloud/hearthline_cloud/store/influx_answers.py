"""What InfluxDB answers to InfluxQL, a chunk at a time: one JSON document a line, each with some rows of one series.

    {"results":[{"series":[{"name":…,"tags":…,"columns":…,"values":[…],"partial":true}],"partial":true}]}
    {"results":[{"series":[{"name":…,"tags":…,"columns":…,"values":[…]}]}]}

`partial` says that another chunk follows, so the last one has none. Asked for one document, 1.x keeps to its
max-row-limit, and beyond 10,000 rows of a series it says `partial` of an answer that is whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

ROWS_A_CHUNK: Final = 5000
ASKED_FOR: Final = {"chunked": "true", "chunk_size": str(ROWS_A_CHUNK)}
_LONGEST: Final = 64 * 2**20  # a server that knows no chunks sends all in one line


class Series(msgspec.Struct):
    name: str = ""
    columns: list[str] = []
    values: list[list[float | int | str | bool | None]] = []
    tags: dict[str, str] = {}
    partial: bool = False


class Result(msgspec.Struct):
    series: list[Series] = []
    error: str = ""
    partial: bool = False

    @property
    def goes_on(self) -> bool:
        return self.partial or any(series.partial for series in self.series)


class Answer(msgspec.Struct):
    results: list[Result] = []
    error: str = ""
    message: str = ""  # of 2.x and 3.x


decode_answer = msgspec.json.Decoder(Answer).decode


def results(pieces: Iterable[bytes]) -> Iterator[Result]:
    """The results in a body that comes in pieces. Raises msgspec.DecodeError for anything else than InfluxDB's JSON."""
    for line in _lines(pieces):
        answer = decode_answer(line)
        yield from answer.results
        if answer.error or answer.message:
            yield Result(error=answer.error or answer.message)


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    begun: list[bytes] = []
    length = 0
    for piece in pieces:
        *ended, rest = piece.split(b"\n")
        for end in ended:
            if line := b"".join((*begun, end)):
                yield line
            begun, length = [], 0
        begun.append(rest)
        length += len(rest)
        if length > _LONGEST:
            raise msgspec.DecodeError(f"a line of more than {_LONGEST >> 20} MiB")
    if line := b"".join(begun):
        yield line
