"""The other end of the agent's control socket, for the commands in the home: one connection an order, blocking."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from hearthline.errors import LinkError, RefusedError
from hearthline.speech import Speech

TEXTS: Final = Speech(
    {
        "no-answer": (
            "{path}：代理程序 {seconds:g} 秒没有回答；请查看它的日志",
            "{path}: the agent has not answered for {seconds:g} s; look at its log",
        ),
        "not-stored": (
            "{path}：代理程序没有保存；请查看它的日志，然后再试一次",
            "{path}: the agent has not stored it; look at its log, then repeat",
        ),
        "none": (
            "{path}：这里没有代理程序在运行；启动它：systemctl start hearthline-edge",
            "{path}: no agent is running here; start it: systemctl start hearthline-edge",
        ),
        "not-allowed": (
            "{path}：属于代理程序的用户；请用 sudo 运行本命令",
            "{path}: belongs to the agent's user; run the command with sudo",
        ),
        "unreached": ("{path}：无法连到代理程序：{error}", "{path}: the agent cannot be reached: {error}"),
        "ended": (
            "{path}：代理程序中断了对话；请查看它是否在运行",
            "{path}: the agent has ended the conversation; look whether it runs",
        ),
    }
)
_CONNECT_S = 5.0
_CHUNK = 64 * 1024


class ControlClient:
    """Speaks to the agent whose socket is `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def ask(self, order: Mapping[str, Any], timeout_s: float = 10.0) -> dict[str, Any]:
        """The first answer. Raises RefusedError with the agent's reason, LinkError when there is no answer."""
        with self.open(order) as line:
            answer = line.next(timeout_s)
        if answer is None:
            raise LinkError(TEXTS.say("no-answer", path=self.path, seconds=timeout_s))
        return answer

    @contextmanager
    def open(self, order: Mapping[str, Any]) -> Iterator[Line]:
        """A conversation that lasts; leaving the block ends it. Raises LinkError when no agent is there."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_CONNECT_S)
            try:
                connection.connect(str(self.path))
                connection.sendall(msgspec.json.encode(order) + b"\n")
            except (FileNotFoundError, ConnectionRefusedError):
                raise LinkError(TEXTS.say("none", path=self.path)) from None
            except PermissionError:
                raise LinkError(TEXTS.say("not-allowed", path=self.path)) from None
            except OSError as error:
                raise LinkError(TEXTS.say("unreached", path=self.path, error=error)) from None
            yield Line(connection, self.path)


class Line:
    """What the agent says in one conversation."""

    def __init__(self, connection: socket.socket, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._rest = b""

    def next(self, timeout_s: float) -> dict[str, Any] | None:
        """The next object, or None when none has come within `timeout_s` (0: what is there already).

        Raises RefusedError for an object with `error`, LinkError when the agent has gone away.
        """
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._rest:
            if not select.select([self._connection], [], [], max(deadline - time.monotonic(), 0))[0]:
                return None
            try:
                chunk = self._connection.recv(_CHUNK)
            except OSError as error:
                raise LinkError(TEXTS.say("unreached", path=self._path, error=error)) from None
            if not chunk:
                raise LinkError(TEXTS.say("ended", path=self._path))
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        answer = msgspec.json.decode(line, type=dict[str, Any])
        if "error" in answer:
            raise RefusedError(str(answer["error"]))
        return answer

    def fileno(self) -> int:
        """For `select`, together with a terminal."""
        return self._connection.fileno()
