"""Somebody at a browser, without one: sends forms and keeps cookies."""

from __future__ import annotations

import re
import time

import pyotp
from httpx import Client, Limits, Response

from hearthline.clock import NS
from hearthline_cloud.people.codes import STEP_S
from web.client import PASSWORD

_HEADERS = {"accept": "text/html", "accept-language": "en", "sec-fetch-site": "same-origin"}
_SECRET = re.compile(r'<code class="secret">([A-Z2-7 ]+)</code>')
_RECOVERY = re.compile(r"<li><code>([0-9a-z-]{19})</code>")
SESSION = "hearthline_session"


class Visitor:
    """`secret`, `used` and `recovery` are those of the phone and the paper, once a second factor is set up."""

    def __init__(self, url: str) -> None:
        self.client = Client(base_url=url, headers=_HEADERS, timeout=20, limits=Limits(max_keepalive_connections=0))
        self.secret = ""
        self.used = 0
        self.recovery: list[str] = []

    def get(self, path: str) -> Response:
        return self.client.get(path)

    def post(self, path: str, **form: str | list[str]) -> Response:
        return self.client.post(path, data=form)

    def log_in(self, name: str, password: str = PASSWORD) -> Response:
        return self.post("/login", name=name, password=password)

    @property
    def token(self) -> str | None:
        return self.client.cookies.get(SESSION)

    @token.setter
    def token(self, token: str) -> None:
        self.client.cookies.set(SESSION, token, domain="127.0.0.1", path="/")

    def enrol(self, password: str = PASSWORD, **proof: str) -> Response:
        """Set a second factor up. The page of the recovery codes."""
        begun = self.post("/account/second-factor", password=password, **proof)
        assert begun.headers["location"] == "/account/second-factor/new", begun.text
        found = _SECRET.search(self.get("/account/second-factor/new").text)
        assert found is not None
        self.secret = found[1].replace(" ", "")
        answer = self.post("/account/second-factor/new", code=self.code())
        self.recovery = _RECOVERY.findall(answer.text)
        return answer

    def code(self) -> str:
        """A code that was not used before: of this step, or of the next one, which is good already."""
        self.used = max(time.time_ns() // NS // STEP_S, self.used + 1)
        return pyotp.TOTP(self.secret).generate_otp(self.used)
