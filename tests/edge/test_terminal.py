"""What is typed at a gateway, one line at a time, whatever comes first and however much at once."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from hearthline_edge.terminal import LeftError, Terminal


class Typist:
    def __init__(self) -> None:
        self.said: list[str] = []
        read, self._write = os.pipe()
        self.terminal = Terminal(self.said.append, read)
        self._read = read

    def types(self, text: str) -> None:
        os.write(self._write, text.encode())

    def leaves(self) -> None:
        os.close(self._write)

    def close(self) -> None:
        os.close(self._read)


@pytest.fixture
def typist() -> Iterator[Typist]:
    made = Typist()
    yield made
    made.close()


def test_lines_that_are_typed_ahead_are_answers_too(typist: Typist) -> None:
    typist.types("no\nkitchen, 客厅\nlast")
    typist.leaves()
    assert typist.terminal.agrees("Once more?") is False
    assert typist.terminal.ask("In which rooms? ") == "kitchen, 客厅"
    assert typist.terminal.typed([], 5.0) == "last"
    with pytest.raises(LeftError):
        typist.terminal.ask("And now? ")


def test_enter_agrees_and_what_is_neither_is_asked_again(typist: Typist, capsys: pytest.CaptureFixture[str]) -> None:
    typist.types("\nperhaps\n否\n是\nq\n")
    assert [typist.terminal.agrees("Once more?") for _ in range(3)] == [True, False, True]
    assert capsys.readouterr().out.count("Once more? [Y/n]: ") == 4
    with pytest.raises(LeftError):
        typist.terminal.agrees("Once more?")
    typist.leaves()


def test_where_a_program_reads_standard_output_nothing_is_asked_there(
    typist: Typist, capsys: pytest.CaptureFixture[str]
) -> None:
    typist.terminal = Terminal(typist.said.append, typist.terminal._given, quiet=True)
    typist.types("\n")
    assert typist.terminal.agrees("Once more?")
    assert capsys.readouterr() == ("", "Once more? [Y/n]: ")
    typist.leaves()


def test_whoever_else_speaks_ends_the_wait_and_half_a_line_is_kept(typist: Typist) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert typist.terminal.typed([ours], 0.0) is None
        typist.types("bat")
        theirs.sendall(b"!")
        assert typist.terminal.typed([ours], 5.0) is None
        ours.recv(1)
        typist.types("tery\n")
        assert typist.terminal.typed([ours], 5.0) == "battery"
    typist.leaves()


def test_what_a_device_calls_itself_moves_no_cursor(typist: Typist) -> None:
    typist.terminal.say("\x1b[2Jpendant\nbed")
    assert typist.said == ["\ufffd[2Jpendant\nbed"]
    typist.leaves()
