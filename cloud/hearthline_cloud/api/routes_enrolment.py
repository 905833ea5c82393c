"""Where a machine that knows a one-time code becomes a gateway. Nobody is logged in: the code proves itself.

Who does not prove a code hears one answer, after the same time, whether there is such an offer or not.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from hearthline.enrolment import MAX_REQUEST
from hearthline.enrolment_code import ALPHABET, OFFER
from hearthline.log import Log
from hearthline_cloud.api.access import PartsOf
from hearthline_cloud.api.model import refusals
from hearthline_cloud.enrolment.offers import EnrolmentError, ask

_REFUSED_AFTER_S = 0.2  # longer than any refusal takes to be found
_AGAIN_S = 1

log = Log("hearthline.web")
router = APIRouter(prefix="/api/v1", tags=["enrolment"], responses=refusals(400, 403, 413, 422, 429, 503))


@dataclass(frozen=True, slots=True)
class Asked:
    """`offer`: the code's first part; `request`: a signing request (PEM); `proof`: it, signed by the code's key."""

    offer: Annotated[str, Field(pattern=f"^[{ALPHABET}]{{{OFFER}}}$")]
    request: Annotated[str, Field(min_length=1, max_length=MAX_REQUEST)]
    proof: Annotated[str, Field(pattern="^[0-9a-f]{128}$")]


@dataclass(frozen=True, slots=True)
class Answered:
    """`sealed`: for the code alone, base64; empty while the center's desk has not signed yet: ask again."""

    sealed: str


@router.post("/enrolment", summary="Become a gateway", responses={202: {"model": Answered, "description": "Ask again"}})
async def enrol(asked: Asked, response: Response, parts: PartsOf) -> Answered:
    """The same key gets the same answer while the code is good; another key gets none."""
    began = time.monotonic()
    try:
        words = (asked.offer, asked.request, asked.proof)
        answer = await run_in_threadpool(ask, parts.database, *words, parts.now_ns())
    except EnrolmentError as error:
        log.warning("an enrolment was refused", offer=asked.offer, why=error.refusal)
        await asyncio.sleep(_REFUSED_AFTER_S - (time.monotonic() - began))
        raise
    if not answer:
        response.status_code = 202
        response.headers["retry-after"] = str(_AGAIN_S)
    return Answered(answer)
