"""The socket at which the tools in the home speak to the running agent, which alone holds the ports and the outbox.

    client --- one line, its order: {"do": …} ---> handler of that name
           <-- JSON objects, one a line -----------  until it has said all, or the client leaves

Only the service's user and root may open it. No client holds up the agent: nobody waits for one to read, and one that
does not read, says nothing or says too much is cut. A socket that cannot be made is a fault, never a dead agent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from hearthline.commissioning import MAX_REPORT_BYTES
from hearthline.errors import HearthlineError, ProtocolError
from hearthline.log import Log

SOCKET: Final = "control.sock"  # in `data_dir`
MAX_CLIENTS: Final = 8
MAX_ORDER: Final = 2 * MAX_REPORT_BYTES  # bytes of the line: a report is told in one
MAX_UNREAD: Final = 256 * 1024  # bytes that wait for a client to read them
ORDER_S: Final = 10.0  # within which a client says what it wants
FAREWELL_S: Final = 2.0  # for a handler whose client has said that it will say no more
_LONGEST_PATH: Final = 107  # bytes: unix(7), sun_path without its NUL
_RETRY_S: Final = 30.0
log = Log(__name__)


class Conversation:
    """One client, as its handler sees it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def say(self, answer: Mapping[str, Any]) -> None:
        """Never waits and never fails; whoever has left too much unread is cut."""
        self.say_line(as_line(answer))

    def say_line(self, line: bytes) -> None:
        """The same of what was encoded already, for several."""
        if self._writer.is_closing():
            return
        self._writer.write(line)
        if self._writer.transport.get_write_buffer_size() > MAX_UNREAD:
            log.warning("a client of the control socket does not read, it is cut")
            self._writer.transport.abort()

    def is_over(self) -> bool:
        """Whether the client has gone; one that only says no more may still listen."""
        looking = select.poll()
        try:
            looking.register(self._writer.get_extra_info("socket").fileno(), 0)
        except ValueError:  # closed on this side
            return True
        return any(event & (select.POLLHUP | select.POLLERR) for _, event in looking.poll(0))


def as_line(answer: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(answer) + b"\n"


Handler = Callable[[dict[str, Any], Conversation], Awaitable[None]]


class ControlSocket:
    """`handlers`: by the word after "do"; cancelled when its client leaves. A HearthlineError is told to the client."""

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        self.path = path
        self.fault = ""
        self._handlers = handlers
        self._clients: set[asyncio.StreamWriter] = set()

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            try:
                server = await asyncio.start_unix_server(self._serve, sock=_listening(self.path), limit=MAX_ORDER)
            except OSError as error:
                why = error.strerror or str(error)
                self.fault = f"control: {self.path} cannot be opened, the tools in the home do not work: {why}"
                log.error("control socket not opened", path=str(self.path), error=why)
                await asyncio.sleep(_RETRY_S)
                continue
            self.fault = ""
            try:
                await asyncio.get_running_loop().create_future()  # serve_forever would wait for the clients at its end
            finally:
                server.close()
                for writer in self._clients:
                    writer.transport.abort()
                with contextlib.suppress(OSError):
                    self.path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = Conversation(writer)
        self._clients.add(writer)
        try:
            if len(self._clients) <= MAX_CLIENTS:
                await self._hear_out(reader, conversation)
            else:
                with contextlib.suppress(TimeoutError, OSError, EOFError, asyncio.LimitOverrunError):
                    async with asyncio.timeout(FAREWELL_S):  # hung up on while it speaks, it would not hear why
                        await reader.readuntil(b"\n")
                conversation.say({"error": f"{MAX_CLIENTS} others speak to the agent already; try again later"})
        finally:
            self._clients.remove(writer)
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    await writer.wait_closed()
            writer.transport.abort()

    async def _hear_out(self, reader: asyncio.StreamReader, conversation: Conversation) -> None:
        try:
            async with asyncio.timeout(ORDER_S):
                line = await reader.readuntil(b"\n")
            order, handler = self._understood(line)
        except (TimeoutError, OSError, EOFError):
            return
        except asyncio.LimitOverrunError:
            conversation.say({"error": f"an order is one line of at most {MAX_ORDER} bytes"})
            return
        except ProtocolError as error:
            conversation.say({"error": str(error)})
            return
        carrying_out = asyncio.ensure_future(_carry_out(handler, order, conversation))
        leaving = asyncio.ensure_future(_left(reader))
        try:
            await asyncio.wait({carrying_out, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not (carrying_out.done() or conversation.is_over()):
                await asyncio.wait({carrying_out}, timeout=FAREWELL_S)
        finally:
            for task in (carrying_out, leaving):
                task.cancel()
            await asyncio.wait({carrying_out, leaving})
        if not carrying_out.cancelled() and (bug := carrying_out.exception()) is not None:
            raise bug

    def _understood(self, line: bytes) -> tuple[dict[str, Any], Handler]:
        """Raises ProtocolError with what to tell the client."""
        try:
            order = msgspec.json.decode(line, type=dict[str, Any])
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"the order is no JSON object in one line: {error}") from None
        handler = self._handlers.get(str(order.get("do")))
        if handler is None:
            known = ", ".join(sorted(self._handlers))
            raise ProtocolError(f"unknown order {str(order.get('do'))[:40]!r}; there are: {known}")
        return order, handler


async def _carry_out(handler: Handler, order: dict[str, Any], conversation: Conversation) -> None:
    try:
        await handler(order, conversation)
    except HearthlineError as error:
        conversation.say({"error": str(error)})


async def _left(reader: asyncio.StreamReader) -> None:
    """Until the client says no more; whatever else it says is not read to any end."""
    with contextlib.suppress(OSError):
        while await reader.read(MAX_ORDER):
            pass


def _listening(path: Path) -> socket.socket:
    """A socket at `path` in the place of whatever an earlier agent left there. Raises OSError.

    It is nobody else's from the first moment: nobody can connect before it listens, and it has its mode by then.
    """
    beside = path.with_name(f".{path.name}.new")
    if len(os.fsencode(beside)) > _LONGEST_PATH:
        room = _LONGEST_PATH - len(os.fsencode(beside)) + len(os.fsencode(path.parent))
        raise OSError(f"a socket's path is at most {_LONGEST_PATH} bytes long; give data_dir a path of at most {room}")
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        beside.unlink(missing_ok=True)
        made.bind(str(beside))
        beside.chmod(0o600)
        beside.replace(path)
    except BaseException:  # whatever it is, no socket stays open that nobody serves
        made.close()
        raise
    return made
