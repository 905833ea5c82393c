"""How a machine that is no gateway yet asks its center: one small HTTP exchange, repeated until there is an answer.

The code proves each side to the other, so that neither a proxy nor a forged address learns or changes anything; TLS is
checked all the same where the address says https.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from hearthline.enrolment import MAX_KIT
from hearthline_edge.enrolling_texts import TEXTS, EnrolError

PATH = "/api/v1/enrolment"
PATIENCE_S = 90.0
_ANSWER_S = 20.0
_MOST = 2 * MAX_KIT
_CHUNK = 65536
_PAUSE_S, _LONGEST_S = 1.0, 30.0


@dataclass(frozen=True, slots=True)
class Words:
    """What is sent: the offer's name, a signing request (PEM) and its proof."""

    offer: str
    request: str
    proof: str


class _Answer(msgspec.Struct):
    sealed: str


class _Error(msgspec.Struct):
    code: str
    message: str = ""


class _Refusal(msgspec.Struct):
    error: _Error


def checked_center(center: str) -> str:
    """Raises EnrolError for what is no address of a center."""
    if not center:
        raise EnrolError("no_center")
    try:
        parts = urlsplit(center.rstrip("/"))
        usable = parts.scheme in ("http", "https") and parts.hostname and not parts.username and parts.port != 0
        usable = usable and not (parts.path or parts.query or parts.fragment) and center.isascii()
    except ValueError:
        usable = False
    if not usable or any(each <= " " for each in center):
        raise EnrolError("bad_center", center=center)
    return center.rstrip("/")


def trust(ca_file: Path | None) -> ssl.SSLContext:
    """Raises EnrolError."""
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:
        raise EnrolError("ca_unusable", file=ca_file, why=error.strerror or error) from None


def ask(
    center: str,
    context: ssl.SSLContext,
    words: Words,
    say: Callable[[str], None],
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> bytes:
    """The sealed answer. Raises EnrolError; what was refused for now is asked again until 90 seconds are over.

    `clock`: seconds that only ever grow.
    """
    say(TEXTS.say("asking", center=center))
    deadline, told = clock() + PATIENCE_S, False
    while True:
        status, body, after_s = _exchange(center, context, words, lambda: deadline - clock())
        if status == 200:
            return _sealed(center, body)
        if status not in (202, 429, 503):
            raise _refusal(center, status, body)
        refused = {202: "unsigned", 429: "busy"}.get(status, "busy")
        if status == 202 and not told:
            told = True
            say(TEXTS.say("waits"))
        if clock() + after_s >= deadline:
            raise EnrolError(refused)
        pause(after_s)


def _exchange(
    center: str, context: ssl.SSLContext, words: Words, left_s: Callable[[], float]
) -> tuple[int, bytes, float]:
    """Status, body, and seconds until it may be asked again. `left_s`: of the installer's patience."""
    parts = urlsplit(center)
    timeout_s = min(_ANSWER_S, max(left_s(), _PAUSE_S))
    connection = (
        http.client.HTTPSConnection(parts.netloc, timeout=timeout_s, context=context)
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.netloc, timeout=timeout_s)
    )
    body = json.dumps({"offer": words.offer, "request": words.request, "proof": words.proof})
    headers = {"content-type": "application/json", "accept": "application/json", "x-hearthline": "gateway"}
    try:
        connection.request("POST", PATH, body, headers)
        with connection.getresponse() as answer:
            content = _content(answer, left_s)
    except ssl.SSLCertVerificationError as error:
        raise EnrolError("not_trusted", center=center, why=error.verify_message) from None
    except http.client.HTTPException as error:
        raise EnrolError("not_center", center=center, why=type(error).__name__) from None
    except (OSError, UnicodeError) as error:  # UnicodeError: a host name that no resolver takes
        raise EnrolError("unreachable", center=center, why=getattr(error, "strerror", None) or error) from None
    finally:
        connection.close()
    if len(content) > _MOST:
        raise EnrolError("not_center", center=center, why="too long")
    after = answer.headers.get("retry-after", "")
    return answer.status, content, min(max(float(after), _PAUSE_S), _LONGEST_S) if after.isdecimal() else _PAUSE_S


def _content(answer: http.client.HTTPResponse, left_s: Callable[[], float]) -> bytes:
    """One chunk more than it may have, at most. Raises OSError, also for one that goes on coming in drops."""
    content = b""
    while len(content) <= _MOST and (chunk := answer.read1(_CHUNK)):
        if left_s() < -_ANSWER_S:
            raise TimeoutError("timed out")
        content += chunk
    return content


def _sealed(center: str, body: bytes) -> bytes:
    try:
        return base64.b64decode(msgspec.json.decode(body, type=_Answer).sealed, validate=True)
    except (msgspec.DecodeError, binascii.Error, ValueError, RecursionError):
        raise EnrolError("not_center", center=center, why="HTTP 200") from None


def _refusal(center: str, status: int, body: bytes) -> EnrolError:
    try:
        error = msgspec.json.decode(body, type=_Refusal).error
    except (msgspec.DecodeError, ValueError, RecursionError):
        return EnrolError("not_center", center=center, why=f"HTTP {status}")
    if error.code in TEXTS.texts and error.code.startswith("enrolment-"):
        return EnrolError(error.code)
    return EnrolError(
        "said", why="".join(each for each in error.message[:300] if each.isprintable()) or error.code[:40]
    )
