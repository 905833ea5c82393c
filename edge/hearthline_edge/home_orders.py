"""What the center orders of the home: show that a person has accepted, sound the output, prove the way, send again."""

from __future__ import annotations

from collections.abc import Callable

from hearthline import wire
from hearthline.clock import Clock, Stamp
from hearthline.model import RESEND, SELF_TEST, HomeSignal
from hearthline_edge.custody import Custody
from hearthline_edge.home import Home
from hearthline_edge.intake import EventIntake
from hearthline_edge.obeying import Handler, Reply, send_again
from hearthline_edge.self_test import marked_alarm, was_made


class HomeOrders:
    """`self_test`: the intake of the gateway's own alarms. `woken`: the uplink has something to send. `hop`: told."""

    def __init__(
        self,
        gateway: str,
        custody: Custody,
        clock: Clock,
        home: Home,
        self_test: EventIntake,
        woken: Callable[[], None],
        hop: Callable[[str, str, Stamp], None],
    ) -> None:
        self._gateway = gateway
        self._custody = custody
        self._clock = clock
        self._home = home
        self._self_test = self_test
        self._woken = woken
        self._hop = hop
        self.handlers: dict[str, Handler] = {
            "signal": self._signal,
            "test": self._test,
            SELF_TEST: self._prove,
            RESEND: self._send_again,
        }

    async def _signal(self, command: wire.Command) -> Reply:
        if command.signal != HomeSignal.ACCEPTED:
            return Reply("unknown")
        self._hop("accepted", command.event, self._clock.now())
        return Reply("done" if await self._home.accepted(command.event) else "unknown-event")

    async def _test(self, command: wire.Command) -> Reply:
        self._home.test()
        return Reply("done")

    async def _prove(self, command: wire.Command) -> None:
        """The marked alarm is the answer."""
        if not await self._custody.submit(lambda ob: was_made(ob, self._gateway, command.id)):
            self._self_test.offer(marked_alarm(self._gateway, command.id, self._clock.now()))

    async def _send_again(self, command: wire.Command) -> Reply:
        return await send_again(self._custody, command, self._woken)
