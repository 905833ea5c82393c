"""The doctor's checks for whoever asks from afar, in a thread of their own: they wait for brokers and ports.

The agent does not wait for that thread at its end: a name that nobody resolves takes minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

from hearthline.clock import Clock
from hearthline.errors import HearthlineError
from hearthline.log import Log
from hearthline.remote import MAX_LINE
from hearthline_edge.config import EdgeConfig

_EXAMINE_S = 60.0
log = Log(__name__)

Found = dict[str, Any]
"""One check as it is told: name, ok, sentence."""


async def looked(config: EdgeConfig, clock: Clock) -> list[Found]:
    """Every check, what is wrong last: there is room for it."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[Found]] = loop.create_future()

    def hand_over(result: list[Found]) -> None:
        if not found.done():
            found.set_result(result)

    def work() -> None:
        try:
            result = _look(config, clock)
        except Exception as error:  # a look at the surroundings must cost no alarm, whatever it meets
            log.exception("examination died")
            result = [
                {"name": "examination", "ok": False, "sentence": f"it died of {type(error).__name__}; report it."}
            ]
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(hand_over, result)

    threading.Thread(target=work, name="examination", daemon=True).start()
    try:
        async with asyncio.timeout(_EXAMINE_S):
            return await found
    except TimeoutError:
        return [_no_examination(f"it has not ended within {_EXAMINE_S:g} s; look at the gateway's network and ports.")]


def _no_examination(sentence: str) -> Found:
    return {"name": "examination", "ok": False, "sentence": sentence[:MAX_LINE]}


def _look(config: EdgeConfig, clock: Clock) -> list[Found]:
    from hearthline_edge.doctor import examine  # its memory is wanted for a minute only

    try:
        checks = sorted(examine(config, clock.now()), key=lambda check: not check.ok)
    except (HearthlineError, OSError) as error:
        return [_no_examination(str(error))]
    return [{"name": each.name[:80], "ok": each.ok, "sentence": each.sentence[:MAX_LINE]} for each in checks]
