"""Who asks too often for what is expensive waits; nobody who answers an alarm does. Requests that never end, end."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthline.clock import NS
from hearthline_cloud.api.http import HEADER_S, BoundedH11
from hearthline_cloud.api.lane import AT_ONCE, OF_ONE, Lane, TooManyError
from hearthline_cloud.api.shield import BODY_S, RequestLimits
from hearthline_cloud.pacing import ADDRESS_FACTOR, COSTS, RATES, Cost, Pacing, Rate
from hearthline_cloud.permissions import ROUTES, Permission
from web.client import Client
from web.seeding import Center
from web.two_communities import settle

ONE = {cost: Rate(1, 1) for cost in Cost}
EXPENSIVE = ("GET /history.csv", "GET /api/v1/protection.csv", "GET /api/v1/figures", "GET /history", "POST /history")
NEVER = {  # what an alarm waits for
    "GET /", "GET /fragments/alerts", "GET /alerts/{alert_id}", "GET /fragments/alerts/{alert_id}",
    "GET /api/v1/alerts", "GET /api/v1/alerts/{alert_id}", "GET /residents/{resident_id}",
    "GET /api/v1/residents/{resident_id}", "GET /api/v1/stream", "GET /healthz", "GET /readyz", "GET /wall",
    "POST /v/{token}/open", "POST /v/{token}/go", "POST /v/{token}/arrive", "POST /v/{token}/decline",
    "POST /v/{token}/report",
}  # fmt: skip


# --- the rule -----------------------------------------------------------------------------------------------------


def test_what_answers_an_alarm_is_never_paced() -> None:
    answering = {route for route, needed in ROUTES.items() if needed is Permission.ANSWER}
    assert answering
    assert (answering | NEVER) <= set(ROUTES)
    assert set(COSTS).isdisjoint(answering | NEVER)


def test_every_paced_route_is_a_route_and_every_export_is_paced() -> None:
    assert set(COSTS) <= set(ROUTES)
    assert {route for route, needed in ROUTES.items() if needed is Permission.EXPORT or ".csv" in route} <= set(COSTS)
    assert set(RATES) == set(Cost) == set(COSTS.values())


@pytest.mark.parametrize("cost", Cost)
def test_a_burst_then_an_even_rate(cost: Cost) -> None:
    pacing, rate, now = Pacing(), RATES[cost], 10**18
    assert [pacing.wait_s(cost, "mei", "a", now) for _ in range(rate.burst)] == [0] * rate.burst
    wait = pacing.wait_s(cost, "mei", "a", now)
    assert wait == pytest.approx(60 / rate.a_minute)
    assert pacing.wait_s(cost, "mei", "a", now + int((wait - 0.01) * NS)) > 0
    assert pacing.wait_s(cost, "mei", "a", now + int((wait + 0.01) * NS)) == 0
    assert pacing.wait_s(cost, "jun", "a", now) == 0, "another person at the same desk"


def test_one_address_is_bounded_whatever_the_names() -> None:
    pacing, now = Pacing(ONE), 10**18
    waits = [pacing.wait_s(Cost.EXPORT, f"p{number}", "one place", now) for number in range(ADDRESS_FACTOR + 1)]
    assert waits[:-1] == [0] * ADDRESS_FACTOR
    assert waits[-1] > 0
    assert pacing.wait_s(Cost.EXPORT, "p99", "another place", now) == 0
    assert pacing.wait_s(Cost.SEARCH, "p99", "one place", now) == 0, "another cost"


def test_a_refused_request_costs_nothing() -> None:
    pacing, now = Pacing(ONE), 10**18
    for _ in range(1000):
        pacing.wait_s(Cost.EXPORT, "mei", "a", now)
    assert pacing.wait_s(Cost.EXPORT, "mei", "a", now) <= 60


def test_memory_is_bounded() -> None:
    pacing = Pacing()
    for number in range(12_000):
        assert pacing.wait_s(Cost.LINK, f"token-{number}", "", 10**18) == 0
    assert len(pacing) == 10_000


_RATES = st.builds(Rate, st.integers(1, 9), st.integers(1, 99))


@given(gaps=st.lists(st.integers(0, 90 * NS), max_size=60), rate=_RATES)
def test_never_more_than_the_burst_and_the_rate_together(gaps: list[int], rate: Rate) -> None:
    pacing, now = Pacing({Cost.SEARCH: rate}), 10**18
    allowed: list[int] = []
    for gap in gaps:
        now += gap
        if pacing.wait_s(Cost.SEARCH, "mei", "", now) == 0:
            allowed.append(now)
    for place, begin in enumerate(allowed):
        for count, end in enumerate(allowed[place:], 1):
            assert count <= rate.burst + (end - begin) * rate.a_minute / (60 * NS) + 1e-6


def test_turns() -> None:
    asyncio.run(turns())


async def turns() -> None:
    lane = Lane(patience_s=0.01)
    held = [lane.turn(f"p{number // OF_ONE}") for number in range(AT_ONCE)]
    for turn in held:
        await turn.__aenter__()
    with pytest.raises(TooManyError) as refused:
        async with lane.turn("p0"):
            pytest.fail("a fifth for one person")
    assert refused.value.wait_s == 1
    with pytest.raises(TooManyError):
        async with lane.turn("somebody else"):
            pytest.fail("a ninth")
    waiting = asyncio.create_task(Lane.turn(lane, "waits").__aenter__())
    await asyncio.sleep(0)
    await held[0].__aexit__(None, None, None)
    await waiting
    with pytest.raises(ValueError, match="a bug"):
        async with Lane().turn("x"):
            raise ValueError("a bug")


# --- over HTTP ----------------------------------------------------------------------------------------------------


@pytest.fixture
def strict(center: Center) -> Iterator[Center]:
    """A center at which everything expensive may be asked once a minute."""
    center.rates = ONE
    with center.serving():
        yield center


def ask(client: Client, route: str, **headers: str) -> tuple[int, str, bytes]:
    method, _, path = route.partition(" ")
    path += {"/api/v1/protection.csv": "?month=2026-11"}.get(path, "")
    form = {"content-type": "application/x-www-form-urlencoded"} if path == "/history" else {}
    answer = client.request(method, path, b"kind=" if method == "POST" else None, form | headers)
    return answer.status, answer.headers.get("retry-after", ""), answer.data


def test_too_often_is_answered_with_how_long_to_wait(strict: Center) -> None:
    boss, mei = strict.client("boss"), strict.client("mei")
    for route in ("GET /history.csv", "GET /api/v1/figures", "POST /history"):
        assert ask(boss, route)[0] in (200, 303)
        status, wait, body = ask(boss, route)
        assert (status, json.loads(body)["error"]["code"]) == (429, "too-many")
        assert 1 <= int(wait) <= 60
        assert ask(mei, route)[0] in (200, 303), "another person is not held up"
    assert ask(boss, "GET /api/v1/protection.csv")[0] == 429, "an export is an export"
    status, wait, body = ask(boss, "GET /history", accept="text/html")
    assert (status, int(wait) >= 1) == (429, True)
    assert {"请求过于频繁", "Too many requests"} <= set(re.findall(r"<h[12]>(.*?)</h", body.decode()))


def test_a_second_session_of_one_person_gains_nothing(strict: Center) -> None:
    assert ask(strict.client("boss"), "GET /history.csv")[0] == 200
    assert ask(strict.client("boss"), "GET /history.csv")[0] == 429


def test_alarms_are_answered_by_whoever_may_search_no_more(strict: Center) -> None:
    boss = strict.client("boss")
    statuses = [ask(boss, route)[0] for route in EXPENSIVE * 3]
    assert statuses.count(429) > statuses.count(200)
    for _ in range(40):
        assert boss.get("alerts").status == 200
    alert = strict.press()
    for step in ("acknowledge", "attend", "arrive"):
        assert boss.post(f"alerts/{alert}/{step}", {}).status == 200
    assert boss.post(f"alerts/{alert}/resolve", {"outcome": "helped"}).status in (200, 422)


def test_a_refused_role_is_told_that_first(strict: Center) -> None:
    settle(strict)
    wall = strict.client("wall")
    assert [ask(wall, "GET /history.csv")[0] for _ in range(3)] == [403] * 3
    assert [ask(strict.client(), "GET /history.csv")[0] for _ in range(3)] == [401] * 3


def test_one_session_cannot_take_every_stream(served: Center) -> None:
    mei, jun = served.client("mei"), served.client("jun")
    streams = [mei.stream() for _ in range(32)]
    assert {stream.answer.status for stream in streams} == {200}
    more = mei.stream()
    assert more.answer.status == 503
    other = jun.stream()
    assert other.answer.status == 200
    for stream in [*streams, more, other]:
        stream.close()


# --- requests that are too much -------------------------------------------------------------------------------------


@contextmanager
def connected(center: Center) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", center.port), timeout=5) as made:
        yield made


def spoken(center: Center, request: bytes) -> bytes:
    with connected(center) as made:
        made.sendall(request)
        return made.recv(65536)


def test_addresses_and_headers_have_a_bound(served: Center) -> None:
    client = served.client("mei")
    assert client.request("GET", "/api/v1/alerts?x=" + "y" * 4000).status in (200, 422)
    answer = client.request("GET", "/api/v1/alerts?x=" + "y" * 4096)
    assert (answer.status, answer.json()["error"]["code"]) == (414, "too-long")
    line = b"GET /healthz HTTP/1.1\r\nhost: x\r\n"
    assert b" 200 " in spoken(served, line + b"a: " + b"b" * 8000 + b"\r\nconnection: close\r\n\r\n").split(b"\r\n")[0]
    for size in (17_000, 40_000, 500_000):
        assert b" 4" in spoken(served, line + b"a: " + b"b" * size + b"\r\n\r\n").split(b"\r\n")[0]
    assert served.client().request("GET", "/healthz").status == 200


def test_lengths_that_are_none(served: Center) -> None:
    for length in (b"9" * 5000, b"-1", b"1e3", b"65537"):
        line = b"POST /login HTTP/1.1\r\nhost: x\r\ncontent-length: " + length + b"\r\n\r\n"
        assert b" 4" in spoken(served, line).split(b"\r\n")[0]


def test_json_may_be_deep_and_breaks_nothing(served: Center) -> None:
    mei, alert = served.client("mei"), served.press()
    for body in (b"[" * 60_000, b'{"a":' * 12_000, b'{"text":' + b"[" * 20_000 + b"]" * 20_000 + b"}"):
        answer = mei.request("POST", f"/api/v1/alerts/{alert}/notes", body)
        assert answer.status in (400, 422)
        assert len(answer.data) < 1000
    form = b"&".join(b"a=%d" % number for number in range(5000))
    assert mei.request("POST", "/history", form, {"content-type": "application/x-www-form-urlencoded"}).status == 400


def test_a_header_that_does_not_come_ends_the_connection(served: Center, monkeypatch: pytest.MonkeyPatch) -> None:
    assert HEADER_S == 10
    monkeypatch.setattr(BoundedH11, "header_s", 0.3)
    whole = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    for before, begun in ((b"", b""), (b"", b"GET /healthz HT"), (whole, b"GET")):
        with connected(served) as made:
            made.sendall(before)
            assert not before or made.recv(65536)
            made.sendall(begun)
            began = time.monotonic()
            try:
                while made.recv(65536):
                    pass
            except ConnectionResetError:
                pass
            assert time.monotonic() - began < 4.5, "sooner than an idle connection ends"
    stream = served.client("mei").stream()
    heard = [stream.next() for _ in range(2)]  # two seconds apart: a stream is not cut
    assert all(heard)
    stream.close()


def test_a_body_that_does_not_come_is_given_up() -> None:
    assert BODY_S == 10
    asyncio.run(given_up())


async def given_up() -> None:
    sent: list[dict[str, object]] = []

    async def never() -> dict[str, object]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    async def app(*_: object) -> None:
        pytest.fail("it was not whole")

    scope = {"type": "http", "method": "POST", "headers": [], "path": "/", "raw_path": b"/", "query_string": b""}
    await RequestLimits(app, body_s=0.01)(scope, never, send)  # type: ignore[arg-type]
    assert sent[0]["status"] == 408
