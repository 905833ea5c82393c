"""Recordings in each form that people have them in."""

from __future__ import annotations

import io
import math

import pytest

from hearthline.errors import ProtocolError
from hearthline_edge.recording import Heard, form_of, read_recording


def read(text: bytes, gap_s: float = 0.5, bytes_per_s: float = 100.0) -> list[Heard]:
    return list(read_recording(io.BytesIO(text), gap_s, bytes_per_s))


@pytest.mark.parametrize(
    ("beginning", "form"),
    [
        (b"5500 0707\n017A\n", "hexadecimal"),
        (b"# a comment\n55:00:07\n", "hexadecimal"),
        (b"55 00 07", "hexadecimal"),
        (b'{"topic": "a", "payload": "b"}\n', "json"),
        (b"/ISK5\\2MT382-1008\n", "raw"),
        (b"20;04;Cresta;ID=3001;\r\n", "raw"),
        (b"\x1b\x1b\x1b\x1b\x01\x01\x01\x01", "raw"),
        (b"", "raw"),
        (b"5500\n0707\nzzz no digits\n", "hexadecimal"),
        (b"0x55 0x00\n", "hexadecimal"),
    ],
)
def test_the_form_is_told_from_the_beginning(beginning: bytes, form: str) -> None:
    assert form_of(beginning) == form


def test_hexadecimal_lines_are_reads_with_gaps_between() -> None:
    assert read(b"# a press\n55 00\n\n07:07\nFf\n") == [
        Heard(0.0, b"\x55\x00"),
        Heard(0.5, b"\x07\x07"),
        Heard(1.0, b"\xff"),
    ]


def test_raw_bytes_come_at_the_speed_of_the_line() -> None:
    data = b"/" + bytes(range(128, 256)) * 100
    heard = read(data)
    assert b"".join(each.data for each in heard) == data
    assert heard[-1].at_s == pytest.approx(len(data) / 100)
    assert max(len(each.data) for each in heard) <= 64


def test_messages_with_their_times() -> None:
    assert read(
        b'{"topic":"a","payload":"x"}\n{"topic":null,"payload":"y","retained":true,"at":7}\n{"hex":"55 AA"}'
    ) == [
        Heard(0.0, b"x", "a"),
        Heard(7.0, b"y", None, True),
        Heard(7.5, b"\x55\xaa"),
    ]


def test_bare_payloads_with_the_time_of_rtl_433() -> None:
    first, second = b'{"time" : "@0.25s", "code" : "8d3cf6"}', b'{"code":1}'
    assert read(first + b"\n" + second) == [Heard(0.25, first), Heard(0.75, second)]


def test_what_mosquitto_sub_writes() -> None:
    line = b'{"tst":"2026-11-21T08:00:00.500000Z+0000","topic":"t","qos":0,"retain":1,"payloadlen":2,"payload":{"a":1}}'
    (heard,) = read(line)
    assert heard == Heard(1795248000.5, b'{"a":1}', "t", True)


def test_time_never_runs_backwards() -> None:
    heard = read(b'{"hex":"55","at":5}\n{"hex":"56","at":1}')
    assert [each.at_s for each in heard] == [5.0, 5.0]


def test_stated_times_count_however_close_they_are() -> None:
    heard = read(b'{"hex":"55","at":5}\n{"hex":"56","at":5.02}\n{"hex":"57"}\n{"hex":"58","at":9}')
    assert [each.at_s for each in heard] == [5.0, 5.02, 5.52, 9.0]


def test_a_wrong_line_is_told_and_those_behind_it_count() -> None:
    told: list[str] = []
    file = io.BytesIO(b"\xef\xbb\xbf55\n0x56\n555\n57\n")
    heard = list(read_recording(file, 0.5, 100.0, lambda error: told.append(str(error))))
    assert [each.data for each in heard] == [b"\x55", b"\x56", b"\x57"]
    assert len(told) == 1
    assert told[0].startswith("line 3: not hexadecimal digits")


@pytest.mark.parametrize(
    "text",
    [
        b"55\n" * 3000 + b"zz\n",
        b"55\n" * 3000 + b"555\n",
        b'{"a":1}\n[1]\n',
        b'{"a":1}\n{\n',
        b'{"topic":5,"payload":""}\n',
        b'{"hex":"5"}\n',
        b'{"at":"yesterday"}\n',
        b'{"at":1e300}\n',
        b'{"at":-1%s}\n' % (b"0" * 400),
        b'{"a":"\xd5"}\n',
    ],
)
def test_a_wrong_line_is_named(text: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"line \d+: "):
        read(text, bytes_per_s=math.inf)
