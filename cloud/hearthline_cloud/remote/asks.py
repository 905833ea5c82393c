"""How an ask stands, by what its gateway has answered: pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from hearthline.remote import CONFIGURE, EXAMINE, LOG, MAX_DETAIL_BYTES, Result


class What(StrEnum):
    EXAMINE = EXAMINE
    LOG = LOG
    CONFIGURE = CONFIGURE
    TEST = "test"  # of the local output


class State(StrEnum):
    ASKED = "asked"
    TRIAL = Result.TRIAL
    DONE = Result.DONE
    UNDONE = Result.UNDONE
    REFUSED = Result.REFUSED
    BUSY = Result.BUSY
    UNKNOWN = "unknown"  # the gateway's version does not know the order
    EXPIRED = "expired"
    REPLACED = "replaced"


OPEN = frozenset({State.ASKED, State.TRIAL})
_MAY_STILL_COME = OPEN | {State.EXPIRED, State.REPLACED}
_CONFIGURED = frozenset({State.TRIAL, State.DONE, State.UNDONE, State.REFUSED, State.BUSY, State.UNKNOWN})
_LOOKED = frozenset({State.DONE, State.REFUSED, State.UNKNOWN})


def after_answer(what: What, before: State, result: str) -> State | None:
    """How an ask stands after this word of its gateway; None: the word changes nothing."""
    allowed = _CONFIGURED if what is What.CONFIGURE else _LOOKED
    if before not in _MAY_STILL_COME or result not in set(State):
        return None
    state = State(result)
    return state if state in allowed and state is not before else None


def bounded(detail: object) -> dict[str, Any]:
    """What is kept of an answer's detail: a gateway that says more than it may is not believed."""
    if not isinstance(detail, dict):
        return {}
    size = len(msgspec.json.encode(detail))
    return detail if size <= MAX_DETAIL_BYTES else {"reason": f"the answer had {size} bytes and was not kept"}
