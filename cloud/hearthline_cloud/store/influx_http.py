"""One InfluxDB by HTTP: requests, InfluxQL at `/query`, and its errors as LinkError that say what to do."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final
from urllib.parse import urlencode

import msgspec
import urllib3
from urllib3.util import Timeout, parse_url

from hearthline.config import read_secret
from hearthline.errors import ConfigError, LinkError
from hearthline_cloud.config import StoreConfig
from hearthline_cloud.store.influx_answers import ASKED_FOR, Result, decode_answer, results

_CONNECTIONS = 4
_ERROR_CHARS = 300
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_PIECE: Final = 2**16
_WHOLE: Final = 10  # an answer that goes on may take so many times the time-out


class InfluxHttp:
    """Connects at the first call only; may be used from several threads."""

    def __init__(self, config: StoreConfig) -> None:
        """Raises ConfigError for a wrong URL, an empty database or a lost secret."""
        self.url = _checked_url(config.url)
        if not config.database:
            raise ConfigError("store.database is empty; name the database of the InfluxDB")
        self.database = config.database
        self._timeout_s = config.timeout_s
        self._headers = _login(config)
        self._pool = urllib3.PoolManager(
            num_pools=1, maxsize=_CONNECTIONS, retries=False, timeout=Timeout(total=config.timeout_s)
        )

    def query(self, text: str, timeout_s: float | None = None) -> Result:
        """The whole answer to one InfluxQL statement of few rows; what it says is wrong stands in `error`."""
        whole = Result()
        for result in self.chunks(text, timeout_s):
            whole.series += result.series
            whole.error = whole.error or result.error
        return whole

    def chunks(
        self, text: str, timeout_s: float | None = None, fields: dict[str, str] | None = None
    ) -> Iterator[Result]:
        """The answer to one InfluxQL statement, some rows at a time, in bounded memory; an error of it stands in one.

        Raises LinkError, also after some rows, when the answer is not whole: cut by the server or on the way.
        """
        form = {"q": text, "db": self.database, "epoch": "ns"} | ASKED_FOR | (fields or {})
        result = None
        try:
            for result in results(self._pieces(urlencode(form).encode(), timeout_s or self._timeout_s)):
                yield result
        except msgspec.DecodeError as error:
            raise self.trouble(f"gave an answer that is not its own: {error}", "look at store.url") from None
        if result is None:
            raise self.trouble("answered a query with nothing", "look whether store.url is an InfluxDB")
        if result.goes_on and not result.error:
            raise self.trouble("cut its answer short", "look at its log, and at what stands before it")

    def post(
        self, url: str, body: bytes, headers: dict[str, str] | None = None, timeout_s: float | None = None
    ) -> urllib3.BaseHTTPResponse:
        """A request and its whole answer."""
        with self._errors(timeout_s):
            return self._request(url, body, headers or {}, timeout_s, whole=True)

    def _pieces(self, body: bytes, timeout_s: float) -> Iterator[bytes]:
        deadline = time.monotonic() + _WHOLE * timeout_s
        with self._errors(timeout_s), closing(self._request(f"{self.url}/query", body, _FORM, timeout_s)) as answer:
            if answer.status != 200:
                raise self.refused(answer.status, error_text(answer.data))
            try:
                for piece in answer.stream(_PIECE):
                    if time.monotonic() > deadline:
                        raise self.slow(_WHOLE * timeout_s)
                    yield piece
            except urllib3.exceptions.ProtocolError as error:
                raise self.trouble(f"broke off in the middle of an answer: {error}", "ask again") from None

    def _request(
        self, url: str, body: bytes, headers: dict[str, str], timeout_s: float | None, whole: bool = False
    ) -> urllib3.BaseHTTPResponse:
        timeout = Timeout(total=timeout_s or self._timeout_s)
        every = self._headers | headers
        return self._pool.request(
            "POST", url, body=body, headers=every, redirect=False, timeout=timeout, preload_content=whole
        )

    @contextmanager
    def _errors(self, timeout_s: float | None) -> Iterator[None]:
        try:
            yield
        except urllib3.exceptions.NewConnectionError as error:  # a kind of time-out to urllib3
            raise self.away(error) from None
        except urllib3.exceptions.TimeoutError:
            raise self.slow(timeout_s) from None
        except urllib3.exceptions.HTTPError as error:
            raise self.away(error) from None

    def close(self) -> None:
        self._pool.clear()

    def slow(self, timeout_s: float | None = None) -> LinkError:
        return self.trouble(f"did not answer within {timeout_s or self._timeout_s:g} s", "look at its load and log")

    def away(self, error: Exception) -> LinkError:
        return self.trouble(f"cannot be reached: {error}", "start influxd, or correct store.url")

    def wrong_answer(self, answer: urllib3.BaseHTTPResponse) -> LinkError:
        return self.refused(answer.status, error_text(answer.data))

    def refused(self, status: int, text: str) -> LinkError:
        advice = {
            401: "check its login: store.username and store.password_file, or store.token_file",
            403: f"grant the login all rights on {self.database!r}",
            404: "look whether store.url and store.kind are those of this InfluxDB",
        }.get(status, "look at its log, or correct store.url")
        return self.trouble(f"answered {status}: {text}", advice)

    def trouble(self, what: str, advice: str) -> LinkError:
        return LinkError(f"InfluxDB at {self.url} {what}; {advice}")


def error_text(body: bytes) -> str:
    """What an answer says is wrong, in one line."""
    try:
        answer = decode_answer(body)
        text = answer.error or answer.message
    except msgspec.DecodeError:
        text = body.decode("utf-8", "replace")
    return " ".join(text.split())[:_ERROR_CHARS] or "no reason given"


def _checked_url(url: str) -> str:
    try:
        parts = parse_url(url)
    except urllib3.exceptions.LocationParseError:
        parts = parse_url("")
    if parts.scheme not in ("http", "https") or not parts.host or parts.query or parts.fragment:
        raise ConfigError(f"store.url = {url!r}: expected something like http://127.0.0.1:8086")
    if parts.auth is not None:
        raise ConfigError("store.url carries a login; use store.username and store.password_file")
    return url.rstrip("/")


def _login(config: StoreConfig) -> dict[str, str]:
    if config.token_file is not None:
        return {"Authorization": f"Token {read_secret(config.token_file, 'store.token_file')}"}
    if config.username is None:
        return {}
    password = read_secret(config.password_file, "store.password_file") or ""
    token = base64.b64encode(f"{config.username}:{password}".encode()).decode("ascii")
    return {"Authorization": f"Basic {token}"}
