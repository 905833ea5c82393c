"""What the center orders, carried out by the handler of its type and answered by an event.

A command comes again until its answer has arrived, also after a restart: a handler may be called several times for one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from hearthline import wire
from hearthline.clock import Clock, parse_rfc3339
from hearthline.errors import StorageError
from hearthline.log import Log
from hearthline.model import EventType
from hearthline_edge.custody import Custody
from hearthline_edge.outbox import EventRow

_AGAIN_AT_ONCE = 100  # events that go back into custody in one commit
log = Log(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """`result`: one word. `detail`: what the answer carries besides; None: nothing."""

    result: str
    detail: dict[str, Any] | None = None


Handler = Callable[[wire.Command], Awaitable[Reply | None]]  # None: what was done is the answer


class Obeying:
    """`handlers`: by the command's type. `committed`: takes the events of the answers."""

    def __init__(
        self, gateway: str, custody: Custody, clock: Clock, committed: Callable[[list[EventRow]], None]
    ) -> None:
        self.handlers: dict[str, Handler] = {}
        self._gateway = gateway
        self._custody = custody
        self._clock = clock
        self._committed = committed

    async def take(self, command: wire.Command) -> None:
        """Never fails: what cannot be stored now is ordered again."""
        now = self._clock.now()
        handler = self.handlers.get(command.type)
        try:
            reply = Reply("unknown") if handler is None else await handler(command)
            if reply is None:
                return
            data: dict[str, Any] = {"command": command.id, "result": reply.result}
            if reply.detail is not None:
                data["detail"] = reply.detail
            answer = await self._custody.submit(
                lambda ob: ob.append_event(EventType.ANSWER, self._gateway, data, now, urgent=False)
            )
        except StorageError as error:
            log.error("command not answered", command=command.id, error=str(error))
            return
        self._committed([answer])


async def send_again(custody: Custody, command: wire.Command, woken: Callable[[], None]) -> Reply:
    """What the center has received before, a bundle at a time: a press goes between. Raises StorageError."""
    try:
        since_ns = parse_rfc3339(command.since)
    except ValueError:  # in doubt, all of it
        since_ns = 0
    count = 0
    while some := await custody.submit(lambda ob: ob.send_again(since_ns, command.id, _AGAIN_AT_ONCE)):
        count += some
        woken()
    log.warning("the center asks for what it had received", since=command.since, events=count)
    return Reply("done")
