"""Generated requests against every operation of the API, over a real socket: right ones and wrong ones.

No answer is a 5xx (save the 503 of a center whose parts are away, which is documented), each answer has a documented
status, content type and shape, and nothing is answered without a session. The requests are shared among an operator of
the whole center, an account of each role that sees the community c-2 alone, and nobody: none of these is told a name or
an id of c-1, and nobody is told how the program is made. The event stream never ends and is left to
tests/web/test_stream.py. The console's pages, which have no schema, get odd values in their paths and forms.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import schemathesis
from fastapi import FastAPI, HTTPException
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case, CheckContext, GenerationMode, Response
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from hearthline_cloud.api.access import COOKIE
from hearthline_cloud.pacing import Cost, Rate
from hearthline_cloud.permissions import Role
from trials import SEED, publish, trials
from web.seeding import Center
from web.two_communities import OTHER, PLANTED, PLANTED_OTHER, logged_in, settle

EXAMPLES = trials(12, 60)  # for each operation, once with right and once with wrong requests
ALL_AT_ONCE = EXAMPLES > 12  # each request as everybody; in the short form as the next one
MADE_OF = (
    "Traceback",
    'File "',
    "site-packages",
    "sqlalchemy",
    "SELECT ",
    "sqlite",
    "hearthline_cloud",
    "/tmp/",
    "argon2",
)
STREAM = "/api/v1/stream"
LOGOUT = "/api/v1/logout"
OPEN = ("/api/v1/login", "/healthz", "/readyz")  # to whoever asks
UNBOUNDED = dict.fromkeys(Cost, Rate(10**6, 10**7))


def no_bug(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """A 503 is the answer of a center one of whose parts is away, and documented where it may come."""
    assert response.status_code < 500 or response.status_code == 503, "the API failed"


CHECKS = [
    no_bug,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
FOR_WHAT_IS_READ = (negative_data_rejection, status_code_conformance)
pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    folder = tmp_path_factory.mktemp("api")
    center = Center(folder, rates=UNBOUNDED)
    center.populate()
    for _ in range(3):
        center.press()
    center.measure("r-1", time.time_ns(), systolic=150, diastolic=90, heart_rate=70)
    with center.beating(), center.serving():
        yield center
    center.close()


class Caller:
    """Sends generated requests as one account, or as nobody, and keeps count. `hidden`: what it may never be told."""

    def __init__(self, center: Center, role: Role | None, scope: str | None, hidden: tuple[str, ...] = ()) -> None:
        self._center = center
        self._role, self._scope = role, scope
        self._hidden = (*hidden, *MADE_OF)
        self.name = "nobody" if role is None else f"{role}, {scope or 'the whole center'}"
        self.statuses: Counter[int] = Counter()
        self._cookies: dict[str, str] = {}
        self.log_in()

    def log_in(self) -> None:
        if self._role is not None:
            client = (
                self._center.client("mei") if self._scope is None else logged_in(self._center, self._role, self._scope)
            )
            self._cookies = {COOKIE: client.token}

    def call(self, case: Case[Any]) -> None:
        headers = {"X-Hearthline": "1", "Connection": "close"}
        response = case.call(headers=headers, cookies=self._cookies, timeout=20)
        too_large = response.status_code in (413, 414, 431)  # refused for its size before it is read
        checks = [check for check in CHECKS if not (too_large and check in FOR_WHAT_IS_READ)]
        case.validate_response(response, checks=checks, headers=headers, transport_kwargs={"timeout": 20})
        asked = f"{case.as_transport_kwargs()}"
        told = [word for word in self._hidden if word in response.text and word not in asked]
        assert not told, f"{self.name} was told {told} by {case.method} {case.path}"
        assert self._role is not None or response.status_code >= 400 or case.path in OPEN, f"nobody got {case.path}"
        self.statuses[response.status_code] += 1
        if case.path == LOGOUT:
            self.log_in()


class Everybody:
    """Each in turn, or all of them with each request."""

    def __init__(self, center: Center) -> None:
        settle(center)
        self.callers = [
            Caller(center, Role.OPERATOR, None),
            *(Caller(center, role, OTHER, PLANTED) for role in Role),
            Caller(center, None, None, (*PLANTED, *PLANTED_OTHER)),
        ]
        self._turns = cycle(self.callers)

    def call(self, case: Case[Any]) -> None:
        for caller in self.callers if ALL_AT_ONCE else [next(self._turns)]:
            caller.call(case)


def operations(center: Center) -> list[Any]:
    schema = schemathesis.openapi.from_url(f"{center.url}/api/v1/openapi.json")
    found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    return [operation for operation in found if operation.path != STREAM]


def attack(operation: Any, mode: GenerationMode, caller: Everybody, examples: int) -> str | None:
    """What was wrong, or None."""

    @seed(SEED)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case: Case[Any]) -> None:
        caller.call(case)

    try:
        run()
    except FailureGroup as found:
        return f"{operation.method.upper()} {operation.path}:\n" + "\n".join(str(each) for each in found.exceptions)
    return None


def attack_all(center: Center) -> tuple[Everybody, list[str]]:
    everybody, wrong = Everybody(center), []
    for operation in operations(center):
        for mode in GenerationMode:
            if mode is GenerationMode.NEGATIVE and not _takes_anything(operation):
                continue
            found = attack(operation, mode, everybody, EXAMPLES)
            if found is not None:
                wrong.append(found)
    return everybody, wrong


def _takes_anything(operation: Any) -> bool:
    return bool(list(operation.iter_parameters())) or bool(operation.body)


def test_generated_requests_as_each_role_and_as_nobody(served: Center) -> None:
    began = time.monotonic()
    everybody, wrong = attack_all(served)
    assert not wrong, "\n\n".join(wrong)
    own, *scoped, nobody = everybody.callers
    statuses = sum((caller.statuses for caller in everybody.callers), Counter[int]())
    assert {200, 204, 404, 422} <= set(own.statuses), "the requests reach too little"
    assert {200, 403, 404, 422} <= set().union(*(caller.statuses for caller in scoped))
    assert min(caller.statuses.total() for caller in everybody.callers) > statuses.total() / 10
    assert nobody.statuses[401] > nobody.statuses.total() / 2
    assert statuses[503] <= statuses.total() / 20
    publish(
        "generated requests to the API, as each role and as nobody",
        requests=statuses.total(),
        statuses={str(status): count for status, count in sorted(statuses.items())},
        accounts=len(everybody.callers),
        failures=0,
        leaks=0,
        seconds=round(time.monotonic() - began, 1),
    )


# --- boundaries: every parameter with every value that breaks something somewhere -----------------------------------

_NUMBERS = (
    "0", "-1", "1", str(2**31), str(2**63 - 1), str(2**63), str(2**64), "9" * 400, "1.0", "1e3", "NaN", "٣", "", " 1",
)  # fmt: skip
_TEXTS = (
    "", " ", "\x00", "a\x00b", "\ufeff", "\u202e", "😀" * 200, "x" * 3_000, "%", "_", "'; --", "../../etc", "\r\nx: y",
    "0001-01-01", "9999-12-31", "2026-02-30", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59",
    "2026-11-21T08:00:00Z", "1677-09-21T00:00:00Z", "2262-04-12T00:00:00Z", "1500-01-01T00:00:00Z", "open", "raised",
    "power", "h-1",
)  # fmt: skip
_BODIES: tuple[bytes, ...] = (
    b"", b"null", b"[]", b"{}", b"{", b"\xff", b"\xef\xbb\xbf{}",
    b'{"version": 9223372036854775808}', b'{"version": 1e400}',
    b'{"version": NaN}', b'{"version": true}', b'{"text": "\\u0000"}', b'{"text": "\\ud800"}', b'{"text": ""}',
    b'{"text": "x", "text": 1}', b'{"outcome": "\\ud800"}', b'{"outcome": "helped", "version": ' + b"9" * 5000 + b"}",
    b'{"name": "\\ud800", "password": "\\ud800"}', b'{"name": "\\u0000", "password": "x"}', b"[" * 30_000,
    b'{"a":' * 10_000, b'{"text": "' + b"x" * 60_000 + b'"}',
)  # fmt: skip


def boundary_requests(operation: Any) -> Iterator[tuple[str, bytes | None]]:
    """(path with query, body) of one operation, one odd value at a time."""
    names = {item.name: item.location.value for item in operation.iter_parameters()}
    known = {"resident_id": "r-1", "home_id": "h-1", "gateway_id": "gw-east-1"}
    good = {name: known.get(name, "1") for name, where in names.items() if where == "path"}
    needed = {"quantity": "power"} if "quantity" in names else {}
    body = None if operation.method.upper() == "GET" else b'{"outcome": "helped", "text": "x"}'
    for odd in (*_NUMBERS, *_TEXTS):
        for name, where in names.items():
            if where == "path" and odd in ("", "../../etc"):
                continue  # another path
            values = {**good, **needed, name: odd}
            path = operation.path.format(**{key: quote(value, safe="") for key, value in values.items()})
            query = (
                {key: value for key, value in values.items() if names.get(key) == "query"}
                if where == "query"
                else needed
            )
            yield path + ("?" + urlencode(query) if query else ""), body
    if body is not None:
        for odd_body in _BODIES:
            yield operation.path.format(**good), odd_body


def test_odd_values_in_every_place(served: Center) -> None:
    client, statuses, wrong = served.client("boss"), Counter[int](), []
    for operation in operations(served):
        if operation.path == LOGOUT:
            continue  # takes nothing, and ends the session
        documented = set(operation.definition.raw["responses"])
        for path, body in boundary_requests(operation):
            answer = client.request(operation.method.upper(), path, body)
            statuses[answer.status] += 1
            assert not any(word in answer.data.decode() for word in MADE_OF if word not in path), path
            routed = answer.status != 404 or answer.json()["error"]["message"] != "Not Found"
            if routed and (str(answer.status) not in documented):
                wrong.append(f"{operation.method.upper()} {path[:200]} {(body or b'')[:80]!r}: {answer.status}")
    assert not wrong, "\n".join(wrong)
    assert {200, 404, 422} <= set(statuses)
    publish(
        "odd values in every place of the API",
        requests=statuses.total(),
        statuses={str(status): count for status, count in sorted(statuses.items())},
        failures=0,
    )


def test_nothing_is_answered_without_a_session(served: Center) -> None:
    client = served.client()
    for operation in operations(served):
        if operation.path in OPEN:
            continue
        for path, body in list(boundary_requests(operation))[:40]:
            answer = client.request(operation.method.upper(), path, body)
            assert answer.status in (400, 401, 404, 413, 422), f"{path}: {answer.status}"
            assert b"error" in answer.data
            assert answer.status != 422 or b"r-1" not in answer.data


def test_odd_values_in_pages_and_forms(served: Center) -> None:
    client = served.client("mei")
    page = {"accept": "text/html"}
    form = {"content-type": "application/x-www-form-urlencoded", "X-Hearthline": "1"}
    statuses = Counter[int]()
    for odd in (*_NUMBERS, *_TEXTS):
        for path in ("/alerts/{}", "/residents/{}", "/fragments/alerts/{}", "/static/{}", "/{}", "/?lang={}"):
            answer = client.request("GET", path.format(quote(odd, safe="")), headers=page)
            statuses[answer.status] += 1
        fields = {"lang": odd, "back": odd}
        for path, body in (("/language", urlencode(fields)), ("/language", f"lang={odd}&back=/{odd}")):
            answer = client.request("POST", path, body.encode(), headers=form)
            statuses[answer.status] += 1
            assert "\n" not in answer.headers.get("location", "")
    for odd_body in (*_BODIES, b"name=%ff&password=%00", b"name=" + b"x" * 60_000, b"name=a&name=b&password"):
        for headers in (form, {"content-type": "multipart/form-data; boundary=x"}, {"content-type": "x" * 1000}):
            statuses[client.request("POST", "/login", odd_body, headers=headers).status] += 1
    assert max(statuses) in range(500) or max(statuses) == 503, statuses
    publish("odd values in pages and forms", requests=statuses.total(), failures=0)


# --- control -----------------------------------------------------------------------------------------------------


def test_a_planted_mistake_in_the_api_is_found(served: Center) -> None:
    """One number of many breaks it."""
    app = FastAPI()

    @app.get("/things/{number}")
    def thing(number: int) -> dict[str, str]:
        if number > 2**40:
            raise HTTPException(500, "too large for the database")
        return {"number": str(number)}

    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operation = next(result.ok() for result in schema.get_all_operations() if isinstance(result, Ok))

    @settings(max_examples=200, deadline=None, database=None, phases=[Phase.generate])
    @given(case=operation.as_strategy())
    def run(case: Case[Any]) -> None:
        case.call_and_validate(checks=CHECKS)

    with pytest.raises(FailureGroup, match="the API failed"):
        run()
